/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line that carries bytes and knows no Modbus: a pseudo-terminal, or a TCP port with one master at a
 * time.  Who talks on it says what they mean.
 */
#ifndef EB_SIM_FIELD_PLAIN_H
#define EB_SIM_FIELD_PLAIN_H

#include "sim/field/line.h"

struct plain_setup {
	const char *name;
	const char *path; /* of the symlink to the terminal; NULL: TCP */
	const char *host; /* numeric */
	uint16_t port; /* 0: the system chooses at the first plug, and it stays */
};

/* Who talks on the line; each function gets its context. */
struct plain_talk {
	const char *protocol; /* what it is called in the line's numbers */
	void (*plugged)(void *context); /* may be NULL, as unplugged and attached */
	/* The terminal is there, or a master has connected. */
	void (*attached)(void *context);
	void (*unplugged)(void *context);
	/* Returns how many of the bytes are done with; the others come again, with more behind. */
	size_t (*hear)(void *context, const uint8_t *bytes, size_t size);
	void (*destroy)(void *context);
};

/*
 * Adds the line to the simulation, not plugged yet; it owns the context from then on.  NULL where host
 * is no numeric address.
 */
struct line *plain_create(struct sim *sim, const struct plain_setup *setup,
	const struct plain_talk *talk, void *context);
/* Puts bytes on the line, as the faults let them; lost where nobody is there. */
void plain_put(struct line *line, const void *bytes, size_t size);
/* Counts and records a request that was understood. */
void plain_asked(struct line *line, const uint8_t *bytes, size_t size);

#endif
