/* SPDX-License-Identifier: Apache-2.0 */
#include "packet.h"

#include <errno.h>

#define HEADER_SIZE 4
#define PAYLOAD_MARKER 0xff

/* The value of an option's delta or length nibble, with the bytes that extend it; -EBADMSG. */
static int extended(unsigned nibble, const uint8_t **at, const uint8_t *end)
{
	size_t more = nibble == 13 ? 1 : nibble == 14 ? 2 : 0;
	if (nibble == 15 || (size_t)(end - *at) < more)
		return -EBADMSG;
	const uint8_t *bytes = *at;
	*at += more;
	if (nibble == 13)
		return 13 + bytes[0];
	if (nibble == 14)
		return 269 + (bytes[0] << 8 | bytes[1]);
	return (int)nibble;
}

static struct block read_block(struct bytes value)
{
	const uint8_t *bytes = value.data;
	uint32_t number = 0;
	for (size_t i = 0; i < value.size && i < 3; i++)
		number = number << 8 | bytes[i];
	return (struct block){ .there = true,
		.more = (number & 8) != 0,
		.exponent = number & 7,
		.number = number >> 4 };
}

static void take_option(struct packet *packet, unsigned number, struct bytes value)
{
	switch (number) {
	case OPTION_URI_PATH:
		if (packet->segments < PACKET_SEGMENTS_MAX)
			packet->path[packet->segments] = value;
		packet->segments++;
		return;
	case OPTION_SIGNATURE:
		if (!packet->signatures++)
			packet->signature = value;
		return;
	case OPTION_BLOCK1:
		packet->block1 = read_block(value);
		return;
	case OPTION_BLOCK2:
		packet->block2 = read_block(value);
		return;
	case OPTION_URI_HOST:
	case OPTION_URI_PORT:
	case OPTION_URI_QUERY:
	case OPTION_ACCEPT:
		return;
	default:
		if ((number & 1) && !packet->unknown_critical)
			packet->unknown_critical = number;
	}
}

static int parse_options(struct packet *packet, const uint8_t *at, const uint8_t *end)
{
	unsigned number = 0;
	while (at < end && *at != PAYLOAD_MARKER) {
		unsigned head = *at++;
		int delta = extended(head >> 4, &at, end);
		int length = delta < 0 ? delta : extended(head & 15, &at, end);
		if (length < 0 || end - at < length)
			return -EBADMSG;
		number += (unsigned)delta;
		take_option(packet, number, (struct bytes){ at, (size_t)length });
		at += length;
	}
	if (at == end)
		return 0;
	/* A marker with nothing behind it is a format error (section 3). */
	if (++at == end)
		return -EBADMSG;
	packet->payload = (struct bytes){ at, (size_t)(end - at) };
	return 0;
}

int packet_parse(struct packet *packet, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	*packet = (struct packet){ .type = PACKET_NON };
	if (size < HEADER_SIZE || bytes[0] >> 6 != 1)
		return -EPROTONOSUPPORT;
	packet->type = bytes[0] >> 4 & 3;
	packet->code = bytes[1];
	packet->message_id = (uint16_t)(bytes[2] << 8 | bytes[3]);
	packet->token_size = bytes[0] & 15;
	if (packet->token_size > PACKET_TOKEN_MAX || size < HEADER_SIZE + packet->token_size) {
		packet->token_size = 0;
		return -EBADMSG;
	}
	if (packet->code == CODE_EMPTY)
		return size == HEADER_SIZE ? 0 : -EBADMSG;
	memcpy(packet->token, bytes + HEADER_SIZE, packet->token_size);
	return parse_options(packet, bytes + HEADER_SIZE + packet->token_size, bytes + size);
}

static unsigned nibble_of(size_t value)
{
	return value < 13 ? (unsigned)value : value < 269 ? 13 : 14;
}

static void put_extension(struct buffer *datagram, size_t value)
{
	if (value >= 269) {
		buffer_put_byte(datagram, (uint8_t)((value - 269) >> 8));
		buffer_put_byte(datagram, (uint8_t)(value - 269));
	} else if (value >= 13) {
		buffer_put_byte(datagram, (uint8_t)(value - 13));
	}
}

static void put_option(struct buffer *datagram, size_t delta, struct bytes value)
{
	buffer_put_byte(datagram, (uint8_t)(nibble_of(delta) << 4 | nibble_of(value.size)));
	put_extension(datagram, delta);
	put_extension(datagram, value.size);
	buffer_put(datagram, value.data, value.size);
}

/* Returns the number of the last option. */
static size_t put_block(struct buffer *datagram, size_t last, size_t option, struct block block)
{
	if (!block.there)
		return last;
	uint32_t number = block.number << 4 | (block.more ? 8u : 0) | block.exponent;
	uint8_t bytes[3] = { (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number };
	size_t skip = number > 0xffff ? 0 : number > 0xff ? 1 : 2;
	put_option(datagram, option - last, (struct bytes){ bytes + skip, 3 - skip });
	return option;
}

void packet_build(struct buffer *datagram, const struct packet_out *packet)
{
	uint8_t header[HEADER_SIZE] = {
		(uint8_t)(0x40 | packet->type << 4 | packet->token.size),
		packet->code,
		(uint8_t)(packet->message_id >> 8),
		(uint8_t)packet->message_id,
	};
	buffer_put(datagram, header, sizeof(header));
	buffer_put(datagram, packet->token.data, packet->token.size);
	size_t last = put_block(datagram, 0, OPTION_BLOCK2, packet->block2);
	last = put_block(datagram, last, OPTION_BLOCK1, packet->block1);
	if (packet->notice.data) {
		put_option(datagram, OPTION_NOTICE - last, packet->notice);
		last = OPTION_NOTICE;
	}
	if (packet->command.data)
		put_option(datagram, OPTION_COMMAND - last, packet->command);
	if (packet->payload.size) {
		buffer_put_byte(datagram, PAYLOAD_MARKER);
		buffer_put(datagram, packet->payload.data, packet->payload.size);
	}
}
