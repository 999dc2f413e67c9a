/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The setup requests of a plan: sent in their order before the first poll, and again when the device
 * comes back after it was down.  While they wait no poll of the device is begun, save one read where it
 * must be known first that the device is there; what that brings is not handed on, since the device
 * may not be set up.
 *
 * A request that the device refuses is left for later, and the others go on.  One that may be repeated
 * is repeated as a poll is.  A write that had no answer may have been done: it is sent again only after
 * the device has answered a read, three times at the most, then it counts as refused.  What is refused
 * is sent again after a minute, then less and less often, once an hour at least, beside the polls.
 */
#ifndef EB_FIELD_SETUP_H
#define EB_FIELD_SETUP_H

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct choice;
struct device;
struct ending;
struct plan;
struct transaction;

struct setup_step {
	int64_t again_us; /* refused: when it is sent again; 0: it is not refused */
	uint32_t failures;
	uint8_t refused; /* in a row */
	bool said; /* the log has that it is refused */
};

struct setup {
	struct setup_step *steps; /* of plan->setup; NULL: none */
	uint32_t count;
	uint32_t next; /* the step that polls wait for; count: they do not */
	uint8_t tries; /* of that step */
	uint8_t silences; /* how often it was sent with all its tries and not answered */
	bool contact; /* the device must answer a read first */
	bool contacted; /* it answered something since the setup began, or the link was lost */
};

/* The device is to run plan in place of old (NULL: none): a setup that is the same goes on. */
void setup_change(struct device *device, const struct plan *old, const struct plan *plan);
void setup_finish(struct setup *setup);
/* The device may have lost its settings: all requests are sent again. */
void setup_restart(struct device *device);
/* The device answered, if only with an exception. */
void setup_contacted(struct device *device);
/* Whether polls wait for it. */
static inline bool setup_waits(const struct setup *setup)
{
	return setup->next < setup->count;
}
/*
 * What of the setup is to be begun now: a request, or a read before it.  False: nothing before *next_us,
 * which is only ever lowered.
 */
bool setup_choose(struct device *device, int64_t now, struct choice *choice, int64_t *next_us);
void setup_begun(struct bus *bus, const struct choice *choice);
void setup_ended(
	struct bus *bus, const struct transaction *transaction, const struct ending *ending);

#endif
