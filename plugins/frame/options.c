/* SPDX-License-Identifier: Apache-2.0 */
/* The bus's options: what a frame is. */
#include "frame.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_LENGTH_USUAL 1024
/* Longer than what adapters, networks and slow devices put into the middle of a frame. */
#define CUT_SERIAL_MS 100
#define CUT_TCP_MS 500
#define GAP_CHARS 4

static int64_t integer(const struct eb_settings *options, const char *key, int64_t otherwise)
{
	const struct eb_value *value = frame_setting(options, key);
	return value ? value->integer : otherwise;
}

static int read_mark(const struct eb_settings *options, const char *key, struct mark *mark,
	struct eb_error *error)
{
	const struct eb_value *value = frame_setting(options, key);
	if (!value)
		return 0;
	if (!value->size || value->size > MARK_MAX)
		return REFUSE(error, EINVAL, "%s has %zu bytes: it must have 1 to %u", key,
			value->size, MARK_MAX);
	mark->size = (uint8_t)value->size;
	memcpy(mark->bytes, value->data, value->size);
	return 0;
}

/* Which of the ways to find a frame's end was chosen. */
static int read_end(struct frame *bus, const struct eb_settings *options, struct eb_error *error)
{
	static const char *const keys[] = { "delimiter", "length", "length_field" };
	int chosen = -1;
	for (int i = 0; i < 3; i++) {
		if (!frame_setting(options, keys[i]))
			continue;
		if (chosen >= 0)
			return REFUSE(error, EINVAL,
				"%s and %s: a frame ends in one way, leave one of them out",
				keys[chosen], keys[i]);
		chosen = i;
	}
	if (chosen < 0 && !frame_setting(options, "silence_ms"))
		return REFUSE(error, EINVAL,
			"how does a frame end? Set delimiter, length, length_field or silence_ms");
	bus->end = chosen < 0 ? END_SILENCE : (enum end)chosen;
	return 0;
}

static int read_length(struct frame *bus, const struct eb_settings *options, struct eb_error *error)
{
	struct length_field *field = &bus->field;
	const struct eb_value *order = frame_setting(options, "length_order");
	bool adjusted = frame_setting(options, "length_adjust") ||
		frame_setting(options, "length_size") || order;
	if (adjusted && bus->end != END_FIELD)
		return REFUSE(error, EINVAL,
			"length_size, length_order and length_adjust belong to length_field: set it "
			"too");
	bus->length = (uint32_t)integer(options, "length", 0);
	bus->max_length = (uint32_t)integer(options, "max_length",
		bus->length > MAX_LENGTH_USUAL ? bus->length : MAX_LENGTH_USUAL);
	if (bus->length > bus->max_length)
		return REFUSE(error, EINVAL, "length is %u: it must be at most max_length, %u",
			bus->length, bus->max_length);
	field->offset = (uint32_t)integer(options, "length_field", 0);
	field->size = (uint32_t)integer(options, "length_size", 1);
	field->little = order && strcmp(order->data, "little") == 0;
	field->adjust = (int32_t)integer(options, "length_adjust", field->offset + field->size);
	if (field->size == 3)
		return REFUSE(error, EINVAL, "length_size is 3: it must be 1, 2 or 4");
	if (field->offset + field->size > bus->max_length)
		return REFUSE(error, EINVAL,
			"length_field is %u: a frame has at most %u bytes (max_length)",
			field->offset, bus->max_length);
	return 0;
}

static int read_sum(struct frame *bus, const struct eb_settings *options, struct eb_error *error)
{
	const struct eb_value *name = frame_setting(options, "checksum");
	if (!name) {
		if (frame_setting(options, "checksum_from") ||
			frame_setting(options, "checksum_end"))
			return REFUSE(error, EINVAL,
				"checksum_from and checksum_end need checksum: %s", SUM_NAMES);
		return 0;
	}
	bus->sum = sum_find(name->data);
	bus->sum_from = (uint32_t)integer(options, "checksum_from", bus->sum->text ? 1 : 0);
	bus->sum_end = (uint32_t)integer(options, "checksum_end", bus->delimiter.size);
	if (bus->sum_end && bus->sum_end < bus->delimiter.size)
		return REFUSE(error, EINVAL,
			"checksum_end is %u: the checksum stands in front of the delimiter of %u bytes "
			"(leave it out) or behind it (0)",
			bus->sum_end, bus->delimiter.size);
	if (bus->sum_from + bus->sum->size + bus->sum_end >
		(bus->length ? bus->length : bus->max_length))
		return REFUSE(error, EINVAL,
			"no frame is long enough for its checksum: see checksum_from and "
			"checksum_end");
	return 0;
}

static int read_match(struct frame *bus, const struct eb_settings *options, struct eb_error *error)
{
	uint32_t most = bus->length ? bus->length : bus->max_length;
	bus->match_offset = (uint32_t)integer(options, "match_offset", 0);
	bus->match_size = (uint32_t)integer(options, "match_size", 0);
	if (frame_setting(options, "match_offset") && !bus->match_size)
		return REFUSE(error, EINVAL,
			"match_offset needs match_size: how many bytes tell the devices apart");
	if (bus->match_offset + bus->match_size > most)
		return REFUSE(error, EINVAL,
			"match_offset is %u: with match_size %u it passes the end of a frame of %u "
			"bytes",
			bus->match_offset, bus->match_size, most);
	return 0;
}

/* What the line has to be like. */
static void read_times(struct frame *bus, const struct eb_settings *options,
	const struct eb_line *line, struct eb_timing *timing)
{
	bool serial = line->transport == EB_SERIAL;
	int64_t cut_ms = integer(options, "silence_ms", serial ? CUT_SERIAL_MS : CUT_TCP_MS);
	bus->cut_us = (uint32_t)(cut_ms * 1000);
	if (bus->end == END_SILENCE)
		timing->gap_us = bus->cut_us;
	else if (serial && line->baud)
		timing->gap_us = (uint32_t)(UINT64_C(1000000) * GAP_CHARS * line->char_bits /
			line->baud);
}

int frame_open(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error)
{
	struct frame *bus = state;
	const struct eb_value *strip = frame_setting(options, "strip");
	bus->strip = !strip || strip->integer;
	int result = read_mark(options, "start", &bus->start, error);
	if (result == 0)
		result = read_mark(options, "delimiter", &bus->delimiter, error);
	if (result == 0)
		result = read_end(bus, options, error);
	if (result == 0)
		result = read_length(bus, options, error);
	if (result == 0)
		result = read_sum(bus, options, error);
	if (result == 0)
		result = read_match(bus, options, error);
	if (result == 0)
		read_times(bus, options, line, timing);
	return result;
}
