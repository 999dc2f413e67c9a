/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/recording.h"
#include "tool/print.h"
#include "tool/verb.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/hex.h"

/* What a frame says under keys that this file knows; data points into the result. */
struct frame {
	int64_t time_us, wall_ms, size;
	const char *direction, *bytes, *device;
	struct value_reader pairs; /* all of them, for what is unknown */
	size_t count;
};

static void get_integer(const uint8_t *data, size_t size, const char *key, int64_t *integer)
{
	struct value value;
	if (value_find(data, size, key, &value, NULL) && value.type == VALUE_INTEGER)
		*integer = value.integer;
}

static void get_text(const uint8_t *data, size_t size, const char *key, const char **text)
{
	struct value value;
	if (value_find(data, size, key, &value, NULL) && value.type == VALUE_STRING)
		*text = value.text;
}

static void read_frame(const uint8_t *data, size_t size, struct frame *frame)
{
	struct value value;
	*frame = (struct frame){
		.direction = "?", .bytes = "", .device = "", .pairs = value_reader(data, size)
	};
	if (value_next(&frame->pairs, &value) && value.type == VALUE_MAP)
		frame->count = value.size;
	get_integer(data, size, "time_us", &frame->time_us);
	get_integer(data, size, "wall_ms", &frame->wall_ms);
	get_integer(data, size, "size", &frame->size);
	get_text(data, size, "direction", &frame->direction);
	get_text(data, size, "bytes", &frame->bytes);
	get_text(data, size, "device", &frame->device);
}

/* The note, and whatever else stands in the frame. */
static void put_others(struct buffer *note, const struct frame *frame)
{
	static const char *const known[] = { "time_us", "wall_ms", "direction", "bytes", "device",
		"size" };
	struct value_reader reader = frame->pairs;
	struct value key, value;
	for (size_t i = 0; i < frame->count; i++) {
		if (!value_next(&reader, &key))
			return;
		const uint8_t *from = reader.at;
		struct value_reader peek = reader;
		if (!value_next(&peek, &value) || !value_skip(&reader))
			return;
		bool shown = value.type == VALUE_NULL ||
			(value.type == VALUE_STRING && !value.size);
		for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++)
			shown = shown || strcmp(known[k], key.text) == 0;
		if (shown)
			continue;
		buffer_put_text(note, note->size ? "  " : "");
		if (strcmp(key.text, "note") != 0) {
			print_text(note, key.text, key.size);
			buffer_put_byte(note, '=');
		}
		print_cell(note, key.text, from, (size_t)(reader.at - from));
	}
}

/* Returns the time of the frame. */
static int64_t put_frame(
	struct buffer *text, const struct frame *frame, int64_t ahead_us, int64_t before_us)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	OWNED_BUFFER note = BUFFER_EMPTY;
	OWNED_BUFFER direction = BUFFER_EMPTY;
	OWNED_BUFFER device = BUFFER_EMPTY;
	if (hex_parse(&bytes, frame->bytes) < 0)
		buffer_put_text(&note, "not in hexadecimal digits");
	put_others(&note, frame);
	print_text(&direction, frame->direction, strlen(frame->direction));
	print_text(&device, frame->device, strlen(frame->device));
	struct recorded_frame line = {
		.wall_us = ahead_us ? frame->time_us + ahead_us : frame->wall_ms * USEC_PER_MSEC,
		.direction = buffer_text(&direction),
		.bytes = bytes.data,
		.size = bytes.size,
		.whole = frame->size > 0 ? (size_t)frame->size : bytes.size,
		.device = buffer_text(&device),
		.note = buffer_text(&note),
	};
	recording_put(text, &line, before_us);
	return line.wall_us;
}

static void put_lines(struct buffer *text, const char *lines)
{
	while (*lines) {
		size_t size = strcspn(lines, "\n");
		print_text(text, lines, size);
		buffer_put_byte(text, '\n');
		lines += size + (lines[size] == '\n');
	}
}

static void print(struct buffer *text, const void *result, size_t size)
{
	struct value frames, head;
	struct value_reader reader;
	if (!value_find(result, size, "frames", &frames, &reader) || frames.type != VALUE_LIST) {
		print_value(text, result, size, 0);
		return;
	}
	if (!frames.size) {
		buffer_put_text(text, "no frames yet\n");
		return;
	}
	if (value_find(result, size, "head", &head, NULL) && head.type == VALUE_STRING)
		put_lines(text, head.text);
	/* By how much the wall clock is ahead of the machine's own, which has the microseconds. */
	int64_t wall_ms = 0, time_us = 0, before_us = 0;
	get_integer(result, size, "wall_ms", &wall_ms);
	get_integer(result, size, "time_us", &time_us);
	int64_t ahead_us = wall_ms ? wall_ms * USEC_PER_MSEC - time_us : 0;
	for (size_t i = 0; i < frames.size; i++) {
		struct frame frame;
		const uint8_t *from = reader.at;
		if (!value_skip(&reader))
			return;
		read_frame(from, (size_t)(reader.at - from), &frame);
		before_us = put_frame(text, &frame, ahead_us, before_us);
	}
}

const struct verb verb_dump = {
	.name = "dump",
	.argument = "BUS",
	.key = "bus",
	.summary = "the last frames of a bus, as they were on the wire",
	.wait_ms = 10000,
	.print = print,
};
