/* SPDX-License-Identifier: Apache-2.0 */
/* Values checked against the tables of keys of a plugin, in the form that plugins take. */
#include "core/plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "util/alloc.h"
#include "util/hex.h"

/* What one call works on. */
struct check {
	const struct eb_key *keys;
	const char *const *others;
	enum settings_source source;
	struct place place;
	struct problems *problems;
	struct eb_value *spare; /* room for the next list's items */
};

static const char *const error_classes[EB_ERROR_CLASSES] = {
	[EB_NONE] = "none",
	[EB_TIMEOUT] = "timeout",
	[EB_LATE] = "late",
	[EB_FOREIGN] = "foreign",
	[EB_CRC] = "crc",
	[EB_SHORT] = "short",
	[EB_EXCEPTION] = "exception",
	[EB_ECHO] = "echo",
	[EB_LINK] = "link",
};

const char *error_class_name(uint32_t error_class)
{
	return error_class < EB_ERROR_CLASSES ? error_classes[error_class] : "unknown";
}

static const struct eb_key *find_key(const struct eb_key *keys, const char *name)
{
	for (; keys && keys->name; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

static bool is_other(const char *const *others, const char *name)
{
	for (; others && *others; others++) {
		if (strcmp(*others, name) == 0)
			return true;
	}
	return false;
}

static void report_unknown(const struct check *check, const char *name)
{
	OWNED_BUFFER known = BUFFER_EMPTY;
	for (const struct eb_key *key = check->keys; key && key->name; key++)
		buffer_printf(&known, "%s%s", known.size ? ", " : "", key->name);
	for (const char *const *other = check->others; other && *other; other++)
		buffer_printf(&known, "%s%s", known.size ? ", " : "", *other);
	problem_error(check->problems, check->place, "\"%s\" is not known here: known %s %s", name,
		known.size ? "are" : "is", known.size ? buffer_text(&known) : "nothing");
}

static const char *value_name(enum value_type type)
{
	static const char *const names[] = { "null", "a boolean", "a boolean", "an integer",
		"a real number", "a text", "a list", "a group" };
	return names[type];
}

static void put_types(struct buffer *text, const struct check *check, uint32_t types)
{
	static const char *const names[] = { "an integer", "a number", "a boolean (true, false)",
		"a text", "bytes", "a list" };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!(types & 1u << i))
			continue;
		buffer_printf(text, "%s%s", text->size ? " or " : "", names[i]);
		if (1u << i == EB_BYTES)
			buffer_put_text(text,
				check->source == SETTINGS_CONFIGURATION
					? " (a text of hexadecimal digits)"
					: " (a string)");
	}
}

static int refuse_type(const struct check *check, const struct eb_key *key, enum value_type type)
{
	OWNED_BUFFER types = BUFFER_EMPTY;
	put_types(&types, check, key->types);
	problem_error(check->problems, check->place, "%s is %s, it must be %s", key->name,
		value_name(type), buffer_text(&types));
	return -EINVAL;
}

/* item: the number of the list's item, counted from 1, or 0: the value itself. */
static int take_integer(const struct check *check, const struct eb_key *key, size_t item,
	int64_t integer, struct eb_value *to)
{
	*to = (struct eb_value){ .type = EB_INTEGER, .integer = integer };
	if ((!key->min && !key->max) || (integer >= key->min && integer <= key->max))
		return 0;
	if (item)
		problem_error(check->problems, check->place,
			"%s: item %zu is %" PRId64 ", it must be %" PRId64 " to %" PRId64,
			key->name, item, integer, key->min, key->max);
	else
		problem_error(check->problems, check->place,
			"%s is %" PRId64 ", it must be %" PRId64 " to %" PRId64, key->name, integer,
			key->min, key->max);
	return -EINVAL;
}

static int take_real(
	const struct check *check, const struct eb_key *key, double real, struct eb_value *to)
{
	*to = (struct eb_value){ .type = EB_REAL, .real = real };
	if (isfinite(real))
		return 0;
	problem_error(check->problems, check->place, "%s is no finite number", key->name);
	return -EINVAL;
}

/* Lua's 42.0 is meant as 42. */
static bool integral(double real)
{
	return real >= -0x1p63 && real < 0x1p63 && real == floor(real);
}

static int check_choice(const struct check *check, const struct eb_key *key, const char *text)
{
	if (!key->choices)
		return 0;
	size_t size = strlen(text);
	for (const char *choice = key->choices;;) {
		size_t length = strcspn(choice, "|");
		if (length == size && memcmp(choice, text, size) == 0)
			return 0;
		if (!choice[length])
			break;
		choice += length + 1;
	}
	problem_error(check->problems, check->place, "%s is \"%s\", it must be one of %s",
		key->name, text, key->choices);
	return -EINVAL;
}

