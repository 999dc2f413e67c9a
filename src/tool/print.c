/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/print.h"

#include <string.h>
#include <time.h>

#include "util/alloc.h"
#include "util/json.h"

/* An integer of a key that names a moment, in ms above this (March 1973), is one and not a span. */
#define MOMENT_MIN_MS INT64_C(100000000000)
#define MOMENT_MAX_MS INT64_C(253402300799999) /* the year 9999 */

/* A pair of a map, or an item of a list (key NULL). */
struct item {
	const char *key;
	struct value value;
	const uint8_t *data; /* the whole encoding of the value */
	size_t size;
};

static bool next_item(struct value_reader *reader, bool map, struct item *item)
{
	struct value key = { .text = NULL };
	if (map && (!value_next(reader, &key) || key.type != VALUE_STRING))
		return false;
	struct value_reader peek = *reader;
	if (!value_next(&peek, &item->value))
		return false;
	item->key = key.text;
	item->data = reader->at;
	if (!value_skip(reader))
		return false;
	item->size = (size_t)(reader->at - item->data);
	return true;
}

/* The items of the list or map at data.  False where it is neither. */
static bool begin(const void *data, size_t size, struct value_reader *reader, struct value *header)
{
	*reader = value_reader(data, size);
	return value_next(reader, header) &&
		(header->type == VALUE_LIST || header->type == VALUE_MAP);
}

static bool is_scalar(const struct item *item)
{
	return item->value.type != VALUE_LIST && item->value.type != VALUE_MAP;
}

static bool all_items(const struct item *of, bool (*test)(const struct item *item))
{
	struct value_reader reader;
	struct value header;
	struct item item;
	if (!begin(of->data, of->size, &reader, &header))
		return false;
	for (size_t i = 0; i < header.size; i++) {
		if (!next_item(&reader, header.type == VALUE_MAP, &item) || !test(&item))
			return false;
	}
	return true;
}

static bool is_map(const struct item *item)
{
	return item->value.type == VALUE_MAP;
}

static bool is_integer(const struct item *item)
{
	return item->value.type == VALUE_INTEGER;
}

static bool is_table(const struct item *item)
{
	return item->value.type == VALUE_LIST && item->value.size && all_items(item, is_map);
}

/* Whether it reads well in the line of its key. */
static bool fits_line(const struct item *item)
{
	return is_scalar(item) || (item->value.size <= 6 && all_items(item, is_scalar));
}

void print_text(struct buffer *text, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];
		bool next_is_c1 = c == 0xc2 && i + 1 < size && (unsigned char)bytes[i + 1] < 0xa0;
		if (next_is_c1)
			i++;
		buffer_put_byte(text, c < 0x20 || c == 0x7f || next_is_c1 ? '?' : c);
	}
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);
	return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static void put_moment(struct buffer *text, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	char date[40];
	gmtime_r(&seconds, &parts);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
	buffer_printf(text, "%s.%03dZ", date, (int)(ms % 1000));
}

static void put_span(struct buffer *text, int64_t s)
{
	if (s >= 86400)
		buffer_printf(text, "%lldd ", (long long)(s / 86400));
	buffer_printf(text, "%lldh %02dm %02ds", (long long)(s % 86400 / 3600),
		(int)(s % 3600 / 60), (int)(s % 60));
}

/* "wall_ms", "time", "health_since", "last_good", ... */
static bool names_moment(const char *key)
{
	static const char *const ends[] = { "_ms", "time", "since", "changed", "_at" };
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		if (ends_with(key, ends[i]))
			return true;
	}
	return strncmp(key, "last_", 5) == 0;
}

static void put_integer(struct buffer *text, const char *key, int64_t integer)
{
	bool moment = key && names_moment(key) && integer > MOMENT_MIN_MS &&
		integer <= MOMENT_MAX_MS;
	if (moment)
		put_moment(text, integer);
	else
		json_put_integer(text, integer);
	if (key && ends_with(key, "_s") && integer >= 60) {
		buffer_put_text(text, " (");
		put_span(text, integer);
		buffer_put_byte(text, ')');
	}
}

/* Without zeros: only the counters that counted something. */
static void put_inline(struct buffer *text, const struct item *list, bool zeros)
{
	struct value_reader reader;
	struct value header;
	struct item item;
	if (!begin(list->data, list->size, &reader, &header))
		return;
	size_t count = 0;
	for (size_t i = 0; i < header.size; i++) {
		if (!next_item(&reader, header.type == VALUE_MAP, &item))
			return;
		if (!zeros && !item.value.integer)
			continue;
		if (count++)
			buffer_put_text(text, ", ");
		if (item.key) {
			print_text(text, item.key, strlen(item.key));
			buffer_put_byte(text, ' ');
		}
		print_cell(text, item.key, item.data, item.size);
	}
	if (!count)
		buffer_put_text(text, "none");
}

