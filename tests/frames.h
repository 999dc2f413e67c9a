/* SPDX-License-Identifier: Apache-2.0 */
/* Modbus frames built bit by bit, by other code than the plugin's. */
#ifndef EB_TESTS_FRAMES_H
#define EB_TESTS_FRAMES_H

#include <stdint.h>

#include "util/buffer.h"

enum { RTU, ASCII, TCP, RTU_OVER_TCP, FRAMINGS };

/* Appends the frame around a PDU that is given in hexadecimal digits. */
void put_frame(
	struct buffer *frame, int framing, uint16_t transaction, uint8_t unit, const char *pdu);

#endif