static int take_text(const struct check *check, const struct eb_key *key, const struct value *value,
	struct eb_value *to)
{
	*to = (struct eb_value){ .type = EB_TEXT, .data = value->text, .size = value->size };
	if (memchr(value->text, 0, value->size)) {
		problem_error(check->problems, check->place, "%s: a text cannot hold a NUL byte",
			key->name);
		return -EINVAL;
	}
	return check_choice(check, key, value->text);
}

/* The digits give way to the bytes that they mean, in the copy that the settings own. */
static int take_hex(const struct check *check, const struct eb_key *key, const struct value *value,
	struct eb_value *to)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	if (strlen(value->text) != value->size || hex_parse(&bytes, value->text) < 0) {
		problem_error(check->problems, check->place,
			"%s must be pairs of hexadecimal digits, like \"01 fe\"", key->name);
		return -EINVAL;
	}
	char *room = (char *)(uintptr_t)value->text;
	if (bytes.size)
		memcpy(room, bytes.data, bytes.size);
	room[bytes.size] = 0;
	*to = (struct eb_value){ .type = EB_BYTES, .data = room, .size = bytes.size };
	return 0;
}

static int take_string(const struct check *check, const struct eb_key *key,
	const struct value *value, struct eb_value *to)
{
	if (key->types & EB_TEXT)
		return take_text(check, key, value, to);
	if (!(key->types & EB_BYTES))
		return refuse_type(check, key, VALUE_STRING);
	if (check->source == SETTINGS_CONFIGURATION)
		return take_hex(check, key, value, to);
	*to = (struct eb_value){ .type = EB_BYTES, .data = value->text, .size = value->size };
	return 0;
}

static int take_item(const struct check *check, const struct eb_key *key, size_t number,
	const struct value *item, struct eb_value *to)
{
	bool ranged = key->min || key->max;
	switch (item->type) {
	case VALUE_INTEGER:
		return take_integer(check, key, number, item->integer, to);
	case VALUE_REAL:
		if (ranged && integral(item->real))
			return take_integer(check, key, number, (int64_t)item->real, to);
		if (!ranged)
			return take_real(check, key, item->real, to);
		break;
	case VALUE_FALSE:
	case VALUE_TRUE:
		*to = (struct eb_value){ .type = EB_BOOLEAN, .integer = item->integer };
		return 0;
	case VALUE_STRING:
		if (!ranged)
			return take_text(check, key, item, to);
		break;
	default:
		break;
	}
	problem_error(check->problems, check->place, "%s: item %zu is %s, it must be %s", key->name,
		number, value_name(item->type),
		ranged ? "an integer" : "a number, a boolean or a text");
	return -EINVAL;
}

static int take_list(struct check *check, const struct eb_key *key, struct value_reader *reader,
	size_t count, struct eb_value *to)
{
	struct eb_value *items = check->spare;
	check->spare += count;
	*to = (struct eb_value){ .type = EB_LIST, .count = (uint32_t)count, .items = items };
	int result = 0;
	for (size_t i = 0; i < count; i++) {
		struct value_reader begin = *reader;
		struct value item;
		value_next(reader, &item);
		/* A list in the list is refused as one item, with all that it holds. */
		*reader = begin;
		value_skip(reader);
		if (result == 0)
			result = take_item(check, key, i + 1, &item, &items[i]);
	}
	return result;
}

static int take_number(const struct check *check, const struct eb_key *key,
	const struct value *value, struct eb_value *to)
{
	if (value->type == VALUE_INTEGER && key->types & EB_INTEGER)
		return take_integer(check, key, 0, value->integer, to);
	if (value->type == VALUE_INTEGER && key->types & EB_REAL)
		return take_real(check, key, (double)value->integer, to);
	if (value->type == VALUE_REAL && key->types & EB_REAL)
		return take_real(check, key, value->real, to);
	if (value->type == VALUE_REAL && key->types & EB_INTEGER && integral(value->real))
		return take_integer(check, key, 0, (int64_t)value->real, to);
	return refuse_type(check, key, value->type);
}

