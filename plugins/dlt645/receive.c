/* SPDX-License-Identifier: Apache-2.0 */
/* What was received, judged. */
#include "dlt645.h"

#include <string.h>

/* The longest pause inside a frame. */
#define CUT_US 500000u

enum found { FOUND_NONE, FOUND_PART, FOUND_WHOLE, FOUND_BAD };

/* A frame behind the bytes that wake the receiver. */
struct view {
	const uint8_t *bytes; /* from the first 68 */
	size_t front; /* bytes before it that go with it */
	size_t have;
	size_t size; /* of a whole one */
};

static void say(struct eb_verdict *verdict, uint32_t kind, uint32_t error, size_t consumed)
{
	verdict->kind = kind;
	verdict->error = error;
	verdict->consumed = (uint32_t)consumed;
}

/* What begins at bytes, at least one of them. */
static enum found find_frame(const uint8_t *bytes, size_t have, struct view *view)
{
	size_t front = 0;
	while (front < have && bytes[front] == WAKE && front < WAKE_MAX)
		front++;
	*view = (struct view){ .bytes = bytes + front, .front = front, .have = have - front };
	const uint8_t *at = view->bytes;
	if (!view->have)
		return FOUND_PART;
	if (at[0] != 0x68 || (view->have > 7 && at[7] != 0x68) ||
		(view->have > 9 && at[9] > DATA_MAX))
		return FOUND_NONE;
	if (view->have < HEAD_SIZE)
		return FOUND_PART;
	view->size = HEAD_SIZE + at[9] + TAIL_SIZE;
	if (view->have < view->size)
		return FOUND_PART;
	bool fits = at[view->size - 1] == 0x16 &&
		at[view->size - 2] == dlt645_sum(at, view->size - TAIL_SIZE);
	return fits ? FOUND_WHOLE : FOUND_BAD;
}

/* Whether the address of a frame is the meter's, or one that the wildcards stand for. */
static bool is_from(const struct eb_request *asked, const uint8_t *address, size_t have)
{
	for (size_t i = 0; i < ADDRESS_SIZE && i < have; i++) {
		if (asked->address.bytes[i] != ANY && asked->address.bytes[i] != address[i])
			return false;
	}
	return true;
}

/* The function that is due to be answered. */
static uint8_t function_of(const struct eb_outstanding *sent)
{
	uint8_t function = sent->request->data[0];
	return function == READ && sent->step ? READ_ON : function;
}

/* Whether what there is of a frame can be the beginning of the answer. */
static bool may_answer(const struct eb_outstanding *sent, const struct view *view)
{
	if (!sent || (view->have > 1 && !is_from(sent->request, view->bytes + 1, view->have - 1)))
		return false;
	if (view->have < 9)
		return true;
	uint8_t control = view->bytes[8];
	return control & CONTROL_ANSWER && (control & CONTROL_FUNCTION) == function_of(sent);
}

/* What is no good frame ends the request if it may have been meant to answer it. */
static void spoil(const struct eb_outstanding *sent, const struct view *view, uint32_t error,
	size_t consumed, struct eb_verdict *verdict)
{
	say(verdict, may_answer(sent, view) ? EB_ERROR : EB_NOISE, error, consumed);
}

static void take_off(const uint8_t *data, size_t size, uint8_t *to)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)(data[i] - 0x33);
}

/* Asks for what follows; the frame's number is how many were got already. */
static void ask_on(const struct dlt645 *bus, const struct eb_input *input,
	const struct eb_outstanding *sent, struct eb_verdict *verdict)
{
	uint8_t data[ID_SIZE + 1];
	memcpy(data, sent->request->data + 1, ID_SIZE);
	data[ID_SIZE] = (uint8_t)(sent->step + 1);
	verdict->kind = EB_CONTINUE;
	verdict->frame_size = dlt645_frame(
		bus, &sent->request->address, READ_ON, data, sizeof(data), input->frame);
}

/* The data of an answer to a read, without the 33H, or to what follows it. */
static void judge_read(const struct dlt645 *bus, const struct eb_input *input,
	const struct eb_outstanding *sent, const struct view *view, struct eb_verdict *verdict)
{
	uint8_t data[DATA_MAX];
	size_t size = view->bytes[9], around = ID_SIZE + (sent->step ? 1 : 0);
	size_t left = EB_ANSWER_MAX - sent->so_far_size;
	take_off(view->bytes + HEAD_SIZE, size, data);
	if (size < around) {
		say(verdict, EB_ERROR, EB_SHORT, verdict->consumed);
		return;
	}
	if (memcmp(data, sent->request->data + 1, ID_SIZE) != 0 ||
		(sent->step && data[size - 1] != (uint8_t)sent->step)) {
		say(verdict, EB_NOISE, EB_FOREIGN, verdict->consumed);
		return;
	}
	size -= around;
	if (size > left) {
		say(verdict, EB_ERROR, EB_SHORT, verdict->consumed);
		return;
	}
	memcpy(input->content, data + ID_SIZE, size);
	verdict->kind = EB_ANSWER;
	verdict->content = input->content;
	verdict->content_size = (uint32_t)size;
	if (view->bytes[8] & CONTROL_MORE)
		ask_on(bus, input, sent, verdict);
}

