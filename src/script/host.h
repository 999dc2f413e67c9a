/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: a script, its devices, and a call for one of them. */
#ifndef EB_SCRIPT_HOST_H
#define EB_SCRIPT_HOST_H

#include "script/sandbox.h"
#include "script/script.h"

#define SCRIPT_SOURCE_MAX (1024 * 1024)
#define SCRIPT_STATE_MAX (16 * 1024)
/* Data that one call gives back: a report, a request, a reply. */
#define SCRIPT_RESULT_MAX (32 * 1024)
#define SCRIPT_REPORTS_MAX 256
/* All reports of a reading together, and all requests of a round. */
#define SCRIPT_RESULTS_MAX (64 * 1024)
#define SCRIPT_REQUESTS_MAX 256

enum script_function {
	SCRIPT_SETUP,
	SCRIPT_POLLS,
	SCRIPT_DISCOVER,
	SCRIPT_DECODE,
	SCRIPT_ENCODE,
	SCRIPT_REPLY,
	SCRIPT_HEALTH,
	SCRIPT_FUNCTIONS
};

/* As scripts write it: "decode". */
const char *script_function_name(enum script_function function);

/* A file's source, run: the state and what it returned. */
struct program {
	struct sandbox *box;
	int functions[SCRIPT_FUNCTIONS]; /* references in the registry; LUA_NOREF: has none */
	int lines[SCRIPT_FUNCTIONS]; /* where they begin */
	struct buffer parameters; /* value, see parameters.c; empty: declares none */
};

struct script {
	char *path;
	const char *file; /* the last part of path */
	char *source;
	size_t source_size;
	struct conf_scripts limits;
	struct program program;
	uint32_t generation; /* of the program: it is run again where its memory stays full */
};

struct script_device {
	struct script *script;
	const struct conf_device *conf;
	uint32_t generation; /* that the reference is of; 0: none yet */
	int reference; /* of the script's `device` */
	struct buffer parameters; /* a value: the configured ones and the defaults */
	struct buffer state; /* a value: what `device.state` held after the last good call */
};

/* Runs the script's source in a state of its own.  0, or -errno with the error. */
int program_load(struct program *program, const struct script *script, struct script_error *error);
void program_finish(struct program *program);

/*
 * Calls body in the script's state for the device.  Whatever fails in it leaves device.state as it
 * was before the call; where memory stays full, the script is run afresh.
 */
int device_run(
	struct script_device *device, lua_CFunction body, void *job, struct script_error *error);
/* Within body: pushes the function; errors are about it from then on.  False: the script has none. */
bool device_push_function(struct script_device *device, enum script_function function);
/* Within body: pushes the script's `device`. */
void device_push(struct script_device *device);
/* Within body, as the last thing: keeps device.state. */
void device_keep_state(struct script_device *device);
/* Within a run: appends the list of maps at index; what names an item in errors. */
void command_put_requests(lua_State *L, int index, struct buffer *list, const char *what);
/* Within a run, of a function that gave nil and why: the why at index, in one line. */
void command_take_reason(lua_State *L, int index, struct script_error *error);
/* Within a run: pushes what became of an order's requests onto the list at the top, behind item at. */
void command_push_outcome(lua_State *L, const struct outcome *outcome, lua_Integer *at);
/* Within the run that loads a file: takes what it declares of its parameters, at index. */
void parameters_declare(lua_State *L, int index, struct buffer *declared);
/* The parameters as a device sees them: what is given, and the defaults of the others. */
void parameters_merge(
	const struct buffer *declared, const struct buffer *given, struct buffer *merged);
/* Within a run: raises an error where that name is not declared. */
void parameters_check_name(lua_State *L, const struct buffer *declared, const char *name);
/* Within a run, once in a new state. */
void device_open(lua_State *L);

#endif
