/* SPDX-License-Identifier: Apache-2.0 */
/* What decode and health give: Lua's tables to reports and warnings. */
#ifndef EB_SCRIPT_RESULTS_H
#define EB_SCRIPT_RESULTS_H

#include "script/host.h"

/* Where the results of a call go, and what they are of. */
struct results {
	struct reports *reports;
	uint32_t device;
	uint32_t replaces; /* of the reports, see struct report */
	struct stamp stamp;
	size_t size; /* of the reports so far */
};

struct report *results_add(
	struct results *results, enum report_kind kind, const void *data, size_t size);
/* Within a run: the results at index (a table, a list of them, or nil), the warnings behind it. */
void results_take(lua_State *L, struct results *results, int index);

#endif
