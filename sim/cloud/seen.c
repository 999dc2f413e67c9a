/* SPDX-License-Identifier: Apache-2.0 */
#include "seen.h"

#include <stdlib.h>

#include "util/alloc.h"

#define ROOM_FIRST 4096

struct generation {
	uint64_t *prints; /* 0: empty */
	size_t room, count;
};

struct seen {
	size_t window;
	struct generation current, previous;
};

struct seen *seen_create(size_t window)
{
	struct seen *seen = must_alloc(sizeof(*seen));
	seen->window = window;
	return seen;
}

void seen_destroy(struct seen *seen)
{
	if (!seen)
		return;
	free(seen->current.prints);
	free(seen->previous.prints);
	free(seen);
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Where the print stands, or the empty place where it would. */
static uint64_t *place(const struct generation *generation, uint64_t print)
{
	size_t at = print & (generation->room - 1);
	while (generation->prints[at] && generation->prints[at] != print)
		at = (at + 1) & (generation->room - 1);
	return &generation->prints[at];
}

static void grow(struct generation *generation)
{
	struct generation larger = { .room = generation->room ? generation->room * 2 : ROOM_FIRST,
		.count = generation->count };
	larger.prints = must_array(larger.room, sizeof(uint64_t));
	for (size_t i = 0; i < generation->room; i++) {
		if (generation->prints[i])
			*place(&larger, generation->prints[i]) = generation->prints[i];
	}
	free(generation->prints);
	*generation = larger;
}

bool seen_before(struct seen *seen, const void *device, const char *name, size_t size, int64_t time)
{
	if (!seen->window)
		return false;
	uint64_t print = mix((uint64_t)(uintptr_t)device) + (uint64_t)time;
	for (size_t i = 0; i < size; i++)
		print = (print ^ (uint8_t)name[i]) * UINT64_C(1099511628211);
	print = mix(print);
	print += !print;
	if (seen->previous.room && *place(&seen->previous, print))
		return true;
	if (seen->current.count * 2 >= seen->current.room)
		grow(&seen->current);
	uint64_t *slot = place(&seen->current, print);
	if (*slot)
		return true;
	*slot = print;
	if (++seen->current.count >= seen->window) {
		free(seen->previous.prints);
		seen->previous = seen->current;
		seen->current = (struct generation){ .room = 0 };
	}
	return false;
}
