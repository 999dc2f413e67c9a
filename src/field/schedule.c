/* SPDX-License-Identifier: Apache-2.0 */
#include "field/schedule.h"

#include <stdio.h>

#include "core/plugin.h"
#include "field/health.h"
#include "util/log.h"

/* Polls on TCP fall into slots of this, so that one wake-up serves many of them. */
#define SLOT_US (50 * USEC_PER_MSEC)
#define AGAIN_FIRST_US (500 * USEC_PER_MSEC)
#define AGAIN_MAX_US (60 * USEC_PER_SEC)
/* So often in a row a poll is refused, or fails otherwise, before the log has it. */
#define SAID_REFUSED 2
#define SAID_FAILED 4

/* A poll without a period looks this often whether its last reading was taken. */
#define HOLD_US USEC_PER_MSEC

/* Polls that have a period go before those that take what is left. */
enum rank { RANK_FAST, RANK_REGULAR, RANK_URGENT, RANKS };

static bool is_slotted(const struct bus *bus, int64_t period_us)
{
	return bus->conf->line.transport == EB_TCP && period_us >= 20 * SLOT_US;
}

static int64_t next_slot(int64_t us)
{
	return (us + SLOT_US - 1) / SLOT_US * SLOT_US;
}

/*
 * The first one after now of a poll's regular times: these begin at a point of the period that is
 * the bus's own, so that thousands of devices are not all due in the same slot.
 */
static int64_t regular_us(const struct bus *bus, int64_t now, int64_t period_us)
{
	/* Steps of the golden section spread any number of buses evenly. */
	uint32_t part = bus->number * UINT32_C(2654435769);
	int64_t phase_us = (int64_t)(((unsigned __int128)period_us * part) >> 32);
	phase_us -= phase_us % SLOT_US;
	int64_t periods = (now - phase_us) / period_us + 1;
	return phase_us + periods * period_us;
}

void schedule_first(struct device *device, uint32_t poll)
{
	struct task *task = &device->tasks[poll];
	bool listens = device->plan->polls[poll].request->wire.flags & EB_LISTEN;
	task->due_us = listens ? INT64_MAX : bus_now(device->bus);
	task->fresh = true;
}

static const struct request *request_of(const struct device *device, uint32_t poll)
{
	return device->plan->polls[poll].request;
}

static enum rank rank_of(const struct poll *poll)
{
	if (poll->urgent)
		return RANK_URGENT;
	return poll->period_us ? RANK_REGULAR : RANK_FAST;
}

/* On a line that may be one that echoes, a read tells, and a write would only be held for one. */
static bool waits_for_read(const struct device *device, uint32_t poll)
{
	return device->bus->echo == ECHO_UNKNOWN &&
		(request_of(device, poll)->wire.flags & EB_WRITE);
}

static bool is_before(const struct device *device, uint32_t a, uint32_t b)
{
	bool a_waits = waits_for_read(device, a), b_waits = waits_for_read(device, b);
	if (a_waits != b_waits)
		return b_waits;
	return task_due_us(&device->tasks[a]) < task_due_us(&device->tasks[b]);
}

/*
 * As fast as can be means: as the bus can and as the main plane can, whose time others need too.  A
 * serial line is always the slower of the two, and is not to be left idle.
 */
static bool is_held(const struct device *device, uint32_t poll)
{
	const struct poll *of = &device->plan->polls[poll];
	return !of->period_us && device->bus->conf->line.transport == EB_TCP &&
		atomic_load(&of->untaken);
}

/* The task of the device to begin at now, of that rank; -1 none. */
static int64_t pick(const struct device *device, int64_t now, enum rank rank)
{
	int64_t best = -1;
	for (uint32_t i = 0; i < device->plan->count; i++) {
		const struct task *task = &device->tasks[i];
		if (task_due_us(task) > now || is_held(device, i) ||
			owed_blocks(&device->owed, request_of(device, i), now))
			continue;
		bool ranks = rank_of(&device->plan->polls[i]) == rank;
		/* What timed out is asked again before all else: a late answer then is its own. */
		if (task->tries)
			return ranks ? (int64_t)i : -1;
		if (ranks && (best < 0 || is_before(device, i, (uint32_t)best)))
			best = i;
	}
	return best;
}

