/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of enos-bridge: one file and one constant each, all in the table of main.c. */
#ifndef EB_TOOL_VERB_H
#define EB_TOOL_VERB_H

#include <stdbool.h>

#include "util/buffer.h"

struct verb {
	const char *name; /* as typed, and as the daemon is asked */
	const char *argument; /* how the help names the one argument; NULL: it takes none */
	bool optional; /* the argument */
	bool counted; /* takes --count */
	const char *key; /* under which the argument goes to the daemon */
	const char *summary;
	int wait_ms; /* for the answer */
	/* Appends the result, a value, as text for people; NULL: as print_value() does. */
	void (*print)(struct buffer *text, const void *result, size_t size);
	/* Whether the result is a failure, so that the exit status says so; NULL: none is. */
	bool (*failed)(const void *result, size_t size);
};

extern const struct verb verb_status, verb_device, verb_bus, verb_dump, verb_audit, verb_reload;

#endif
