/* SPDX-License-Identifier: Apache-2.0 */
#include "script/results.h"

#include <stdio.h>
#include <string.h>

#include "script/values.h"
#include "util/alloc.h"
#include "util/value.h"

#define NAME_MAX_BYTES 128
#define ATTRIBUTES_MAX 200
#define QUALITY_MAX 9
#define WARNINGS_MAX 8
#define WARNING_MAX_BYTES 200

void reports_finish(struct reports *reports)
{
	for (size_t i = 0; i < reports->count; i++)
		report_release(reports->items[i]);
	for (size_t i = 0; i < reports->warning_count; i++)
		free(reports->warnings[i]);
	free(reports->items);
	free(reports->warnings);
	*reports = (struct reports){ 0 };
}

struct report *results_add(
	struct results *results, enum report_kind kind, const void *data, size_t size)
{
	struct reports *reports = results->reports;
	struct report *report = report_create(results->device, kind, &results->stamp, data, size);
	report->replaces = results->replaces;
	reports->items = must_realloc(
		reports->items, (reports->count + 1) * sizeof(struct report *));
	reports->items[reports->count++] = report;
	return report;
}

/* ---- names and points ----------------------------------------------------------------------- */

/* Identifiers of a model are parts of topics and JSON keys. */
static void check_name(lua_State *L, const char *what, const char *name, size_t size, size_t most)
{
	if (!size || size > most)
		sandbox_fail(L, "%s name '%.40s' has %zu bytes: an identifier has 1 to %zu", what,
			name, size, most);
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)name[i];
		if (byte <= ' ' || byte >= 0x7f || strchr("\"\\/#+?", byte))
			sandbox_fail(L,
				"%s name '%.40s' has a character at place %zu that no identifier "
				"may have: use letters, digits, '_', '-', '.'",
				what, name, i + 1);
	}
}

/* { value = ..., quality = 0 to 9 }; another map is a structured value. */
static void check_quality(
	lua_State *L, const char *name, const struct value *map, struct value_reader inside)
{
	bool has_value = false, has_quality = false;
	struct value key, value;
	for (size_t i = 0; i < map->size; i++) {
		struct value_reader at = inside;
		if (!value_next(&at, &key) || !value_next(&at, &value))
			return;
		bool quality = strcmp(key.text, "quality") == 0;
		has_value |= strcmp(key.text, "value") == 0;
		has_quality |= quality;
		if (quality && map->size == 2 &&
			(value.type != VALUE_INTEGER || value.integer < 0 ||
				value.integer > QUALITY_MAX))
			sandbox_fail(L, "points.%s.quality is to be a whole number from 0 to %d",
				name, QUALITY_MAX);
		value_skip(&inside);
		value_skip(&inside);
	}
	if (has_quality && !has_value)
		sandbox_fail(L,
			"points.%s has a quality but no value: write { value = ..., quality = ... }",
			name);
}

static void check_points(lua_State *L, const struct buffer *data, const char *what)
{
	struct value_reader reader = value_reader(data->data, data->size);
	struct value map, name, value;
	value_next(&reader, &map);
	for (size_t i = 0; i < map.size; i++) {
		value_next(&reader, &name);
		check_name(L, what, name.text, name.size, NAME_MAX_BYTES);
		struct value_reader at = reader;
		value_next(&at, &value);
		if (value.type == VALUE_NULL)
			sandbox_fail(L, "%s.%s is null: leave it out", what, name.text);
		if (value.type == VALUE_MAP)
			check_quality(L, name.text, &value, at);
		value_skip(&reader);
	}
}

/* ---- results -------------------------------------------------------------------------------- */

enum { POINTS = 1, RAW = 2, EVENT = 4, VALUES = 8, ATTRIBUTES = 16 };

static const struct {
	const char *key;
	unsigned bit;
} keys[] = {
	{ "points", POINTS },
	{ "raw", RAW },
	{ "event", EVENT },
	{ "values", VALUES },
	{ "attributes", ATTRIBUTES },
};

/* Which keys the result at index has. */
static unsigned scan(lua_State *L, int index)
{
	unsigned found = 0;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			sandbox_fail(L,
				"mixes a list of results with named keys: return one or the other");
		const char *key = lua_tostring(L, -2);
		size_t i = 0, count = sizeof(keys) / sizeof(*keys);
		while (i < count && strcmp(keys[i].key, key) != 0)
			i++;
		if (i == count)
			sandbox_fail(L,
				"unknown '%.40s' in a result: it has points, raw, event with values, "
				"or attributes",
				key);
		found |= keys[i].bit;
	}
	return found;
}

static void take_map(
	lua_State *L, struct results *job, int index, enum report_kind kind, const char *key)
{
	struct buffer *value = &sandbox_of(L)->value;
	buffer_clear(value);
	lua_getfield(L, index, key);
	if (lua_isnil(L, -1))
		value_put_map(value, 0);
	else
		values_put(L, -1, value, SCRIPT_RESULT_MAX, VALUES_MAP, key);
	check_points(L, value, key);
	struct value map;
	struct value_reader reader = value_reader(value->data, value->size);
	value_next(&reader, &map);
	if (kind == REPORT_ATTRIBUTES && map.size > ATTRIBUTES_MAX)
		sandbox_fail(
			L, "%zu attributes: a message takes at most %d", map.size, ATTRIBUTES_MAX);
	if (map.size || kind == REPORT_EVENT)
		results_add(job, kind, value->data, value->size);
	lua_pop(L, 1);
}

