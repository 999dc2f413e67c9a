/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time it was when something was read.  Machines without a battery start in 1970: a wall clock is
 * believed only where it is not before the program was built and, for the first clock_wait of the
 * program, where the kernel holds it for synchronised.  What was read with a clock that is not believed
 * gets its time from the boot-time clock as soon as the wall clock is; no other time is ever changed.
 */
#ifndef EB_CLOUD_CALENDAR_H
#define EB_CLOUD_CALENDAR_H

#include "core/message.h"
#include "util/loop.h"

struct calendar {
	struct loop *loop;
	int64_t built_ms; /* no clock is right that is before it */
	int64_t trusting_us; /* boot-time clock from which on one that is not synchronised is believed */
	bool set; /* the wall clock is believed */
	int64_t boot_ms; /* the wall time of the machine's boot, as it was when the clock was set */
	void *context;
	void (*changed)(void *context); /* to set, or no more */
	struct timer timer;
};

void calendar_init(
	struct calendar *calendar, struct loop *loop, int64_t built_ms, uint32_t clock_wait_s);
void calendar_finish(struct calendar *calendar);
/* Marks a stamp of the present boot where its wall time is not to be believed. */
void calendar_judge(struct calendar *calendar, struct stamp *stamp);
/* The wall time, corrected where it has to be and can be. */
int64_t calendar_time(const struct calendar *calendar, const struct stamp *stamp);
/* Whether the report must wait until the clock is set: raw bytes and attributes go without a time. */
bool calendar_holds(const struct calendar *calendar, const struct report *report);

#endif
