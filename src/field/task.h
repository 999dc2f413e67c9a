/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of polls that were chosen: when they are due next, what is counted, and when one that
 * failed is tried again.  Polls that are read together go through all of it together.
 */
#ifndef EB_FIELD_TASK_H
#define EB_FIELD_TASK_H

#include "field/schedule.h"

/* Sets when a new poll of the device is due for the first time. */
void task_first(struct device *device, uint32_t poll);
/* They begin: counts missed periods, and sets when they are due next. */
void task_begun(struct bus *bus, const struct choice *choice);
/* They ended: counts, hands readings out, and decides on trying again. */
void task_ended(
	struct bus *bus, const struct transaction *transaction, const struct ending *ending);

#endif
