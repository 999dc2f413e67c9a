/* SPDX-License-Identifier: Apache-2.0 */
#include "field/setup.h"

#include <stdio.h>

#include "core/plugin.h"
#include "field/backoff.h"
#include "field/health.h"
#include "field/schedule.h"
#include "util/alloc.h"
#include "util/log.h"

#define SILENCES_MAX 3
#define AGAIN_FIRST_US (60 * USEC_PER_SEC)
#define AGAIN_MAX_US (3600 * USEC_PER_SEC)

static bool same_setup(const struct plan *a, const struct plan *b)
{
	if (a->setup_count != b->setup_count)
		return false;
	for (size_t i = 0; i < a->setup_count; i++) {
		if (!request_same_wire(a->setup[i], b->setup[i]))
			return false;
	}
	return true;
}

void setup_finish(struct setup *setup)
{
	free(setup->steps);
	*setup = (struct setup){ .steps = NULL };
}

void setup_change(struct device *device, const struct plan *old, const struct plan *plan)
{
	if (old && same_setup(old, plan))
		return;
	setup_finish(&device->setup);
	if (!plan->setup_count)
		return;
	device->setup.count = (uint32_t)plan->setup_count;
	device->setup.steps = must_array(plan->setup_count, sizeof(struct setup_step));
}

void setup_restart(struct device *device)
{
	struct setup *setup = &device->setup;
	setup->next = 0;
	setup->tries = setup->silences = 0;
	setup->contact = setup->contacted = false;
	for (uint32_t i = 0; i < setup->count; i++)
		setup->steps[i].again_us = 0;
}

void setup_contacted(struct device *device)
{
	device->setup.contact = false;
	device->setup.contacted = true;
}

/* On a line that may be one that echoes, a write would be held for its echo: a read tells. */
static bool is_echo_unknown(const struct device *device)
{
	const struct bus *bus = device->bus;
	return bus->echo == ECHO_UNKNOWN && bus->conf->link.echo == ANSWER_AUTO &&
		!bus_matches_tags(bus);
}

/* The poll to read something with, and when; -1: the device has none. */
static int64_t find_read(struct device *device, int64_t now, int64_t *when_us)
{
	int64_t best = -1;
	*when_us = INT64_MAX;
	for (uint32_t i = 0; i < device->merge.count; i++) {
		const struct request *request = device->plan->polls[device->merge.parts[i].poll]
							.request;
		const struct task *task = device_task(device, i);
		if (!request_is_read(request))
			continue;
		int64_t us = task->again_us > now ? task->again_us : now;
		if (owed_blocks(&device->owed, request, now) && us < device->owed.until_us)
			us = device->owed.until_us;
		if (best >= 0 && (task->tries ? us > *when_us : us >= *when_us))
			continue;
		best = i;
		*when_us = us;
	}
	return best;
}

/* The request that is due next, and when; -1: none is. */
static int64_t find_step(const struct setup *setup, int64_t now, int64_t *when_us)
{
	int64_t best = -1;
	*when_us = INT64_MAX;
	if (setup_waits(setup)) {
		*when_us = now;
		return setup->next;
	}
	for (uint32_t i = 0; i < setup->count; i++) {
		int64_t us = setup->steps[i].again_us;
		if (!us || us >= *when_us)
			continue;
		best = i;
		*when_us = us;
	}
	return best;
}

bool setup_choose(struct device *device, int64_t now, struct choice *choice, int64_t *next_us)
{
	struct setup *setup = &device->setup;
	int64_t when_us, read_us;
	int64_t step = find_step(setup, now, &when_us);
	if (step < 0 || device->outstanding)
		return false;
	const struct request *request = device->plan->setup[step];
	bool blind = request->wire.flags & EB_WRITE && !setup->contacted && is_echo_unknown(device);
	int64_t read = setup->contact || blind ? find_read(device, now, &read_us) : -1;
	if (read >= 0 && when_us < read_us)
		when_us = read_us;
	if (read < 0 && when_us < device_free_us(device, request))
		when_us = device_free_us(device, request);
	if (when_us < device->quiet_us)
		when_us = device->quiet_us;
	if (when_us > now) {
		*next_us = when_us < *next_us ? when_us : *next_us;
		return false;
	}
	*choice = (struct choice){ .device = device,
		.first = (uint32_t)(read >= 0 ? read : step),
		.count = 1,
		.setup = read < 0 };
	return true;
}

