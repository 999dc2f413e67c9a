/* SPDX-License-Identifier: Apache-2.0 */
#include "field/task.h"

#include <stdio.h>

#include "core/plugin.h"
#include "field/backoff.h"
#include "field/health.h"
#include "util/log.h"

#define AGAIN_FIRST_US (500 * USEC_PER_MSEC)
#define AGAIN_MAX_US (60 * USEC_PER_SEC)
/* So often in a row a poll is refused, or fails otherwise, before the log has it. */
#define SAID_REFUSED 2
#define SAID_FAILED 4
/* So often in a row a merged read is refused as a whole before its parts are asked one by one. */
#define STUCK_REFUSED 2
/* So many missed periods within that time are said. */
#define OVERLOAD_MISSED 10
#define OVERLOAD_SPAN_US (60 * USEC_PER_SEC)
/* And not again for so long. */
#define OVERLOAD_SAY_US (600 * USEC_PER_SEC)

/* Each task of what has first and count, a choice or a transaction, and the part that it stands in. */
#define for_each_task(item, part, device, what)                                           \
	for (uint32_t part = (what)->first; part < (what)->first + (what)->count; part++) \
		for (struct task *item = device_task(device, part); item; item = NULL)

void task_first(struct device *device, uint32_t poll)
{
	struct task *task = &device->tasks[poll];
	bool listens = device->plan->polls[poll].request->wire.flags & EB_LISTEN;
	task->due_us = listens ? INT64_MAX : bus_now(device->bus);
	task->fresh = true;
}

static const struct poll *poll_of(const struct device *device, uint32_t part)
{
	return &device->plan->polls[device->merge.parts[part].poll];
}

/*
 * The first one after now of a poll's regular times: these begin at a point of the period that is
 * the bus's own, so that thousands of devices are not all due in the same slot.
 */
static int64_t regular_us(const struct bus *bus, int64_t now, int64_t period_us, int64_t slot_us)
{
	/* Steps of the golden section spread any number of buses evenly. */
	uint32_t part = bus->number * UINT32_C(2654435769);
	int64_t phase_us = (int64_t)(((unsigned __int128)period_us * part) >> 32);
	phase_us -= phase_us % slot_us;
	int64_t periods = (now - phase_us) / period_us + 1;
	return phase_us + periods * period_us;
}

/*
 * Periods that passed because there is too much to do, not because something was down.  One may pass
 * while a command runs; many within a minute are said, with the poll that is late just now.
 */
static void count_overload(
	struct device *device, uint32_t part, const struct task *task, uint32_t missed)
{
	struct bus *bus = device->bus;
	int64_t now = bus_now(bus);
	if (device->condition.state != HEALTH_OK || task->again_us ||
		task->due_us < device->ready_us || task->due_us < bus->up_us)
		return;
	bus->missed += missed;
	if (now < bus->lately_us)
		return;
	if (now - bus->lately_us > OVERLOAD_SPAN_US) {
		bus->lately_us = now;
		bus->lately = 0;
	}
	missed += bus->lately;
	bus->lately = (uint8_t)(missed < OVERLOAD_MISSED ? missed : OVERLOAD_MISSED);
	if (bus->lately < OVERLOAD_MISSED)
		return;
	bus->lately_us = now + OVERLOAD_SAY_US;
	const struct poll *poll = poll_of(device, part);
	log_warning(
		"%s: %d periods of polls or more were missed within %d s, the last of poll %s of "
		"device %s, every %g s: the bus has no time for all; poll less often, "
		"enos-bridged -t says what fits",
		bus_name(bus), OVERLOAD_MISSED, (int)(OVERLOAD_SPAN_US / USEC_PER_SEC),
		poll->request->name ? poll->request->name : "?", device_name(device),
		(double)poll->period_us / USEC_PER_SEC);
}

static void count_lateness(struct device *device, uint32_t part, struct task *task)
{
	int64_t now = bus_now(device->bus), period_us = poll_of(device, part)->period_us;
	int64_t late_us = now - task->due_us;
	if (late_us < 0 || task->fresh)
		return;
	uint32_t missed = period_us ? (uint32_t)(late_us / period_us) : 0;
	task->missed += missed;
	if (missed)
		count_overload(device, part, task, missed);
	/* A retry says nothing of whether the line has time for the poll. */
	if (task->again_us)
		return;
	uint32_t late = late_us < UINT32_MAX ? (uint32_t)late_us : UINT32_MAX;
	p95_follow(&task->late_p95_us, task->late_p95_us ? 2 : 1, late);
	if (late > task->late_max_us)
		task->late_max_us = late;
}

/* The one whose times the others of its run follow: what is new is read at once, and falls in. */
static const struct task *leader(const struct device *device, const struct choice *choice)
{
	const struct task *leader = device_task(device, choice->first);
	for_each_task(task, part, device, choice)
	{
		if (leader->fresh == task->fresh ? task->due_us < leader->due_us : leader->fresh)
			leader = task;
	}
	return leader;
}