/* What a down device is asked: a read rather than a write, and a write only when it is due. */
static int64_t pick_probe(const struct device *device, int64_t now, int64_t *when_us)
{
	int64_t best = -1;
	bool best_writes = true;
	for (uint32_t i = 0; i < device->plan->count; i++) {
		const struct task *task = &device->tasks[i];
		bool writes = request_of(device, i)->wire.flags & (EB_WRITE | EB_NO_ANSWER);
		if (task->due_us == INT64_MAX || task->running || (writes && !best_writes) ||
			owed_blocks(&device->owed, request_of(device, i), now))
			continue;
		if (best < 0 || (best_writes && !writes) ||
			task_due_us(task) < task_due_us(&device->tasks[best])) {
			best = i;
			best_writes = writes;
		}
	}
	*when_us = health_probe_us(device);
	if (best >= 0 && best_writes && device->tasks[best].due_us > *when_us)
		*when_us = device->tasks[best].due_us;
	return best;
}

static bool choose_probe(
	const struct device *device, int64_t now, struct choice *choice, int64_t *next_us)
{
	int64_t when_us;
	if (device->outstanding)
		return false;
	int64_t poll = pick_probe(device, now, &when_us);
	if (poll < 0)
		when_us = device->owed.until_us;
	if (when_us < device->quiet_us)
		when_us = device->quiet_us;
	if (poll < 0 || when_us > now) {
		if (when_us > now && when_us < *next_us)
			*next_us = when_us;
		return false;
	}
	choice->poll = (uint32_t)poll;
	choice->probe = true;
	return true;
}

/* When the device may be asked next, where it is not to be asked now. */
static int64_t next_us_of(const struct device *device, int64_t now)
{
	const struct bus *bus = device->bus;
	int64_t next_us = INT64_MAX;
	for (uint32_t i = 0; i < device->plan->count; i++) {
		int64_t task_us = task_due_us(&device->tasks[i]);
		if (task_us < device->owed.until_us &&
			owed_blocks(&device->owed, request_of(device, i), now))
			task_us = device->owed.until_us;
		if (task_us <= now && is_held(device, i))
			task_us = now + HOLD_US;
		else if (task_us < INT64_MAX && is_slotted(bus, device->plan->polls[i].period_us))
			task_us = next_slot(task_us);
		next_us = task_us < next_us ? task_us : next_us;
	}
	return next_us < device->quiet_us ? device->quiet_us : next_us;
}

/* Fills in the choices of those ranks that have none yet. */
static void consider(
	struct device *device, int64_t now, struct choice choices[RANKS], int64_t *next_us)
{
	if (device->condition.state == HEALTH_DOWN) {
		struct choice *choice = &choices[RANK_REGULAR];
		if (!choice->device && choose_probe(device, now, choice, next_us))
			choice->device = device;
		return;
	}
	bool ready = device->due_us <= now && device->quiet_us <= now, found = false;
	for (int rank = 0; ready && rank < RANKS; rank++) {
		int64_t poll = choices[rank].device ? -1 : pick(device, now, (enum rank)rank);
		found = found || choices[rank].device || poll >= 0;
		if (poll >= 0)
			choices[rank] = (struct choice){ .device = device, .poll = (uint32_t)poll };
	}
	int64_t device_us = found ? INT64_MAX : next_us_of(device, now);
	if (device_us < *next_us)
		*next_us = device_us;
}

/* The highest rank that waits, but every fourth turn goes to the next lower one. */
static int choose_rank(struct bus *bus, const struct choice choices[RANKS])
{
	int chosen = -1, waiting = 0;
	for (int rank = RANKS - 1; rank >= 0; rank--) {
		if (!choices[rank].device)
			continue;
		uint32_t every = waiting++ == 0 ? 1 : waiting == 2 ? 4 : 16;
		if (chosen < 0 || bus->turns % every == every - 1)
			chosen = rank;
	}
	if (waiting > 1)
		bus->turns++;
	return chosen;
}

bool schedule_choose(struct bus *bus, struct choice *choice, int64_t *next_us)
{
	struct choice choices[RANKS] = { { .device = NULL } };
	int64_t now = bus_now(bus);
	*next_us = INT64_MAX;
	list_for_each (link, &bus->devices) {
		struct device *device = container_of(link, struct device, turn);
		if (device->plan)
			consider(device, now, choices, next_us);
	}
	int rank = choose_rank(bus, choices);
	if (rank >= 0)
		*choice = choices[rank];
	return rank >= 0;
}

