/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>
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

int64_t clock_thread_us(void)
{
	return read_us(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_boot_us(const struct clock *clock)
{
	return clock->manual ? clock->mono_us : read_us(CLOCK_BOOTTIME);
}

/* Where the kernel has no random numbers yet, the time is as good as it gets. */
static uint64_t random_number(void)
{
	uint64_t number;
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) == (ssize_t)sizeof(number))
		return number;
	return ((uint64_t)read_us(CLOCK_REALTIME) << 20) ^ (uint64_t)read_us(CLOCK_MONOTONIC);
}

uint64_t clock_boot_id_from(const char *path)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	size_t size = 0;
	FILE *file = fopen(path, "re");
	for (int c; file && (c = fgetc(file)) != EOF; size++)
		hash = (hash ^ (uint8_t)c) * UINT64_C(1099511628211);
	if (file)
		fclose(file);
	/* The hash of nothing is the same at each boot: times of another one would be taken for ours. */
	if (!size)
		hash = random_number();
	hash >>= 1;
	return hash ? hash : 1;
}

uint64_t clock_boot_id(const struct clock *clock)
{
	if (clock->manual)
		return clock->boot ? clock->boot : 1;
	return clock_boot_id_from("/proc/sys/kernel/random/boot_id");
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
