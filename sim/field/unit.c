/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/unit.h"

#include <errno.h>

#include "util/alloc.h"

void unit_finish(struct unit *unit)
{
	for (size_t i = 0; unit->own && i < unit->map->count; i++) {
		free(unit->own[i].cells);
		free(unit->own[i].walks);
	}
	free(unit->own);
}

static const struct range *find(const struct unit *unit, enum table table, uint16_t address)
{
	const struct map *map = unit->map;
	for (size_t i = 0; i < map->count; i++) {
		const struct range *range = &map->ranges[i];
		if (range->table == table && address >= range->first &&
			address - range->first < range->count)
			return range;
	}
	return NULL;
}

static struct own *own_part(struct unit *unit, const struct range *range)
{
	if (!unit->own)
		unit->own = must_array(unit->map->count, sizeof(*unit->own));
	return &unit->own[range - unit->map->ranges];
}

static const struct cell *find_cell(
	const struct unit *unit, const struct range *range, uint16_t address)
{
	if (!unit->own)
		return NULL;
	const struct cell *cells = unit->own[range - unit->map->ranges].cells;
	return cells ? &cells[address - range->first] : NULL;
}

static struct cell *need_cell(struct unit *unit, const struct range *range, uint16_t address)
{
	struct own *own = own_part(unit, range);
	if (!own->cells)
		own->cells = must_array(range->count, sizeof(*own->cells));
	return &own->cells[address - range->first];
}

static struct walk *need_walks(struct unit *unit, const struct range *range)
{
	if (range->rule.kind != RULE_WALK)
		return NULL;
	struct own *own = own_part(unit, range);
	if (!own->walks)
		own->walks = must_array(range->count, sizeof(*own->walks));
	return own->walks;
}

int unit_read(struct unit *unit, enum table table, uint16_t address, int64_t start_us,
	int64_t now_us, uint16_t *value)
{
	const struct range *range = find(unit, table, address);
	if (!range)
		return -ENOENT;
	const struct cell *cell = find_cell(unit, range, address);
	if (cell && cell->held) {
		*value = cell->value;
		return 0;
	}
	struct walk *walks = need_walks(unit, range);
	*value = range_value(range, unit->id, address, walks, start_us, now_us);
	return 0;
}

int unit_may_write(const struct unit *unit, enum table table, uint16_t address, uint16_t value)
{
	const struct range *range = find(unit, table, address);
	if (!range)
		return -ENOENT;
	if (!range->writable)
		return -EACCES;
	if (range->limited && (value < range->low || value > range->high))
		return -ERANGE;
	return 0;
}

int unit_set(struct unit *unit, enum table table, uint16_t address, uint16_t value)
{
	const struct range *range = find(unit, table, address);
	if (!range)
		return -ENOENT;
	struct cell *cell = need_cell(unit, range, address);
	cell->value = value;
	cell->held = true;
	return 0;
}

void unit_write(struct unit *unit, enum table table, uint16_t address, uint16_t value)
{
	if (unit_set(unit, table, address, value) == 0)
		need_cell(unit, find(unit, table, address), address)->writes++;
}

uint32_t unit_writes(const struct unit *unit, enum table table, uint16_t address)
{
	const struct range *range = find(unit, table, address);
	const struct cell *cell = range ? find_cell(unit, range, address) : NULL;
	return cell ? cell->writes : 0;
}
