/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last frames of a bus, always on: a ring of so many bytes, allocated when the first frame
 * comes, in which a new frame pushes out the oldest.
 */
#ifndef EB_FIELD_TRACE_H
#define EB_FIELD_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

enum trace_kind {
	TRACE_SENT,
	TRACE_ANSWER, /* answered a request, maybe with an exception */
	TRACE_UNASKED, /* a frame that a device sent on its own */
	TRACE_ECHO, /* our own bytes that came back */
	TRACE_NOISE, /* dropped; error says why */
	TRACE_DRAINED, /* dropped while waiting for silence after an error */
	TRACE_FAILED, /* no bytes: a request ended with error */
	TRACE_LINK_UP, /* no bytes */
	TRACE_LINK_DOWN,
};

#define TRACE_NO_DEVICE UINT32_MAX

struct trace {
	uint8_t *data; /* records, oldest first; NULL until the first */
	uint32_t used;
	uint32_t last; /* where the newest record begins */
	int64_t before_us, last_us; /* what the oldest's time counts from; the newest's time */
};

void trace_finish(struct trace *trace);
/*
 * The ring has room bytes.  Of a frame too large for it the beginning is kept.  Noise that follows
 * noise of its kind is added to it, so that it does not push the frames out.
 */
void trace_put(struct trace *trace, uint32_t room, int64_t mono_us, enum trace_kind kind,
	uint32_t device, uint32_t error, const void *bytes, size_t size);
/* What the times of the frames are told by: both clocks at one moment; and the names of devices. */
struct trace_view {
	int64_t mono_us, wall_ms;
	const char *(*name)(void *context, uint32_t device);
	void *context;
};

/*
 * A JSON list of the frames, oldest first: time_us (monotonic), wall_ms, direction (tx, rx or --), bytes
 * (hex), note, and where there is one, device; size where not all bytes were kept.
 */
void trace_print(const struct trace *trace, const struct trace_view *view, struct buffer *text);
/* The same as lines of a recording (core/recording.h). */
void trace_record(const struct trace *trace, const struct trace_view *view, struct buffer *text);

/* One frame that is not in a ring, as a line of a recording. */
struct trace_frame {
	int64_t mono_us;
	enum trace_kind kind;
	uint32_t device, error;
	const void *bytes;
	size_t size;
};

/* before_us: of the line before, 0 none; set to the time of this one. */
void trace_record_frame(const struct trace_frame *frame, const struct trace_view *view,
	int64_t *before_us, struct buffer *text);

#endif
