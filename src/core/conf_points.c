/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf_schema.h"
#include "core/conf_section.h"
#include "core/plan.h"
#include "util/alloc.h"
#include "util/value.h"

#define PERIOD_MAX_MS (REQUEST_PERIOD_MAX_S * INT64_C(1000))
/* What problems of a request without a name begin with. */
#define NAMELESS "request: "
#define BIT_BYTES 1
#define REGISTER_BYTES 2

enum type { U16, S16, U32, S32, U64, S64, F32, F64, BCD, BOOLEAN, BITS, TEXT, TYPES };

#define TYPE_WORDS "u16|s16|u32|s32|u64|s64|f32|f64|bcd|bool|bits|string"

static const struct type_info {
	uint8_t registers; /* 0: as many as the point says */
	bool ordered;
} types[TYPES] = {
	[U16] = { 1, true },
	[S16] = { 1, true },
	[U32] = { 2, true },
	[S32] = { 2, true },
	[U64] = { 4, true },
	[S64] = { 4, true },
	[F32] = { 2, true },
	[F64] = { 4, true },
	[BOOLEAN] = { 1, false },
	[BITS] = { 1, false },
};

#define INTEGERS (1u << U16 | 1u << S16 | 1u << U32 | 1u << S32 | 1u << U64 | 1u << S64)
#define ORDERED (INTEGERS | 1u << F32 | 1u << F64)
#define NUMBERS (ORDERED | 1u << BCD)

/* What stands in a group, as it is written. */
struct point {
	char *name, *read, *order, *unit;
	uint32_t type; /* enum type */
	uint32_t address, registers, bit, width;
	double scale, offset, min, max, tolerance;
	uint32_t period_ms;
	bool sunspec, writable, read_back;
};

#define AT(member) \
	.offset = offsetof(struct point, member), .size = sizeof(((struct point *)0)->member)

