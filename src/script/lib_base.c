/* SPDX-License-Identifier: Apache-2.0 */
/* The basic functions, with those of Lua's libraries that a script may have. */
#include "script/library.h"

#include <math.h>
#include <string.h>

#include <lauxlib.h>

#include "script/readonly.h"
#include "script/sandbox.h"
#include "script/values.h"

#define BYTES_PER_STEP 8
#define SEARCH_BYTES_PER_STEP 64
#define VALUES_PER_STEP 4
/* Raising and catching an error. */
#define TRY_STEPS 10
/* Printing a real with hundreds of digits takes 8 µs. */
#define LONG_REAL_STEPS 900
#define REAL_STEPS 40

/* ---- prices --------------------------------------------------------------------------------- */

static uint64_t price_arguments(lua_State *L)
{
	return (uint64_t)lua_gettop(L) / VALUES_PER_STEP;
}

static uint64_t price_bytes(lua_State *L)
{
	uint64_t bytes = 0;
	for (int i = lua_gettop(L); i > 0; i--)
		if (lua_type(L, i) == LUA_TSTRING)
			bytes += lua_rawlen(L, i);
	return bytes / BYTES_PER_STEP + price_arguments(L);
}

/* Optional integer argument of a price; what is wrong is the function's own business. */
static lua_Integer argument(lua_State *L, int index, lua_Integer otherwise)
{
	int valid;
	lua_Integer integer = lua_tointegerx(L, index, &valid);
	return valid ? integer : otherwise;
}

static uint64_t span(lua_Integer first, lua_Integer last)
{
	return first <= last ? (uint64_t)last - (uint64_t)first + 1 : 0;
}

static uint64_t price_byte(lua_State *L)
{
	lua_Integer size = (lua_Integer)lua_rawlen(L, 1), first = argument(L, 2, 1);
	lua_Integer last = argument(L, 3, first);
	if (first < 0)
		first = first < -size ? 1 : size + first + 1;
	if (last < 0)
		last = last < -size ? 0 : size + last + 1;
	return span(first, last < size ? last : size) / VALUES_PER_STEP;
}

/* The parts that are strings are paid for when they are allocated; a 'z' has to be looked for. */
static uint64_t price_unpack(lua_State *L)
{
	const char *format = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : "";
	uint64_t steps = lua_rawlen(L, 1);
	if (strchr(format, 'z') && lua_type(L, 2) == LUA_TSTRING)
		steps += lua_rawlen(L, 2) / SEARCH_BYTES_PER_STEP;
	return steps;
}

static uint64_t price_format_text(lua_State *L)
{
	return lua_rawlen(L, 1) + price_arguments(L);
}

static lua_Integer list_length(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TTABLE ? luaL_len(L, index) : 0;
}

static uint64_t price_concat(lua_State *L)
{
	return span(
		argument(L, 3, 1), lua_isnoneornil(L, 4) ? list_length(L, 1) : argument(L, 4, 0));
}

static uint64_t price_spread(lua_State *L)
{
	return span(
		argument(L, 2, 1), lua_isnoneornil(L, 3) ? list_length(L, 1) : argument(L, 3, 0));
}

static uint64_t price_insert(lua_State *L)
{
	return lua_gettop(L) < 3 ? 0 : span(argument(L, 2, 1), list_length(L, 1));
}

static uint64_t price_remove(lua_State *L)
{
	return lua_gettop(L) < 2 ? 0 : span(argument(L, 2, 1), list_length(L, 1));
}

/* ---- functions of ours that stand in for Lua's ----------------------------------------------- */

const char *library_text_of(lua_State *L, int index)
{
	switch (lua_type(L, index)) {
	case LUA_TSTRING:
	case LUA_TNUMBER:
		lua_pushvalue(L, index);
		break;
	case LUA_TBOOLEAN:
		lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
		break;
	default:
		lua_pushstring(L, values_is_null(L, index) ? "null" : luaL_typename(L, index));
		break;
	}
	return lua_tostring(L, -1);
}

