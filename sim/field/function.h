/* SPDX-License-Identifier: Apache-2.0 */
/* The Modbus functions 1 to 6, 15, 16, 22 and 23 (MODBUS Application Protocol V1.1b3, section 6). */
#ifndef EB_SIM_FIELD_FUNCTION_H
#define EB_SIM_FIELD_FUNCTION_H

#include "sim/field/frame.h"
#include "sim/field/unit.h"
#include "util/buffer.h"

enum exception {
	EXCEPTION_FUNCTION = 1,
	EXCEPTION_ADDRESS = 2,
	EXCEPTION_VALUE = 3,
	EXCEPTION_NO_TARGET = 11,
};

/*
 * Does what the request's PDU asks of the unit, and makes answer the PDU of its answer: the unit and
 * the transaction are the request's.  Nothing is written unless all of a request can be.
 */
void function_serve(struct unit *unit, const struct adu *request, int64_t start_us, int64_t now_us,
	struct adu *answer);
/* Makes answer the exception that refuses the request. */
void function_refuse(const struct adu *request, uint8_t code, struct adu *answer);
static inline bool function_refused(const struct adu *answer)
{
	return answer->pdu[0] & 0x80;
}
/* Whether the request changes registers: functions 5, 6, 15, 16, 22 and 23. */
bool function_writes(uint8_t function);
/*
 * Appends what the request asks as members of a JSON object, ',"table":"holding","address":100,
 * "count":1,"values":[42]'; nothing where it is malformed or unknown.
 */
void function_describe(const struct adu *request, struct buffer *json);

#endif