void print_cell(struct buffer *text, const char *key, const void *data, size_t size)
{
	struct item item = { .key = key, .data = data, .size = size };
	struct value_reader reader = value_reader(data, size);
	if (!value_next(&reader, &item.value))
		return;
	switch (item.value.type) {
	case VALUE_NULL:
		buffer_put_byte(text, '-');
		return;
	case VALUE_FALSE:
	case VALUE_TRUE:
		buffer_put_text(text, item.value.type == VALUE_TRUE ? "yes" : "no");
		return;
	case VALUE_STRING:
		if (item.value.size)
			print_text(text, item.value.text, item.value.size);
		else
			buffer_put_byte(text, '-');
		return;
	case VALUE_INTEGER:
		put_integer(text, key, item.value.integer);
		return;
	case VALUE_REAL:
		json_put_real(text, item.value.real);
		return;
	default:
		break;
	}
	if (fits_line(&item))
		put_inline(text, &item, true);
	else if (is_map(&item) && all_items(&item, is_integer))
		put_inline(text, &item, false);
	else
		json_print_value(text, data, size);
}

/* ---- a list of maps: a table -------------------------------------------------------------------- */

struct names {
	const char **items;
	size_t count;
};

static size_t name_place(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->items[i], name) == 0)
			return i;
	}
	names->items = must_realloc(names->items, (names->count + 1) * sizeof(*names->items));
	names->items[names->count] = name;
	return names->count++;
}

/* Calls put for each pair of each row. */
static void each_cell(const struct item *list, struct names *names, struct table *table)
{
	struct value_reader rows, pairs;
	struct value header, row;
	struct item item, pair;
	if (!begin(list->data, list->size, &rows, &header))
		return;
	for (size_t i = 0; i < header.size && next_item(&rows, false, &item); i++) {
		begin(item.data, item.size, &pairs, &row);
		for (size_t p = 0; p < row.size && next_item(&pairs, true, &pair); p++) {
			size_t column = name_place(names, pair.key);
			if (!table)
				continue;
			struct buffer cell = BUFFER_EMPTY;
			print_cell(&cell, pair.key, pair.data, pair.size);
			table_put(table, i + 1, column, (char *)buffer_take(&cell));
			bool number = pair.value.type == VALUE_INTEGER ||
				pair.value.type == VALUE_REAL || pair.value.type == VALUE_NULL;
			table->right[column] = table->right[column] && number;
		}
	}
}

static void put_table(struct buffer *text, const struct item *list, unsigned indent)
{
	struct names names = { .items = NULL };
	struct table table;
	each_cell(list, &names, NULL);
	table_init(&table, names.count, list->value.size);
	for (size_t column = 0; column < names.count; column++) {
		struct buffer name = BUFFER_EMPTY;
		print_text(&name, names.items[column], strlen(names.items[column]));
		table_put(&table, 0, column, (char *)buffer_take(&name));
		table.right[column] = true;
	}
	each_cell(list, &names, &table);
	table_print(text, &table, indent);
	table_finish(&table);
	free(names.items);
}

/* ---- a map: a record ---------------------------------------------------------------------------- */

static size_t widest_key(const void *data, size_t size)
{
	struct value_reader reader;
	struct value header;
	struct item item;
	size_t widest = 0;
	begin(data, size, &reader, &header);
	for (size_t i = 0; i < header.size && next_item(&reader, true, &item); i++) {
		if (fits_line(&item) && strlen(item.key) > widest)
			widest = strlen(item.key);
	}
	return widest;
}

static void put_lines(struct buffer *text, const void *data, size_t size, unsigned indent)
{
	struct value_reader reader;
	struct value header;
	struct item item;
	int widest = (int)widest_key(data, size);
	begin(data, size, &reader, &header);
	for (size_t i = 0; i < header.size && next_item(&reader, header.type == VALUE_MAP, &item);
		i++) {
		if (!fits_line(&item))
			continue;
		OWNED_BUFFER key = BUFFER_EMPTY;
		if (item.key)
			print_text(&key, item.key, strlen(item.key));
		buffer_printf(text, "%*s%-*s  ", (int)indent, "", widest, buffer_text(&key));
		print_cell(text, item.key, item.data, item.size);
		buffer_put_byte(text, '\n');
	}
}

static void put_sections(struct buffer *text, const void *data, size_t size, unsigned indent)
{
	struct value_reader reader;
	struct value header;
	struct item item;
	begin(data, size, &reader, &header);
	for (size_t i = 0; i < header.size && next_item(&reader, header.type == VALUE_MAP, &item);
		i++) {
		if (fits_line(&item))
			continue;
		if (item.key) {
			buffer_printf(
				text, "%s%*s", indent || !text->size ? "" : "\n", (int)indent, "");
			print_text(text, item.key, strlen(item.key));
			buffer_put_text(text, ":\n");
		}
		print_value(text, item.data, item.size, indent + 2);
	}
}

void print_value(struct buffer *text, const void *data, size_t size, unsigned indent)
{
	struct item item = { .data = data, .size = size };
	struct value_reader reader = value_reader(data, size);
	if (!value_next(&reader, &item.value))
		return;
	if (is_table(&item)) {
		put_table(text, &item, indent);
		return;
	}
	if (is_scalar(&item) || !item.value.size) {
		buffer_printf(text, "%*s", (int)indent, "");
		print_cell(text, NULL, data, size);
		buffer_put_byte(text, '\n');
		return;
	}
	put_lines(text, data, size, indent);
	put_sections(text, data, size, indent);
}
