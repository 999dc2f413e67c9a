/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording of a bus, as enos-bridge dump and capture write it, read for playing it back.  A line is
 *
 *	2026-11-20 12:34:56.789012  +12.345  tx  01 03 00 00 00 0a c5 cd  ; meter-1: sent
 *
 * where tx was sent by the master, rx came to it, and -- says what happened without bytes.  Lines
 * that begin with # are a head: "# plugin modbus", "# options {...}", "# link tcp 10.0.0.7 502".
 */
#ifndef EB_SIM_FIELD_RECORDING_H
#define EB_SIM_FIELD_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recorded {
	int64_t at_us; /* since the first frame */
	bool sent; /* by the master */
	size_t size;
	uint8_t *bytes; /* owned by the recording */
};

struct recording {
	struct recorded *frames; /* owned, in the order of time */
	size_t count;
	/* The first two bytes of each frame are a number that the answer has from its request. */
	bool numbered;
};

/* What the text says; -EINVAL with the line and what is wrong in error.  recording_finish() either way. */
int recording_parse(struct recording *recording, const char *text, char *error, size_t room);
/* The same of a file; -errno. */
int recording_load(struct recording *recording, const char *path, char *error, size_t room);
void recording_finish(struct recording *recording);

#endif
