/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening to another master: an answer says neither what was asked nor from which address on, so the
 * request before it is kept.  What pairs goes to the polls that declare a part of it.
 */
#include "modbus.h"

#include <string.h>

#define FRAME_MIN 4u

/* Whether the bytes may be the answer that the kept request waits for. */
static bool is_due(const struct heard *heard, uint8_t unit, const uint8_t *pdu, size_t size)
{
	return heard->waiting && unit == heard->unit && pdu_begins_answer(heard->pdu, pdu, size);
}

size_t listen_size(const struct modbus *bus, uint8_t unit, const uint8_t *pdu, size_t size)
{
	if (is_due(&bus->heard, unit, pdu, size) || (size && pdu[0] & EXCEPTION_FLAG))
		return pdu_size_as_answer(pdu, size);
	return pdu_size_as_request(pdu, size);
}

void listen_lost(struct modbus *bus, size_t size)
{
	if (size >= FRAME_MIN)
		bus->heard.waiting = false;
}

void listen_judge(struct modbus *bus, const struct eb_input *input, uint8_t unit,
	const uint8_t *pdu, size_t size, struct eb_verdict *verdict)
{
	struct heard *heard = &bus->heard;
	if (is_due(heard, unit, pdu, size) && !(pdu[0] & EXCEPTION_FLAG) &&
		size == pdu_answer_size(heard->pdu)) {
		say(verdict, EB_UNASKED, EB_NONE);
		verdict->content_size = pdu_content(heard->pdu, pdu, input->content);
		verdict->content = input->content;
		verdict->address = (struct eb_address){ .size = 1, .bytes = { unit } };
		verdict->key_size = sizeof(heard->pdu);
		memcpy(verdict->key, heard->pdu, sizeof(heard->pdu));
		heard->waiting = false;
		return;
	}
	/* Writes change nothing of what is known: a poll is answered by a read alone. */
	heard->waiting = pdu_is_read(pdu) && size == sizeof(heard->pdu) && get16(pdu + 3);
	heard->unit = unit;
	if (heard->waiting)
		memcpy(heard->pdu, pdu, sizeof(heard->pdu));
	say(verdict, EB_CONTINUE, EB_NONE);
}
