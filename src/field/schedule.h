/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which poll is next.  Of the devices that have something due, the one served longest ago has its
 * turn, with its poll due longest; so no device, however much it is asked for, keeps another waiting
 * for more than a round.  Urgent polls go first, then those with a period, then those as fast as can be;
 * but of four turns one is for the next lower rank, of sixteen one for the lowest.
 */
#ifndef EB_FIELD_SCHEDULE_H
#define EB_FIELD_SCHEDULE_H

#include "field/transaction.h"

struct choice {
	struct device *device;
	/* Parts of device->merge: a run, or one of its parts; of a setup the number of its request. */
	uint32_t first, count;
	bool probe, setup;
};

/* The request that the choice stands for. */
const struct request *choice_request(const struct choice *choice);
/* What a poll without a period looks at often, and one with a long period at its slots. */
int64_t schedule_slot_us(const struct bus *bus, int64_t period_us);
/* The poll to begin now; false: none before *next_us (INT64_MAX: never). */
bool schedule_choose(struct bus *bus, struct choice *choice, int64_t *next_us);
#endif
