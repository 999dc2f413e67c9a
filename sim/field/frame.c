/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/frame.h"

#include <errno.h>
#include <string.h>

#define TCP_HEADER 7

static const char *const framing_names[] = { "rtu", "ascii", "tcp" };

const char *framing_name(enum framing framing)
{
	return framing_names[framing];
}

int framing_parse(const char *word)
{
	for (int i = 0; i < 3; i++) {
		if (strcmp(word, framing_names[i]) == 0)
			return i;
	}
	return -EINVAL;
}

uint16_t frame_crc(const uint8_t *bytes, size_t size)
{
	uint16_t crc = 0xffff;
	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? (uint16_t)(crc >> 1 ^ 0xa001) : (uint16_t)(crc >> 1);
	}
	return crc;
}

static uint8_t lrc(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

static size_t build_rtu(const struct adu *adu, uint8_t *frame)
{
	size_t size = 1 + (size_t)adu->size;
	frame[0] = adu->unit;
	memcpy(frame + 1, adu->pdu, adu->size);
	uint16_t crc = frame_crc(frame, size);
	frame[size++] = (uint8_t)crc;
	frame[size++] = (uint8_t)(crc >> 8);
	return size;
}

static size_t build_ascii(const struct adu *adu, uint8_t *frame)
{
	static const char digits[] = "0123456789ABCDEF";
	uint8_t bytes[1 + PDU_MAX + 1];
	size_t size = 1 + (size_t)adu->size, at = 0;
	bytes[0] = adu->unit;
	memcpy(bytes + 1, adu->pdu, adu->size);
	bytes[size] = lrc(bytes, size);
	size++;
	frame[at++] = ':';
	for (size_t i = 0; i < size; i++) {
		frame[at++] = (uint8_t)digits[bytes[i] >> 4];
		frame[at++] = (uint8_t)digits[bytes[i] & 15];
	}
	frame[at++] = '\r';
	frame[at++] = '\n';
	return at;
}

static size_t build_tcp(const struct adu *adu, uint8_t *frame)
{
	frame[0] = (uint8_t)(adu->transaction >> 8);
	frame[1] = (uint8_t)adu->transaction;
	frame[2] = frame[3] = 0;
	frame[4] = 0;
	frame[5] = (uint8_t)(adu->size + 1);
	frame[6] = adu->unit;
	memcpy(frame + TCP_HEADER, adu->pdu, adu->size);
	return TCP_HEADER + (size_t)adu->size;
}

size_t frame_build(enum framing framing, const struct adu *adu, uint8_t *frame)
{
	switch (framing) {
	case FRAMING_RTU:
		return build_rtu(adu, frame);
	case FRAMING_ASCII:
		return build_ascii(adu, frame);
	case FRAMING_TCP:
		return build_tcp(adu, frame);
	}
	return 0;
}

static void fill(struct adu *adu, uint16_t transaction, const uint8_t *unit_and_pdu, size_t size)
{
	adu->transaction = transaction;
	adu->unit = unit_and_pdu[0];
	adu->size = (uint8_t)(size - 1);
	memcpy(adu->pdu, unit_and_pdu + 1, size - 1);
}

/* The size of an RTU request: 0 not known yet, -1 the function does not say. */
static int rtu_size(const uint8_t *bytes, size_t size)
{
	switch (bytes[1]) {
	case 1 ... 6:
		return 8;
	case 15:
	case 16:
		return size < 7 ? 0 : 9 + bytes[6];
	case 22:
		return 10;
	case 23:
		return size < 11 ? 0 : 13 + bytes[10];
	}
	return -1;
}

static bool crc_fits(const uint8_t *bytes, size_t size)
{
	return frame_crc(bytes, size - 2) == (bytes[size - 2] | bytes[size - 1] << 8);
}

/* A function that we do not know ends where the silence or, in a stream, the CRC says. */
static size_t unknown_size(const uint8_t *bytes, size_t size, bool ended)
{
	if (ended)
		return size;
	for (size_t end = 4; end <= size; end++) {
		if (crc_fits(bytes, end))
			return end;
	}
	return 0;
}

static enum frame_result take_rtu(
	const uint8_t *bytes, size_t size, bool ended, struct adu *adu, size_t *consumed)
{
	*consumed = size;
	if (size < 4)
		return ended ? FRAME_BAD : FRAME_MORE;
	int expected = rtu_size(bytes, size);
	size_t whole = expected < 0 ? unknown_size(bytes, size, ended) : (size_t)expected;
	if (!whole || whole > size) {
		if (ended || size >= 1 + PDU_MAX + 2)
			return FRAME_BAD;
		return FRAME_MORE;
	}
	if (whole > 1 + PDU_MAX + 2 || !crc_fits(bytes, whole))
		return FRAME_BAD;
	fill(adu, 0, bytes, whole - 2);
	*consumed = whole;
	return FRAME_GOOD;
}

static int digit(uint8_t character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'A' && character <= 'F')
		return character - 'A' + 10;
	return -1;
}

