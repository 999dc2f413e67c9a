/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/member.h"

#include <errno.h>
#include <string.h>

#include "bridge/polls.h"
#include "bridge/requests.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/hex.h"
#include "util/json.h"

/* So much of the bytes that a script failed on goes into its error. */
#define SHOWN_BYTES 64
/* How often a device whose polls are not known yet shows that it is there. */
#define PROBE_PERIOD_US (60 * USEC_PER_SEC)

/* What setup asks for becomes part of the plan. */
static int add_setup(struct plan *plan, struct member *device, const struct conf *conf,
	const char *file, struct problems *problems)
{
	OWNED_BUFFER list = BUFFER_EMPTY;
	struct script_error error = { .text = "" };
	struct requests setup;
	if (script_setup(device->lua, &list, &error) < 0) {
		problem_error(problems, device->conf->place, "device \"%s\": setup: %s",
			device->conf->name, error.text);
		return -EINVAL;
	}
	int result = requests_make(
		&setup, conf, device->number, &list, "setup: request", file, problems);
	plan_take_setup(plan, setup.items, setup.count);
	return result;
}

int member_plan(struct plan **result, struct member *device, const struct conf *conf,
	const struct buffer *polls, struct problems *problems)
{
	const char *file = device->conf->script_path ? device->conf->script_path
						     : device->conf->place.file;
	struct plan *plan = NULL;
	if (polls_plan(&plan, conf, device->number, polls, file, problems) < 0)
		return -EINVAL;
	if (device->lua && add_setup(plan, device, conf, file, problems) < 0) {
		plan_release(plan);
		return -EINVAL;
	}
	*result = plan;
	return 0;
}

/* Until the polls are known, the first thing that discover asks is all that is polled. */
static int make_probe(struct member *device, const struct conf *conf, const struct buffer *list,
	struct problems *problems)
{
	OWNED_REQUESTS requests;
	if (requests_make(&requests, conf, device->number, list, "discover: request",
		    device->conf->script_path, problems) < 0)
		return -EINVAL;
	if (requests.items[0]->wire.flags & (EB_WRITE | EB_NO_ANSWER)) {
		problem_error(problems, device->conf->place,
			"device \"%s\": discover: request 1 writes: it is asked again and again "
			"until the device is there, so let it be a read",
			device->conf->name);
		return -EINVAL;
	}
	struct request *first = TAKE(requests.items[0]);
	struct plan *plan = plan_create(device->number, &first->wire.address, 1);
	free(first->name);
	first->name = must_strdup(MEMBER_PROBE_NAME);
	plan->polls[0] = (struct poll){ .request = first, .period_us = PROBE_PERIOD_US };
	device->plan = plan;
	device->probe = plan_reference(plan);
	return 0;
}

/* The first call of discover: its requests make the probe, or it knows the polls at once. */
static int begin_discovery(
	struct member *device, const struct conf *conf, struct problems *problems)
{
	OWNED_BUFFER list = BUFFER_EMPTY;
	struct script_error error = { .text = "" };
	int answer = script_discover(device->lua, NULL, &list, &error);
	if (answer == DISCOVER_REQUESTS)
		return make_probe(device, conf, &list, problems);
	if (answer == DISCOVER_POLLS)
		return member_plan(&device->plan, device, conf, &list, problems);
	problem_error(problems, device->conf->place, "device \"%s\": discover: %s",
		device->conf->name, error.text);
	return -EINVAL;
}

static int declare_polls(struct member *device, const struct conf *conf, struct problems *problems)
{
	OWNED_BUFFER declared = BUFFER_EMPTY;
	struct script_error error = { .text = "" };
	if (script_polls(device->lua, &declared, &error) < 0) {
		problem_error(problems, device->conf->place, "device \"%s\": polls: %s",
			device->conf->name, error.text);
		return -EINVAL;
	}
	return member_plan(&device->plan, device, conf, &declared, problems);
}

int member_init(struct member *device, const struct conf *conf, uint32_t number,
	struct script *script, const struct buffer *state, struct problems *problems)
{
	const struct buffer none = BUFFER_EMPTY;
	*device = (struct member){ .number = number, .conf = &conf->devices[number] };
	if (!script)
		return member_plan(&device->plan, device, conf, &none, problems);
	if (script_check_parameters(script, device->conf, problems) < 0)
		return -EINVAL;
	device->lua = script_device_create(script, device->conf);
	if (state)
		script_device_set_state(device->lua, state->data, state->size);
	return script_has(script, "discover") ? begin_discovery(device, conf, problems)
					      : declare_polls(device, conf, problems);
}

void member_finish(struct member *device)
{
	plan_release(TAKE(device->plan));
	plan_release(TAKE(device->probe));
	plan_release(TAKE(device->sent));
	script_device_destroy(TAKE(device->lua));
	free(TAKE(device->script_error));
	free(TAKE(device->warning));
	free(TAKE(device->discovery_error));
}

static void swap_plans(struct plan **one, struct plan **other)
{
	struct plan *held = *one;
	*one = *other;
	*other = held;
}

