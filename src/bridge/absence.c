/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/absence.h"

#include "util/alloc.h"
#include "util/list.h"

struct absence {
	struct absences *of;
	struct timer due;
	bool absent;
};

struct absences {
	struct absences_setup setup;
	struct absence *items; /* one for each device */
};

static void become(struct absence *absence, bool absent)
{
	const struct absences_setup *setup = &absence->of->setup;
	if (absence->absent == absent)
		return;
	absence->absent = absent;
	setup->changed(setup->context, (uint32_t)(absence - absence->of->items), absent);
}

static void is_due(struct timer *timer, int64_t now_us)
{
	(void)now_us;
	become(container_of(timer, struct absence, due), true);
}

struct absences *absences_create(const struct absences_setup *setup)
{
	struct absences *absences = must_alloc(sizeof(*absences));
	absences->setup = *setup;
	absences->items = must_array(setup->conf->device_count, sizeof(*absences->items));
	for (uint32_t i = 0; i < setup->conf->device_count; i++)
		absences->items[i] = (struct absence){ .of = absences,
			.due = { .expired = is_due } };
	return absences;
}

void absences_destroy(struct absences *absences)
{
	if (!absences)
		return;
	for (uint32_t i = 0; i < absences->setup.conf->device_count; i++)
		loop_disarm(absences->setup.loop, &absences->items[i].due);
	free(absences->items);
	free(absences);
}

void absences_health(struct absences *absences, uint32_t device, enum health_state state)
{
	const struct conf_device *conf = &absences->setup.conf->devices[device];
	struct absence *absence = &absences->items[device];
	struct loop *loop = absences->setup.loop;
	if (state == HEALTH_DOWN && conf->offline == CONF_OFFLINE_SHOW) {
		if (!absence->absent && !timer_armed(&absence->due))
			loop_arm(loop, &absence->due,
				loop_now(loop) + conf->offline_after_s * USEC_PER_SEC);
	} else if (state == HEALTH_OK) {
		loop_disarm(loop, &absence->due);
		become(absence, false);
	}
}