/* Takes the reader behind the value, whatever becomes of it. */
static int take(struct check *check, const struct eb_key *key, struct value_reader *reader,
	struct eb_value *to)
{
	struct value_reader inside = *reader;
	struct value value;
	value_next(&inside, &value);
	value_skip(reader);
	switch (value.type) {
	case VALUE_INTEGER:
	case VALUE_REAL:
		return take_number(check, key, &value, to);
	case VALUE_FALSE:
	case VALUE_TRUE:
		if (!(key->types & EB_BOOLEAN))
			break;
		*to = (struct eb_value){ .type = EB_BOOLEAN, .integer = value.integer };
		return 0;
	case VALUE_STRING:
		return take_string(check, key, &value, to);
	case VALUE_MAP: /* Lua's {} may mean either */
	case VALUE_LIST:
		if (!(key->types & EB_LIST) || (value.type == VALUE_MAP && value.size))
			break;
		return take_list(check, key, &inside, value.size, to);
	case VALUE_NULL:
		break;
	}
	return refuse_type(check, key, value.type);
}

static const struct eb_setting *find_setting(const struct eb_settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->items[i].key, name) == 0)
			return &settings->items[i];
	}
	return NULL;
}

static int check_required(const struct check *check, const struct eb_settings *settings)
{
	int result = 0;
	for (const struct eb_key *key = check->keys; key && key->name; key++) {
		if (!(key->flags & EB_REQUIRED) || find_setting(settings, key->name))
			continue;
		problem_error(check->problems, check->place, "%s is missing%s%s", key->name,
			key->help ? ": " : "", key->help ? key->help : "");
		result = -EINVAL;
	}
	return result;
}

/* How many items the lists of the map hold together. */
static size_t count_items(struct value_reader reader)
{
	struct value pairs, key, value;
	size_t count = 0;
	value_next(&reader, &pairs);
	for (size_t i = 0; i < pairs.size; i++) {
		value_next(&reader, &key);
		struct value_reader header = reader;
		value_next(&header, &value);
		if (value.type == VALUE_LIST)
			count += value.size;
		value_skip(&reader);
	}
	return count;
}

static int take_pairs(struct check *check, struct value_reader reader, struct eb_setting *items,
	struct eb_settings *view)
{
	struct value pairs, name;
	int result = 0;
	view->items = items;
	value_next(&reader, &pairs);
	for (size_t i = 0; i < pairs.size; i++) {
		value_next(&reader, &name);
		const struct eb_key *key = find_key(check->keys, name.text);
		if (!key) {
			if (!is_other(check->others, name.text)) {
				report_unknown(check, name.text);
				result = -EINVAL;
			}
			value_skip(&reader);
			continue;
		}
		if (find_setting(view, key->name)) {
			problem_error(check->problems, check->place, "%s stands twice", key->name);
			result = -EINVAL;
			value_skip(&reader);
			continue;
		}
		struct eb_setting *setting = &items[view->count++];
		setting->key = key->name;
		int taken = take(check, key, &reader, &setting->value);
		result = taken < 0 ? taken : result;
	}
	return result;
}

int settings_from_value(struct settings *settings, const struct eb_key *keys,
	const char *const *others, const void *map, size_t size, enum settings_source source,
	struct place place, struct problems *problems)
{
	struct check check = { .keys = keys,
		.others = others,
		.source = source,
		.place = place,
		.problems = problems };
	struct value_reader reader = value_reader(map, size);
	struct value pairs = { .type = VALUE_NULL };
	/* An empty list is Lua's empty table: no settings at all. */
	if (!value_valid(map, size) || !value_next(&reader, &pairs) ||
		(pairs.type != VALUE_MAP && (pairs.type != VALUE_LIST || pairs.size))) {
		problem_error(problems, place, "a group of settings is expected, not %s",
			value_name(pairs.type));
		return -EINVAL;
	}
	/* One block: the settings, the items of their lists, and the texts that both point into. */
	size_t items = count_items(value_reader(map, size));
	size_t head = pairs.size * sizeof(struct eb_setting) + items * sizeof(struct eb_value);
	uint8_t *memory OWNED = must_alloc(head + size);
	struct eb_setting *first = (struct eb_setting *)(void *)memory;
	check.spare = (struct eb_value *)(void *)(first + pairs.size);
	memcpy(memory + head, map, size);
	*settings = (struct settings){ .memory = NULL };
	int result = take_pairs(&check, value_reader(memory + head, size), first, &settings->view);
	int required = check_required(&check, &settings->view);
	if (result < 0 || required < 0) {
		settings->view = (struct eb_settings){ .count = 0 };
		return -EINVAL;
	}
	settings->memory = TAKE(memory);
	return 0;
}

void settings_finish(struct settings *settings)
{
	free(settings->memory);
	*settings = (struct settings){ .memory = NULL };
}