void member_swap_script(struct member *device, struct member *other)
{
	struct script_device *lua = device->lua;
	bool found = device->probe && device->plan != device->probe;
	device->lua = other->lua;
	other->lua = lua;
	bool kept = other->probe ? found : plan_equal(device->plan, other->plan);
	if (!kept)
		swap_plans(&device->plan, &other->plan);
	swap_plans(&device->probe, &other->probe);
	device->confirmed = false;
	free(TAKE(device->script_error));
	free(TAKE(device->discovery_error));
}

static int raw_report(const struct reading *reading, struct reports *reports)
{
	reports->items = must_alloc(sizeof(*reports->items));
	reports->items[0] = report_create(
		reading->device, REPORT_RAW, &reading->stamp, reading->bytes, reading->size);
	reports->count = 1;
	return 0;
}

static char *error_text(const struct script_error *error, const struct reading *reading)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	bool cut = reading->size > SHOWN_BYTES;
	buffer_printf(&text, "%s (poll \"%s\", %u bytes: ", error->text,
		reading->plan->polls[reading->poll].request->name, reading->size);
	hex_put(&text, reading->bytes, cut ? SHOWN_BYTES : reading->size);
	buffer_put_text(&text, cut ? "...)" : ")");
	return must_strdup(buffer_text(&text));
}

/* Whether that is news: it failed after it had worked, or what it had failed on works again. */
static bool note_result(struct member *device, uint32_t poll, bool failed)
{
	bool failed_before = device->script_error;
	/* Else a poll that fails and one that works would take turns in the log. */
	bool of_other_poll = failed_before && device->script_error_poll != poll;
	device->script_errors += failed;
	if (of_other_poll || (!failed && !failed_before))
		return false;
	free(TAKE(device->script_error));
	device->script_error_poll = poll;
	return !failed || !failed_before;
}

bool member_decode(struct member *device, const struct reading *reading, struct reports *reports)
{
	*reports = (struct reports){ .count = 0 };
	device->readings++;
	device->last_reading = reading->stamp;
	struct script_error error = { .text = "" };
	int result = device->lua ? script_decode(device->lua, reading, reports, &error)
				 : raw_report(reading, reports);
	bool news = note_result(device, reading->poll, result < 0);
	if (result < 0 && device->script_error_poll == reading->poll && !device->script_error)
		device->script_error = error_text(&error, reading);
	return news;
}

bool member_health(struct member *device, const struct health *health, struct reports *reports)
{
	*reports = (struct reports){ .count = 0 };
	struct script_error error = { .text = "" };
	if (!device->lua)
		return false;
	int result = script_health(device->lua, health, reports, &error);
	bool news = note_result(device, MEMBER_HEALTH, result < 0);
	if (result < 0 && device->script_error_poll == MEMBER_HEALTH && !device->script_error)
		device->script_error = must_strdup(error.text);
	return news;
}

bool member_warn(struct member *device, uint32_t poll, const struct reports *reports)
{
	device->warnings += reports->warning_count;
	if (device->warning && device->warning_poll != poll)
		return false;
	if (!device->warning && !reports->warning_count)
		return false;
	OWNED_BUFFER text = BUFFER_EMPTY;
	for (size_t i = 0; i < reports->warning_count; i++)
		buffer_printf(&text, "%s%s", i ? "; " : "", reports->warnings[i]);
	bool same = device->warning && strcmp(device->warning, buffer_text(&text)) == 0;
	if (same)
		return false;
	free(device->warning);
	device->warning = reports->warning_count ? must_strdup(buffer_text(&text)) : NULL;
	device->warning_poll = poll;
	return true;
}

static void print_optional(struct buffer *json, const char *key, const char *text)
{
	buffer_printf(json, ",\"%s\":", key);
	if (text)
		json_put_text(json, text);
	else
		buffer_put_text(json, "null");
}

static void print_discovery(const struct member *device, struct buffer *json)
{
	if (!device->probe)
		return;
	bool found = device->plan != device->probe;
	buffer_printf(json, ",\"discovery\":{\"state\":\"%s\",\"polls\":%zu",
		device->confirmed ? "done" : "discovering", found ? device->plan->count : 0);
	print_optional(json, "error", device->discovery_error);
	buffer_put_byte(json, '}');
}

void member_print(const struct member *device, struct buffer *json)
{
	const struct conf_device *conf = device->conf;
	buffer_put_text(json, "\"name\":");
	json_put_text(json, conf->name);
	print_optional(json, "script", conf->script);
	print_optional(json, "script_error", device->script_error);
	print_optional(json, "script_warning", device->warning);
	print_discovery(device, json);
	buffer_printf(json,
		",\"script_errors\":%ju,\"script_warnings\":%ju,\"readings\":%ju,"
		"\"health\":\"%s\"",
		(uintmax_t)device->script_errors, (uintmax_t)device->warnings,
		(uintmax_t)device->readings, health_name(device->health));
	if (device->health_error)
		buffer_printf(
			json, ",\"health_error\":\"%s\"", error_class_name(device->health_error));
	if (device->health_since.wall_ms)
		buffer_printf(
			json, ",\"health_since\":%jd", (intmax_t)device->health_since.wall_ms);
	if (device->readings)
		buffer_printf(
			json, ",\"last_reading\":%jd", (intmax_t)device->last_reading.wall_ms);
}
