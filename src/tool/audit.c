/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "tool/print.h"
#include "tool/verb.h"
#include "util/alloc.h"
#include "util/json.h"

enum column { TIME, DEVICE, ORIGIN, TOPIC, ID, CODE, MS, WHY, COLUMNS };

/* In the daemon's words; the first four and WHY stand as text. */
static const char *const keys[COLUMNS] = { "time", "device", "origin", "topic", "id", "code", "ms",
	"why" };

static char *moment(int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	if (!gmtime_r(&seconds, &parts))
		return must_printf("%jd", (intmax_t)ms);
	return must_printf("%04d-%02d-%02d %02d:%02d:%02d", parts.tm_year + 1900, parts.tm_mon + 1,
		parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

static void put_row(struct table *table, size_t row, const uint8_t *record, size_t size)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		struct value value;
		OWNED_BUFFER cell = BUFFER_EMPTY;
		if (!value_find(record, size, keys[i], &value, NULL))
			continue;
		if (i == TIME && value.type == VALUE_INTEGER) {
			table_put(table, row, i, moment(value.integer));
			continue;
		}
		if (value.type == VALUE_STRING)
			print_text(&cell, value.text, value.size);
		else if (value.type == VALUE_INTEGER)
			json_put_integer(&cell, value.integer);
		table_put(table, row, i, must_strdup(buffer_text(&cell)));
	}
}

static void print_audit(struct buffer *text, const void *result, size_t size)
{
	struct value_reader reader = value_reader(result, size);
	struct value list;
	struct table table;
	if (!value_next(&reader, &list) || list.type != VALUE_LIST)
		return;
	table_init(&table, COLUMNS, list.size);
	for (size_t i = 0; i < COLUMNS; i++)
		table_put(&table, 0, i, must_strdup(keys[i]));
	table.right[CODE] = table.right[MS] = true;
	for (size_t i = 0; i < list.size; i++) {
		const uint8_t *record;
		size_t record_size;
		if (!value_item(&reader, &record, &record_size))
			break;
		put_row(&table, i + 1, record, record_size);
	}
	if (list.size)
		table_print(text, &table, 0);
	else
		buffer_put_text(text, "no commands\n");
	table_finish(&table);
}

const struct verb verb_audit = {
	.name = "audit",
	.argument = "[NAME]",
	.optional = true,
	.key = "name",
	.counted = true,
	.summary = "the last commands, the newest first: who, what, and what came of it",
	.wait_ms = 10000,
	.print = print_audit,
};
