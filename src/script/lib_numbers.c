/* SPDX-License-Identifier: Apache-2.0 */
/* What a device's numbers mean: scales, counters that begin anew, changes worth a message. */
#include "script/library.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "script/sandbox.h"

#define NUMBER_BYTES_MAX 64
#define MS_PER_S 1000

/* round(number, digits): with that many digits behind the point; an integer where digits is left out. */
static int round_to(lua_State *L)
{
	if (lua_isinteger(L, 1)) {
		lua_settop(L, 1);
		return 1;
	}
	double real = luaL_checknumber(L, 1);
	lua_Integer digits = luaL_optinteger(L, 2, 0);
	luaL_argcheck(L, digits >= 0 && digits <= 15, 2, "from 0 to 15 digits");
	double scale = pow(10, (double)digits), rounded = round(real * scale) / scale;
	lua_Integer whole;
	if (digits == 0 && lua_numbertointeger(rounded, &whole))
		lua_pushinteger(L, whole);
	else
		lua_pushnumber(L, isfinite(rounded) ? rounded : real);
	return 1;
}

/*
 * The decimal number of at most 15 digits next to it: 2301 * 0.1 is 230.10000000000002, and a meter
 * that shows 230.1 means 230.1.
 */
static double tidy(double real)
{
	static const double tens[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };
	if (!isfinite(real) || fabs(real) >= 1e15)
		return real;
	/* Whole numbers below 2^53 and these powers are exact: so is the nearest to their quotient. */
	for (size_t digits = 0; digits < sizeof(tens) / sizeof(*tens); digits++) {
		double shifted = real * tens[digits], whole = nearbyint(shifted);
		if (fabs(whole) >= 9e15)
			break;
		if (fabs(shifted - whole) <= fabs(shifted) * 4e-16)
			return whole / tens[digits];
	}
	return real;
}

/* scaled(number, factor [, offset]): number * factor + offset, as a person would write it. */
static int scaled(lua_State *L)
{
	luaL_checknumber(L, 1);
	luaL_checknumber(L, 2);
	luaL_optnumber(L, 3, 0);
	bool whole = lua_isinteger(L, 1) && lua_isinteger(L, 2) &&
		(lua_isnoneornil(L, 3) || lua_isinteger(L, 3));
	lua_settop(L, 3);
	if (whole) {
		lua_pushvalue(L, 1);
		lua_pushvalue(L, 2);
		lua_arith(L, LUA_OPMUL);
		if (lua_isinteger(L, 3)) {
			lua_pushvalue(L, 3);
			lua_arith(L, LUA_OPADD);
		}
		return 1;
	}
	double product = tidy(lua_tonumber(L, 1) * lua_tonumber(L, 2));
	double offset = lua_tonumber(L, 3);
	lua_pushnumber(L, offset == 0 ? product : tidy(product + offset));
	return 1;
}

/* ---- numbers in text ------------------------------------------------------------------------- */

static size_t skip_digits(const char *text, size_t at)
{
	while (isdigit((unsigned char)text[at]))
		at++;
	return at;
}

/* Where the decimal number at the text's begin ends; 0: there is none.  The text ends in a zero. */
static size_t measure(const char *text, bool *whole)
{
	size_t first = text[0] == '+' || text[0] == '-' ? 1 : 0;
	size_t end = skip_digits(text, first), digits = end - first;
	*whole = true;
	if (text[end] == '.') {
		size_t behind = skip_digits(text, end + 1);
		digits += behind - end - 1;
		end = behind;
		*whole = false;
	}
	if (!digits)
		return 0;
	if (text[end] == 'e' || text[end] == 'E') {
		size_t sign = text[end + 1] == '+' || text[end + 1] == '-' ? 1 : 0;
		size_t behind = skip_digits(text, end + 1 + sign);
		if (behind > end + 1 + sign) {
			end = behind;
			*whole = false;
		}
	}
	return end;
}

/*
 * number(text): the decimal number that it begins with, and the rest behind it; nil without one.
 * Unlike tonumber() it takes no hexadecimal digits, and a unit may follow.
 */
static int number(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size), *begin = text;
	sandbox_charge(L, size / 8);
	while (*begin == ' ' || *begin == '\t')
		begin++;
	bool whole;
	size_t length = measure(begin, &whole);
	if (!length || length > NUMBER_BYTES_MAX) {
		lua_pushnil(L);
		return 1;
	}
	char copy[NUMBER_BYTES_MAX + 1];
	memcpy(copy, begin, length);
	copy[length] = 0;
	errno = 0;
	long long integer = whole ? strtoll(copy, NULL, 10) : 0;
	double real = strtod(copy, NULL);
	if (whole && !errno)
		lua_pushinteger(L, integer);
	else if (isfinite(real))
		lua_pushnumber(L, real);
	else
		lua_pushnil(L);
	lua_pushlstring(L, begin + length, size - length - (size_t)(begin - text));
	return 2;
}

/* ---- from reading to reading ------------------------------------------------------------------ */

/*
 * counted(last, now [, bits [, most]]): how far a counter of so many bits, 32 unless given, went on,
 * past its end too.  nil where last is nil, and where it is more than most: it began anew.
 */
