/* SPDX-License-Identifier: Apache-2.0 */
#include "script/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "script/readonly.h"
#include "script/sandbox.h"
#include "util/alloc.h"

/* Where a value stands in what is being encoded, from the inside out. */
struct spot {
	const struct spot *up;
	const char *name; /* NULL: an item of a list */
	lua_Integer item;
};

struct encoder {
	lua_State *L;
	struct sandbox *box;
	struct buffer *out;
	size_t begin, limit;
};

/* A pair of a map within the output, while the map's order is not settled. */
struct entry {
	uint32_t offset, size;
};

static size_t print_path(const struct spot *spot, char *text, size_t room)
{
	size_t at = spot->up ? print_path(spot->up, text, room) : 0;
	int size;
	if (!spot->name)
		size = snprintf(text + at, room - at, "[%lld]", (long long)spot->item);
	else
		size = snprintf(text + at, room - at, "%s%.60s", spot->up ? "." : "", spot->name);
	at += (size_t)size;
	return at < room ? at : room - 1;
}

static void refuse(const struct encoder *encoder, const struct spot *spot, const char *why)
{
	char path[200];
	print_path(spot, path, sizeof(path));
	sandbox_fail(encoder->L, "%s %s", path, why);
}

static void check_size(const struct encoder *encoder, const struct spot *spot, size_t more)
{
	if (encoder->out->size - encoder->begin + more <= encoder->limit)
		return;
	while (spot->up)
		spot = spot->up;
	char why[80];
	snprintf(why, sizeof(why), "is more than %zu bytes of data", encoder->limit);
	refuse(encoder, spot, why);
}

static void put_any(
	struct encoder *encoder, int index, const struct spot *spot, enum values_shape shape);

static void put_number(struct encoder *encoder, int index, const struct spot *spot)
{
	if (lua_isinteger(encoder->L, index)) {
		value_put_integer(encoder->out, lua_tointeger(encoder->L, index));
		return;
	}
	double real = lua_tonumber(encoder->L, index);
	if (isnan(real))
		refuse(encoder, spot, "is not a number (NaN): JSON has none; leave it out");
	if (isinf(real))
		refuse(encoder, spot, "is infinite: JSON cannot say so; leave it out");
	value_put_real(encoder->out, real);
}

static void put_string(struct encoder *encoder, int index, const struct spot *spot)
{
	size_t size;
	const char *text = lua_tolstring(encoder->L, index, &size);
	check_size(encoder, spot, size + 6);
	value_put_string(encoder->out, text, size);
}

static int compare(const void *a, const void *b, void *data)
{
	/* tag, 32-bit length, bytes: as value_put_string() writes a key */
	const uint8_t *left = (const uint8_t *)data + ((const struct entry *)a)->offset + 1;
	const uint8_t *right = (const uint8_t *)data + ((const struct entry *)b)->offset + 1;
	uint32_t left_size, right_size;
	memcpy(&left_size, left, sizeof(left_size));
	memcpy(&right_size, right, sizeof(right_size));
	int order = memcmp(left + 4, right + 4, left_size < right_size ? left_size : right_size);
	return order ? order : (left_size > right_size) - (left_size < right_size);
}

/* Brings the pairs that were written last, count of them, into the order of their keys. */
static void sort_pairs(struct encoder *encoder, size_t count)
{
	struct buffer *out = encoder->out, *sorted = &encoder->box->sorted;
	struct entry *entries = (struct entry *)encoder->box->entries.data +
		encoder->box->entries.size / sizeof(struct entry) - count;
	size_t begin = entries[0].offset;
	if (count > 16) {
		qsort_r(entries, count, sizeof(*entries), compare, out->data);
	} else {
		for (size_t i = 1; i < count; i++) {
			struct entry entry = entries[i];
			size_t at = i;
			for (; at && compare(&entries[at - 1], &entry, out->data) > 0; at--)
				entries[at] = entries[at - 1];
			entries[at] = entry;
		}
	}
	buffer_clear(sorted);
	for (size_t i = 0; i < count; i++)
		buffer_put(sorted, out->data + entries[i].offset, entries[i].size);
	memcpy(out->data + begin, sorted->data, sorted->size);
}

/* The pairs of the table at index, whose keys are to be strings; the first key stands on top. */
static void put_map(struct encoder *encoder, int index, const struct spot *spot)
{
	lua_State *L = encoder->L;
	struct buffer *entries = &encoder->box->entries;
	size_t header = value_begin_map(encoder->out), outer = entries->size;
	uint32_t count = 0;
	lua_pushnil(L);
	while (lua_next(L, index)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			refuse(encoder, spot,
				"mixes named keys with others: a list has the items 1 to n only, a "
				"map has strings for keys");
		struct entry entry = { .offset = (uint32_t)encoder->out->size };
		struct spot inside = { spot, lua_tostring(L, -2), 0 };
		put_string(encoder, -2, &inside);
		put_any(encoder, lua_gettop(L), &inside, VALUES_ANY);
		entry.size = (uint32_t)encoder->out->size - entry.offset;
		buffer_put(entries, &entry, sizeof(entry));
		count++;
		lua_pop(L, 1);
	}
	value_end(encoder->out, header, count);
	if (count > 1)
		sort_pairs(encoder, count);
	entries->size = outer;
}