static const struct field point_fields[] = {
	{ .key = "name",
		.kind = FIELD_TEXT,
		AT(name),
		.form = FORM_NAME,
		.min = 1,
		.max = 128,
		.flags = FIELD_REQUIRED,
		.help = "the measurement point in EnOS" },
	{ .key = "read",
		.kind = FIELD_TEXT,
		AT(read),
		.form = FORM_NAME,
		.min = 1,
		.max = 63,
		.flags = FIELD_REQUIRED,
		.help = "the table that it stands in, in the plugin's words: modbus has holding_registers, "
			"input_registers, coils and discrete_inputs" },
	{ .key = "address",
		.kind = FIELD_NUMBER,
		AT(address),
		.scale = 1,
		.max = 65535,
		.flags = FIELD_REQUIRED,
		.help = "its first register, or its coil, as it is on the wire, counted from 0" },
	{ .key = "type",
		.kind = FIELD_CHOICE,
		AT(type),
		.choices = TYPE_WORDS,
		.flags = FIELD_REQUIRED,
		.help = "what stands there; bool is a coil or discrete input, or with bit one bit of a "
			"register" },
	{ .key = "registers",
		.kind = FIELD_NUMBER,
		AT(registers),
		.scale = 1,
		.min = 1,
		.max = 125,
		.variants = 1u << BCD | 1u << TEXT,
		.flags = FIELD_REQUIRED,
		.help = "how many registers it takes; of bcd at most 4" },
	{ .key = "bit",
		.kind = FIELD_NUMBER,
		AT(bit),
		.scale = 1,
		.max = 15,
		.variants = 1u << BOOLEAN | 1u << BITS,
		.otherwise = "0 for bits",
		.help = "the bit of the register, or the lowest of several, counted from 0" },
	{ .key = "width",
		.kind = FIELD_NUMBER,
		AT(width),
		.scale = 1,
		.min = 1,
		.max = 16,
		.variants = 1u << BITS,
		.fallback = "1",
		.help = "how many bits" },
	{ .key = "order",
		.kind = FIELD_TEXT,
		AT(order),
		.form = FORM_NAME,
		.min = 1,
		.max = 8,
		.variants = ORDERED,
		.otherwise = "abcd",
		.help = "the order in which the device sends the bytes, a being the highest: abcd, cdab with "
			"the words exchanged, badc, dcba; ab or ba for 16 bits, abcdefgh for 64" },
	{ .key = "scale",
		.kind = FIELD_REAL,
		AT(scale),
		.variants = NUMBERS,
		.fallback = "1",
		.help = "value = number * scale + offset" },
	{ .key = "offset",
		.kind = FIELD_REAL,
		AT(offset),
		.variants = NUMBERS,
		.fallback = "0",
		.help = "see scale" },
	{ .key = "unit",
		.kind = FIELD_TEXT,
		AT(unit),
		.form = FORM_ANY,
		.min = 1,
		.max = 32,
		.otherwise = "none",
		.help = "the unit of the value, said where a command is refused" },
	{ .key = "sentinels",
		.kind = FIELD_NUMBERS,
		.variants = INTEGERS | 1u << BCD,
		.otherwise = "none",
		.help = "numbers as they are read, before scale, that mean there is no value" },
	{ .key = "sunspec",
		.kind = FIELD_BOOLEAN,
		AT(sunspec),
		.variants = ORDERED,
		.fallback = "false",
		.help = "what SunSpec defines as \"not implemented\" for the type means there is no value" },
	{ .key = "period",
		.kind = FIELD_NUMBER,
		AT(period_ms),
		.scale = 1000,
		.max = PERIOD_MAX_MS,
		.unit = "s",
		.fallback = "10",
		.help = "time from one reading to the next; 0 is as fast as the bus allows" },
	{ .key = "writable",
		.kind = FIELD_BOOLEAN,
		AT(writable),
		.variants = NUMBERS | 1u << BOOLEAN | 1u << BITS,
		.fallback = "false",
		.help = "measurepoint/set can write it" },
	{ .key = "min",
		.kind = FIELD_REAL,
		AT(min),
		.variants = NUMBERS | 1u << BITS,
		.otherwise = "the least of the type",
		.help = "the least value that can be written" },
	{ .key = "max",
		.kind = FIELD_REAL,
		AT(max),
		.variants = NUMBERS | 1u << BITS,
		.otherwise = "the most of the type",
		.help = "the largest value that can be written" },
	{ .key = "read_back",
		.kind = FIELD_BOOLEAN,
		AT(read_back),
		.variants = NUMBERS | 1u << BOOLEAN | 1u << BITS,
		.fallback = "true",
		.help = "read it after writing and compare; false where it can only be written" },
	{ .key = "tolerance",
		.kind = FIELD_REAL,
		AT(tolerance),
		.variants = NUMBERS,
		.fallback = "0",
		.help = "how far what is read back may be from what was written, in the value's unit" },
	{ .key = NULL },
};

const struct section point_section = { "point", point_fields, "type", NULL };

/* What checking one point works on. */
struct check {
	const struct points_target *target;
	const struct node *node;
	const struct point *point;
	struct problems *problems;
};

static struct place place_of(const struct check *check, const char *key)
{
	const struct node *node = node_find(check->node, key);
	return node ? node->place : check->node->place;
}

static uint32_t register_count(const struct point *point)
{
	return types[point->type].registers ? types[point->type].registers : point->registers;
}

/* A value of a table of bits, not of registers. */
static bool is_single_bit(const struct check *check)
{
	return check->point->type == BOOLEAN && !node_find(check->node, "bit");
}

/* ---- what can be wrong ------------------------------------------------------------------------ */

