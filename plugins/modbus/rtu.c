/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit, PDU, CRC with the lower byte first: "Serial Line", 2.5.1.  A frame's end is nowhere marked but
 * by silence, and adapters put silence anywhere: so a frame is found by its length and its CRC, and
 * silence says only that nothing more will come.
 */
#include "modbus.h"

#include <string.h>

#define AROUND 3u /* unit and CRC */
#define FRAME_MIN 4u
#define FRAME_MAX (AROUND + PDU_MAX)
#define EXCEPTION_FRAME 5u

static const uint16_t crc_table[256] = { 0x0000, 0xc0c1, 0xc181, 0x0140, 0xc301, 0x03c0, 0x0280,
	0xc241, 0xc601, 0x06c0, 0x0780, 0xc741, 0x0500, 0xc5c1, 0xc481, 0x0440, 0xcc01, 0x0cc0,
	0x0d80, 0xcd41, 0x0f00, 0xcfc1, 0xce81, 0x0e40, 0x0a00, 0xcac1, 0xcb81, 0x0b40, 0xc901,
	0x09c0, 0x0880, 0xc841, 0xd801, 0x18c0, 0x1980, 0xd941, 0x1b00, 0xdbc1, 0xda81, 0x1a40,
	0x1e00, 0xdec1, 0xdf81, 0x1f40, 0xdd01, 0x1dc0, 0x1c80, 0xdc41, 0x1400, 0xd4c1, 0xd581,
	0x1540, 0xd701, 0x17c0, 0x1680, 0xd641, 0xd201, 0x12c0, 0x1380, 0xd341, 0x1100, 0xd1c1,
	0xd081, 0x1040, 0xf001, 0x30c0, 0x3180, 0xf141, 0x3300, 0xf3c1, 0xf281, 0x3240, 0x3600,
	0xf6c1, 0xf781, 0x3740, 0xf501, 0x35c0, 0x3480, 0xf441, 0x3c00, 0xfcc1, 0xfd81, 0x3d40,
	0xff01, 0x3fc0, 0x3e80, 0xfe41, 0xfa01, 0x3ac0, 0x3b80, 0xfb41, 0x3900, 0xf9c1, 0xf881,
	0x3840, 0x2800, 0xe8c1, 0xe981, 0x2940, 0xeb01, 0x2bc0, 0x2a80, 0xea41, 0xee01, 0x2ec0,
	0x2f80, 0xef41, 0x2d00, 0xedc1, 0xec81, 0x2c40, 0xe401, 0x24c0, 0x2580, 0xe541, 0x2700,
	0xe7c1, 0xe681, 0x2640, 0x2200, 0xe2c1, 0xe381, 0x2340, 0xe101, 0x21c0, 0x2080, 0xe041,
	0xa001, 0x60c0, 0x6180, 0xa141, 0x6300, 0xa3c1, 0xa281, 0x6240, 0x6600, 0xa6c1, 0xa781,
	0x6740, 0xa501, 0x65c0, 0x6480, 0xa441, 0x6c00, 0xacc1, 0xad81, 0x6d40, 0xaf01, 0x6fc0,
	0x6e80, 0xae41, 0xaa01, 0x6ac0, 0x6b80, 0xab41, 0x6900, 0xa9c1, 0xa881, 0x6840, 0x7800,
	0xb8c1, 0xb981, 0x7940, 0xbb01, 0x7bc0, 0x7a80, 0xba41, 0xbe01, 0x7ec0, 0x7f80, 0xbf41,
	0x7d00, 0xbdc1, 0xbc81, 0x7c40, 0xb401, 0x74c0, 0x7580, 0xb541, 0x7700, 0xb7c1, 0xb681,
	0x7640, 0x7200, 0xb2c1, 0xb381, 0x7340, 0xb101, 0x71c0, 0x7080, 0xb041, 0x5000, 0x90c1,
	0x9181, 0x5140, 0x9301, 0x53c0, 0x5280, 0x9241, 0x9601, 0x56c0, 0x5780, 0x9741, 0x5500,
	0x95c1, 0x9481, 0x5440, 0x9c01, 0x5cc0, 0x5d80, 0x9d41, 0x5f00, 0x9fc1, 0x9e81, 0x5e40,
	0x5a00, 0x9ac1, 0x9b81, 0x5b40, 0x9901, 0x59c0, 0x5880, 0x9841, 0x8801, 0x48c0, 0x4980,
	0x8941, 0x4b00, 0x8bc1, 0x8a81, 0x4a40, 0x4e00, 0x8ec1, 0x8f81, 0x4f40, 0x8d01, 0x4dc0,
	0x4c80, 0x8c41, 0x4400, 0x84c1, 0x8581, 0x4540, 0x8701, 0x47c0, 0x4680, 0x8641, 0x8201,
	0x42c0, 0x4380, 0x8341, 0x4100, 0x81c1, 0x8081, 0x4040 };

uint16_t rtu_crc(const uint8_t *bytes, size_t size)
{
	uint16_t crc = 0xffff;
	for (size_t i = 0; i < size; i++)
		crc = (uint16_t)(crc >> 8 ^ crc_table[(crc ^ bytes[i]) & 0xff]);
	return crc;
}

int rtu_encode(const struct eb_request *request, uint8_t *frame)
{
	size_t size = 1 + request->data_size;
	frame[0] = request->address.bytes[0];
	memcpy(frame + 1, request->data, request->data_size);
	uint16_t crc = rtu_crc(frame, size);
	frame[size] = (uint8_t)crc;
	frame[size + 1] = (uint8_t)(crc >> 8);
	return (int)(size + 2);
}