static void judge_answer(const struct dlt645 *bus, const struct eb_input *input,
	const struct eb_outstanding *sent, const struct view *view, struct eb_verdict *verdict)
{
	const uint8_t *data = view->bytes + HEAD_SIZE;
	uint8_t size = view->bytes[9];
	verdict->kind = EB_ERROR;
	verdict->error = EB_SHORT;
	if (view->bytes[8] & CONTROL_REFUSED) {
		if (size != 1)
			return;
		verdict->error = EB_EXCEPTION;
		verdict->code = (uint8_t)(data[0] - 0x33);
		return;
	}
	switch ((enum function)function_of(sent)) {
	case READ:
	case READ_ON:
		verdict->error = EB_NONE;
		judge_read(bus, input, sent, view, verdict);
		break;
	case READ_ADDRESS:
		take_off(data, size, input->content);
		if (size != ADDRESS_SIZE ||
			memcmp(input->content, view->bytes + 1, ADDRESS_SIZE) != 0)
			break;
		say(verdict, EB_ANSWER, EB_NONE, verdict->consumed);
		verdict->content = input->content;
		verdict->content_size = ADDRESS_SIZE;
		break;
	case WRITE:
		if (size == 0)
			say(verdict, EB_ANSWER, EB_NONE, verdict->consumed);
		break;
	case SET_CLOCKS:
		break;
	}
}

/* A good frame. */
static void judge(const struct dlt645 *bus, const struct eb_input *input,
	const struct eb_outstanding *sent, const struct view *view, struct eb_verdict *verdict)
{
	say(verdict, EB_NOISE, EB_FOREIGN, view->front + view->size);
	if (may_answer(sent, view))
		judge_answer(bus, input, sent, view, verdict);
}

/* How many bytes of something bad can be dropped: up to where a frame may begin. */
static size_t count_bad(const uint8_t *bytes, size_t size)
{
	struct view view;
	size_t at = 1;
	while (at < size && find_frame(bytes + at, size - at, &view) == FOUND_NONE)
		at++;
	return at;
}

/* The first good frame behind a place; size where there is none. */
static size_t find_good(const uint8_t *bytes, size_t size)
{
	struct view view;
	size_t at = 1;
	while (at < size && find_frame(bytes + at, size - at, &view) != FOUND_WHOLE)
		at++;
	return at;
}

/* A frame whose checksum does not fit, but not what may be a frame that begins inside of it. */
static size_t count_spoilt(const struct view *view)
{
	size_t next = count_bad(view->bytes, view->have);
	return view->front + (next < view->size ? next : view->size);
}

static void judge_part(const struct eb_input *input, const struct eb_outstanding *sent,
	const struct view *view, struct eb_verdict *verdict)
{
	/* A false beginning must not hold up the frame behind it. */
	bool plausible = view->have && may_answer(sent, view);
	size_t good = plausible && !input->silent_us ? input->size
						     : find_good(input->bytes, input->size);
	if (good < input->size) {
		say(verdict, EB_NOISE, EB_FOREIGN, good);
	} else if (input->silent_us) {
		spoil(sent, view, EB_SHORT, input->size, verdict);
	} else {
		say(verdict, EB_MORE, EB_NONE, 0);
		verdict->gap_us = CUT_US;
	}
}

void dlt645_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict)
{
	const struct eb_outstanding *sent = input->count ? &input->outstanding[0] : NULL;
	struct view view;
	if (!input->size) {
		say(verdict, EB_MORE, EB_NONE, 0);
		return;
	}
	switch (find_frame(input->bytes, input->size, &view)) {
	case FOUND_NONE:
		say(verdict, EB_NOISE, EB_FOREIGN, count_bad(input->bytes, input->size));
		break;
	case FOUND_PART:
		judge_part(input, sent, &view, verdict);
		break;
	case FOUND_WHOLE:
		judge(state, input, sent, &view, verdict);
		break;
	case FOUND_BAD:
		spoil(sent, &view, EB_CRC, count_spoilt(&view), verdict);
		break;
	}
}