static void check_order(const struct check *check)
{
	const struct point *point = check->point;
	size_t size = types[point->type].registers * REGISTER_BYTES;
	unsigned seen = 0;
	if (!point->order)
		return;
	for (const char *at = point->order; *at; at++)
		seen |= *at >= 'a' && *at <= 'h' ? 1u << (*at - 'a') : 1u << 31;
	if (strlen(point->order) == size && seen == (1u << size) - 1)
		return;
	problem_error(check->problems, place_of(check, "order"),
		"order is \"%s\": it must have each of the %zu letters from a to %c once, as \"%s\"",
		point->order, size, (char)('a' + size - 1),
		size == 2           ? "ba"
			: size == 4 ? "cdab"
				    : "ghefcdab");
}

static void check_widths(const struct check *check)
{
	const struct point *point = check->point;
	if (point->type == BITS && point->bit + point->width > 16)
		problem_error(check->problems, place_of(check, "width"),
			"width is %u from bit %u on: a register ends with bit 15", point->width,
			point->bit);
	if (point->type == BCD && point->registers > 4)
		problem_error(check->problems, place_of(check, "registers"),
			"registers is %u: bcd has at most 4, 16 digits", point->registers);
}

static void check_scale(const struct check *check)
{
	if (check->point->scale == 0)
		problem_error(check->problems, place_of(check, "scale"),
			"scale is 0: every value would be the offset; it must be another number");
}

static void check_writing(const struct check *check)
{
	static const char *const keys[] = { "min", "max", "tolerance", "read_back" };
	const struct point *point = check->point;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) && !point->writable; i++) {
		if (node_find(check->node, keys[i]))
			problem_error(check->problems, place_of(check, keys[i]),
				"%s stands without writable: add writable = true, or remove it",
				keys[i]);
	}
	if (node_find(check->node, "min") && node_find(check->node, "max") &&
		point->min > point->max)
		problem_error(check->problems, place_of(check, "max"),
			"max is %g, below min, which is %g: exchange them", point->max, point->min);
	if (point->tolerance < 0)
		problem_error(check->problems, place_of(check, "tolerance"),
			"tolerance is %g: it must be 0 or more", point->tolerance);
}

static void check_sentinels(const struct check *check)
{
	const struct node *list = node_find(check->node, "sentinels");
	for (size_t i = 0; list && i < list->count; i++) {
		const struct node *item = &list->items[i];
		if (item->type != NODE_INTEGER && item->type != NODE_BAD)
			problem_error(check->problems, item->place,
				"an item of sentinels is %s: it must be an integer, as it is read",
				node_type_name(item->type));
	}
}

/* ---- what the plugin says --------------------------------------------------------------------- */

static bool has_key(const struct eb_plugin *plugin, const char *name)
{
	for (const struct eb_key *key = plugin->request_keys; key && key->name; key++) {
		if (strcmp(key->name, name) == 0)
			return true;
	}
	return false;
}

/* Makes the request of the map; 0, or -EINVAL after having said what the plugin says of it. */
static int try_request(const struct check *check, const char *what, const struct buffer *map,
	uint32_t *content_size)
{
	struct problems own = PROBLEMS_NONE;
	struct request *request = NULL;
	const struct points_target *target = check->target;
	int result = request_create(&request, target->plugin, target->state, target->address,
		map->data, map->size, SETTINGS_CONFIGURATION, check->node->place, &own);
	for (size_t i = 0; i < own.count; i++) {
		const char *text = own.items[i].text;
		if (strncmp(text, NAMELESS, strlen(NAMELESS)) == 0)
			text += strlen(NAMELESS);
		problem_error(check->problems, place_of(check, "read"),
			"point \"%s\" cannot be %s: %s", check->point->name, what, text);
	}
	if (result == 0)
		*content_size = request->wire.content_size;
	request_destroy(request);
	problems_finish(&own);
	return result;
}

