/* SPDX-License-Identifier: Apache-2.0 */
#include "field/schedule.h"

#include "core/plugin.h"
#include "field/health.h"

/* A poll without a period looks this often whether its last reading was taken. */
#define HOLD_US USEC_PER_MSEC

/* Polls that have a period go before those that take what is left. */
enum rank { RANK_FAST, RANK_REGULAR, RANK_URGENT, RANKS };

/*
 * Polls on TCP fall into slots, so that one wake-up serves many of them: of a twentieth of the period at
 * most, and each slot's begin is the begin of a shorter one too.
 */
int64_t schedule_slot_us(const struct bus *bus, int64_t period_us)
{
	static const int64_t slots_ms[] = { 1000, 500, 250, 100, 50 };
	if (bus->conf->line.transport != EB_TCP)
		return 0;
	for (size_t i = 0; i < sizeof(slots_ms) / sizeof(*slots_ms); i++) {
		if (period_us >= 20 * slots_ms[i] * USEC_PER_MSEC)
			return slots_ms[i] * USEC_PER_MSEC;
	}
	return 0;
}

static int64_t next_slot(const struct bus *bus, int64_t us, int64_t period_us)
{
	int64_t slot_us = schedule_slot_us(bus, period_us);
	return slot_us ? (us + slot_us - 1) / slot_us * slot_us : us;
}

static const struct poll *poll_of(const struct device *device, uint32_t part)
{
	return &device->plan->polls[device->merge.parts[part].poll];
}

const struct request *choice_request(const struct choice *choice)
{
	const struct device *device = choice->device;
	if (choice->setup)
		return device->plan->setup[choice->first];
	if (choice->count == device->merge.parts[choice->first].count)
		return merge_request(&device->merge, choice->first);
	return poll_of(device, choice->first)->request;
}

static enum rank rank_of(const struct poll *poll)
{
	if (poll->urgent)
		return RANK_URGENT;
	return poll->period_us ? RANK_REGULAR : RANK_FAST;
}

/* On a line that may be one that echoes, a read tells, and a write would only be held for one. */
static bool waits_for_read(const struct device *device, uint32_t first)
{
	return device->bus->echo == ECHO_UNKNOWN &&
		(poll_of(device, first)->request->wire.flags & EB_WRITE);
}

/* The place of the run among the plan's polls, which stand as they were declared. */
static uint32_t declared(const struct device *device, uint32_t first)
{
	const struct part *parts = device->merge.parts;
	uint32_t least = parts[first].poll;
	for (uint32_t i = 1; i < parts[first].count; i++) {
		if (parts[first + i].poll < least)
			least = parts[first + i].poll;
	}
	return least;
}

static bool is_before(const struct device *device, uint32_t a, uint32_t b)
{
	bool a_waits = waits_for_read(device, a), b_waits = waits_for_read(device, b);
	if (a_waits != b_waits)
		return b_waits;
	int64_t a_us = device_run_due_us(device, a), b_us = device_run_due_us(device, b);
	return a_us != b_us ? a_us < b_us : declared(device, a) < declared(device, b);
}

/*
 * As fast as can be means: as the bus can and as the main plane can, whose time others need too.  A
 * serial line is always the slower of the two, and is not to be left idle.
 */
static bool is_held(const struct device *device, uint32_t first)
{
	if (poll_of(device, first)->period_us || device->bus->conf->line.transport != EB_TCP)
		return false;
	for (uint32_t i = first; i < first + device->merge.parts[first].count; i++) {
		if (atomic_load(&device->plan->polls[device->merge.parts[i].poll].untaken))
			return true;
	}
	return false;
}

/* What timed out is asked again before all else: a late answer then is its own. */
static bool is_tried_again(const struct device *device, uint32_t first)
{
	for (uint32_t i = first; i < first + device->merge.parts[first].count; i++) {
		if (device_task(device, i)->tries)
			return true;
	}
	return false;
}

/* The run of the device to begin at now, of that rank; -1 none. */
static int64_t pick(struct device *device, int64_t now, enum rank rank)
{
	int64_t best = -1;
	merge_for_each_run(first, &device->merge)
	{
		if (device_run_due_us(device, first) > now)
			continue;
		bool ranks = rank_of(poll_of(device, first)) == rank;
		bool again = is_tried_again(device, first);
		if ((!ranks && !again) || is_held(device, first) ||
			owed_blocks(&device->owed, merge_request(&device->merge, first), now))
			continue;
		if (again)
			return ranks ? (int64_t)first : -1;
		if (ranks && (best < 0 || is_before(device, first, (uint32_t)best)))
			best = first;
	}
	return best;
}

/* What a down device is asked: a read rather than a write, and a write only when it is due. */
static int64_t pick_probe(struct device *device, int64_t now, int64_t *when_us)
{
	int64_t best = -1;
	bool best_writes = true;
	for (uint32_t i = 0; i < device->merge.count; i++) {
		const struct task *task = device_task(device, i);
		const struct request *request = poll_of(device, i)->request;
		bool writes = request->wire.flags & (EB_WRITE | EB_NO_ANSWER);
		if (task->due_us == INT64_MAX || task->running || (writes && !best_writes) ||
			owed_blocks(&device->owed, request, now))
			continue;
		if (best < 0 || (best_writes && !writes) ||
			task_due_us(task) < task_due_us(device_task(device, (uint32_t)best))) {
			best = i;
			best_writes = writes;
		}
	}
	*when_us = health_probe_us(device);
	if (best >= 0 && best_writes && device_task(device, (uint32_t)best)->due_us > *when_us)
		*when_us = device_task(device, (uint32_t)best)->due_us;
	return best;
}

static bool choose_probe(
	struct device *device, int64_t now, struct choice *choice, int64_t *next_us)
{
	int64_t when_us;
	if (device->outstanding)
		return false;
	int64_t part = pick_probe(device, now, &when_us);
	if (part < 0)
		when_us = device->owed.until_us;
	if (when_us < device->quiet_us)
		when_us = device->quiet_us;
	if (part < 0 || when_us > now) {
		if (when_us > now && when_us < *next_us)
			*next_us = when_us;
		return false;
	}
	choice->first = (uint32_t)part;
	choice->count = 1;
	choice->probe = true;
	return true;
}

/* When the device may be asked next, where it is not to be asked now. */
static int64_t next_us_of(struct device *device, int64_t now)
{
	int64_t next_us = INT64_MAX;
	merge_for_each_run(first, &device->merge)
	{
		int64_t run_us = device_run_due_us(device, first);
		if (run_us < device->owed.until_us &&
			owed_blocks(&device->owed, merge_request(&device->merge, first), now))
			run_us = device->owed.until_us;
		if (run_us <= now && is_held(device, first))
			run_us = now + HOLD_US;
		else if (run_us < INT64_MAX)
			run_us = next_slot(device->bus, run_us, poll_of(device, first)->period_us);
		next_us = run_us < next_us ? run_us : next_us;
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
	struct choice setup;
	if (device->setup.count && setup_choose(device, now, &setup, next_us)) {
		if (!choices[RANK_REGULAR].device)
			choices[RANK_REGULAR] = setup;
		return;
	}
	if (setup_waits(&device->setup))
		return;
	bool ready = device->due_us <= now && device->quiet_us <= now, found = false;
	for (int rank = 0; ready && rank < RANKS; rank++) {
		int64_t run = choices[rank].device ? -1 : pick(device, now, (enum rank)rank);
		found = found || choices[rank].device || run >= 0;
		if (run >= 0)
			choices[rank] = (struct choice){ .device = device,
				.first = (uint32_t)run,
				.count = device->merge.parts[run].count };
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
