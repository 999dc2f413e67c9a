/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording: the frames of a bus as text, for people and for enos-field-sim --replay.
 *
 *	# enos-bridge recording 1
 *	# bus line-1
 *	# plugin modbus
 *	# options {"framing":"rtu"}
 *	# link serial /dev/ttyUSB0 9600 8N1
 *	2026-11-20 12:34:56.789012       +0.000  tx  01 03 00 00 00 0a c5 cd  ; meter-1: sent
 *
 * A line is the time (UTC, to the microsecond), the milliseconds since the line before, tx (sent by the
 * bridge), rx or --, the bytes, and behind a semicolon the device and what was made of them.  Where not
 * all bytes were kept the note ends with "(of 300 bytes)".  Lines that begin with # are no frames.
 */
#ifndef EB_CORE_RECORDING_H
#define EB_CORE_RECORDING_H

#include "core/conf.h"
#include "util/buffer.h"

struct recorded_frame {
	int64_t wall_us; /* since 1970-01-01 UTC */
	const char *direction;
	const void *bytes;
	size_t size; /* bytes that were kept */
	size_t whole; /* bytes that there were */
	const char *device, *note; /* NULL or "": none */
};

/* The lines at the beginning. */
void recording_begin(struct buffer *text, const struct conf_bus *bus);
/* One line; before_us is the time of the line before, 0: there is none. */
void recording_put(struct buffer *text, const struct recorded_frame *frame, int64_t before_us);

#endif
