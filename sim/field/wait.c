/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/wait.h"

#include <stdlib.h>

#include "sim/field/sim.h"

static bool is_met(const struct wait *wait)
{
	struct unit *unit = line_unit(wait->line, wait->unit);
	if (!unit)
		return false;
	if (!wait->write)
		return unit->requests >= wait->count;
	uint16_t value = 0;
	int result = unit_read(unit, wait->table, wait->address, wait->sim->start_us,
		loop_now(wait->sim->loop), &value);
	return result == 0 && unit_writes(unit, wait->table, wait->address) >= wait->count &&
		(!wait->with_value || value == wait->value);
}

static void finish(struct wait *wait, bool met)
{
	list_remove(&wait->link);
	loop_disarm(wait->sim->loop, &wait->timer);
	wait->done(wait->context, met);
	free(wait);
}

static void give_up(struct timer *timer, int64_t now_us)
{
	finish(container_of(timer, struct wait, timer), false);
}

void wait_begin(struct sim *sim, struct wait *wait)
{
	wait->sim = sim;
	wait->timer.expired = give_up;
	list_append(&sim->waits, &wait->link);
	if (is_met(wait))
		finish(wait, true);
	else
		loop_arm(sim->loop, &wait->timer, loop_now(sim->loop) + wait->timeout_us);
}

void wait_cancel(struct wait *wait)
{
	list_remove(&wait->link);
	loop_disarm(wait->sim->loop, &wait->timer);
	free(wait);
}

void wait_check_all(struct sim *sim)
{
	list_for_each (link, &sim->waits) {
		struct wait *wait = container_of(link, struct wait, link);
		if (is_met(wait))
			finish(wait, true);
	}
}
