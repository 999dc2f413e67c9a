/* SPDX-License-Identifier: Apache-2.0 */
#include "script/compare.h"

#include <stdio.h>
#include <string.h>

#include "util/json.h"

#define SHOWN_MAX 120
#define DIFFERENCES_MAX 20

/* One value as read, with all its bytes. */
struct item {
	struct value value;
	struct value_reader inside; /* behind its own header */
	const uint8_t *data;
	size_t size;
};

struct walk {
	const struct comparison *comparison;
	struct buffer path;
	size_t differences;
};

static bool read_item(struct value_reader *reader, struct item *item)
{
	item->data = reader->at;
	item->inside = *reader;
	if (!value_next(&item->inside, &item->value) || !value_skip(reader))
		return false;
	item->size = (size_t)(reader->at - item->data);
	return true;
}

/* The value as JSON, cut where it is long. */
static void show(struct buffer *text, const struct item *item)
{
	if (!item) {
		buffer_put_text(text, "nothing");
		return;
	}
	size_t before = text->size;
	if (json_print_value(text, item->data, item->size) < 0)
		buffer_put_text(text, "no JSON value");
	if (text->size - before > SHOWN_MAX) {
		buffer_cut(text, before + SHOWN_MAX);
		buffer_put_text(text, "...");
	}
}

static void report(struct walk *walk, const struct item *expected, const struct item *got)
{
	if (++walk->differences > DIFFERENCES_MAX)
		return;
	OWNED_BUFFER text = BUFFER_EMPTY;
	buffer_printf(&text, "%s is ", walk->path.size ? buffer_text(&walk->path) : "it");
	show(&text, got);
	buffer_put_text(&text, ", expected ");
	show(&text, expected);
	walk->comparison->report(walk->comparison->context, buffer_text(&text));
}

static bool is_number(const struct value *value)
{
	return value->type == VALUE_INTEGER || value->type == VALUE_REAL;
}

/* 2^53 and above: only integers are exact, and a real there is a mistake in the fixture. */
static bool numbers_equal(const struct value *a, const struct value *b)
{
	if (a->type == VALUE_INTEGER && b->type == VALUE_INTEGER)
		return a->integer == b->integer;
	double left = a->type == VALUE_INTEGER ? (double)a->integer : a->real;
	double right = b->type == VALUE_INTEGER ? (double)b->integer : b->real;
	return left == right;
}

static bool is_empty(const struct value *value)
{
	return (value->type == VALUE_LIST || value->type == VALUE_MAP) && value->size == 0;
}

static bool scalars_equal(const struct value *a, const struct value *b)
{
	if (is_number(a) && is_number(b))
		return numbers_equal(a, b);
	if (is_empty(a) && is_empty(b))
		return true;
	if (a->type != b->type || a->type == VALUE_LIST || a->type == VALUE_MAP)
		return false;
	return a->type != VALUE_STRING ||
		(a->size == b->size && memcmp(a->text, b->text, a->size) == 0);
}

static void compare(struct walk *walk, const struct item *expected, const struct item *got);

static void put_key(struct walk *walk, const char *key)
{
	buffer_printf(&walk->path, "%s%s", walk->path.size ? "." : "", key);
}

static bool find_pair(const struct item *map, const char *key, struct item *found)
{
	struct value_reader reader = map->inside;
	struct value name;
	for (size_t i = 0; i < map->value.size; i++) {
		if (!value_next(&reader, &name) || !read_item(&reader, found))
			return false;
		if (strcmp(name.text, key) == 0)
			return true;
	}
	return false;
}

/* Each pair of one map against the other; first for what is expected, then for what is too much. */
static void compare_maps(struct walk *walk, const struct item *expected, const struct item *got)
{
	for (int pass = 0; pass < 2; pass++) {
		const struct item *from = pass ? got : expected, *in = pass ? expected : got;
		struct value_reader reader = from->inside;
		struct value key;
		struct item own, other;
		size_t before = walk->path.size;
		for (size_t i = 0; i < from->value.size; i++) {
			if (!value_next(&reader, &key) || !read_item(&reader, &own))
				return;
			bool found = find_pair(in, key.text, &other);
			put_key(walk, key.text);
			if (!found)
				report(walk, pass ? NULL : &own, pass ? &own : NULL);
			else if (!pass)
				compare(walk, &own, &other);
			buffer_cut(&walk->path, before);
		}
	}
}

static void compare_lists(struct walk *walk, const struct item *expected, const struct item *got)
{
	struct value_reader left = expected->inside, right = got->inside;
	struct item a, b;
	size_t before = walk->path.size;
	for (size_t i = 0; i < expected->value.size || i < got->value.size; i++) {
		bool has_left = i < expected->value.size && read_item(&left, &a);
		bool has_right = i < got->value.size && read_item(&right, &b);
		buffer_printf(&walk->path, "[%zu]", i + 1);
		if (has_left && has_right)
			compare(walk, &a, &b);
		else
			report(walk, has_left ? &a : NULL, has_right ? &b : NULL);
		buffer_cut(&walk->path, before);
	}
}

static void compare(struct walk *walk, const struct item *expected, const struct item *got)
{
	enum value_type type = expected->value.type;
	if (type == VALUE_MAP && got->value.type == VALUE_MAP)
		compare_maps(walk, expected, got);
	else if (type == VALUE_LIST && got->value.type == VALUE_LIST)
		compare_lists(walk, expected, got);
	else if (!scalars_equal(&expected->value, &got->value))
		report(walk, expected, got);
}

size_t compare_values(const struct comparison *comparison, const struct buffer *expected,
	const struct buffer *got)
{
	struct walk walk = { .comparison = comparison, .path = BUFFER_EMPTY };
	struct value_reader left = value_reader(expected->data, expected->size);
	struct value_reader right = value_reader(got->data, got->size);
	struct item a, b;
	bool has_left = read_item(&left, &a), has_right = read_item(&right, &b);
	if (has_left && has_right)
		compare(&walk, &a, &b);
	else if (has_left || has_right)
		report(&walk, has_left ? &a : NULL, has_right ? &b : NULL);
	if (walk.differences > DIFFERENCES_MAX) {
		char text[60];
		snprintf(text, sizeof(text), "%zu more differences",
			walk.differences - DIFFERENCES_MAX);
		comparison->report(comparison->context, text);
	}
	buffer_finish(&walk.path);
	return walk.differences;
}
