/* SPDX-License-Identifier: Apache-2.0 */
/* What registers a unit has, out of a description or out of one rule for all. */
#ifndef EB_SIM_FIELD_MAP_H
#define EB_SIM_FIELD_MAP_H

#include "sim/field/node.h"
#include "sim/field/range.h"

/*
 * The map that a list of ranges describes; NULL where something is wrong, which is noted.  seed is
 * the walks'.  map_destroy() frees it.
 */
struct map *map_read(const struct node *list, uint64_t seed);
/* All four tables from 0 on with one rule, coils and holding registers writable. */
struct map *map_uniform(const struct rule *rule, uint32_t registers);
/* A rule with its defaults. */
struct rule rule_default(enum rule_kind kind, uint64_t seed);

#endif