/* What is received, from one place on. */
struct view {
	const uint8_t *at;
	size_t size;
	bool silent; /* nothing more will come */
};

/* Whether a frame around a PDU of this size is there, and whole. */
static size_t whole(struct view view, size_t pdu_size)
{
	size_t size = pdu_size + AROUND;
	if (!pdu_size || size > view.size || size > FRAME_MAX)
		return 0;
	uint16_t crc = (uint16_t)(view.at[size - 2] | view.at[size - 1] << 8);
	return rtu_crc(view.at, size - 2) == crc ? size : 0;
}

/*
 * Whether our own request stands here, or may: an adapter that echoes makes a read's beginning look
 * like an answer.  The answer to some writes is its echo, and is taken for the answer.
 */
static bool may_be_echo(const struct eb_request *asked, struct view view)
{
	uint8_t own[FRAME_MAX];
	if (pdu_answer_is_echo(asked->data))
		return false;
	if (view.at[0] != asked->address.bytes[0] || view.at[1] != asked->data[0])
		return false;
	size_t size = (size_t)rtu_encode(asked, own);
	bool same = memcmp(view.at, own, view.size < size ? view.size : size) == 0;
	return same && (view.size >= size || !view.silent);
}

/* The size of the whole frame that begins here; 0: none does. */
static size_t find_here(const struct modbus *bus, const struct eb_request *asked, struct view view)
{
	const uint8_t *pdu = view.at + 1;
	size_t room = view.size - 1, size = 0;
	if (bus->listen)
		size = whole(view, listen_size(bus, view.at[0], pdu, room));
	if (size)
		return size;
	if (asked && may_be_echo(asked, view))
		return whole(view, asked->data_size);
	if (asked && view.at[0] == asked->address.bytes[0] &&
		pdu_begins_answer(asked->data, pdu, room))
		size = whole(view, pdu[0] & EXCEPTION_FLAG ? 2 : pdu_answer_size(asked->data));
	if (!size)
		size = whole(view, pdu_size_as_answer(pdu, room));
	if (!size)
		size = whole(view, pdu_size_as_request(pdu, room));
	/* Functions that are not ours have frames of lengths unknown. */
	if (!size && view.silent)
		size = whole(view, view.size - AROUND);
	return size;
}

/* Whether the answer that is waited for may have begun here; what it holds is no frame then. */
static bool answer_begins(const struct eb_request *asked, struct view view)
{
	if (!asked || view.at[0] != asked->address.bytes[0] ||
		!pdu_begins_answer(asked->data, view.at + 1, view.size - 1))
		return false;
	bool exception = view.size > 1 && view.at[1] & EXCEPTION_FLAG;
	size_t size = exception ? EXCEPTION_FRAME : pdu_answer_size(asked->data) + AROUND;
	return view.size < size;
}

static void drop(struct eb_verdict *verdict, size_t size, uint32_t error)
{
	say(verdict, EB_NOISE, error);
	verdict->consumed = (uint32_t)size;
}

/*
 * Silence with no frame in what is there.  Bytes that can have been an answer end the transaction; the
 * odd byte that a transceiver makes when it turns round does not.
 */
static void give_up(
	const struct eb_input *input, const struct eb_request *asked, struct eb_verdict *verdict)
{
	size_t size = input->size;
	uint32_t error = size < EXCEPTION_FRAME ? EB_SHORT : EB_CRC;
	bool failed = asked && size >= EXCEPTION_FRAME;
	for (size_t at = 0; asked && at + 2 <= size; at++) {
		struct view view = { input->bytes + at, size - at, true };
		if (!answer_begins(asked, view))
			continue;
		error = EB_SHORT;
		failed = true;
		break;
	}
	drop(verdict, size, error);
	if (failed)
		verdict->kind = EB_ERROR;
}

/* Bytes in front of a frame, or too many to be one. */
static void pass_over(struct modbus *bus, size_t size, struct eb_verdict *verdict)
{
	listen_lost(bus, size);
	drop(verdict, size, EB_CRC);
}

static void judge(
	struct modbus *bus, const struct eb_input *input, size_t size, struct eb_verdict *verdict)
{
	const uint8_t *frame = input->bytes;
	verdict->consumed = (uint32_t)size;
	if (bus->listen)
		listen_judge(bus, input, frame[0], frame + 1, size - AROUND, verdict);
	else
		pdu_judge(
			input, input->count ? 0 : -1, frame[0], frame + 1, size - AROUND, verdict);
}

void rtu_receive(struct modbus *bus, const struct eb_input *input, struct eb_verdict *verdict)
{
	const struct eb_request *asked = input->count && !bus->listen
		? input->outstanding[0].request
		: NULL;
	struct view view = { input->bytes, input->size, input->silent_us > 0 };
	bool begun = view.size && !view.silent && answer_begins(asked, view);
	for (; !begun && view.size >= FRAME_MIN; view.at++, view.size--) {
		size_t size = find_here(bus, asked, view);
		if (!size)
			continue;
		if (view.at == input->bytes)
			judge(bus, input, size, verdict);
		else
			pass_over(bus, (size_t)(view.at - input->bytes), verdict);
		return;
	}
	if (input->size && input->silent_us) {
		listen_lost(bus, input->size);
		give_up(input, asked, verdict);
	} else if (input->size > FRAME_MAX) {
		pass_over(bus, input->size - FRAME_MAX, verdict);
	} else {
		say(verdict, EB_MORE, EB_NONE);
		verdict->gap_us = input->size ? bus->silence_us : 0;
	}
}
