/* SPDX-License-Identifier: Apache-2.0 */
#include "script/library.h"

#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "script/readonly.h"
#include "script/sandbox.h"
#include "script/values.h"

/* What to say where somebody reaches for what the sandbox does not have. */
static const struct {
	const char *name, *instead;
} hints[] = {
	{ "string.find", "find(text, what) looks for plain text" },
	{ "string.match", "find() and split() work on plain text" },
	{ "string.gmatch", "find() and split() work on plain text" },
	{ "string.gsub", "find() and split() work on plain text" },
	{ "string.rep", "rep(text, count) does it" },
	{ "table.sort", "sort(list, less) does it" },
	{ "table.pack", "{ ... } does it" },
	{ "pcall", "try(f, ...) does it" },
	{ "xpcall", "try(f, ...) does it" },
	{ "require", "a script is one file" },
	{ "dofile", "a script is one file" },
	{ "loadfile", "a script is one file" },
	{ "load", "a script is one file" },
	{ "print", "log(...) does it" },
	{ "os", "the time of a reading is reading.time" },
	{ "debug", "there is nothing to look into" },
	{ "coroutine", "a call runs to its end" },
	{ "setmetatable", "tables are plain data here" },
	{ "getmetatable", "tables are plain data here" },
	{ "crc16", "crc.modbus(bytes) and others in crc do it" },
	{ "io", "scripts neither read nor write files" },
};

static const char *instead_of(const char *name)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++)
		if (strcmp(hints[i].name, name) == 0)
			return hints[i].instead;
	return NULL;
}

/* __index behind all that is there.  Upvalue: the table's name with a dot, or "". */
static int missing(lua_State *L)
{
	const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	const char *name = lua_pushfstring(L, "%s%s", lua_tostring(L, lua_upvalueindex(1)), key);
	const char *instead = instead_of(name);
	if (instead)
		return luaL_error(L, "'%s' is not there for scripts: %s", name, instead);
	return luaL_error(L, "'%s' is not defined", name);
}

/* Makes reading a missing key of the table at the top an error. */
static void strict(lua_State *L, const char *prefix)
{
	lua_createtable(L, 0, 1);
	lua_pushstring(L, prefix);
	lua_pushcclosure(L, missing, 1);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
}

/* ---- functions ------------------------------------------------------------------------------ */

lua_CFunction library_original(lua_State *L)
{
	return lua_tocfunction(L, lua_upvalueindex(1));
}

static int charged(lua_State *L)
{
	const struct library_function *known = lua_touserdata(L, lua_upvalueindex(2));
	sandbox_charge(L, 1 + known->price(L));
	return library_original(L)(L);
}

/*
 * Copies functions into the table at the top, Lua's own out of the one at original (0: none).  None
 * of Lua's own that are priced has upvalues, so that the closure around it can be its caller.
 */
static void add(lua_State *L, int original, const struct library_function *functions)
{
	for (; functions->name; functions++) {
		if (original)
			lua_getfield(L, original, functions->name);
		else
			lua_pushnil(L);
		lua_CFunction outer = functions->function ? functions->function
			: functions->price                ? charged
							  : NULL;
		if (outer) {
			lua_pushlightuserdata(L, (void *)functions);
			lua_pushcclosure(L, outer, 2);
		}
		lua_setfield(L, -2, functions->name);
	}
}

/* The table at the top, closed, becomes a field of the globals at index. */
static void add_closed(lua_State *L, int globals, const char *name)
{
	const char *prefix = lua_pushfstring(L, "%s.", name);
	lua_pushvalue(L, -2);
	strict(L, prefix);
	const char *reason = lua_pushfstring(L, "%s: it belongs to the sandbox", name);
	lua_pushvalue(L, -2);
	readonly_wrap(L, reason);
	lua_setfield(L, globals, name);
	lua_settop(L, globals);
}

/* A library as a field of the table at the top; open gives Lua's own of it, NULL: all is ours. */
static void add_library(lua_State *L, const char *name, lua_CFunction open,
	const struct library_function *functions)
{
	int globals = lua_gettop(L);
	if (open) {
		lua_pushcfunction(L, open);
		lua_call(L, 0, 1);
	}
	if (functions) {
		lua_createtable(L, 0, 16);
		add(L, open ? globals + 1 : 0, functions);
	}
	add_closed(L, globals, name);
}

/* Methods of strings: those of the table `string`, and nothing else. */
static void set_string_methods(lua_State *L)
{
	lua_pushliteral(L, "");
	lua_createtable(L, 0, 1);
	lua_getfield(L, -3, "string");
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
}

/* What registers() gives. */
static void set_register_methods(lua_State *L)
{
	luaL_newmetatable(L, "registers");
	sandbox_of(L)->views = lua_topointer(L, -1);
	lua_createtable(L, 0, 16);
	add(L, 0, library_register_methods);
	strict(L, "registers:");
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

/* ---- the environment ------------------------------------------------------------------------ */

/* __newindex of the environment.  Upvalues: the globals, the names of the sandbox's own. */
static int set_global(lua_State *L)
{
	const char *name = library_text_of(L, 2);
	if (!sandbox_of(L)->loading)
		return luaL_error(L,
			"global '%s' is set inside a function: write 'local %s', or keep it in "
			"device.state",
			name, name);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL)
		return luaL_error(L, "cannot change '%s': it belongs to the sandbox", name);
	lua_settop(L, 3);
	lua_rawset(L, lua_upvalueindex(1));
	return 0;
}

/*
 * The environment stays empty and shows the globals behind it, so that every assignment to a global
 * passes set_global().
 */
static void set_environment(lua_State *L)
{
	int globals = lua_gettop(L);
	strict(L, "");
	lua_createtable(L, 0, 0);
	lua_createtable(L, 0, 2);
	lua_pushvalue(L, globals);
	lua_setfield(L, -2, "__index");
	lua_pushvalue(L, globals);
	lua_createtable(L, 0, 40);
	for (lua_pushnil(L); lua_next(L, globals); lua_pop(L, 1)) {
		lua_pushvalue(L, -2);
		lua_pushboolean(L, true);
		lua_rawset(L, -5);
	}
	lua_pushcclosure(L, set_global, 2);
	lua_setfield(L, -2, "__newindex");
	lua_setmetatable(L, -2);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

void library_open(lua_State *L)
{
	readonly_open(L);
	lua_createtable(L, 0, 40);
	int globals = lua_gettop(L);
	lua_pushcfunction(L, luaopen_base);
	lua_call(L, 0, 1);
	lua_pushvalue(L, globals);
	add(L, globals + 1, library_base);
	add(L, 0, library_text);
	add(L, 0, library_bytes);
	add(L, 0, library_registers);
	add(L, 0, library_numbers);
	add(L, 0, library_log);
	values_push_null(L);
	lua_setfield(L, globals, "null");
	lua_settop(L, globals);
	add_library(L, "string", luaopen_string, library_string);
	add_library(L, "table", luaopen_table, library_table);
	add_library(L, "utf8", luaopen_utf8, library_utf8);
	add_library(L, "math", luaopen_math, NULL);
	add_library(L, "crc", NULL, library_crc);
	add_library(L, "bits", NULL, library_bits);
	set_string_methods(L);
	set_register_methods(L);
	set_environment(L);
	lua_settop(L, globals - 1);
}
