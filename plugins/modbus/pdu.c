/* SPDX-License-Identifier: Apache-2.0 */
/* What stands between a frame's address and its check sum: requests and answers compared. */
#include "modbus.h"

#include <string.h>

bool pdu_is_read(const uint8_t *pdu)
{
	return pdu[0] >= READ_COILS && pdu[0] <= READ_INPUT_REGISTERS;
}

bool pdu_is_bits(const uint8_t *pdu)
{
	return pdu[0] == READ_COILS || pdu[0] == READ_DISCRETE_INPUTS;
}

uint32_t pdu_content_size(const uint8_t *request)
{
	switch (request[0]) {
	case READ_COILS:
	case READ_DISCRETE_INPUTS:
		return (get16(request + 3) + 7u) / 8;
	case READ_HOLDING_REGISTERS:
	case READ_INPUT_REGISTERS:
	case READ_WRITE_REGISTERS:
		return get16(request + 3) * 2u;
	default:
		return 0;
	}
}

/* How much of a write's answer repeats the request; 0 where the answer carries contents. */
static size_t repeated(const uint8_t *request)
{
	switch (request[0]) {
	case WRITE_COIL:
	case WRITE_REGISTER:
	case WRITE_COILS:
	case WRITE_REGISTERS:
		return 5;
	case MASK_WRITE_REGISTER:
		return 7;
	default:
		return 0;
	}
}

bool pdu_answer_is_echo(const uint8_t *request)
{
	return request[0] == WRITE_COIL || request[0] == WRITE_REGISTER ||
		request[0] == MASK_WRITE_REGISTER;
}

uint32_t pdu_answer_size(const uint8_t *request)
{
	size_t same = repeated(request);
	return same ? (uint32_t)same : 2 + pdu_content_size(request);
}

size_t pdu_size_as_answer(const uint8_t *pdu, size_t size)
{
	if (size && pdu[0] & EXCEPTION_FLAG)
		return 2;
	if (size < 2)
		return 0;
	size_t same = repeated(pdu);
	if (same)
		return same;
	bool counted = pdu_is_read(pdu) || pdu[0] == READ_WRITE_REGISTERS;
	return counted && pdu[1] ? 2u + pdu[1] : 0;
}

size_t pdu_size_as_request(const uint8_t *pdu, size_t size)
{
	if (!size)
		return 0;
	switch (pdu[0]) {
	case READ_COILS:
	case READ_DISCRETE_INPUTS:
	case READ_HOLDING_REGISTERS:
	case READ_INPUT_REGISTERS:
	case WRITE_COIL:
	case WRITE_REGISTER:
		return 5;
	case WRITE_COILS:
	case WRITE_REGISTERS:
		return size < 6 ? 0 : 6u + pdu[5];
	case MASK_WRITE_REGISTER:
		return 7;
	case READ_WRITE_REGISTERS:
		return size < 10 ? 0 : 10u + pdu[9];
	default:
		return 0;
	}
}

bool pdu_begins_answer(const uint8_t *request, const uint8_t *pdu, size_t size)
{
	if (!size)
		return true;
	if (pdu[0] == (request[0] | EXCEPTION_FLAG))
		return true;
	if (pdu[0] != request[0])
		return false;
	size_t same = repeated(request);
	if (same)
		return memcmp(pdu, request, size < same ? size : same) == 0;
	return size < 2 || pdu[1] == pdu_content_size(request);
}

uint32_t pdu_content(const uint8_t *request, const uint8_t *answer, uint8_t *content)
{
	uint32_t size = pdu_content_size(request);
	if (!size)
		return 0;
	memcpy(content, answer + 2, size);
	/* What stands behind the last bit that was asked for means nothing. */
	unsigned bits = get16(request + 3) % 8u;
	if (pdu_is_bits(request) && bits)
		content[size - 1] &= (uint8_t)((1u << bits) - 1);
	return size;
}

/* A gateway's words for a unit that gave no answer. */
static bool means_no_answer(uint8_t code)
{
	return code == 0x0a || code == 0x0b;
}

/* Illegal data address or value: some of the range is not there, or it is too long. */
static bool refuses_range(const uint8_t *request, uint8_t code)
{
	return pdu_is_read(request) && (code == 0x02 || code == 0x03);
}

void pdu_judge(const struct eb_input *input, int index, uint8_t unit, const uint8_t *pdu,
	size_t size, struct eb_verdict *verdict)
{
	if (index < 0) {
		say(verdict, EB_NOISE, EB_FOREIGN);
		return;
	}
	const struct eb_request *asked = input->outstanding[index].request;
	const uint8_t *request = asked->data;
	verdict->index = (uint32_t)index;
	bool exception = pdu[0] & EXCEPTION_FLAG;
	if (unit != asked->address.bytes[0] || (pdu[0] & ~EXCEPTION_FLAG) != request[0]) {
		say(verdict, EB_NOISE, EB_FOREIGN);
	} else if (exception && size == 2) {
		say(verdict, EB_ERROR, means_no_answer(pdu[1]) ? EB_TIMEOUT : EB_EXCEPTION);
		verdict->code = pdu[1];
		verdict->flags = refuses_range(request, pdu[1]) ? EB_REFUSES_RANGE : 0;
	} else if (!pdu_answer_is_echo(request) && size == asked->data_size &&
		memcmp(pdu, request, size) == 0) {
		say(verdict, EB_NOISE, EB_ECHO);
	} else if (!exception && size == pdu_answer_size(request) &&
		pdu_begins_answer(request, pdu, size)) {
		say(verdict, EB_ANSWER, EB_NONE);
		verdict->content_size = pdu_content(request, pdu, input->content);
		verdict->content = input->content;
	} else {
		/* Of the right unit and function: an answer to something else, or cut by a gateway. */
		say(verdict, EB_NOISE, repeated(request) ? EB_FOREIGN : EB_SHORT);
	}
}
