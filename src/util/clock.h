/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where time comes from: the system's clocks, or in tests one that is moved by hand.  Everything
 * that waits or stamps is handed a clock; nothing else asks the system for the time.
 */
#ifndef EB_UTIL_CLOCK_H
#define EB_UTIL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define USEC_PER_MSEC INT64_C(1000)
#define USEC_PER_SEC INT64_C(1000000)

struct clock {
	bool manual; /* the fields below are the time */
	bool synced;
	int64_t mono_us;
	int64_t wall_ms;
	uint64_t boot; /* what clock_boot_id() gives; 0: 1 */
};

/* The clock of the system: CLOCK_MONOTONIC and CLOCK_REALTIME. */
#define CLOCK_SYSTEM            \
	{                       \
		.manual = false \
	}

/* µs since some point, never stepped. */
int64_t clock_mono_us(const struct clock *clock);
/* µs since the machine's boot, the time that it slept included (CLOCK_BOOTTIME). */
int64_t clock_boot_us(const struct clock *clock);
/* µs that the calling thread was on a processor. */
int64_t clock_thread_us(void);
/* The machine's boot: positive, another one for each. */
uint64_t clock_boot_id(const struct clock *clock);
/* The same from the kernel's file; where it cannot be read, a random number: another at each call. */
uint64_t clock_boot_id_from(const char *path);
/* ms since 1970-01-01 UTC, stepped by whoever sets the machine's clock. */
int64_t clock_wall_ms(const struct clock *clock);
/* Whether the kernel holds the wall clock for synchronised (adjtimex). */
bool clock_synced(const struct clock *clock);
/* Moves a manual clock, both times, by µs. */
void clock_advance(struct clock *clock, int64_t us);

#endif
