/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables that scripts can read and not change: an empty table that shows another one.  Indexing,
 * #, ipairs, pairs, next and the functions of `table` work on it.
 */
#ifndef EB_SCRIPT_READONLY_H
#define EB_SCRIPT_READONLY_H

#include <lua.h>

/* Once in a new state. */
void readonly_open(lua_State *L);
/*
 * Replaces the table at the top by one that shows it; an attempt to change it hears "cannot change"
 * and the reason.  Has a metatable of its own: for the few tables that are indexed all the time.
 */
void readonly_wrap(lua_State *L, const char *reason);
/* The same for a device's parameters and all tables in them, with one metatable for all. */
void readonly_wrap_parameters(lua_State *L);
/*
 * The wrapped parameters at the top: a name that is not there is handed to check, which raises an
 * error, or returns and it is nil.
 */
void readonly_check_names(lua_State *L, lua_CFunction check);
/* Replaces the table at the top, where it is such a one, by what it shows. */
void readonly_unwrap(lua_State *L);
/* Lua's next(), which sees through them. */
int readonly_next(lua_State *L);

#endif