void setup_begun(struct bus *bus, const struct choice *choice)
{
	list_remove(&choice->device->turn);
	list_append(&bus->devices, &choice->device->turn);
}

static void say_refused(struct device *device, uint32_t number, const struct ending *ending)
{
	struct setup_step *step = &device->setup.steps[number];
	const char *text = device->plan->setup[number]->text;
	if (step->said)
		return;
	step->said = true;
	char why[32];
	if (ending->error == EB_EXCEPTION)
		snprintf(why, sizeof(why), "exception %u", ending->code);
	else
		snprintf(why, sizeof(why), "%s", error_class_name(ending->error));
	log_warning(
		"%s: device %s: setup request %u fails with %s: %s: its polls go on without it, "
		"and it is sent again later; check that with the device's manual",
		bus_name(device->bus), device_name(device), number + 1, why, text ? text : "?");
}

static void say_done(struct device *device, uint32_t number)
{
	struct setup_step *step = &device->setup.steps[number];
	if (step->said)
		log_info("%s: device %s: setup request %u works again", bus_name(device->bus),
			device_name(device), number + 1);
	step->said = false;
}

/* The polls wait for it no longer, if they did. */
static void go_on(struct device *device, uint32_t number)
{
	struct setup *setup = &device->setup;
	if (setup->next != number)
		return;
	setup->next++;
	setup->tries = setup->silences = 0;
	setup->contact = false;
	device->ready_us = bus_now(device->bus);
}

static void refuse(struct device *device, uint32_t number, const struct ending *ending)
{
	struct setup_step *step = &device->setup.steps[number];
	if (step->refused < UINT8_MAX)
		step->refused++;
	step->again_us = bus_now(device->bus) +
		backoff_us(AGAIN_FIRST_US, AGAIN_MAX_US, step->refused);
	say_refused(device, number, ending);
	go_on(device, number);
}

/* A step that polls wait for had no answer. */
static void not_answered(
	struct device *device, const struct transaction *transaction, const struct ending *ending)
{
	struct setup *setup = &device->setup;
	bool repeatable = request_is_repeatable(transaction->request);
	int64_t when_us;
	if (ending->error == EB_LINK) {
		setup->contact = !repeatable && transaction->begun_us;
		setup->contacted = false;
		return;
	}
	if (repeatable && setup->tries < health_retries(device)) {
		setup->tries++;
		list_remove(&device->turn);
		list_prepend(&device->bus->devices, &device->turn);
		return;
	}
	setup->tries = 0;
	health_bad(device, ending);
	bool readable = find_read(device, bus_now(device->bus), &when_us) >= 0;
	if (++setup->silences >= SILENCES_MAX || !readable)
		refuse(device, transaction->first, ending);
	else
		setup->contact = true;
}

void setup_ended(
	struct bus *bus, const struct transaction *transaction, const struct ending *ending)
{
	struct device *device = transaction->device;
	struct setup *setup = &device->setup;
	uint32_t number = transaction->first;
	struct setup_step *step = &setup->steps[number];
	if (ending->error == EB_NONE) {
		step->again_us = 0;
		step->refused = 0;
		say_done(device, number);
		go_on(device, number);
		return;
	}
	step->failures += ending->error != EB_LINK;
	if (ending->error == EB_EXCEPTION) {
		refuse(device, number, ending);
	} else if (setup->next == number) {
		not_answered(device, transaction, ending);
	} else if (ending->error != EB_LINK) {
		refuse(device, number, ending);
		health_bad(device, ending);
	}
}