/* The bytes that the digits of an ASCII frame mean; 0 where they mean none. */
static size_t decode_ascii(const uint8_t *text, size_t size, uint8_t *bytes)
{
	if (size % 2 || size < 6 || size / 2 > 1 + PDU_MAX + 1)
		return 0;
	for (size_t i = 0; i < size / 2; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return 0;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return size / 2;
}

static enum frame_result take_ascii(
	const uint8_t *bytes, size_t size, bool ended, struct adu *adu, size_t *consumed)
{
	const uint8_t *colon = memchr(bytes, ':', size);
	*consumed = size;
	if (!colon)
		return FRAME_BAD;
	const uint8_t *end = bytes + size;
	const uint8_t *feed = memchr(colon, '\n', (size_t)(end - colon));
	if (!feed) {
		/* Another colon begins the frame anew. */
		return ended || end - colon > FRAME_MAX ? FRAME_BAD : FRAME_MORE;
	}
	*consumed = (size_t)(feed + 1 - bytes);
	const uint8_t *last = memrchr(colon, ':', (size_t)(feed - colon));
	if (feed - last < 2 || feed[-1] != '\r')
		return FRAME_BAD;
	uint8_t decoded[1 + PDU_MAX + 1];
	size_t count = decode_ascii(last + 1, (size_t)(feed - 1 - (last + 1)), decoded);
	if (!count || lrc(decoded, count - 1) != decoded[count - 1])
		return FRAME_BAD;
	fill(adu, 0, decoded, count - 1);
	return FRAME_GOOD;
}

static enum frame_result take_tcp(
	const uint8_t *bytes, size_t size, struct adu *adu, size_t *consumed)
{
	*consumed = size;
	if (size < TCP_HEADER)
		return FRAME_MORE;
	unsigned protocol = (unsigned)(bytes[2] << 8 | bytes[3]);
	size_t length = (size_t)(bytes[4] << 8 | bytes[5]);
	if (protocol != 0 || length < 2 || length > 1 + PDU_MAX)
		return FRAME_BAD;
	if (size < TCP_HEADER - 1 + length)
		return FRAME_MORE;
	fill(adu, (uint16_t)(bytes[0] << 8 | bytes[1]), bytes + TCP_HEADER - 1, length);
	*consumed = TCP_HEADER - 1 + length;
	return FRAME_GOOD;
}

enum frame_result frame_take(enum framing framing, const uint8_t *bytes, size_t size, bool ended,
	struct adu *adu, size_t *consumed)
{
	if (!size)
		return FRAME_MORE;
	switch (framing) {
	case FRAMING_RTU:
		return take_rtu(bytes, size, ended, adu, consumed);
	case FRAMING_ASCII:
		return take_ascii(bytes, size, ended, adu, consumed);
	case FRAMING_TCP:
		return take_tcp(bytes, size, adu, consumed);
	}
	return FRAME_BAD;
}