static bool can_read(const struct check *check)
{
	const struct point *point = check->point;
	bool bit = is_single_bit(check);
	uint32_t count = register_count(point), size = 0;
	OWNED_BUFFER map = BUFFER_EMPTY;
	value_put_map(&map, 3);
	value_pair_text(&map, "read", point->read);
	value_pair_integer(&map, "address", point->address);
	value_pair_integer(&map, "count", count);
	if (try_request(check, "read", &map, &size) < 0)
		return false;
	if (bit && size > BIT_BYTES)
		problem_error(check->problems, place_of(check, "read"),
			"a bool of %s is one bit of a register: say which with bit = 0 to 15",
			point->read);
	else if (!bit && size && size < count * REGISTER_BYTES)
		problem_error(check->problems, place_of(check, "type"),
			"%s has single bits: its points are of type = \"bool\", without bit",
			point->read);
	return true;
}

static void check_write(const struct check *check)
{
	OWNED_BUFFER map = BUFFER_EMPTY;
	uint32_t count = register_count(check->point), ignored;
	value_put_map(&map, 3);
	value_pair_text(&map, "write", check->point->read);
	value_pair_integer(&map, "address", check->point->address);
	value_put_text(&map, "values");
	value_put_list(&map, count);
	for (uint32_t i = 0; i < count; i++)
		value_put_integer(&map, 0);
	try_request(check, "written", &map, &ignored);
}

static void check_with_plugin(const struct check *check)
{
	const struct eb_plugin *plugin = check->target->plugin;
	if (!plugin || !check->target->state)
		return;
	if (can_read(check) && check->point->writable)
		check_write(check);
}

/* ---- what scripts get ------------------------------------------------------------------------- */

static uint32_t put_real(struct buffer *map, const char *key, double real)
{
	if (real == nearbyint(real) && fabs(real) < 1e15)
		value_pair_integer(map, key, (int64_t)real);
	else
		value_pair_real(map, key, real);
	return 1;
}

static uint32_t put_pair(struct buffer *map, const char *key, const char *text)
{
	if (text)
		value_pair_text(map, key, text);
	return text ? 1 : 0;
}

static uint32_t put_count(struct buffer *map, const char *key, int64_t integer)
{
	value_pair_integer(map, key, integer);
	return 1;
}

static uint32_t put_truth(struct buffer *map, const char *key, bool truth)
{
	value_pair_bool(map, key, truth);
	return 1;
}

static uint32_t put_meaning(struct buffer *map, const struct check *check)
{
	const struct point *point = check->point;
	const struct node *sentinels = node_find(check->node, "sentinels");
	uint32_t count = put_pair(map, "order", point->order);
	count += put_pair(map, "unit", point->unit);
	if (point->type == BITS || (point->type == BOOLEAN && !is_single_bit(check)))
		count += put_count(map, "bit", point->bit);
	if (point->type == BITS)
		count += put_count(map, "width", point->width);
	if (point->scale != 1)
		count += put_real(map, "scale", point->scale);
	if (point->offset != 0)
		count += put_real(map, "offset", point->offset);
	if (point->sunspec)
		count += put_truth(map, "sunspec", true);
	if (sentinels && sentinels->count) {
		value_put_text(map, "sentinels");
		node_put_value(sentinels, map);
		count++;
	}
	return count;
}

static uint32_t put_writing(struct buffer *map, const struct check *check)
{
	const struct point *point = check->point;
	if (!point->writable)
		return 0;
	uint32_t count = put_truth(map, "writable", true);
	if (node_find(check->node, "min"))
		count += put_real(map, "min", point->min);
	if (node_find(check->node, "max"))
		count += put_real(map, "max", point->max);
	if (!point->read_back)
		count += put_truth(map, "read_back", false);
	if (point->tolerance > 0)
		count += put_real(map, "tolerance", point->tolerance);
	return count;
}

