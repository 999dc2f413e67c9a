/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting until masters have written a register, or asked a unit, so and so often since the start:
 * what has already happened counts, so nothing is missed between two commands.
 */
#ifndef EB_SIM_FIELD_WAIT_H
#define EB_SIM_FIELD_WAIT_H

#include "sim/field/line.h"
#include "util/loop.h"

struct wait {
	struct list link;
	struct sim *sim;
	struct timer timer; /* gives up */
	struct line *line;
	uint8_t unit;
	bool write; /* else a request of any kind */
	enum table table;
	uint16_t address;
	bool with_value;
	uint16_t value; /* that the register has to have, too */
	uint64_t count;
	int64_t timeout_us;
	/* Called once, when it has come true or the time is over; the wait is freed behind it. */
	void (*done)(void *context, bool met);
	void *context;
};

/* Takes a wait allocated with malloc. It may be done at once. */
void wait_begin(struct sim *sim, struct wait *wait);
/* Ends the wait without a word, as nobody listens any more. */
void wait_cancel(struct wait *wait);
/* After a request was served: ends those that have come true. */
void wait_check_all(struct sim *sim);

#endif
