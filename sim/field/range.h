/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of registers or bits of a unit: where it stands, what its numbers look like, how they change.
 * Constant once described, and shared by all units that have it.
 */
#ifndef EB_SIM_FIELD_RANGE_H
#define EB_SIM_FIELD_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/field/rule.h"

enum table { TABLE_COILS, TABLE_DISCRETE, TABLE_INPUT, TABLE_HOLDING, TABLES };

enum number {
	NUMBER_UINT16,
	NUMBER_INT16,
	NUMBER_UINT32,
	NUMBER_INT32,
	NUMBER_UINT64,
	NUMBER_INT64,
	NUMBER_FLOAT32,
	NUMBER_FLOAT64,
	NUMBERS
};

struct range {
	enum table table;
	uint32_t first, count; /* addresses, from 0 */
	enum number number; /* of registers; bits are 0 and 1 */
	bool low_first; /* the low word of a number stands first */
	bool writable; /* coils and holding registers: by the master */
	bool limited;
	uint16_t low, high; /* limited: what a register takes; else exception 3 */
	struct rule rule;
	double *values; /* owned; the fixed items at the front, NULL: all by the rule */
	size_t value_count;
};

/* What a unit has, of all tables. */
struct map {
	struct range *ranges;
	size_t count;
};

const char *table_name(enum table table);
/* "coils", "discrete", "input" or "holding"; -EINVAL for another word. */
int table_parse(const char *word);
static inline bool table_is_bits(enum table table)
{
	return table == TABLE_COILS || table == TABLE_DISCRETE;
}
/* "uint16", "float32"...; -EINVAL for another word. */
int number_parse(const char *word);
/* Registers that one number takes: 1, 2 or 4. */
uint32_t number_words(enum number number);

/*
 * The number as registers, high word first unless low_first; returns how many.  Integers keep their
 * low bits, as a counter that overflows does.
 */
uint32_t number_encode(enum number number, bool low_first, double value, uint16_t words[4]);

/*
 * What rule "carry" puts into a register: the unit in the high byte and the address's low byte in
 * the low one, inverted in input registers; into a bit: whether unit + address is a multiple of 3,
 * inverted in discrete inputs.
 */
uint16_t range_carried(enum table table, uint8_t unit, uint16_t address);

/* The register at address, which the range holds.  walks: one per item, of a walk. */
uint16_t range_value(const struct range *range, uint8_t unit, uint16_t address, struct walk *walks,
	int64_t start_us, int64_t now_us);

void map_destroy(struct map *map);

#endif
