/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Lua state that cannot hurt the program: it has a cap of memory, and each run in it has a budget
 * of steps and a limit of time.  A step is one instruction of the virtual machine; library functions
 * and the allocator charge further steps by the bytes and items that they handle, since a single
 * instruction may cost as much as its operands are long.  Nothing within the state can catch the end
 * of a budget.
 */
#ifndef EB_SCRIPT_SANDBOX_H
#define EB_SCRIPT_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "core/conf.h"
#include "script/script.h"
#include "util/buffer.h"
#include "util/log.h"

/* The longest string of a script: comparing two of them is one step, whatever their length. */
#define SANDBOX_STRING_MAX 32768

enum sandbox_limit {
	SANDBOX_WITHIN,
	SANDBOX_STEPS,
	SANDBOX_MEMORY,
	SANDBOX_STRING,
	SANDBOX_TIME,
};

struct sandbox {
	lua_State *lua;
	char file[56]; /* as it stands in errors */
	struct conf_scripts limits;
	size_t used, peak; /* bytes */
	const void *views; /* the metatable of what registers() gives */
	bool running;
	bool loading; /* the top level runs: globals may be set */
	int64_t left; /* steps of this run; may fall below zero */
	int64_t until_clock; /* steps until the clock is read again */
	int64_t deadline_us; /* CLOCK_MONOTONIC */
	int64_t cpu_us; /* of the thread when half of the time was over; -1 before */
	enum sandbox_limit refused; /* why the allocator said no the last time */
	enum sandbox_limit hit; /* what ends this run */
	char where[96]; /* the place where that was, "file:line: "; "" unknown */
	/* What errors of conversions are about: the function of the script, and where it begins. */
	const char *activity;
	int line;
	const char *poll; /* whose reading is being decoded; NULL */
	void *context; /* the owner's own */
	struct log_limit log; /* of the script's own lines */
	bool quiet; /* they are of level debug */
	/* Scratch of the conversions, kept from run to run, safe from Lua's jumps. */
	struct buffer value, entries, sorted;
};

static inline struct sandbox *sandbox_of(lua_State *L)
{
	return *(struct sandbox **)lua_getextraspace(L);
}

/* An empty state with its library, see library.h.  0, or -errno with the error. */
int sandbox_create(struct sandbox **sandbox, const char *file, const struct conf_scripts *limits,
	struct script_error *error);
void sandbox_destroy(struct sandbox *sandbox);

/*
 * Calls body(L) with the job as a light userdata at index 1, under a new budget.  0, or -EINVAL with
 * the error in one line; error->budget where a limit ended it.  The stack is empty afterwards.
 */
int sandbox_run(struct sandbox *sandbox, lua_CFunction body, void *job, struct script_error *error);
/* Pushes the function of a source text, or raises a syntax error.  Within a run. */
void sandbox_load(lua_State *L, const char *text, size_t size);
/* Collects all garbage; whether enough is free then for the state to be of use. */
bool sandbox_recover(struct sandbox *sandbox);

/* Takes steps off the budget; raises at its end.  Within a run. */
void sandbox_charge(lua_State *L, uint64_t steps);
/* For whoever catches errors with lua_pcall(): raises again what must not be caught. */
void sandbox_rethrow(lua_State *L, int status);
/* Raises "file:line: function: ..." about the activity under way. */
int sandbox_fail(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