/* What is left out is false, or the default of a number. */
static void put_point(struct buffer *points, const struct check *check)
{
	const struct point *point = check->point;
	OWNED_BUFFER type = BUFFER_EMPTY;
	size_t place = value_begin_map(points);
	choice_put(TYPE_WORDS, (int)point->type, &type);
	uint32_t count = put_pair(points, "name", point->name);
	count += put_pair(points, "read", point->read);
	count += put_pair(points, "type", buffer_text(&type));
	count += put_count(points, "address", point->address);
	count += put_count(points, "count", register_count(point));
	count += put_real(points, "period", point->period_ms / 1000.0);
	count += put_meaning(points, check);
	count += put_writing(points, check);
	value_end(points, place, count);
}

/* ---- the list --------------------------------------------------------------------------------- */

struct named {
	const struct node *name;
	size_t number; /* in the list */
};

static int compare_named(const void *one, const void *other)
{
	const struct named *a = one, *b = other;
	int order = strcmp(a->name->text, b->name->text);
	return order ? order : (a->number > b->number) - (a->number < b->number);
}

/*
 * For each item the name of the first one before it that is named the same, or NULL.  Sorted, since lists
 * have ten thousand points.  The caller frees it.
 */
static const struct node **find_twins(const struct node *list)
{
	const struct node **twins = must_array(list->count + 1, sizeof(*twins));
	struct named *names OWNED = must_array(list->count + 1, sizeof(*names));
	size_t count = 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct node *name = node_find(&list->items[i], "name");
		if (name && name->text)
			names[count++] = (struct named){ name, i };
	}
	qsort(names, count, sizeof(*names), compare_named);
	for (size_t i = 1, first = 0; i < count; i++) {
		if (strcmp(names[i].name->text, names[first].name->text) == 0)
			twins[names[i].number] = names[first].name;
		else
			first = i;
	}
	return twins;
}

/* Whether the point's own keys were fine, so that what they mean together can be looked at. */
static bool read_point(const struct points_target *target, const struct node *node,
	struct buffer *points, struct problems *problems)
{
	size_t errors = problems->errors;
	struct point point = { .type = 0 };
	const struct check check = { target, node, &point, problems };
	section_defaults(&point_section, &point);
	section_read(&point_section, node, &point, NULL, problems);
	if (problems->errors == errors) {
		check_order(&check);
		check_widths(&check);
		check_scale(&check);
		check_writing(&check);
		check_sentinels(&check);
	}
	if (problems->errors == errors)
		check_with_plugin(&check);
	bool fine = problems->errors == errors;
	if (fine)
		put_point(points, &check);
	section_finish(&point_section, &point);
	return fine;
}

static bool speaks_of_registers(
	const struct node *list, const struct eb_plugin *plugin, struct problems *problems)
{
	if (!plugin ||
		(has_key(plugin, "read") && has_key(plugin, "address") && has_key(plugin, "count")))
		return true;
	problem_error(problems, list->place,
		"points need a plugin that reads registers, as modbus does: with plugin %s write a "
		"script",
		plugin->name);
	return false;
}

void points_read(const struct node *list, const struct points_target *target, struct buffer *points,
	struct problems *problems)
{
	size_t place = value_begin_list(points);
	uint32_t count = 0;
	bool usable = list && list->type == NODE_LIST &&
		speaks_of_registers(list, target->plugin, problems);
	const struct node **twins = usable ? find_twins(list) : NULL;
	for (size_t i = 0; usable && i < list->count; i++) {
		const struct node *node = &list->items[i], *twin = twins[i];
		if (node->type == NODE_BAD)
			continue;
		if (node->type != NODE_GROUP) {
			problem_error(problems, node->place,
				"an item of points is %s: it must be a group { }",
				node_type_name(node->type));
			continue;
		}
		if (twin)
			problem_error(problems, node_find(node, "name")->place,
				"two points are named \"%s\", the other in line %u: rename one",
				twin->text, twin->place.line);
		count += read_point(target, node, points, problems);
	}
	free(twins);
	value_end(points, place, count);
}
