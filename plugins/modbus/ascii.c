/* SPDX-License-Identifier: Apache-2.0 */
/* ':', pairs of hexadecimal digits with an LRC at the end, CR LF: "Serial Line", 2.5.2. */
#include "modbus.h"

#include <string.h>

#define FRAME_MAX 513u /* ':', 2 * (unit, PDU, LRC), CR, LF */

static uint8_t lrc(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

static uint8_t *put_hex(uint8_t *at, uint8_t byte)
{
	static const char digits[] = "0123456789ABCDEF";
	*at++ = (uint8_t)digits[byte >> 4];
	*at++ = (uint8_t)digits[byte & 15];
	return at;
}

int ascii_encode(const struct eb_request *request, uint8_t *frame)
{
	uint8_t unit = request->address.bytes[0];
	uint8_t *at = frame;
	*at++ = ':';
	at = put_hex(at, unit);
	for (uint32_t i = 0; i < request->data_size; i++)
		at = put_hex(at, request->data[i]);
	at = put_hex(at, (uint8_t)(lrc(request->data, request->data_size) - unit));
	*at++ = '\r';
	*at++ = '\n';
	return (int)(at - frame);
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Digits to bytes; their count, or 0 where they are no pairs of digits. */
static size_t decode(const uint8_t *text, size_t size, uint8_t *bytes)
{
	if (size % 2)
		return 0;
	for (size_t i = 0; i < size; i += 2) {
		int high = digit(text[i]), low = digit(text[i + 1]);
		if (high < 0 || low < 0)
			return 0;
		bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	return size / 2;
}

/* The line from its ':' to its LF. */
static void judge(
	struct modbus *bus, const struct eb_input *input, size_t size, struct eb_verdict *verdict)
{
	uint8_t frame[FRAME_MAX / 2];
	size_t digits = size - 2;
	if (digits && input->bytes[size - 2] == '\r')
		digits--;
	size_t count = decode(input->bytes + 1, digits, frame);
	verdict->consumed = (uint32_t)size;
	/* Unit, function, LRC at the least; with its own LRC the sum is nothing. */
	if (count < 3 || lrc(frame, count) != 0) {
		listen_lost(bus, size);
		say(verdict, input->count ? EB_ERROR : EB_NOISE, EB_CRC);
	} else if (bus->listen) {
		listen_judge(bus, input, frame[0], frame + 1, count - 2, verdict);
	} else {
		pdu_judge(input, input->count ? 0 : -1, frame[0], frame + 1, count - 2, verdict);
	}
}

/* The line was silent, or is too long: what there is will not become a frame. */
static void give_up(const struct eb_input *input, struct eb_verdict *verdict)
{
	say(verdict, input->count ? EB_ERROR : EB_NOISE, EB_SHORT);
	verdict->consumed = (uint32_t)input->size;
}

void ascii_receive(struct modbus *bus, const struct eb_input *input, struct eb_verdict *verdict)
{
	const uint8_t *bytes = input->bytes;
	size_t size = input->size, begin = 0;
	while (begin < size && bytes[begin] != ':')
		begin++;
	if (begin) {
		say(verdict, EB_NOISE, EB_CRC);
		verdict->consumed = (uint32_t)begin;
		return;
	}
	for (size_t at = 1; at < size && at < FRAME_MAX; at++) {
		if (bytes[at] == '\n') {
			judge(bus, input, at + 1, verdict);
			return;
		}
		if (bytes[at] == ':') {
			say(verdict, EB_NOISE, EB_SHORT);
			verdict->consumed = (uint32_t)at;
			return;
		}
	}
	if (size && (input->silent_us || size >= FRAME_MAX)) {
		give_up(input, verdict);
		return;
	}
	say(verdict, EB_MORE, EB_NONE);
	verdict->gap_us = size ? bus->silence_us : 0;
}
