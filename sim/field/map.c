/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/map.h"

#include <math.h>

#include "util/alloc.h"
#include "util/clock.h"

#define PERIOD_MAX_S 1e6
#define NUMBER_MAX 1e300

struct rule rule_default(enum rule_kind kind, uint64_t seed)
{
	return (struct rule){ .kind = kind,
		.base = kind == RULE_SINE || kind == RULE_WALK ? 1000 : 0,
		.step = kind == RULE_WALK ? 10 : 1,
		.amplitude = 100,
		.max = kind == RULE_WALK ? 65535 : 0,
		.period_us = USEC_PER_SEC,
		.seed = seed };
}

struct map *map_uniform(const struct rule *rule, uint32_t registers)
{
	struct map *map = must_alloc(sizeof(*map));
	map->ranges = must_array(TABLES, sizeof(*map->ranges));
	map->count = TABLES;
	for (size_t i = 0; i < TABLES; i++)
		map->ranges[i] = (struct range){ .table = (enum table)i,
			.count = registers,
			.writable = i == TABLE_COILS || i == TABLE_HOLDING,
			.rule = *rule };
	return map;
}

static int read_word(const struct node *node, const char *key, int (*parse)(const char *word),
	int otherwise, const char *choices)
{
	struct node child;
	if (!node_child(node, key, &child))
		return otherwise;
	int result = parse(node_text(&child));
	if (result < 0)
		node_wrong(&child, "one of %s is wanted here", choices);
	return result < 0 ? otherwise : result;
}

static void read_rule(const struct node *node, struct range *range, uint64_t seed)
{
	double seconds = 1;
	int kind = read_word(node, "rule", rule_parse, RULE_FIXED,
		"fixed, carry, counter, sine, walk, toggle, clock");
	range->rule = rule_default((enum rule_kind)kind, seed);
	struct rule *rule = &range->rule;
	node_get_real(node, "base", -NUMBER_MAX, NUMBER_MAX, &rule->base);
	node_get_real(node, "step", -NUMBER_MAX, NUMBER_MAX, &rule->step);
	node_get_real(node, "amplitude", -NUMBER_MAX, NUMBER_MAX, &rule->amplitude);
	node_get_real(node, "min", -NUMBER_MAX, NUMBER_MAX, &rule->min);
	node_get_real(node, "max", -NUMBER_MAX, NUMBER_MAX, &rule->max);
	node_get_real(node, "period", 1e-6, PERIOD_MAX_S, &seconds);
	rule->period_us = (int64_t)(seconds * USEC_PER_SEC + 0.5);
}

static void read_values(const struct node *node, struct range *range, uint32_t items)
{
	struct node list, item;
	const char *key;
	if (!node_child(node, "values", &list))
		return;
	struct node_walk walk = node_begin(&list, VALUE_LIST);
	if (walk.left > items) {
		node_wrong(&list, "%zu values, but room for %u", walk.left, items);
		return;
	}
	range->values = must_array(walk.left + 1, sizeof(*range->values));
	while (node_next(&list, &walk, &key, &item))
		range->values[range->value_count++] = node_real(&item, -NUMBER_MAX, NUMBER_MAX);
}

static void read_limits(const struct node *node, struct range *range)
{
	struct node list, item;
	const char *key;
	int64_t limits[2] = { 0, UINT16_MAX };
	if (!node_child(node, "accept", &list))
		return;
	struct node_walk walk = node_begin(&list, VALUE_LIST);
	if (walk.left != 2)
		node_wrong(&list, "the least and the most value that a write may have: [0, 100]");
	for (int i = 0; i < 2 && node_next(&list, &walk, &key, &item); i++)
		limits[i] = node_integer(&item, 0, UINT16_MAX);
	range->limited = true;
	range->low = (uint16_t)limits[0];
	range->high = (uint16_t)limits[1];
}

/* How many registers or bits the range has: as said, or as its values need. */
static void read_extent(const struct node *node, struct range *range)
{
	struct node list;
	uint32_t size = table_is_bits(range->table) ? 1 : number_words(range->number);
	int64_t first = 0, count = size;
	if (node_child(node, "values", &list))
		count = (int64_t)node_begin(&list, VALUE_LIST).left * size;
	node_get_integer(node, "address", 0, UINT16_MAX, &first);
	node_get_integer(node, "count", 1, 65536, &count);
	if (count < 1 || first + count > 65536)
		node_wrong(node, "addresses end at 65535");
	else if (count % size)
		node_wrong(node, "count: registers, a multiple of %u for these numbers", size);
	range->first = (uint32_t)first;
	range->count = (uint32_t)count;
	read_values(node, range, (uint32_t)count / size);
}

static void read_range(const struct node *node, struct range *range, uint64_t seed)
{
	node_check(node,
		"table address count number words values rule base step amplitude min max "
		"period writable accept");
	struct node child;
	if (!node_child(node, "table", &child))
		node_wrong(node, "table is missing: coils, discrete, input or holding");
	range->table = (enum table)read_word(
		node, "table", table_parse, TABLE_HOLDING, "coils, discrete, input, holding");
	range->number = (enum number)read_word(node, "number", number_parse, NUMBER_UINT16,
		"uint16, int16, uint32, int32, uint64, int64, float32, float64");
	const char *words = "high-first";
	node_get_text(node, "words", &words);
	range->low_first = words[0] == 'l';
	if (!range->low_first && words[0] != 'h')
		node_wrong(node, "words: high-first or low-first");
	range->writable = false;
	node_get_bool(node, "writable", &range->writable);
	if (range->writable && (range->table == TABLE_INPUT || range->table == TABLE_DISCRETE))
		node_wrong(node, "nobody can write %s", table_name(range->table));
	read_rule(node, range, seed);
	read_limits(node, range);
	read_extent(node, range);
}

struct map *map_read(const struct node *list, uint64_t seed)
{
	struct map *map = must_alloc(sizeof(*map));
	struct node_walk walk = node_begin(list, VALUE_LIST);
	struct node item;
	const char *key;
	map->ranges = must_array(walk.left + 1, sizeof(*map->ranges));
	while (node_next(list, &walk, &key, &item))
		read_range(&item, &map->ranges[map->count++], seed);
	if (!node_failed(list))
		return map;
	map_destroy(map);
	return NULL;
}
