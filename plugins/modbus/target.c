/* SPDX-License-Identifier: Apache-2.0 */
/* What writes change, and how that is read again. */
#include "modbus.h"

#include <errno.h>
#include <string.h>

static bool writes_coils(const uint8_t *pdu)
{
	return pdu[0] == WRITE_COIL || pdu[0] == WRITE_COILS;
}

static void take_bits(const uint8_t *bytes, uint32_t count, int64_t *numbers)
{
	for (uint32_t i = 0; i < count; i++)
		numbers[i] = bytes[i / 8] >> i % 8 & 1;
}

static void take_registers(const uint8_t *bytes, uint32_t count, int64_t *numbers)
{
	for (uint32_t i = 0; i < count; i++)
		numbers[i] = get16(bytes + 2 * (size_t)i);
}

int modbus_target(const void *state, const struct eb_request *write, struct eb_target *target)
{
	const uint8_t *pdu = write->data;
	int64_t *numbers = target->numbers;
	*target = (struct eb_target){ .kind = writes_coils(pdu) ? "coils" : "holding_registers",
		.first = get16(pdu + 1),
		.count = 1,
		.number_count = 1,
		.numbers = numbers };
	switch (pdu[0]) {
	case WRITE_COIL:
		numbers[0] = get16(pdu + 3) != 0;
		return 0;
	case WRITE_REGISTER:
		numbers[0] = get16(pdu + 3);
		return 0;
	case MASK_WRITE_REGISTER:
		/* What it comes to depends on what is there. */
		target->number_count = 0;
		return 0;
	case WRITE_COILS:
	case WRITE_REGISTERS:
		target->count = target->number_count = get16(pdu + 3);
		if (pdu[0] == WRITE_COILS)
			take_bits(pdu + 6, target->count, numbers);
		else
			take_registers(pdu + 6, target->count, numbers);
		return 0;
	case READ_WRITE_REGISTERS:
		target->first = get16(pdu + 5);
		target->count = target->number_count = get16(pdu + 7);
		take_registers(pdu + 10, target->count, numbers);
		return 0;
	default:
		return -ENOENT;
	}
}

int modbus_read_back(const void *state, const struct eb_request *write, struct eb_request *read)
{
	int64_t numbers[EB_NUMBERS_MAX];
	struct eb_target target = { .numbers = numbers };
	const struct modbus *bus = state;
	/* Nobody answers for all of a line. */
	if (modbus_target(state, write, &target) < 0 || write->flags & EB_NO_ANSWER)
		return -ENOENT;
	read->data[0] = writes_coils(write->data) ? READ_COILS : READ_HOLDING_REGISTERS;
	put16(read->data + 1, (uint32_t)target.first);
	put16(read->data + 3, target.count);
	modbus_measure(bus, read, 5);
	return 0;
}

int modbus_numbers(const void *state, const struct eb_request *read, const uint8_t *content,
	size_t size, int64_t *numbers)
{
	uint32_t count = get16(read->data + 3);
	bool bits = pdu_is_bits(read->data);
	if (size != (bits ? (count + 7) / 8 : 2 * (size_t)count) || count > EB_NUMBERS_MAX)
		return -EINVAL;
	if (bits)
		take_bits(content, count, numbers);
	else
		take_registers(content, count, numbers);
	return (int)count;
}
