/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Modbus unit reads from and puts on its line: application data units in the framings RTU and
 * ASCII (MODBUS over Serial Line V1.02) and TCP (MODBUS Messaging on TCP/IP V1.0b).  Written for
 * the simulator alone, from the documents: it is the other side of what it tests.
 */
#ifndef EB_SIM_FIELD_FRAME_H
#define EB_SIM_FIELD_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing { FRAMING_RTU, FRAMING_ASCII, FRAMING_TCP };

#define PDU_MAX 253
/* The longest: ASCII, a colon, two digits for each of unit, PDU and LRC, CR, LF. */
#define FRAME_MAX (1 + 2 * (1 + PDU_MAX + 1) + 2)

struct adu {
	uint16_t transaction; /* TCP */
	uint8_t unit;
	uint8_t size; /* of pdu */
	uint8_t pdu[PDU_MAX];
};

enum frame_result {
	FRAME_MORE, /* not whole yet; nothing consumed */
	FRAME_GOOD,
	FRAME_BAD, /* consumed bytes are no request: checksum, length or header wrong */
};

const char *framing_name(enum framing framing);
/* "rtu", "ascii" or "tcp" to its framing; -EINVAL for another word. */
int framing_parse(const char *word);

/* Writes the frame of an ADU; frame has room for FRAME_MAX.  Returns its size. */
size_t frame_build(enum framing framing, const struct adu *adu, uint8_t *frame);

/*
 * Takes one request off the front of bytes.  ended: no more bytes belong to them, as the line fell
 * silent (RTU); a stream never ends.  *consumed is set unless the result is FRAME_MORE.
 */
enum frame_result frame_take(enum framing framing, const uint8_t *bytes, size_t size, bool ended,
	struct adu *adu, size_t *consumed);

uint16_t frame_crc(const uint8_t *bytes, size_t size);

#endif
