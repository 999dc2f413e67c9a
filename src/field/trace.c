/* SPDX-License-Identifier: Apache-2.0 */
#include "field/trace.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/plugin.h"
#include "core/recording.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/hex.h"
#include "util/json.h"

/* Noise is gathered over so much time, and so many bytes of it are kept. */
#define NOISE_SPAN_US USEC_PER_SEC
#define NOISE_KEPT 32

struct record {
	int64_t mono_us;
	uint32_t device;
	uint16_t size, kept; /* bytes there were, and that follow here */
	uint8_t kind, error;
};

/*
 * How a record stands in the ring, since a thousand buses have a thousand rings: the kind with the
 * flags of what follows, the time since the record before it, the size, then what the flags say.
 * Numbers have seven bits to a byte, the lowest first, and the top bit where more follow.
 */
#define KIND_MASK 0x0fu
#define HAS_DEVICE 0x10u
#define HAS_ERROR 0x20u
#define IS_CUT 0x40u
#define HEADER_MAX 24u

static const char *const kind_names[] = { "sent", "answer", "unasked", "echo", "noise", "drained",
	"failed", "link up", "link down" };

void trace_finish(struct trace *trace)
{
	free(TAKE(trace->data));
	trace->used = trace->last = 0;
}

static uint8_t *put_number(uint8_t *at, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		*at++ = (uint8_t)(number | 0x80);
	*at++ = (uint8_t)number;
	return at;
}

static uint64_t take_number(const uint8_t **at)
{
	uint64_t number = 0;
	unsigned shift = 0;
	for (; **at & 0x80; shift += 7)
		number |= (uint64_t)(*(*at)++ & 0x7f) << shift;
	return number | (uint64_t) * (*at)++ << shift;
}

/* Returns its size. */
static uint32_t write_header(uint8_t *header, const struct record *record, int64_t before_us)
{
	uint8_t *at = header + 1;
	header[0] = record->kind;
	at = put_number(
		at, record->mono_us > before_us ? (uint64_t)(record->mono_us - before_us) : 0);
	at = put_number(at, record->size);
	if (record->device != TRACE_NO_DEVICE) {
		header[0] |= HAS_DEVICE;
		at = put_number(at, record->device);
	}
	if (record->error) {
		header[0] |= HAS_ERROR;
		*at++ = record->error;
	}
	if (record->kept < record->size) {
		header[0] |= IS_CUT;
		at = put_number(at, record->kept);
	}
	return (uint32_t)(at - header);
}

/* Returns its size; before_us is the time of the record before it. */
static uint32_t read_header(const uint8_t *header, struct record *record, int64_t before_us)
{
	const uint8_t *at = header + 1;
	*record = (struct record){ .kind = header[0] & KIND_MASK, .device = TRACE_NO_DEVICE };
	record->mono_us = before_us + (int64_t)take_number(&at);
	record->size = record->kept = (uint16_t)take_number(&at);
	if (header[0] & HAS_DEVICE)
		record->device = (uint32_t)take_number(&at);
	if (header[0] & HAS_ERROR)
		record->error = *at++;
	if (header[0] & IS_CUT)
		record->kept = (uint16_t)take_number(&at);
	return (uint32_t)(at - header);
}

/*
 * Where need bytes do not fit, drops whole records at the front, and a quarter of the ring beyond
 * them: so the rest is moved once for many frames.
 */
static void make_room(struct trace *trace, uint32_t room, uint32_t need)
{
	uint32_t drop = 0;
	if (trace->used + need > room)
		need += room / 4 < room - need ? room / 4 : room - need;
	while (trace->used - drop + need > room && drop < trace->used) {
		struct record oldest;
		drop += read_header(trace->data + drop, &oldest, trace->before_us);
		drop += oldest.kept;
		trace->before_us = oldest.mono_us;
	}
	if (!drop)
		return;
	trace->last -= drop < trace->last ? drop : trace->last;
	trace->used -= drop;
	memmove(trace->data, trace->data + drop, trace->used);
}

/* Whether the record went on with the one before it. */
static bool add_noise(
	struct trace *trace, uint32_t room, const struct record *more, const void *bytes)
{
	struct record last;
	uint8_t header[HEADER_MAX];
	if ((more->kind != TRACE_NOISE && more->kind != TRACE_DRAINED) || !trace->used)
		return false;
	uint8_t *start = trace->data + trace->last;
	uint32_t old_size = read_header(start, &last, 0);
	int64_t since_us = last.mono_us;
	last.mono_us = trace->last_us;
	if (last.kind != more->kind || last.error != more->error || last.device != more->device ||
		more->mono_us - last.mono_us > NOISE_SPAN_US || last.size + more->size > UINT16_MAX)
		return false;
	uint16_t old_kept = last.kept;
	last.size += more->size;
	if (last.kept < NOISE_KEPT && trace->used + more->kept + HEADER_MAX <= room)
		last.kept += more->kept;
	uint32_t size = write_header(header, &last, last.mono_us - since_us);
	/* Its own numbers may have grown by a few bytes. */
	if (trace->last + size + last.kept > room)
		return false;
	memmove(start + size, start + old_size, old_kept);
	memcpy(start, header, size);
	if (last.kept > old_kept)
		memcpy(start + size + old_kept, bytes, more->kept);
	trace->used = trace->last + size + last.kept;
	return true;
}

