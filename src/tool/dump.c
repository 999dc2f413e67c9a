/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "tool/print.h"
#include "tool/verb.h"
#include "util/alloc.h"

/* What a frame says under keys that this file knows; data points into the result. */
struct frame {
	int64_t time_us, wall_ms;
	const char *direction, *bytes;
	struct value_reader pairs; /* all of them, for what is unknown */
	size_t count;
};

static void read_frame(const uint8_t *data, size_t size, struct frame *frame)
{
	struct value value;
	*frame = (struct frame){ .direction = "?", .bytes = "", .pairs = value_reader(data, size) };
	if (value_next(&frame->pairs, &value) && value.type == VALUE_MAP)
		frame->count = value.size;
	if (value_find(data, size, "time_us", &value, NULL) && value.type == VALUE_INTEGER)
		frame->time_us = value.integer;
	if (value_find(data, size, "wall_ms", &value, NULL) && value.type == VALUE_INTEGER)
		frame->wall_ms = value.integer;
	if (value_find(data, size, "direction", &value, NULL) && value.type == VALUE_STRING)
		frame->direction = value.text;
	if (value_find(data, size, "bytes", &value, NULL) && value.type == VALUE_STRING)
		frame->bytes = value.text;
}

static void put_time(struct buffer *line, const struct frame *frame, int64_t before_us)
{
	time_t seconds = (time_t)(frame->wall_ms / 1000);
	struct tm parts;
	gmtime_r(&seconds, &parts);
	buffer_printf(line, "%02d:%02d:%02d.%03d", parts.tm_hour, parts.tm_min, parts.tm_sec,
		(int)(frame->wall_ms % 1000));
	double ms = (double)(frame->time_us - before_us) / 1000;
	buffer_printf(line, "  %+12.3f", before_us ? ms : 0.0);
}

/* Digits in pairs, as the other tools of the field print them. */
static void put_bytes(struct buffer *line, const char *digits)
{
	size_t size = strlen(digits);
	for (size_t i = 0; i < size; i += 2) {
		buffer_put_byte(line, ' ');
		print_text(line, digits + i, size - i < 2 ? 1 : 2);
	}
}

/* The note, and whatever else stands in the frame. */
static void put_others(struct buffer *line, const struct frame *frame)
{
	static const char *const known[] = { "time_us", "wall_ms", "direction", "bytes" };
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
		buffer_put_text(line, "  ");
		if (strcmp(key.text, "note") != 0) {
			print_text(line, key.text, key.size);
			buffer_put_byte(line, '=');
		}
		print_cell(line, key.text, from, (size_t)(reader.at - from));
	}
}

static void print(struct buffer *text, const void *result, size_t size)
{
	struct value frames;
	struct value_reader reader;
	if (!value_find(result, size, "frames", &frames, &reader) || frames.type != VALUE_LIST) {
		print_value(text, result, size, 0);
		return;
	}
	if (!frames.size) {
		buffer_put_text(text, "no frames yet\n");
		return;
	}
	buffer_put_text(text, "time (UTC)     ms since last      bytes\n");
	int64_t before_us = 0;
	for (size_t i = 0; i < frames.size; i++) {
		struct frame frame;
		const uint8_t *from = reader.at;
		if (!value_skip(&reader))
			return;
		read_frame(from, (size_t)(reader.at - from), &frame);
		put_time(text, &frame, before_us);
		buffer_put_text(text, "  ");
		print_text(text, frame.direction, strlen(frame.direction));
		put_bytes(text, frame.bytes);
		put_others(text, &frame);
		buffer_put_byte(text, '\n');
		before_us = frame.time_us;
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