static int64_t next_due_us(
	const struct device *device, const struct choice *choice, int64_t period_us)
{
	const struct task *task = leader(device, choice);
	int64_t now = bus_now(device->bus), late_us = now - task->due_us;
	if (!period_us || late_us < 0)
		return task->due_us;
	int64_t slot_us = task->fresh ? schedule_slot_us(device->bus, period_us) : 0;
	if (slot_us)
		return regular_us(device->bus, now, period_us, slot_us);
	return task->due_us + (late_us / period_us + 1) * period_us;
}

void task_begun(struct bus *bus, const struct choice *choice)
{
	struct device *device = choice->device;
	int64_t period_us = poll_of(device, choice->first)->period_us;
	int64_t due_us = next_due_us(device, choice, period_us);
	for_each_task(task, part, device, choice)
	{
		count_lateness(device, part, task);
		task->due_us = due_us;
		task->fresh = false;
		task->again_us = 0;
		task->running = true;
		task->requests++;
	}
	if (choice->count == device->merge.parts[choice->first].count)
		merge_begun(&device->merge, choice->first);
	list_remove(&device->turn);
	list_append(&bus->devices, &device->turn);
	device_refresh_due(device);
}

/* "live", or "live and 3 more" of those that are read together. */
static void name_polls(
	const struct device *device, const struct transaction *transaction, char *text, size_t room)
{
	const char *name = poll_of(device, transaction->first)->request->name;
	if (transaction->count > 1)
		snprintf(text, room, "%s and %u more", name ? name : "?", transaction->count - 1);
	else
		snprintf(text, room, "%s", name ? name : "?");
}

/*
 * When what failed is asked again: soon, then less and less often, never not at all.  What the device
 * refuses and what must not be repeated keeps to its period at least.
 */
static int64_t again_us(const struct task *task, bool early, int64_t now)
{
	int64_t us = now + backoff_us(AGAIN_FIRST_US, AGAIN_MAX_US, task->failed);
	return early || us > task->due_us ? us : 0;
}

/*
 * A poll that fails on and on is told once, where the device itself is not down: nothing else would
 * say why its points are missing.
 */
static void say_failing(
	struct device *device, const struct transaction *transaction, const struct ending *ending)
{
	struct task *task = device_task(device, transaction->first);
	bool refused = ending->error == EB_EXCEPTION;
	if (task->said || device->condition.state == HEALTH_DOWN ||
		task->failed < (refused ? SAID_REFUSED : SAID_FAILED))
		return;
	for_each_task(one, part, device, transaction) one->said = true;
	char why[32], name[100];
	name_polls(device, transaction, name, sizeof(name));
	if (refused)
		snprintf(why, sizeof(why), "exception %u", ending->code);
	else
		snprintf(why, sizeof(why), "%s", error_class_name(ending->error));
	const char *text = transaction->request->text;
	log_warning("%s: device %s: poll %s fails with %s: %s: check that with the device's manual",
		bus_name(device->bus), device_name(device), name, why, text ? text : "?");
}

static void say_works(struct device *device, const struct transaction *transaction)
{
	bool said = false;
	for_each_task(task, part, device, transaction)
	{
		said = said || task->said;
		task->said = false;
	}
	if (!said)
		return;
	char name[100];
	name_polls(device, transaction, name, sizeof(name));
	log_info("%s: device %s: poll %s works again", bus_name(device->bus), device_name(device),
		name);
}

/* The device's next turn is this one's again. */
static void keep_turn(struct device *device)
{
	list_remove(&device->turn);
	list_prepend(&device->bus->devices, &device->turn);
}

/*
 * Whether what was read together is better asked for apart.  Refusals of a range say so; a device may
 * also fail at reads that are long for it, or stay silent: it does when it answers all else.
 */
static bool is_too_much(const struct device *device, const struct transaction *transaction,
	const struct ending *ending)
{
	const struct task *task = device_task(device, transaction->first);
	if (transaction->count < 2)
		return false;
	if (merge_on_trial(&device->merge, transaction->first))
		return true;
	if (ending->error == EB_EXCEPTION)
		return ending->range_refused || task->failed >= STUCK_REFUSED;
	/* A probe may have been good for one of them. */
	for_each_task(any, part, device, transaction)
	{
		if (any->failing_us && device->good_us > any->failing_us)
			return true;
	}
	return false;
}

/* Not so of a probe, which is one part of a run. */
static bool is_whole(const struct device *device, const struct transaction *transaction)
{
	return transaction->count == device->merge.parts[transaction->first].count;
}

static void tell_failed(struct device *device, const struct transaction *transaction)
{
	if (is_whole(device, transaction))
		merge_failed(&device->merge, transaction->first);
}

/* Its halves are asked at once, and nothing has failed yet. */
static void take_apart(struct device *device, const struct transaction *transaction)
{
	int64_t now = bus_now(device->bus);
	for_each_task(task, part, device, transaction)
	{
		task->tries = task->failed = 0;
		task->again_us = now;
	}
	merge_refused(&device->merge, transaction->first, now);
	keep_turn(device);
}