void schedule_begun(struct bus *bus, const struct choice *choice)
{
	struct device *device = choice->device;
	struct task *task = &device->tasks[choice->poll];
	int64_t period_us = device->plan->polls[choice->poll].period_us;
	int64_t now = bus_now(bus);
	int64_t late_us = now - task->due_us;
	if (late_us >= 0 && period_us > 0) {
		int64_t missed = late_us / period_us;
		task->due_us += (missed + 1) * period_us;
		if (task->fresh && is_slotted(bus, period_us))
			task->due_us = regular_us(bus, now, period_us);
		if (!task->fresh)
			task->missed += (uint32_t)missed;
	}
	if (late_us > task->late_max_us && !task->fresh && !task->again_us)
		task->late_max_us = late_us < UINT32_MAX ? (uint32_t)late_us : UINT32_MAX;
	task->fresh = false;
	task->again_us = 0;
	task->running = true;
	task->requests++;
	list_remove(&device->turn);
	list_append(&bus->devices, &device->turn);
	device_refresh_due(device);
}

/* Whether the request may be repeated without doing anything twice. */
static bool is_repeatable(const struct request *request)
{
	return !(request->wire.flags & EB_WRITE) || request->retry_safe;
}

/*
 * When what failed is asked again: soon, then less and less often, never not at all.  What the device
 * refuses and what must not be repeated keeps to its period at least.
 */
static int64_t again_us(const struct task *task, bool early, int64_t now)
{
	int shift = task->failed < 8 ? task->failed - 1 : 7;
	int64_t delay_us = AGAIN_FIRST_US << shift;
	int64_t us = now + (delay_us < AGAIN_MAX_US ? delay_us : AGAIN_MAX_US);
	return early || us > task->due_us ? us : 0;
}

/*
 * A poll that fails on and on is told once, where the device itself is not down: nothing else would
 * say why its points are missing.
 */
static void say_failing(struct device *device, uint32_t poll, const struct ending *ending)
{
	struct task *task = &device->tasks[poll];
	bool refused = ending->error == EB_EXCEPTION;
	if (task->said || device->condition.state == HEALTH_DOWN ||
		task->failed < (refused ? SAID_REFUSED : SAID_FAILED))
		return;
	task->said = true;
	const struct request *request = request_of(device, poll);
	char why[32];
	if (refused)
		snprintf(why, sizeof(why), "exception %u", ending->code);
	else
		snprintf(why, sizeof(why), "%s", error_class_name(ending->error));
	log_warning("%s: device %s: poll %s fails with %s: %s: check that with the device's manual",
		bus_name(device->bus), device_name(device), request->name ? request->name : "?",
		why, request->text ? request->text : "?");
}

static void say_works(struct device *device, uint32_t poll)
{
	struct task *task = &device->tasks[poll];
	if (!task->said)
		return;
	task->said = false;
	const struct request *request = request_of(device, poll);
	log_info("%s: device %s: poll %s works again", bus_name(device->bus), device_name(device),
		request->name ? request->name : "?");
}

static void task_failed(
	struct device *device, const struct transaction *transaction, const struct ending *ending)
{
	struct task *task = &device->tasks[transaction->poll];
	bool repeatable = is_repeatable(transaction->request);
	int64_t now = bus_now(device->bus);
	if (ending->error == EB_LINK) {
		task->again_us = repeatable ? now : 0;
		return;
	}
	bool refused = ending->error == EB_EXCEPTION;
	/* A poll that fails while the device answers others is not worth several tries. */
	bool known_bad = task->failed >= 2;
	if (repeatable && !refused && !transaction->probe && !known_bad &&
		task->tries < health_retries(device)) {
		task->tries++;
		task->again_us = now;
		list_remove(&device->turn);
		list_prepend(&device->bus->devices, &device->turn);
		return;
	}
	task->tries = 0;
	task->failures++;
	if (task->failed < UINT8_MAX)
		task->failed++;
	task->again_us = again_us(task, repeatable && !refused, now);
	if (!refused && !(known_bad && device->condition.state == HEALTH_OK))
		health_bad(device, ending);
	say_failing(device, transaction->poll, ending);
}

void schedule_ended(
	struct bus *bus, const struct transaction *transaction, const struct ending *ending)
{
	struct device *device = transaction->device;
	struct task *task = &device->tasks[transaction->poll];
	task->running = false;
	if (device->plan->polls[transaction->poll].period_us == 0)
		task->due_us = bus_now(bus);
	if (ending->error == EB_NONE) {
		task->answers++;
		task->tries = task->failed = 0;
		task->good_ms = device->stats.good_ms;
		say_works(device, transaction->poll);
	} else {
		task_failed(device, transaction, ending);
	}
	device_refresh_due(device);
}
