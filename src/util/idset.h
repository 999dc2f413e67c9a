/* SPDX-License-Identifier: Apache-2.0 */
/* A set of numbers other than 0, in the order in which they were added. */
#ifndef EB_UTIL_IDSET_H
#define EB_UTIL_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idset {
	uint64_t *ids; /* in their order */
	size_t count;
	uint64_t *slots; /* the same by their hash; 0: free */
	size_t room; /* slots, a power of two */
};

void idset_finish(struct idset *set);
/* Harmless where it is in the set already. */
void idset_add(struct idset *set, uint64_t id);
bool idset_has(const struct idset *set, uint64_t id);
/* Takes the first count out. */
void idset_drop(struct idset *set, size_t count);

#endif
