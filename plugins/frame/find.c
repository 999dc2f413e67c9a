/* SPDX-License-Identifier: Apache-2.0 */
/* Where a frame begins and ends. */
#include "frame.h"

#include <string.h>

bool find_is_sure(const struct frame *bus)
{
	return bus->start.size || bus->sum || bus->end == END_SILENCE;
}

/* Whether the bytes that are there begin with the mark, or can still become it. */
static bool may_be(const struct mark *mark, const uint8_t *bytes, size_t have)
{
	return memcmp(mark->bytes, bytes, have < mark->size ? have : mark->size) == 0;
}

size_t find_start(const struct frame *bus, const uint8_t *bytes, size_t have)
{
	size_t at = 1;
	if (!bus->start.size)
		return have;
	while (at < have && !may_be(&bus->start, bytes + at, have - at))
		at++;
	return at;
}

/* The first byte behind the delimiter that is looked for from a place on; 0 where there is none. */
static size_t find_delimiter(
	const struct mark *mark, const uint8_t *bytes, size_t from, size_t have)
{
	const uint8_t *at = NULL;
	if (from < have)
		at = memmem(bytes + from, have - from, mark->bytes, mark->size);
	return at ? (size_t)(at - bytes) + mark->size : 0;
}

/* Judges a frame whose size is known. */
static enum found judge(
	const struct frame *bus, const uint8_t *bytes, size_t whole, size_t have, size_t *size)
{
	*size = whole;
	if (whole > bus->max_length) {
		*size = whole < have ? whole : have;
		return FOUND_LONG;
	}
	if (whole > have)
		return FOUND_PART;
	return sum_fits(bus, bytes, whole) ? FOUND_WHOLE : FOUND_BAD_SUM;
}

/*
 * A checksum of any bytes before the delimiter may hold the delimiter's.  So where it does not fit at
 * the first one, the frame may end a few bytes later.
 */
static enum found delimited_later(const struct frame *bus, const uint8_t *bytes, size_t first,
	size_t have, bool silent, size_t *size)
{
	size_t reach = first + bus->sum->size + bus->sum_end;
	for (size_t from = first + 1 - bus->delimiter.size;;) {
		size_t whole = find_delimiter(&bus->delimiter, bytes, from, have);
		if (!whole || whole > reach)
			break;
		if (sum_fits(bus, bytes, whole)) {
			*size = whole;
			return FOUND_WHOLE;
		}
		from = whole + 1 - bus->delimiter.size;
	}
	*size = first;
	return have < reach && !silent ? FOUND_PART : FOUND_BAD_SUM;
}

static enum found find_delimited(
	const struct frame *bus, const uint8_t *bytes, size_t have, bool silent, size_t *size)
{
	bool behind = bus->sum && !bus->sum_end;
	size_t first = find_delimiter(&bus->delimiter, bytes, bus->start.size, have);
	if (!first) {
		/* The delimiter may have begun. */
		*size = have + 1 - bus->delimiter.size;
		return have >= bus->max_length ? FOUND_ENDLESS : FOUND_PART;
	}
	enum found found = judge(bus, bytes, first + (behind ? bus->sum->size : 0), have, size);
	if (found == FOUND_BAD_SUM && !behind && !bus->sum->text)
		return delimited_later(bus, bytes, first, have, silent, size);
	return found;
}

static enum found find_by_field(
	const struct frame *bus, const uint8_t *bytes, size_t have, size_t *size)
{
	const struct length_field *field = &bus->field;
	int64_t value = 0;
	size_t header = field->offset + field->size;
	if (have < header)
		return FOUND_PART;
	for (uint32_t i = 0; i < field->size; i++) {
		uint32_t place = field->little ? field->size - 1 - i : i;
		value = value << 8 | bytes[field->offset + place];
	}
	value += field->adjust;
	/* A length that cannot be says that this is not where a frame begins. */
	if (value < (int64_t)header || value > bus->max_length) {
		*size = find_start(bus, bytes, have);
		return FOUND_NONE;
	}
	return judge(bus, bytes, (size_t)value, have, size);
}

enum found find_frame(
	const struct frame *bus, const uint8_t *bytes, size_t have, bool silent, size_t *size)
{
	if (!may_be(&bus->start, bytes, have)) {
		*size = find_start(bus, bytes, have);
		return FOUND_NONE;
	}
	switch (bus->end) {
	case END_DELIMITER:
		return find_delimited(bus, bytes, have, silent, size);
	case END_LENGTH:
		return judge(bus, bytes, bus->length, have, size);
	case END_FIELD:
		return find_by_field(bus, bytes, have, size);
	case END_SILENCE:
		break;
	}
	*size = have;
	if (have > bus->max_length)
		return FOUND_ENDLESS;
	return silent ? judge(bus, bytes, have, have, size) : FOUND_PART;
}
