/* SPDX-License-Identifier: Apache-2.0 */
#include "script/readonly.h"

#include <lauxlib.h>

#define PARAMETERS "parameters"
#define DECLARED "declared parameters"

/* Its address is the key under which the empty table holds the one that it shows. */
static const char shown;

void readonly_unwrap(lua_State *L)
{
	if (lua_type(L, -1) != LUA_TTABLE)
		return;
	if (lua_rawgetp(L, -1, &shown) == LUA_TTABLE)
		lua_remove(L, -2);
	else
		lua_pop(L, 1);
}

int readonly_next(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	lua_pushvalue(L, 1);
	readonly_unwrap(L);
	lua_replace(L, 1);
	if (lua_next(L, 1))
		return 2;
	lua_pushnil(L);
	return 1;
}

static int all_pairs(lua_State *L)
{
	lua_settop(L, 1);
	lua_pushcfunction(L, readonly_next);
	lua_insert(L, 1);
	lua_pushnil(L);
	return 3;
}

static int length(lua_State *L)
{
	lua_settop(L, 1);
	readonly_unwrap(L);
	lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
	return 1;
}

static int index_parameter(lua_State *L)
{
	lua_rawgetp(L, 1, &shown);
	lua_pushvalue(L, 2);
	lua_rawget(L, -2);
	return 1;
}

/* The function behind it raises the error where there is no such one. */
static int index_declared(lua_State *L)
{
	index_parameter(L);
	if (!lua_isnil(L, -1))
		return 1;
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, 2);
	lua_call(L, 1, 0);
	return 1;
}

static int refuse_parameter(lua_State *L)
{
	return luaL_error(L,
		"cannot change device.parameters or device.points: they come from the "
		"configuration");
}

static int refuse(lua_State *L)
{
	return luaL_error(L, "cannot change %s", lua_tostring(L, lua_upvalueindex(1)));
}

static const luaL_Reg common[] = { { "__len", length }, { "__pairs", all_pairs }, { NULL, NULL } };

void readonly_open(lua_State *L)
{
	static const luaL_Reg events[] = { { "__index", index_parameter },
		{ "__newindex", refuse_parameter }, { NULL, NULL } };
	luaL_newmetatable(L, PARAMETERS);
	luaL_setfuncs(L, common, 0);
	luaL_setfuncs(L, events, 0);
	lua_pop(L, 1);
}

void readonly_check_names(lua_State *L, lua_CFunction check)
{
	if (luaL_newmetatable(L, DECLARED)) {
		luaL_setfuncs(L, common, 0);
		lua_pushcfunction(L, refuse_parameter);
		lua_setfield(L, -2, "__newindex");
		lua_pushcfunction(L, check);
		lua_pushcclosure(L, index_declared, 1);
		lua_setfield(L, -2, "__index");
	}
	lua_setmetatable(L, -2);
}

/* An empty table that holds the one at the top, which it replaces. */
static void hide(lua_State *L)
{
	lua_createtable(L, 0, 1);
	lua_insert(L, -2);
	lua_rawsetp(L, -2, &shown);
}

void readonly_wrap(lua_State *L, const char *reason)
{
	int inner = lua_gettop(L);
	lua_pushvalue(L, inner);
	hide(L);
	lua_createtable(L, 0, 4);
	luaL_setfuncs(L, common, 0);
	lua_pushvalue(L, inner);
	lua_setfield(L, -2, "__index");
	lua_pushstring(L, reason);
	lua_pushcclosure(L, refuse, 1);
	lua_setfield(L, -2, "__newindex");
	lua_setmetatable(L, -2);
	lua_remove(L, inner);
}

void readonly_wrap_parameters(lua_State *L)
{
	luaL_checkstack(L, 8, NULL);
	int table = lua_gettop(L);
	lua_pushnil(L);
	while (lua_next(L, table)) {
		if (lua_type(L, -1) != LUA_TTABLE) {
			lua_pop(L, 1);
			continue;
		}
		readonly_wrap_parameters(L);
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, table);
	}
	hide(L);
	luaL_setmetatable(L, PARAMETERS);
}
