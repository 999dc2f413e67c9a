/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/member.h"

#include <errno.h>
#include <string.h>

#include "bridge/polls.h"
#include "util/alloc.h"
#include "util/hex.h"
#include "util/json.h"

/* So much of the bytes that a script failed on goes into its error. */
#define SHOWN_BYTES 64

int member_init(struct member *device, const struct conf *conf, uint32_t number,
	struct script *script, struct problems *problems)
{
	*device = (struct member){ .number = number, .conf = &conf->devices[number] };
	OWNED_BUFFER declared = BUFFER_EMPTY;
	if (script) {
		device->lua = script_device_create(script, device->conf);
		struct script_error error = { .text = "" };
		if (script_polls(device->lua, &declared, &error) < 0) {
			problem_error(problems, device->conf->place, "device \"%s\": polls: %s",
				device->conf->name, error.text);
			return -EINVAL;
		}
	}
	return polls_plan(&device->plan, conf, number, &declared,
		script ? script_path(script) : device->conf->place.file, problems);
}

void member_finish(struct member *device)
{
	plan_release(TAKE(device->plan));
	script_device_destroy(TAKE(device->lua));
	free(TAKE(device->script_error));
}

void member_swap_script(struct member *device, struct member *other)
{
	struct script_device *lua = device->lua;
	struct plan *plan = device->plan;
	device->lua = other->lua;
	device->plan = other->plan;
	other->lua = lua;
	other->plan = plan;
	free(TAKE(device->script_error));
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

bool member_decode(struct member *device, const struct reading *reading, struct reports *reports)
{
	*reports = (struct reports){ .count = 0 };
	device->readings++;
	device->last_reading = reading->stamp;
	struct script_error error = { .text = "" };
	int result = device->lua ? script_decode(device->lua, reading, reports, &error)
				 : raw_report(reading, reports);
	bool failed_before = device->script_error;
	/* Else a poll that fails and one that works would take turns in the log. */
	bool of_other_poll = failed_before && device->script_error_poll != reading->poll;
	device->script_errors += result < 0;
	if (of_other_poll || (result >= 0 && !failed_before))
		return false;
	free(TAKE(device->script_error));
	if (result >= 0)
		return true;
	device->script_error = error_text(&error, reading);
	device->script_error_poll = reading->poll;
	return !failed_before;
}

void member_print(const struct member *device, struct buffer *json)
{
	const struct conf_device *conf = device->conf;
	buffer_put_text(json, "\"name\":");
	json_put_text(json, conf->name);
	buffer_put_text(json, ",\"script\":");
	if (conf->script)
		json_put_text(json, conf->script);
	else
		buffer_put_text(json, "null");
	buffer_put_text(json, ",\"script_error\":");
	if (device->script_error)
		json_put_text(json, device->script_error);
	else
		buffer_put_text(json, "null");
	buffer_printf(json, ",\"script_errors\":%ju,\"readings\":%ju,\"health\":\"%s\"",
		(uintmax_t)device->script_errors, (uintmax_t)device->readings,
		health_name(device->health));
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
