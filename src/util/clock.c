/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <assert.h>
#include <sys/timex.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000;
}

int64_t clock_mono_us(const struct clock *clock)
{
	return clock->manual ? clock->mono_us : read_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(const struct clock *clock)
{
	return clock->manual ? clock->wall_ms : read_us(CLOCK_REALTIME) / USEC_PER_MSEC;
}

bool clock_synced(const struct clock *clock)
{
	if (clock->manual)
		return clock->synced;
	struct timex state = { .modes = 0 };
	return adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC);
}

void clock_advance(struct clock *clock, int64_t us)
{
	assert(clock->manual);
	int64_t before = clock->mono_us;
	clock->mono_us += us;
	clock->wall_ms += clock->mono_us / USEC_PER_MSEC - before / USEC_PER_MSEC;
}
