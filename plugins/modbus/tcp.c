/* SPDX-License-Identifier: Apache-2.0 */
/* Transaction id, protocol 0, length, unit, PDU: "MODBUS Messaging on TCP/IP", 3.1.3. */
#include "modbus.h"

#include <string.h>

#define HEADER_SIZE 7u
#define LENGTH_MIN 2u /* unit and function */
#define LENGTH_MAX (1u + PDU_MAX)

int tcp_encode(const struct eb_request *request, uint32_t tag, uint8_t *frame)
{
	put16(frame, tag);
	put16(frame + 2, 0);
	put16(frame + 4, 1 + request->data_size);
	frame[6] = request->address.bytes[0];
	memcpy(frame + HEADER_SIZE, request->data, request->data_size);
	return (int)(HEADER_SIZE + request->data_size);
}

static int find(const struct eb_input *input, uint16_t transaction)
{
	for (uint32_t i = 0; i < input->count; i++) {
		if ((input->outstanding[i].tag & 0xffff) == transaction)
			return (int)i;
	}
	return -1;
}

/* Whether what there is of a header can be one. */
static bool plausible(const uint8_t *at, size_t size)
{
	static const uint8_t fixed[] = { 0, 0, 0 }; /* the protocol, the length's upper byte */
	size_t known = size < 2 ? 0 : size - 2;
	if (memcmp(at + 2, fixed, known < sizeof(fixed) ? known : sizeof(fixed)) != 0)
		return false;
	return size < 6 || (at[5] >= LENGTH_MIN && at[5] <= LENGTH_MAX);
}

/* Passes over what is no header, to the next place where one may begin. */
static uint32_t garbage(const struct eb_input *input)
{
	size_t at = 1;
	while (at < input->size && !plausible(input->bytes + at, input->size - at))
		at++;
	return (uint32_t)at;
}

void tcp_receive(const struct eb_input *input, struct eb_verdict *verdict)
{
	const uint8_t *bytes = input->bytes;
	if (!input->size || plausible(bytes, input->size)) {
		if (input->size < HEADER_SIZE || input->size < 6u + bytes[5]) {
			say(verdict, EB_MORE, EB_NONE);
			return;
		}
	} else {
		say(verdict, EB_NOISE, EB_CRC);
		verdict->consumed = garbage(input);
		return;
	}
	int index = find(input, get16(bytes));
	verdict->consumed = 6u + bytes[5];
	pdu_judge(input, index, bytes[6], bytes + HEADER_SIZE, bytes[5] - 1u, verdict);
	/* This transaction has had its answer: another will not come. */
	if (index >= 0 && verdict->kind == EB_NOISE)
		verdict->kind = EB_ERROR;
}