void trace_put(struct trace *trace, uint32_t room, int64_t mono_us, enum trace_kind kind,
	uint32_t device, uint32_t error, const void *bytes, size_t size)
{
	if (room < 2 * HEADER_MAX)
		return;
	if (!trace->data)
		trace->data = must_alloc(room);
	size_t most = room / 2 - HEADER_MAX;
	struct record record = {
		.mono_us = mono_us,
		.device = device,
		.size = (uint16_t)(size < UINT16_MAX ? size : UINT16_MAX),
		.kept = (uint16_t)(size < most ? size : most),
		.kind = (uint8_t)kind,
		.error = (uint8_t)error,
	};
	if (add_noise(trace, room, &record, bytes))
		return;
	make_room(trace, room, HEADER_MAX + record.kept);
	if (!trace->used)
		trace->before_us = trace->last_us = mono_us;
	else if (record.mono_us < trace->last_us)
		record.mono_us = trace->last_us;
	trace->last = trace->used;
	trace->used += write_header(trace->data + trace->used, &record, trace->last_us);
	trace->last_us = record.mono_us;
	if (record.kept)
		memcpy(trace->data + trace->used, bytes, record.kept);
	trace->used += record.kept;
}

static const char *direction_of(uint8_t kind)
{
	switch ((enum trace_kind)kind) {
	case TRACE_SENT:
		return "tx";
	case TRACE_FAILED:
	case TRACE_LINK_UP:
	case TRACE_LINK_DOWN:
		return "--";
	default:
		return "rx";
	}
}

static void print_record(const struct record *record, const uint8_t *bytes,
	const struct trace_view *view, struct buffer *text)
{
	buffer_printf(text, "{\"time_us\":%" PRId64 ",\"wall_ms\":%" PRId64 ",\"direction\":\"%s\"",
		record->mono_us, view->wall_ms - (view->mono_us - record->mono_us) / USEC_PER_MSEC,
		direction_of(record->kind));
	if (record->size) {
		buffer_put_text(text, ",\"bytes\":\"");
		hex_put(text, bytes, record->kept);
		buffer_put_byte(text, '"');
	}
	if (record->size > record->kept)
		buffer_printf(text, ",\"size\":%u", (unsigned)record->size);
	if (record->device != TRACE_NO_DEVICE) {
		buffer_put_text(text, ",\"device\":");
		json_put_text(text, view->name(view->context, record->device));
	}
	buffer_printf(text, ",\"note\":\"%s", kind_names[record->kind]);
	if (record->error)
		buffer_printf(text, ": %s", error_class_name(record->error));
	buffer_put_text(text, "\"}");
}

void trace_print(const struct trace *trace, const struct trace_view *view, struct buffer *text)
{
	buffer_put_byte(text, '[');
	int64_t mono_us = trace->before_us;
	for (uint32_t at = 0; at < trace->used;) {
		struct record record;
		at += read_header(trace->data + at, &record, mono_us);
		mono_us = record.mono_us;
		if (text->data[text->size - 1] != '[')
			buffer_put_byte(text, ',');
		print_record(&record, trace->data + at, view, text);
		at += record.kept;
	}
	buffer_put_byte(text, ']');
}

static void record_line(const struct record *record, const void *bytes,
	const struct trace_view *view, int64_t *before_us, struct buffer *text)
{
	char note[40];
	snprintf(note, sizeof(note), "%s%s%s", kind_names[record->kind], record->error ? ": " : "",
		record->error ? error_class_name(record->error) : "");
	struct recorded_frame frame = {
		.wall_us = view->wall_ms * USEC_PER_MSEC - (view->mono_us - record->mono_us),
		.direction = direction_of(record->kind),
		.bytes = bytes,
		.size = record->kept,
		.whole = record->size,
		.note = note,
	};
	if (record->device != TRACE_NO_DEVICE)
		frame.device = view->name(view->context, record->device);
	recording_put(text, &frame, *before_us);
	*before_us = frame.wall_us;
}

void trace_record(const struct trace *trace, const struct trace_view *view, struct buffer *text)
{
	int64_t before_us = 0;
	int64_t mono_us = trace->before_us;
	for (uint32_t at = 0; at < trace->used;) {
		struct record record;
		at += read_header(trace->data + at, &record, mono_us);
		mono_us = record.mono_us;
		record_line(&record, trace->data + at, view, &before_us, text);
		at += record.kept;
	}
}

void trace_record_frame(const struct trace_frame *frame, const struct trace_view *view,
	int64_t *before_us, struct buffer *text)
{
	uint16_t size = (uint16_t)(frame->size < UINT16_MAX ? frame->size : UINT16_MAX);
	const struct record record = {
		.mono_us = frame->mono_us,
		.device = frame->device,
		.size = size,
		.kept = size,
		.kind = (uint8_t)frame->kind,
		.error = (uint8_t)frame->error,
	};
	record_line(&record, frame->bytes, view, before_us, text);
}
