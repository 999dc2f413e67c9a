/* SPDX-License-Identifier: Apache-2.0 */
/* What was received, judged. */
#include "frame.h"

#include <string.h>

/* One look at the input. */
struct look {
	struct frame *bus;
	const struct eb_input *input;
	const struct eb_request *asked; /* NULL: nobody */
	struct eb_verdict *verdict;
};

static void say(const struct look *look, uint32_t kind, uint32_t error, size_t consumed)
{
	look->verdict->kind = kind;
	look->verdict->error = error;
	look->verdict->consumed = (uint32_t)consumed;
}

/* Whether what is there of a frame can be of the device and the answer that are waited for. */
static bool may_answer(const struct look *look, size_t size)
{
	const struct frame *bus = look->bus;
	const uint8_t *bytes = look->input->bytes;
	struct wish wish;
	if (!look->asked)
		return false;
	memcpy(&wish, look->asked->data, sizeof(wish));
	size_t there = size < wish.expect_size ? size : wish.expect_size;
	if (memcmp(bytes, wish.expect, there) != 0)
		return false;
	if (size <= bus->match_offset)
		return true;
	there = size - bus->match_offset;
	there = there < bus->match_size ? there : bus->match_size;
	return memcmp(bytes + bus->match_offset, look->asked->address.bytes, there) == 0;
}

static bool answers(const struct look *look, size_t size)
{
	struct wish wish;
	if (!may_answer(look, size))
		return false;
	memcpy(&wish, look->asked->data, sizeof(wish));
	return size >= wish.expect_size;
}

/* What is no good frame ends the request that it may have been meant to answer, and only that. */
static void spoil(const struct look *look, uint32_t error, size_t size)
{
	say(look, may_answer(look, size) ? EB_ERROR : EB_NOISE, error, size);
}

static void put_content(const struct look *look, size_t size)
{
	const struct frame *bus = look->bus;
	size_t front = 0, behind = 0;
	if (bus->strip) {
		front = bus->start.size;
		behind = bus->end == END_DELIMITER ? bus->delimiter.size : 0;
		if (bus->sum && bus->sum_end)
			behind = bus->sum_end;
		behind += bus->sum ? bus->sum->size : 0;
	}
	look->verdict->content = look->input->bytes + front;
	look->verdict->content_size = size > front + behind ? (uint32_t)(size - front - behind) : 0;
}

static void put_unasked(const struct look *look, size_t size)
{
	const struct frame *bus = look->bus;
	struct eb_verdict *verdict = look->verdict;
	verdict->address.size = (uint8_t)bus->match_size;
	memcpy(verdict->address.bytes, look->input->bytes + bus->match_offset, bus->match_size);
	verdict->key_size = (uint8_t)(size < EB_KEY_MAX ? size : EB_KEY_MAX);
	memcpy(verdict->key, look->input->bytes, verdict->key_size);
}

/* A whole frame whose checksum fits. */
static void take(const struct look *look, size_t size)
{
	struct frame *bus = look->bus;
	bool known = bus->in_step || find_is_sure(bus);
	bus->in_step = true;
	if (size < (size_t)bus->match_offset + bus->match_size) {
		say(look, EB_NOISE, EB_FOREIGN, size);
	} else if (answers(look, size)) {
		say(look, EB_ANSWER, EB_NONE, size);
		put_content(look, size);
	} else if (!known) {
		/* We may have come in the middle of it, and half a number is a wrong one. */
		say(look, EB_NOISE, EB_SHORT, size);
	} else {
		say(look, EB_UNASKED, EB_NONE, size);
		put_content(look, size);
		put_unasked(look, size);
	}
}

/* Where another frame begins inside one that is spoilt, that one may be good. */
static void drop_spoilt(const struct look *look, uint32_t error, size_t size)
{
	size_t next = find_start(look->bus, look->input->bytes, size);
	spoil(look, error, next < size ? next : size);
}

static void want_more(const struct look *look)
{
	say(look, EB_MORE, EB_NONE, 0);
	look->verdict->gap_us = look->input->size ? look->bus->cut_us : 0;
}

/* Drops what belongs to a frame that was too long, up to where the next one can begin. */
static bool skip(const struct look *look)
{
	struct frame *bus = look->bus;
	const struct eb_input *input = look->input;
	const uint8_t *end = NULL;
	if (!bus->skipping || !input->size)
		return false;
	if (bus->end == END_DELIMITER)
		end = memmem(input->bytes, input->size, bus->delimiter.bytes, bus->delimiter.size);
	bus->skipping = !end && !input->silent_us;
	if (end) {
		say(look, EB_NOISE, EB_SHORT, (size_t)(end - input->bytes) + bus->delimiter.size);
	} else if (input->silent_us) {
		say(look, EB_NOISE, EB_SHORT, input->size);
	} else if (input->size > MARK_MAX) {
		/* The delimiter may have begun. */
		say(look, EB_NOISE, EB_SHORT, input->size - MARK_MAX);
	} else {
		want_more(look);
	}
	return true;
}

/* Without a mark to begin with, frames of a length can be told apart by the pauses alone. */
static bool waits_for_pause(const struct look *look)
{
	struct frame *bus = look->bus;
	bool counted = bus->end == END_LENGTH || bus->end == END_FIELD;
	if (bus->in_step || look->asked || !counted || find_is_sure(bus) || !look->input->size)
		return false;
	if (look->input->silent_us || look->input->size > bus->max_length) {
		bus->in_step = look->input->silent_us > 0;
		say(look, EB_NOISE, EB_SHORT, look->input->size);
	} else {
		want_more(look);
	}
	return true;
}

static void judge(const struct look *look)
{
	const struct eb_input *input = look->input;
	size_t size = 0;
	switch (find_frame(look->bus, input->bytes, input->size, input->silent_us > 0, &size)) {
	case FOUND_WHOLE:
		take(look, size);
		break;
	case FOUND_BAD_SUM:
		drop_spoilt(look, EB_CRC, size);
		break;
	case FOUND_NONE:
		say(look, EB_NOISE, EB_FOREIGN, size);
		break;
	case FOUND_LONG:
		drop_spoilt(look, EB_SHORT, size);
		break;
	case FOUND_ENDLESS:
		look->bus->skipping = true;
		spoil(look, EB_SHORT, size);
		break;
	case FOUND_PART:
		if (!input->silent_us) {
			want_more(look);
			break;
		}
		look->bus->in_step = true;
		drop_spoilt(look, EB_SHORT, input->size);
	}
}

void frame_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict)
{
	const struct look look = { .bus = state,
		.input = input,
		.asked = input->count ? input->outstanding[0].request : NULL,
		.verdict = verdict };
	if (!input->size)
		want_more(&look);
	else if (!skip(&look) && !waits_for_pause(&look))
		judge(&look);
}