static void take_event(lua_State *L, struct results *job, int index)
{
	size_t size;
	lua_getfield(L, index, "event");
	if (lua_type(L, -1) != LUA_TSTRING)
		sandbox_fail(L, "event is a %s: it is to be the event's identifier",
			luaL_typename(L, -1));
	const char *name = lua_tolstring(L, -1, &size);
	check_name(L, "event", name, size, REPORT_NAME_MAX);
	take_map(L, job, index, REPORT_EVENT, "values");
	memcpy(job->reports->items[job->reports->count - 1]->name, name, size + 1);
	lua_pop(L, 1);
}

static void take_raw(lua_State *L, struct results *job, int index)
{
	size_t size;
	lua_getfield(L, index, "raw");
	if (lua_type(L, -1) != LUA_TSTRING)
		sandbox_fail(L, "raw is a %s: it is to be a string of bytes", luaL_typename(L, -1));
	const char *bytes = lua_tolstring(L, -1, &size);
	results_add(job, REPORT_RAW, bytes, size);
	lua_pop(L, 1);
}

/* The last report counts towards what a reading may give. */
static void count_size(lua_State *L, struct results *job, size_t before)
{
	if (job->reports->count > before)
		job->size += job->reports->items[before]->size;
	if (job->size > SCRIPT_RESULTS_MAX)
		sandbox_fail(L, "gives more than %d bytes of results for one reading",
			SCRIPT_RESULTS_MAX);
}

static void take_result(lua_State *L, struct results *job, int index)
{
	size_t before = job->reports->count;
	unsigned found = scan(L, index);
	if (job->reports->count >= SCRIPT_REPORTS_MAX)
		sandbox_fail(L, "gives more than %d results for one reading", SCRIPT_REPORTS_MAX);
	switch (found) {
	case 0:
		break;
	case POINTS:
		take_map(L, job, index, REPORT_POINTS, "points");
		break;
	case ATTRIBUTES:
		take_map(L, job, index, REPORT_ATTRIBUTES, "attributes");
		break;
	case RAW:
		take_raw(L, job, index);
		break;
	case EVENT:
	case EVENT | VALUES:
		take_event(L, job, index);
		break;
	default:
		sandbox_fail(L,
			"a result has one of points, raw, event (with values) and "
			"attributes: return a list of results for more");
	}
	count_size(L, job, before);
}

static void take_results(lua_State *L, struct results *job, int index)
{
	if (lua_isnil(L, index))
		return;
	if (lua_type(L, index) != LUA_TTABLE)
		sandbox_fail(
			L, "gives a %s: it is to give a table or nil", luaL_typename(L, index));
	size_t count = lua_rawlen(L, index);
	if (!count) {
		take_result(L, job, index);
		return;
	}
	size_t found = 0;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
		if (++found > count)
			sandbox_fail(L,
				"mixes a list of results with named keys: return one or the other");
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(L, index, (lua_Integer)i);
		if (lua_type(L, -1) != LUA_TTABLE)
			sandbox_fail(L, "result %zu is a %s: it is to be a table", i,
				luaL_typename(L, -1));
		take_result(L, job, lua_gettop(L));
		lua_pop(L, 1);
	}
}

/* ---- warnings ------------------------------------------------------------------------------- */

static void take_warning(lua_State *L, struct reports *reports, int index)
{
	size_t size;
	if (lua_type(L, index) != LUA_TSTRING)
		sandbox_fail(L, "a warning is a %s: warnings are texts", luaL_typename(L, index));
	if (reports->warning_count == WARNINGS_MAX)
		sandbox_fail(L, "gives more than %d warnings", WARNINGS_MAX);
	const char *text = lua_tolstring(L, index, &size);
	if (size > WARNING_MAX_BYTES)
		sandbox_fail(L, "a warning has %zu bytes: at most %d", size, WARNING_MAX_BYTES);
	reports->warnings = must_realloc(
		reports->warnings, (reports->warning_count + 1) * sizeof(char *));
	char *copy = must_strdup(text);
	for (char *at = copy; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
	reports->warnings[reports->warning_count++] = copy;
}

static void take_warnings(lua_State *L, struct reports *reports, int index)
{
	if (lua_isnil(L, index))
		return;
	if (lua_type(L, index) != LUA_TTABLE) {
		take_warning(L, reports, index);
		return;
	}
	size_t count = lua_rawlen(L, index);
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(L, index, (lua_Integer)i);
		take_warning(L, reports, lua_gettop(L));
		lua_pop(L, 1);
	}
}

void results_take(lua_State *L, struct results *results, int index)
{
	take_results(L, results, index);
	take_warnings(L, results->reports, index + 1);
}
