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
	uint32_t poll;
	bool probe;
};

/* Sets when a new poll of the device is due for the first time. */
void schedule_first(struct device *device, uint32_t poll);
/* The poll to begin now; false: none before *next_us (INT64_MAX: never). */
bool schedule_choose(struct bus *bus, struct choice *choice, int64_t *next_us);
/* It begins: counts missed periods, and sets when it is due next. */
void schedule_begun(struct bus *bus, const struct choice *choice);
/* It ended: counts, and decides on trying again. */
void schedule_ended(
	struct bus *bus, const struct transaction *transaction, const struct ending *ending);

#endif
