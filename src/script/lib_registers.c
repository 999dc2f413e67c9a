/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registers(bytes [, first]): the bytes of a reading seen as 16-bit registers, by the addresses that
 * stand in the device's manual.  What lies outside is an error that names register and poll.
 */
#include "script/library.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "script/sandbox.h"

#define METATABLE "registers"
#define STRING_REGISTERS_MAX 2048

struct view {
	const char *bytes; /* of the string that is the user value */
	lua_Integer first, count; /* registers */
};

static int registers(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	lua_Integer first = luaL_optinteger(L, 2, 0);
	luaL_argcheck(L, first >= 0 && first <= UINT32_MAX, 2, "an address from 0 on");
	if (size % 2)
		return luaL_error(L, "registers: %d bytes are no whole registers", (int)size);
	struct view *view = lua_newuserdatauv(L, sizeof(*view), 1);
	*view = (struct view){ bytes, first, (lua_Integer)size / 2 };
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, 1);
	luaL_setmetatable(L, METATABLE);
	return 1;
}

static void refuse(lua_State *L, const struct view *view, const char *what, lua_Integer address,
	lua_Integer count)
{
	char range[80] = "there are none", asked[60], poll[80] = "";
	if (view->count)
		snprintf(range, sizeof(range), "there are %lld to %lld", (long long)view->first,
			(long long)(view->first + view->count - 1));
	if (sandbox_of(L)->poll)
		snprintf(poll, sizeof(poll), " in poll '%.60s'", sandbox_of(L)->poll);
	snprintf(asked, sizeof(asked), count > 1 ? "%lld and %lld behind it" : "%lld",
		(long long)address, (long long)count - 1);
	luaL_error(L, "registers: %s needs register %s; %s%s", what, asked, range, poll);
}

/* luaL_checkudata() looks the name up each time, which is half of what a number costs. */
static const struct view *view_of(lua_State *L)
{
	if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) {
		bool ours = lua_topointer(L, -1) == sandbox_of(L)->views;
		lua_pop(L, 1);
		if (ours)
			return lua_touserdata(L, 1);
	}
	return luaL_checkudata(L, 1, METATABLE);
}

/* The bytes of count registers at the address that stands in that argument. */
static const uint8_t *locate(lua_State *L, const char *what, int argument, lua_Integer count)
{
	const struct view *view = view_of(L);
	lua_Integer address = luaL_checkinteger(L, argument);
	if (address < view->first || address - view->first > view->count ||
		view->count - (address - view->first) < count)
		refuse(L, view, what, address, count);
	return (const uint8_t *)view->bytes + (address - view->first) * 2;
}

/* Where the byte of each rank, the highest first, stands among size: "cdab" begins with the third. */
static void take_order(lua_State *L, const char *what, int argument, size_t size, uint8_t places[8])
{
	const char *order = luaL_optstring(L, argument, NULL);
	unsigned seen = 0;
	if (order && strlen(order) != size)
		luaL_error(L, "%s: the order '%s' is to have %d letters", what, order, (int)size);
	for (size_t i = 0; i < size; i++) {
		unsigned place = order ? (unsigned)(order[i] - 'a') : (unsigned)i;
		luaL_argcheck(L, place < size && !(seen & 1u << place), argument,
			"each letter from 'a' on is to stand there once");
		seen |= 1u << place;
		places[i] = (uint8_t)place;
	}
}

/* The unsigned number of size bytes, in the order that the argument says: "abcd" unless given. */
static uint64_t assemble(
	lua_State *L, const char *what, int argument, const uint8_t *bytes, size_t size)
{
	uint8_t places[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	uint64_t number = 0;
	if (!lua_isnoneornil(L, argument))
		take_order(L, what, argument, size, places);
	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[places[i]];
	return number;
}

/* The number at the address in that argument; behind it may stand the order. */
static uint64_t take_at(lua_State *L, const char *what, int argument, size_t size)
{
	const uint8_t *bytes = locate(L, what, argument, (lua_Integer)size / 2);
	return assemble(L, what, argument + 1, bytes, size);
}

static uint64_t take(lua_State *L, const char *what, size_t size)
{
	return take_at(L, what, 2, size);
}

static int get_u16(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)take(L, "u16", 2));
	return 1;
}

static int get_s16(lua_State *L)
{
	lua_pushinteger(L, (int16_t)take(L, "s16", 2));
	return 1;
}

static int get_u32(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)take(L, "u32", 4));
	return 1;
}

static int get_s32(lua_State *L)
{
	lua_pushinteger(L, (int32_t)take(L, "s32", 4));
	return 1;
}