static int counted(lua_State *L)
{
	lua_Integer bits = luaL_optinteger(L, 3, 32);
	luaL_argcheck(L, bits >= 1 && bits <= 63, 3, "from 1 to 63 bits");
	uint64_t mask = (UINT64_C(1) << bits) - 1;
	lua_Integer now = luaL_checkinteger(L, 2), most = luaL_optinteger(L, 4, (lua_Integer)mask);
	luaL_argcheck(L, now >= 0 && (uint64_t)now <= mask, 2, "has more bits than the counter");
	if (lua_isnil(L, 1))
		return 0;
	lua_Integer last = luaL_checkinteger(L, 1);
	luaL_argcheck(L, last >= 0 && (uint64_t)last <= mask, 1, "has more bits than the counter");
	lua_Integer steps = (lua_Integer)(((uint64_t)now - (uint64_t)last) & mask);
	if (steps > most)
		return 0;
	lua_pushinteger(L, steps);
	return 1;
}

/* What counts as a change, and when a value without one is due again. */
struct watch_rule {
	double band, percent, silence_s;
	lua_Number time_ms;
	bool timed;
};

static bool take_number(lua_State *L, const char *key, double *number)
{
	lua_getfield(L, 4, key);
	int valid = 1;
	bool there = !lua_isnil(L, -1);
	if (there)
		*number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumberx(L, -1, &valid) : NAN;
	lua_pop(L, 1);
	if (there && (!isfinite(*number) || *number < 0))
		luaL_error(L, "changed: %s is to be a number from 0 on", key);
	return there;
}

static void take_rule(lua_State *L, struct watch_rule *rule)
{
	*rule = (struct watch_rule){ 0 };
	if (lua_isnoneornil(L, 4))
		return;
	luaL_checktype(L, 4, LUA_TTABLE);
	take_number(L, "band", &rule->band);
	take_number(L, "percent", &rule->percent);
	rule->timed = take_number(L, "silence", &rule->silence_s);
	if (!take_number(L, "time", &rule->time_ms) && rule->timed)
		luaL_error(L, "changed: silence needs time = reading.time");
}

static bool is_quiet_too_long(lua_State *L, const struct watch_rule *rule, int kept)
{
	if (!rule->timed)
		return false;
	lua_geti(L, kept, 2);
	double then = lua_tonumber(L, -1);
	lua_pop(L, 1);
	/* A clock that was set back must not hold values up. */
	return rule->time_ms < then || rule->time_ms - then >= rule->silence_s * MS_PER_S;
}

/* Whether the value, argument 3, is another than the one in the table at kept. */
static bool differs(lua_State *L, const struct watch_rule *rule, int kept)
{
	lua_geti(L, kept, 1);
	bool other;
	if (lua_type(L, -1) == LUA_TNUMBER && lua_type(L, 3) == LUA_TNUMBER) {
		double last = lua_tonumber(L, -1), share = fabs(last) * rule->percent / 100;
		double band = rule->band > share ? rule->band : share;
		other = band > 0 ? fabs(lua_tonumber(L, 3) - last) > band
				 : !lua_compare(L, -1, 3, LUA_OPEQ);
	} else {
		other = !lua_rawequal(L, -1, 3);
	}
	lua_pop(L, 1);
	return other;
}

/*
 * changed(memory, name, value [, { band, percent, silence, time }]): whether the value is to be
 * reported: it is the first, it left the dead band around the last one reported, or none was for so
 * many seconds.  memory is device.state or a table in it.
 */
static int changed(lua_State *L)
{
	struct watch_rule rule;
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argcheck(L, lua_type(L, 2) == LUA_TSTRING, 2, "a name");
	int type = lua_type(L, 3);
	luaL_argcheck(L, type == LUA_TNUMBER || type == LUA_TBOOLEAN || type == LUA_TSTRING, 3,
		"a number, a boolean or a text");
	luaL_argcheck(L, type != LUA_TNUMBER || isfinite(lua_tonumber(L, 3)), 3,
		"is no number that can be reported");
	lua_settop(L, 4);
	take_rule(L, &rule);
	sandbox_charge(L, type == LUA_TSTRING ? 4 + lua_rawlen(L, 3) / 8 : 4);
	lua_pushvalue(L, 2);
	bool kept = lua_gettable(L, 1) == LUA_TTABLE;
	bool report = !kept || differs(L, &rule, 5) || is_quiet_too_long(L, &rule, 5);
	if (report) {
		lua_pushvalue(L, 2);
		lua_createtable(L, 2, 0);
		lua_pushvalue(L, 3);
		lua_rawseti(L, -2, 1);
		lua_pushnumber(L, rule.time_ms);
		lua_rawseti(L, -2, 2);
		lua_settable(L, 1);
	}
	lua_pushboolean(L, report);
	return 1;
}

const struct library_function library_numbers[] = {
	{ "round", round_to },
	{ "scaled", scaled },
	{ "number", number },
	{ "counted", counted },
	{ "changed", changed },
	{ NULL },
};
