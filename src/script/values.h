/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lua's values to and from ours (util/value.h).  Plain data only: booleans, numbers, strings, and
 * tables of these that are either a list (1 to n, no holes) or a map (keys are strings).  An empty
 * table is a list unless a map is asked for.  Maps come out in the order of their keys.
 *
 * All of it within a run of the sandbox; what is wrong is raised with the path of the value.
 */
#ifndef EB_SCRIPT_VALUES_H
#define EB_SCRIPT_VALUES_H

#include <lua.h>

#include "util/buffer.h"
#include "util/value.h"

enum values_shape {
	VALUES_ANY,
	VALUES_MAP,
};

/*
 * Appends the value at index, of at most limit bytes.  what is its name in errors: "points".  NaN and
 * the infinities are refused: JSON has none.
 */
void values_put(lua_State *L, int index, struct buffer *out, size_t limit, enum values_shape shape,
	const char *what);

/* Pushes the next value of the reader.  In a map null is left out, in a list it is `null`. */
void values_push(lua_State *L, struct value_reader *reader);
/* Whether the value at index is `null`. */
bool values_is_null(lua_State *L, int index);
void values_push_null(lua_State *L);

#endif
