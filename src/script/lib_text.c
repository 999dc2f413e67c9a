/* SPDX-License-Identifier: Apache-2.0 */
/* Text without patterns (those can take exponential time), and sorting that always ends. */
#include "script/library.h"

#include <ctype.h>
#include <string.h>

#include <lauxlib.h>

#include "script/sandbox.h"

#define BYTES_PER_STEP 8

/* rep(text, count [, between]) */
static int rep(lua_State *L)
{
	size_t size, between_size;
	const char *text = luaL_checklstring(L, 1, &size);
	lua_Integer count = luaL_checkinteger(L, 2);
	const char *between = luaL_optlstring(L, 3, "", &between_size);
	if (count < 1) {
		lua_pushliteral(L, "");
		return 1;
	}
	if (size > SANDBOX_STRING_MAX || between_size > SANDBOX_STRING_MAX ||
		(size + between_size &&
			count > SANDBOX_STRING_MAX / (lua_Integer)(size + between_size)))
		return luaL_error(
			L, "rep: the result would be longer than %d bytes", SANDBOX_STRING_MAX);
	sandbox_charge(L, (uint64_t)count * (size + between_size) / BYTES_PER_STEP);
	if (!(size + between_size))
		count = 1;
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	for (lua_Integer i = 0; i < count; i++) {
		if (i)
			luaL_addlstring(&buffer, between, between_size);
		luaL_addlstring(&buffer, text, size);
	}
	luaL_pushresult(&buffer);
	return 1;
}

/* Where what stands in text from begin on, or NULL; charges for the bytes looked at. */
static const char *search(
	lua_State *L, const char *begin, const char *end, const char *what, size_t size)
{
	const char *found = memmem(begin, (size_t)(end - begin), what, size);
	sandbox_charge(L,
		(size_t)((found ? found : end) - begin) / BYTES_PER_STEP + size / BYTES_PER_STEP);
	return found;
}

/* find(text, what [, from]): the first and last place of what, or nil. */
static int find(lua_State *L)
{
	size_t size, what_size;
	const char *text = luaL_checklstring(L, 1, &size);
	const char *what = luaL_checklstring(L, 2, &what_size);
	lua_Integer from = luaL_optinteger(L, 3, 1);
	if (from < 0)
		from = from < -(lua_Integer)size ? 1 : (lua_Integer)size + from + 1;
	if (from < 1)
		from = 1;
	const char *found = NULL;
	if (from <= (lua_Integer)size + 1)
		found = search(L, text + from - 1, text + size, what, what_size);
	if (!found) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushinteger(L, found - text + 1);
	lua_pushinteger(L, found - text + (lua_Integer)what_size);
	return 2;
}

/* split(text, separator [, most]): a list; the last of `most` items holds all the rest. */
static int split(lua_State *L)
{
	size_t size, what_size;
	const char *text = luaL_checklstring(L, 1, &size), *end = text + size;
	const char *what = luaL_checklstring(L, 2, &what_size);
	lua_Integer most = luaL_optinteger(L, 3, LUA_MAXINTEGER);
	luaL_argcheck(L, what_size > 0, 2, "the separator is empty");
	luaL_argcheck(L, most > 0, 3, "at least 1");
	lua_newtable(L);
	lua_Integer count = 1;
	for (; count < most; count++) {
		const char *found = search(L, text, end, what, what_size);
		if (!found)
			break;
		lua_pushlstring(L, text, (size_t)(found - text));
		lua_rawseti(L, -2, count);
		text = found + what_size;
	}
	lua_pushlstring(L, text, (size_t)(end - text));
	lua_rawseti(L, -2, count);
	return 1;
}

static bool is_blank(char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static int trim(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);
	sandbox_charge(L, size / BYTES_PER_STEP);
	while (size && is_blank(text[size - 1]))
		size--;
	while (size && is_blank(*text)) {
		text++;
		size--;
	}
	lua_pushlstring(L, text, size);
	return 1;
}

static int starts(lua_State *L)
{
	size_t size, what_size;
	const char *text = luaL_checklstring(L, 1, &size);
	const char *what = luaL_checklstring(L, 2, &what_size);
	sandbox_charge(L, what_size / BYTES_PER_STEP);
	lua_pushboolean(L, what_size <= size && memcmp(text, what, what_size) == 0);
	return 1;
}

static int ends(lua_State *L)
{
	size_t size, what_size;
	const char *text = luaL_checklstring(L, 1, &size);
	const char *what = luaL_checklstring(L, 2, &what_size);
	sandbox_charge(L, what_size / BYTES_PER_STEP);
	lua_pushboolean(
		L, what_size <= size && memcmp(text + size - what_size, what, what_size) == 0);
	return 1;
}

/* ---- sort ----------------------------------------------------------------------------------- */

/* Whether the item at the top goes before the one below it; takes both off. */
static bool less(lua_State *L, int function)
{
	bool before;
	if (lua_isnil(L, function)) {
		sandbox_charge(L,
			2 +
				(lua_type(L, -1) == LUA_TSTRING ? lua_rawlen(L, -1) / BYTES_PER_STEP
								: 0));
		before = lua_compare(L, -1, -2, LUA_OPLT);
		lua_pop(L, 2);
		return before;
	}
	sandbox_charge(L, 4);
	lua_pushvalue(L, function);
	lua_insert(L, -3);
	lua_insert(L, -2);
	lua_call(L, 2, 1);
	before = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return before;
}

/* Merges from[low, middle) and from[middle, high) into to[low, high); tables at their indexes. */
static void merge(
	lua_State *L, int from, int to, lua_Integer low, lua_Integer middle, lua_Integer high)
{
	lua_Integer left = low, right = middle;
	for (lua_Integer at = low; at < high; at++) {
		bool take_right = left >= middle;
		if (!take_right && right < high) {
			lua_rawgeti(L, from, left);
			lua_rawgeti(L, from, right);
			take_right = less(L, 2);
		}
		sandbox_charge(L, 1);
		lua_rawgeti(L, from, take_right ? right++ : left++);
		lua_rawseti(L, to, at);
	}
}

/*
 * sort(list [, less]): in place, stable.  A merge sort makes n log n comparisons whatever they say,
 * and it works on copies, so that a function which changes the list disturbs nothing.
 */
static int sort(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_Integer count = luaL_len(L, 1);
	sandbox_charge(L, (uint64_t)count * 4);
	int from = 3, to = 4;
	lua_createtable(L, (int)(count < 4096 ? count : 4096), 0);
	lua_createtable(L, (int)(count < 4096 ? count : 4096), 0);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_geti(L, 1, i);
		lua_rawseti(L, from, i);
	}
	for (lua_Integer width = 1; width < count; width *= 2) {
		for (lua_Integer low = 1; low <= count; low += 2 * width) {
			lua_Integer middle = low + width, high = middle + width;
			merge(L, from, to, low, middle <= count ? middle : count + 1,
				high <= count ? high : count + 1);
		}
		int swap = from;
		from = to;
		to = swap;
	}
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(L, from, i);
		lua_seti(L, 1, i);
	}
	lua_settop(L, 1);
	return 1;
}

const struct library_function library_text[] = {
	{ "rep", rep },
	{ "find", find },
	{ "split", split },
	{ "trim", trim },
	{ "starts", starts },
	{ "ends", ends },
	{ "sort", sort },
	{ NULL },
};
