/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in words, for logs. */
#include "modbus.h"

#include <stdio.h>

static const char *table_of(const uint8_t *pdu)
{
	switch (pdu[0]) {
	case READ_COILS:
	case WRITE_COIL:
	case WRITE_COILS:
		return "coil";
	case READ_DISCRETE_INPUTS:
		return "discrete input";
	case READ_INPUT_REGISTERS:
		return "input register";
	default:
		return "holding register";
	}
}

/* "holding register 7" or "holding registers 7 to 9". */
static void put_range(char *text, size_t room, const char *table, unsigned address, unsigned count)
{
	if (count == 1)
		snprintf(text, room, "%s %u", table, address);
	else
		snprintf(text, room, "%ss %u to %u", table, address, address + count - 1);
}

void modbus_describe(const void *state, const struct eb_request *request, char *text, size_t room)
{
	const uint8_t *pdu = request->data;
	unsigned unit = request->address.bytes[0], address = get16(pdu + 1), word = get16(pdu + 3);
	char range[64], other[64];
	put_range(range, sizeof(range), table_of(pdu), address, word);
	switch (pdu[0]) {
	case WRITE_COIL:
		snprintf(text, room, "unit %u: write coil %u = %u", unit, address, word != 0);
		break;
	case WRITE_REGISTER:
		snprintf(
			text, room, "unit %u: write holding register %u = %u", unit, address, word);
		break;
	case WRITE_COILS:
	case WRITE_REGISTERS:
		snprintf(text, room, "unit %u: write %s", unit, range);
		break;
	case MASK_WRITE_REGISTER:
		snprintf(text, room, "unit %u: write holding register %u and 0x%04x or 0x%04x",
			unit, address, word, get16(pdu + 5));
		break;
	case READ_WRITE_REGISTERS:
		put_range(other, sizeof(other), table_of(pdu), get16(pdu + 5), get16(pdu + 7));
		snprintf(text, room, "unit %u: write %s, read %s", unit, other, range);
		break;
	default:
		snprintf(text, room, "unit %u: read %s", unit, range);
	}
}
