/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripts: one Lua file per device type, in a sandbox.  One state per file, shared by its devices;
 * each device has its parameters and its own table `state`.  All from the main thread.
 */
#ifndef EB_SCRIPT_SCRIPT_H
#define EB_SCRIPT_SCRIPT_H

#include "core/conf.h"
#include "core/message.h"
#include "core/problem.h"

struct script;
struct script_device;

/* What went wrong in a script: file, line, and the words, in one line of text. */
struct script_error {
	char text[512]; /* "sdm630.lua:17: ..." */
	bool budget; /* instructions, memory or time ran out */
};

/* Loads the file and runs its top level, within the limits.  0, or -errno with the error. */
int script_load(struct script **script, const char *path, const struct conf_scripts *limits,
	struct script_error *error);
/* Its devices are gone by then. */
void script_destroy(struct script *script);
/* What it logs is of level debug from now on. */
void script_be_quiet(struct script *script);
const char *script_path(const struct script *script);
/* Bytes that its state holds. */
size_t script_memory(const struct script *script);
/* Whether what the file returns has that: "setup", "polls", "discover", "decode", ... */
bool script_has(const struct script *script, const char *function);
/*
 * Whether the source speaks of a field or text "points": as a field it may also be that of a result, so
 * only false is certain.
 */
bool script_may_take_points(const struct script *script);

/*
 * Compares the device's parameters with what the script declares of them; a script that declares
 * none takes any.  0, or -EINVAL with the problems, each at the parameter's own place.
 */
int script_check_parameters(
	const struct script *script, const struct conf_device *conf, struct problems *problems);

/* conf is borrowed for the device's life: name and parameters. */
struct script_device *script_device_create(struct script *script, const struct conf_device *conf);
void script_device_destroy(struct script_device *device);

/* What device.state holds, as a value; empty: nothing yet.  Valid until the next call of the device. */
const struct buffer *script_device_state(const struct script_device *device);
/* Gives a device its state.  False where that is not what a state can be; it is left as it was. */
bool script_device_set_state(struct script_device *device, const void *value, size_t size);

/*
 * The polls that the script declares, appended to list as a value: a list of maps of plain data
 * (polls may be a function of the device).  0, or -EINVAL with the error.
 */
int script_polls(struct script_device *device, struct buffer *list, struct script_error *error);
/* The same for the requests that go before the first poll, and again after the device was down. */
int script_setup(struct script_device *device, struct buffer *list, struct script_error *error);

enum discover_answer {
	DISCOVER_REQUESTS, /* run these, then call again with their outcome */
	DISCOVER_POLLS, /* the list has the device's polls */
	DISCOVER_FAILED, /* error->text says why, in the script's words */
};

/*
 * What the script asks to find the device's polls.  last is the outcome of what it asked before, NULL
 * at the beginning.  list gets a value: a list of maps.  Returns an enum discover_answer, or -EINVAL
 * with the error.  Only where script_has(script, "discover").
 */
int script_discover(struct script_device *device, const struct outcome *last, struct buffer *list,
	struct script_error *error);

/* Reports that a call gave, in their order, and what it warns of. */
struct reports {
	struct report **items; /* owned */
	size_t count;
	char **warnings; /* owned */
	size_t warning_count;
};
void reports_finish(struct reports *reports);

/*
 * What the script makes of a reading.  0 (perhaps no report at all), or -EINVAL with the error and
 * no reports.  Without a decode function the bytes are one raw report.
 */
int script_decode(struct script_device *device, const struct reading *reading,
	struct reports *reports, struct script_error *error);

/* The same of a change of the device's health; nothing where the script has no function for it. */
int script_health(struct script_device *device, const struct health *change,
	struct reports *reports, struct script_error *error);

enum encode_answer {
	ENCODE_REQUESTS, /* run these */
	ENCODE_MORE, /* run these, then call again with their outcomes */
	ENCODE_REFUSED, /* error->text says why, in the script's words */
	ENCODE_UNKNOWN, /* the script has no encode */
};

/*
 * What the field shall do for a command.  results are the outcomes of all rounds so far (NULL in the
 * first).  requests gets a value: a list of maps.  Returns an enum encode_answer, or -EINVAL with
 * the error where the script failed.
 */
int script_encode(struct script_device *device, const struct command *command,
	const struct outcome *const *results, size_t rounds, struct buffer *requests,
	struct script_error *error);

/* What the script's reply function gave. */
struct script_reply {
	bool given; /* false: there is none, or it gave nil: the default applies */
	bool raw;
	int code; /* JSON: 200 unless the script says otherwise */
	struct buffer data; /* raw bytes, or a value: the reply's data */
};
int script_reply(struct script_device *device, const struct command *command,
	const struct outcome *const *results, size_t rounds, struct script_reply *reply,
	struct script_error *error);

/*
 * Appends the line of the source that the error is about, as " [line 5: ...]"; nothing where it names
 * none ("meter.lua:5: ...").
 */
void script_quote_line(struct buffer *text, const char *path, const char *error);
/* Whether both are of the same source text. */
bool script_is_same(const struct script *script, const struct script *other);

#endif
