/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scripts can call: a whitelist of Lua's own functions and a small library of ours.  Every
 * function whose work grows with its arguments charges the budget for it.
 */
#ifndef EB_SCRIPT_LIBRARY_H
#define EB_SCRIPT_LIBRARY_H

#include <stdint.h>

#include <lua.h>

struct library_function {
	const char *name;
	/* Ours; NULL: Lua's own of that name. */
	lua_CFunction function;
	/* Steps that a call costs by its arguments, which may be missing or wrong; NULL: one step. */
	uint64_t (*price)(lua_State *L);
};

/* Of these tables the last entry has no name. */
extern const struct library_function library_base[], library_string[], library_table[],
	library_utf8[], library_text[], library_bytes[], library_crc[], library_bits[],
	library_registers[], library_register_methods[], library_numbers[], library_log[];

/* Fills the empty state: the environment of scripts, the methods of strings. */
void library_open(lua_State *L);
/* In a function of ours that stands in for one of Lua's: that one. */
lua_CFunction library_original(lua_State *L);
/* Pushes a value as text, without addresses. */
const char *library_text_of(lua_State *L, int index);

#endif