static void fail_for_good(struct device *device, const struct transaction *transaction,
	const struct ending *ending, bool known_bad)
{
	bool refused = ending->error == EB_EXCEPTION;
	bool early = request_is_repeatable(transaction->request) && !refused;
	for_each_task(task, part, device, transaction)
	{
		task->tries = 0;
		task->failures++;
		if (task->failed < UINT8_MAX)
			task->failed++;
		task->again_us = again_us(task, early, bus_now(device->bus));
	}
	if (!refused && !(known_bad && device->condition.state == HEALTH_OK))
		health_bad(device, ending);
	say_failing(device, transaction, ending);
}

static void failed(
	struct device *device, const struct transaction *transaction, const struct ending *ending)
{
	const struct task *lead = device_task(device, transaction->first);
	bool repeatable = request_is_repeatable(transaction->request);
	bool refused = ending->error == EB_EXCEPTION, lost = ending->error == EB_LINK;
	/* A poll that fails while the device answers others is not worth several tries. */
	bool known_bad = lead->failed >= 2;
	bool trial = transaction->count > 1 && merge_on_trial(&device->merge, transaction->first);
	bool again = repeatable && !refused && !transaction->probe && !known_bad && !trial &&
		lead->tries < health_retries(device);
	if (lost || again) {
		for_each_task(task, part, device, transaction)
		{
			task->again_us = repeatable ? bus_now(device->bus) : 0;
			task->tries += again && !lost;
		}
		if (!lost)
			keep_turn(device);
		tell_failed(device, transaction);
		return;
	}
	if (is_too_much(device, transaction, ending)) {
		take_apart(device, transaction);
		return;
	}
	for_each_task(task, part, device, transaction)
		task->failing_us = task->failing_us ? task->failing_us : bus_now(device->bus);
	fail_for_good(device, transaction, ending, known_bad);
	tell_failed(device, transaction);
}

/* A write brings nothing to decode, unless it reads as well. */
static bool brings_reading(const struct request *request, size_t size)
{
	return (size || !(request->wire.flags & EB_WRITE)) && !(request->wire.flags & EB_NO_ANSWER);
}

static void answered(struct device *device, uint32_t part, const void *content, size_t size)
{
	struct task *task = device_task(device, part);
	task->answers++;
	task->tries = task->failed = 0;
	task->failing_us = 0;
	task->good_ms = device->stats.good_ms;
	if (setup_waits(&device->setup)) {
		/* It was read to know that the device is there: what it says counts once it is set up. */
		task->again_us = bus_now(device->bus);
		return;
	}
	if (brings_reading(poll_of(device, part)->request, size))
		bus_deliver(device, device->merge.parts[part].poll, content, size);
}

/* Gives each poll what it asked for. */
static void hand_out(
	struct device *device, const struct transaction *transaction, const struct ending *ending)
{
	struct bus *bus = device->bus;
	const struct eb_request *merged = &transaction->request->wire;
	if (transaction->count == 1)
		answered(device, transaction->first, ending->content, ending->size);
	for (uint32_t i = 0; transaction->count > 1 && i < transaction->count; i++) {
		uint32_t part = transaction->first + i;
		int size = bus->conf->plugin->cut(bus->state, merged,
			&poll_of(device, part)->request->wire, ending->content, ending->size,
			bus->plane->matched);
		if (size >= 0 && size <= (int)EB_ANSWER_MAX) {
			answered(device, part, bus->plane->matched, (size_t)size);
			continue;
		}
		if (!bus->blamed)
			log_error("%s: plugin %s cannot cut \"%s\" out of what it merged",
				bus_name(bus), bus->conf->plugin->name,
				poll_of(device, part)->request->text);
		bus->blamed = true;
		device_task(device, part)->failures++;
	}
	say_works(device, transaction);
	/* Last of all: the request may be gone then. */
	if (is_whole(device, transaction))
		merge_answered(&device->merge, transaction->first, bus_now(bus));
}

/* What the transaction was for one of its polls. */
static void note(
	struct task *task, const struct transaction *transaction, const struct ending *ending)
{
	bool heard = !(transaction->request->wire.flags & EB_NO_ANSWER);
	int64_t took_us = transaction->device->bus->received_us - transaction->begun_us;
	if (ending->error == EB_NONE && heard)
		round_add(&task->round, task->answers + 1, (uint32_t)took_us);
	else if (ending->error != EB_NONE && ending->error != EB_LINK)
		task->errors[ending->error]++;
}

void task_ended(struct bus *bus, const struct transaction *transaction, const struct ending *ending)
{
	struct device *device = transaction->device;
	for_each_task(task, part, device, transaction)
	{
		task->running = false;
		note(task, transaction, ending);
		if (poll_of(device, part)->period_us == 0)
			task->due_us = bus_now(bus);
	}
	if (ending->error == EB_NONE)
		hand_out(device, transaction, ending);
	else
		failed(device, transaction, ending);
	device_refresh_due(device);
}