static int get_u64(lua_State *L)
{
	uint64_t number = take(L, "u64", 8);
	if (number > INT64_MAX)
		return luaL_error(L, "u64: the number is beyond 63 bits");
	lua_pushinteger(L, (lua_Integer)number);
	return 1;
}

static int get_s64(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)take(L, "s64", 8));
	return 1;
}

/*
 * The decimal number of the fewest digits that is the same 32-bit float: 230.1, where its exact
 * value is 230.1000061.  An integer below 10^9 and a power of ten up to 10^22 are exact, and so
 * their quotient is the number as it would be read.
 */
static double shorten(float single)
{
	static const double tens[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
	double exact = single;
	if (!isfinite(exact) || exact == 0)
		return exact;
	int exponent = (int)floor(log10(fabs(exact)));
	for (int digits = 6; digits <= 9; digits++) {
		int shift = digits - 1 - exponent;
		if (shift < 0 || shift > 22)
			return exact;
		double short_one = nearbyint(exact * tens[shift]) / tens[shift];
		if ((float)short_one == single)
			return short_one;
	}
	return exact;
}

static void push_real(lua_State *L, uint64_t bits, size_t size)
{
	uint32_t low = (uint32_t)bits;
	float single;
	double real;
	if (size == sizeof(single)) {
		memcpy(&single, &low, sizeof(single));
		real = shorten(single);
	} else {
		memcpy(&real, &bits, sizeof(real));
	}
	lua_pushnumber(L, real);
}

static int get_f32(lua_State *L)
{
	push_real(L, take(L, "f32", 4), 4);
	return 1;
}

static int get_f64(lua_State *L)
{
	push_real(L, take(L, "f64", 8), 8);
	return 1;
}

/* float(bytes [, order]): the real of 4 or 8 bytes, the highest first unless the order says else. */
static int float_of(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	luaL_argcheck(L, size == 4 || size == 8, 1, "4 or 8 bytes");
	push_real(L, assemble(L, "float", 2, (const uint8_t *)bytes, size), size);
	return 1;
}

/* ---- numbers by the names of their types ----------------------------------------------------- */

enum kind { UNSIGNED, SIGNED, REAL };

static const struct type {
	const char *name;
	uint8_t size;
	enum kind kind;
	uint64_t absent; /* what stands for "not implemented" in SunSpec; of reals it is any NaN */
} types[] = {
	{ "u16", 2, UNSIGNED, 0xffff },
	{ "s16", 2, SIGNED, 0x8000 },
	{ "u32", 4, UNSIGNED, 0xffffffff },
	{ "s32", 4, SIGNED, 0x80000000 },
	{ "u64", 8, UNSIGNED, UINT64_MAX },
	{ "s64", 8, SIGNED, UINT64_C(1) << 63 },
	{ "f32", 4, REAL, 0 },
	{ "f64", 8, REAL, 0 },
	/* Only to read: what words() does not know. */
	{ "acc16", 2, UNSIGNED, 0 },
	{ "acc32", 4, UNSIGNED, 0 },
	{ "acc64", 8, UNSIGNED, 0 },
};

#define WRITTEN_TYPES 8

static const struct type *find_type(lua_State *L, int argument, size_t count)
{
	const char *name = luaL_checkstring(L, argument);
	for (size_t i = 0; i < count; i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	luaL_argerror(L, argument, "one of u16, s16, u32, s32, u64, s64, f32, f64");
	return NULL;
}

static lua_Integer extend(uint64_t number, const struct type *type)
{
	uint64_t top = UINT64_C(1) << (type->size * 8 - 1);
	return (lua_Integer)(type->kind == SIGNED ? (number ^ top) - top : number);
}

/* :present(type, address [, order]): the number, or nil where SunSpec's "not implemented" stands. */
static int get_present(lua_State *L)
{
	const struct type *type = find_type(L, 2, sizeof(types) / sizeof(*types));
	uint64_t bits = take_at(L, type->name, 3, type->size);
	if (type->kind == REAL) {
		push_real(L, bits, type->size);
		if (isnan(lua_tonumber(L, -1)))
			lua_pushnil(L);
		return 1;
	}
	if (bits == type->absent)
		lua_pushnil(L);
	else if (type->kind == UNSIGNED && bits > INT64_MAX)
		return luaL_error(L, "%s: the number is beyond 63 bits", type->name);
	else
		lua_pushinteger(L, extend(bits, type));
	return 1;
}

/* The bits of argument 2 as that type has them; what does not fit is an error. */
static uint64_t check_bits(lua_State *L, const struct type *type)
{
	unsigned width = type->size * 8u;
	uint64_t bits = 0;
	if (type->kind == REAL) {
		double real = luaL_checknumber(L, 2);
		float single = (float)real;
		uint32_t low;
		luaL_argcheck(L, isfinite(type->size == 4 ? single : real), 2,
			"is no number that the type can hold");
		memcpy(&low, &single, sizeof(low));
		memcpy(&bits, &real, sizeof(bits));
		return type->size == 4 ? low : bits;
	}
	lua_Integer number = luaL_checkinteger(L, 2);
	bool short_one = type->kind == UNSIGNED && width < 64; /* a whole u64 has no place in Lua */
	lua_Integer most = (lua_Integer)(UINT64_MAX >> (short_one ? 64 - width : 65 - width));
	lua_Integer least = type->kind == SIGNED ? -most - 1 : 0;
	if (number < least || number > most)
		luaL_error(L, "words: %I does not fit into %s, which has %I to %I", number,
			type->name, least, most);
	return (uint64_t)number;
}

/* words(type, number [, order]): the registers that hold it, a list for `values` of a write. */
static int words(lua_State *L)
{
	const struct type *type = find_type(L, 1, WRITTEN_TYPES);
	uint64_t bits = check_bits(L, type);
	uint8_t places[8], bytes[8] = { 0 };
	take_order(L, "words", 3, type->size, places);
	for (size_t i = 0; i < type->size; i++)
		bytes[places[i]] = (uint8_t)(bits >> 8 * (type->size - 1 - i));
	lua_createtable(L, type->size / 2, 0);
	for (int i = 0; i < type->size / 2; i++) {
		lua_pushinteger(L, bytes[2 * i] << 8 | bytes[2 * i + 1]);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

/* ---- other contents -------------------------------------------------------------------------- */

/* :string(address, count): the text in count registers, without what fills them up. */
static int get_string(lua_State *L)
{
	lua_Integer count = luaL_checkinteger(L, 3);
	luaL_argcheck(
		L, count >= 1 && count <= STRING_REGISTERS_MAX, 3, "from 1 to 2048 registers");
	const char *text = (const char *)locate(L, "string", 2, count);
	sandbox_charge(L, (uint64_t)count / 4);
	size_t size = strnlen(text, (size_t)count * 2);
	while (size && text[size - 1] == ' ')
		size--;
	lua_pushlstring(L, text, size);
	return 1;
}

/* :bytes(address, count): the bytes of count registers. */
static int get_bytes(lua_State *L)
{
	lua_Integer count = luaL_checkinteger(L, 3);
	luaL_argcheck(
		L, count >= 1 && count <= STRING_REGISTERS_MAX, 3, "from 1 to 2048 registers");
	lua_pushlstring(L, (const char *)locate(L, "bytes", 2, count), (size_t)count * 2);
	return 1;
}

/* :bits(address): 16 booleans, the lowest first; :bits(address, from [, width]): that field. */
static int get_bits(lua_State *L)
{
	const uint8_t *bytes = locate(L, "bits", 2, 1);
	unsigned number = (unsigned)bytes[0] << 8 | bytes[1];
	if (lua_isnoneornil(L, 3)) {
		lua_createtable(L, 16, 0);
		for (int i = 0; i < 16; i++) {
			lua_pushboolean(L, number >> i & 1);
			lua_rawseti(L, -2, i + 1);
		}
		return 1;
	}
	lua_Integer from = luaL_checkinteger(L, 3), width = luaL_optinteger(L, 4, 1);
	luaL_argcheck(L, from >= 0 && from <= 15, 3, "bits are numbered from 0 to 15");
	luaL_argcheck(
		L, width >= 1 && width <= 16 - from, 4, "at least 1 bit, and none behind bit 15");
	lua_pushinteger(L, number >> from & ((1u << width) - 1));
	return 1;
}

const struct library_function library_registers[] = {
	{ "registers", registers },
	{ "float", float_of },
	{ "words", words },
	{ NULL },
};

const struct library_function library_register_methods[] = {
	{ "u16", get_u16 },
	{ "s16", get_s16 },
	{ "u32", get_u32 },
	{ "s32", get_s32 },
	{ "u64", get_u64 },
	{ "s64", get_s64 },
	{ "f32", get_f32 },
	{ "f64", get_f64 },
	{ "string", get_string },
	{ "bytes", get_bytes },
	{ "bits", get_bits },
	{ "present", get_present },
	{ NULL },
};
