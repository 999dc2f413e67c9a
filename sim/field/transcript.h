/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened on the lines, one JSON object a line, with monotonic times in µs (the machine's own,
 * so that they compare with those of other programs there).
 */
#ifndef EB_SIM_FIELD_TRANSCRIPT_H
#define EB_SIM_FIELD_TRANSCRIPT_H

#include "util/buffer.h"
#include "util/loop.h"

struct transcript;

/* Creates or truncates the file; "-" is standard output.  0 or -errno. */
int transcript_open(struct transcript **transcript, struct loop *loop, const char *path);
/* Writes what is left and closes; takes NULL. */
void transcript_close(struct transcript *transcript);
/* Writes out what was said so far; takes NULL. */
void transcript_flush(struct transcript *transcript);

/*
 * Begins an event: the caller appends members, each with a comma in front, and ends it.  NULL where
 * there is no transcript.
 */
struct buffer *transcript_begin(
	struct transcript *transcript, int64_t now_us, const char *line, const char *event);
void transcript_end(struct transcript *transcript);

/* Appends ',"name":"hex"'. */
void transcript_put_bytes(struct buffer *json, const char *name, const uint8_t *bytes, size_t size);

#endif