static const char holes[] =
	"has holes or mixes a list with named keys: a list has the items 1 to n "
	"only, a map has strings for keys";

static void put_list(struct encoder *encoder, int index, const struct spot *spot, size_t count)
{
	lua_State *L = encoder->L;
	/* As many keys as items, then it has nothing else. */
	size_t keys = 0;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		sandbox_charge(L, 1);
		if (++keys > count)
			refuse(encoder, spot, holes);
	}
	check_size(encoder, spot, count);
	value_put_list(encoder->out, (uint32_t)count);
	for (size_t i = 1; i <= count; i++) {
		struct spot inside = { spot, NULL, (lua_Integer)i };
		if (lua_rawgeti(L, index, (lua_Integer)i) == LUA_TNIL)
			refuse(encoder, spot, holes);
		put_any(encoder, lua_gettop(L), &inside, VALUES_ANY);
		lua_pop(L, 1);
	}
}

static void put_table(
	struct encoder *encoder, int index, const struct spot *spot, enum values_shape shape)
{
	lua_State *L = encoder->L;
	int depth = 0;
	for (const struct spot *up = spot->up; up; up = up->up)
		depth++;
	if (depth >= VALUE_DEPTH_MAX)
		refuse(encoder, spot, "is nested too deeply, or contains itself");
	luaL_checkstack(L, 8, NULL);
	lua_pushvalue(L, index);
	readonly_unwrap(L);
	int table = lua_gettop(L);
	size_t count = lua_rawlen(L, table);
	if (count && shape == VALUES_MAP)
		refuse(encoder, spot, "is a list: it must have names for keys");
	if (count) {
		put_list(encoder, table, spot, count);
	} else {
		lua_pushnil(L);
		bool empty = !lua_next(L, table);
		lua_settop(L, table);
		if (empty && shape == VALUES_ANY)
			value_put_list(encoder->out, 0);
		else
			put_map(encoder, table, spot);
	}
	lua_settop(L, table - 1);
}

static void put_any(
	struct encoder *encoder, int index, const struct spot *spot, enum values_shape shape)
{
	lua_State *L = encoder->L;
	char why[80];
	sandbox_charge(L, 1);
	int type = lua_type(L, index);
	if (shape == VALUES_MAP && type != LUA_TTABLE) {
		snprintf(why, sizeof(why), "is a %s: it must be a table", lua_typename(L, type));
		refuse(encoder, spot, why);
	}
	if (type == LUA_TBOOLEAN) {
		value_put_bool(encoder->out, lua_toboolean(L, index));
	} else if (type == LUA_TNUMBER) {
		put_number(encoder, index, spot);
	} else if (type == LUA_TSTRING) {
		put_string(encoder, index, spot);
	} else if (type == LUA_TTABLE) {
		put_table(encoder, index, spot, shape);
	} else if (values_is_null(L, index)) {
		value_put_null(encoder->out);
	} else {
		snprintf(why, sizeof(why), "is a %s: only plain data can leave a script",
			lua_typename(L, type));
		refuse(encoder, spot, why);
	}
	check_size(encoder, spot, 0);
}

void values_put(lua_State *L, int index, struct buffer *out, size_t limit, enum values_shape shape,
	const char *what)
{
	struct sandbox *box = sandbox_of(L);
	struct encoder encoder = { L, box, out, out->size, limit };
	struct spot root = { NULL, what, 0 };
	box->entries.size = 0;
	put_any(&encoder, lua_absindex(L, index), &root, shape);
}

/* ---- to Lua --------------------------------------------------------------------------------- */

bool values_is_null(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, index);
}

void values_push_null(lua_State *L)
{
	lua_pushlightuserdata(L, NULL);
}

static int hint(size_t count)
{
	return count < 1024 ? (int)count : 1024;
}

static void push_list(lua_State *L, struct value_reader *reader, size_t count)
{
	lua_createtable(L, hint(count), 0);
	for (size_t i = 1; i <= count; i++) {
		values_push(L, reader);
		lua_rawseti(L, -2, (lua_Integer)i);
	}
}

static void push_map(lua_State *L, struct value_reader *reader, size_t count)
{
	lua_createtable(L, 0, hint(count));
	for (size_t i = 0; i < count; i++) {
		values_push(L, reader);
		values_push(L, reader);
		if (values_is_null(L, -1))
			lua_pop(L, 2);
		else
			lua_rawset(L, -3);
	}
}

void values_push(lua_State *L, struct value_reader *reader)
{
	struct value value;
	sandbox_charge(L, 1);
	luaL_checkstack(L, 6, NULL);
	if (!value_next(reader, &value))
		sandbox_fail(L, "a value handed to the script is damaged");
	switch (value.type) {
	case VALUE_NULL:
		values_push_null(L);
		break;
	case VALUE_FALSE:
	case VALUE_TRUE:
		lua_pushboolean(L, value.type == VALUE_TRUE);
		break;
	case VALUE_INTEGER:
		lua_pushinteger(L, value.integer);
		break;
	case VALUE_REAL:
		lua_pushnumber(L, value.real);
		break;
	case VALUE_STRING:
		lua_pushlstring(L, value.text, value.size);
		break;
	case VALUE_LIST:
		push_list(L, reader, value.size);
		break;
	case VALUE_MAP:
		push_map(L, reader, value.size);
		break;
	}
}