/* Unlike Lua's own it tells no addresses and calls no metamethod. */
static int to_string(lua_State *L)
{
	luaL_checkany(L, 1);
	library_text_of(L, 1);
	return 1;
}

/* try(f, ...): true and the results, or false and the error. */
static int try(lua_State *L)
{
	luaL_checkany(L, 1);
	sandbox_charge(L, TRY_STEPS);
	int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
	if (status != LUA_OK)
		sandbox_rethrow(L, status);
	lua_pushboolean(L, status == LUA_OK);
	lua_insert(L, 1);
	return lua_gettop(L);
}

/* A real of many digits costs far more to print than one of few. */
static uint64_t price_real(lua_State *L, int index, const char *spec, const char *end)
{
	long precision = 0;
	bool fraction = false;
	for (; spec < end; spec++) {
		if (*spec == '.')
			fraction = true;
		else if (fraction && *spec >= '0' && *spec <= '9' && precision < 1000)
			precision = precision * 10 + (*spec - '0');
	}
	return precision > 20 || fabs(lua_tonumber(L, index)) > 1e20 ? LONG_REAL_STEPS : REAL_STEPS;
}

static uint64_t prepare_item(
	lua_State *L, int index, const char *spec, const char *end, char conversion)
{
	switch (conversion) {
	case 'p':
		luaL_error(L, "'%%p' is not there for scripts: addresses mean nothing to them");
		return 0;
	case 's':
		if (index <= lua_gettop(L)) {
			library_text_of(L, index);
			lua_replace(L, index);
		}
		return 1;
	case 'a':
	case 'A':
	case 'e':
	case 'E':
	case 'f':
	case 'F':
	case 'g':
	case 'G':
		return price_real(L, index, spec, end);
	default:
		return 1;
	}
}

/* Turns what '%s' prints into text first, so that no address is told. */
static int format(lua_State *L)
{
	size_t size;
	const char *at = luaL_checklstring(L, 1, &size), *end = at + size;
	uint64_t steps = price_bytes(L);
	luaL_checkstack(L, 4, NULL);
	for (int index = 1; at < end;) {
		if (*at++ != '%')
			continue;
		if (at < end && *at == '%') {
			at++;
			continue;
		}
		const char *spec = at;
		while (at < end && *at && strchr("-+ #0123456789.", *at))
			at++;
		if (at < end)
			steps += prepare_item(L, ++index, spec, at, *at);
	}
	sandbox_charge(L, steps);
	return library_original(L)(L);
}

/* ---- the tables ----------------------------------------------------------------------------- */

const struct library_function library_base[] = {
	{ "assert" },
	{ "error" },
	{ "ipairs" },
	{ "next", readonly_next },
	{ "pairs" },
	{ "select", NULL, price_arguments },
	{ "tonumber", NULL, price_bytes },
	{ "tostring", to_string },
	{ "try", try },
	{ "type" },
	{ NULL },
};

const struct library_function library_string[] = {
	{ "byte", NULL, price_byte },
	{ "char", NULL, price_arguments },
	{ "format", format },
	{ "len" },
	{ "lower", NULL, price_bytes },
	{ "pack", NULL, price_format_text },
	{ "packsize", NULL, price_format_text },
	{ "reverse", NULL, price_bytes },
	{ "sub" },
	{ "unpack", NULL, price_unpack },
	{ "upper", NULL, price_bytes },
	{ NULL },
};

const struct library_function library_table[] = {
	{ "concat", NULL, price_concat },
	{ "insert", NULL, price_insert },
	{ "remove", NULL, price_remove },
	{ "unpack", NULL, price_spread },
	{ NULL },
};

const struct library_function library_utf8[] = {
	{ "char", NULL, price_arguments },
	{ "codepoint", NULL, price_bytes },
	{ "codes", NULL, price_bytes },
	{ "len", NULL, price_bytes },
	{ "offset", NULL, price_bytes },
	{ NULL },
};
