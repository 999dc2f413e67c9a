/* SPDX-License-Identifier: Apache-2.0 */
#include "util/idset.h"

#include <string.h>

#include "util/alloc.h"

#define ROOM_MIN 64

void idset_finish(struct idset *set)
{
	free(set->ids);
	free(set->slots);
	*set = (struct idset){ .count = 0 };
}

/* The slot that has the id, or the free one where it belongs. */
static uint64_t *slot_of(const struct idset *set, uint64_t id)
{
	size_t slot = (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (set->room - 1);
	while (set->slots[slot] && set->slots[slot] != id)
		slot = (slot + 1) & (set->room - 1);
	return &set->slots[slot];
}

static void rebuild(struct idset *set, size_t room)
{
	free(set->slots);
	set->room = room;
	set->slots = must_array(room, sizeof(*set->slots));
	set->ids = must_realloc(set->ids, room / 2 * sizeof(*set->ids));
	for (size_t i = 0; i < set->count; i++)
		*slot_of(set, set->ids[i]) = set->ids[i];
}

void idset_add(struct idset *set, uint64_t id)
{
	if (set->count == set->room / 2)
		rebuild(set, set->room ? 2 * set->room : ROOM_MIN);
	uint64_t *slot = slot_of(set, id);
	if (*slot)
		return;
	*slot = id;
	set->ids[set->count++] = id;
}

bool idset_has(const struct idset *set, uint64_t id)
{
	return set->count && *slot_of(set, id);
}

void idset_drop(struct idset *set, size_t count)
{
	if (!count)
		return;
	set->count -= count;
	memmove(set->ids, set->ids + count, set->count * sizeof(*set->ids));
	size_t room = set->room;
	while (room > ROOM_MIN && set->count < room / 8)
		room /= 2;
	rebuild(set, room);
}
