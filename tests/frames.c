/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/frames.h"

#include <stdlib.h>

#include "util/hex.h"

static void put_rtu(struct buffer *frame, uint8_t unit, const struct buffer *pdu)
{
	size_t begin = frame->size;
	uint16_t crc = 0xffff;
	buffer_put_byte(frame, unit);
	buffer_put(frame, pdu->data, pdu->size);
	for (size_t i = begin; i < frame->size; i++) {
		crc ^= frame->data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
	}
	buffer_put_byte(frame, (uint8_t)crc);
	buffer_put_byte(frame, (uint8_t)(crc >> 8));
}

static void put_ascii(struct buffer *frame, uint8_t unit, const struct buffer *pdu)
{
	unsigned sum = unit;
	buffer_printf(frame, ":%02X", unit);
	for (size_t i = 0; i < pdu->size; i++) {
		buffer_printf(frame, "%02X", pdu->data[i]);
		sum += pdu->data[i];
	}
	buffer_printf(frame, "%02X\r\n", (256 - sum % 256) % 256);
}

static void put_tcp(
	struct buffer *frame, uint16_t transaction, uint8_t unit, const struct buffer *pdu)
{
	uint8_t head[7] = { (uint8_t)(transaction >> 8), (uint8_t)transaction, 0, 0, 0,
		(uint8_t)(pdu->size + 1), unit };
	buffer_put(frame, head, sizeof(head));
	buffer_put(frame, pdu->data, pdu->size);
}

void put_frame(
	struct buffer *frame, int framing, uint16_t transaction, uint8_t unit, const char *pdu)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	if (hex_parse(&bytes, pdu) < 0)
		abort();
	if (framing == ASCII)
		put_ascii(frame, unit, &bytes);
	else if (framing == TCP)
		put_tcp(frame, transaction, unit, &bytes);
	else
		put_rtu(frame, unit, &bytes);
}
