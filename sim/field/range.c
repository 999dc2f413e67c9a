/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/range.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const table_names[TABLES] = { "coils", "discrete", "input", "holding" };

static const struct {
	const char *name;
	uint32_t words;
} numbers[NUMBERS] = {
	[NUMBER_UINT16] = { "uint16", 1 },
	[NUMBER_INT16] = { "int16", 1 },
	[NUMBER_UINT32] = { "uint32", 2 },
	[NUMBER_INT32] = { "int32", 2 },
	[NUMBER_UINT64] = { "uint64", 4 },
	[NUMBER_INT64] = { "int64", 4 },
	[NUMBER_FLOAT32] = { "float32", 2 },
	[NUMBER_FLOAT64] = { "float64", 4 },
};

const char *table_name(enum table table)
{
	return table_names[table];
}

int table_parse(const char *word)
{
	for (int i = 0; i < TABLES; i++) {
		if (strcmp(word, table_names[i]) == 0)
			return i;
	}
	return -EINVAL;
}

int number_parse(const char *word)
{
	for (int i = 0; i < NUMBERS; i++) {
		if (strcmp(word, numbers[i].name) == 0)
			return i;
	}
	return -EINVAL;
}

uint32_t number_words(enum number number)
{
	return numbers[number].words;
}

static uint64_t integer_bits(double value)
{
	if (!isfinite(value))
		return 0;
	double whole = nearbyint(value);
	if (whole >= 0x1p63)
		return whole >= 0x1p64 ? UINT64_MAX : (uint64_t)whole;
	return whole < -0x1p63 ? (uint64_t)INT64_MIN : (uint64_t)(int64_t)whole;
}

static uint64_t number_bits(enum number number, double value)
{
	if (number == NUMBER_FLOAT64) {
		uint64_t bits;
		memcpy(&bits, &value, sizeof(bits));
		return bits;
	}
	if (number == NUMBER_FLOAT32) {
		float narrow = (float)value;
		uint32_t bits;
		memcpy(&bits, &narrow, sizeof(bits));
		return bits;
	}
	return integer_bits(value);
}

uint32_t number_encode(enum number number, bool low_first, double value, uint16_t words[4])
{
	uint64_t bits = number_bits(number, value);
	uint32_t count = numbers[number].words;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t place = low_first ? i : count - 1 - i;
		words[place] = (uint16_t)(bits >> 16 * i);
	}
	return count;
}

uint16_t range_carried(enum table table, uint8_t unit, uint16_t address)
{
	uint16_t bit = (unit + address) % 3 == 0;
	uint16_t word = (uint16_t)(unit << 8 | (address & 0xff));
	switch (table) {
	case TABLE_COILS:
		return bit;
	case TABLE_DISCRETE:
		return !bit;
	case TABLE_INPUT:
		return (uint16_t)~word;
	case TABLE_HOLDING:
	case TABLES:
		break;
	}
	return word;
}

static double item_value(const struct range *range, uint8_t unit, uint32_t item, struct walk *walks,
	int64_t start_us, int64_t now_us)
{
	if (item < range->value_count)
		return range->values[item];
	if (range->rule.kind != RULE_WALK)
		return rule_value(&range->rule, item, start_us, now_us);
	uint64_t key = (uint64_t)unit << 32 | (uint64_t)range->table << 24 | (range->first + item);
	return rule_walk(&range->rule, &walks[item], key, start_us, now_us);
}

uint16_t range_value(const struct range *range, uint8_t unit, uint16_t address, struct walk *walks,
	int64_t start_us, int64_t now_us)
{
	if (range->rule.kind == RULE_CARRY && !range->value_count)
		return range_carried(range->table, unit, address);
	uint32_t place = address - range->first;
	if (table_is_bits(range->table))
		return item_value(range, unit, place, walks, start_us, now_us) != 0;
	uint32_t size = numbers[range->number].words;
	uint16_t words[4];
	double value = item_value(range, unit, place / size, walks, start_us, now_us);
	number_encode(range->number, range->low_first, value, words);
	return words[place % size];
}

void map_destroy(struct map *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->count; i++)
		free(map->ranges[i].values);
	free(map->ranges);
	free(map);
}
