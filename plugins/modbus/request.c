/* SPDX-License-Identifier: Apache-2.0 */
/* Requests out of their settings. */
#include "modbus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ADDRESSES 65536

/* What the settings say; has_ and the pointers tell what stands there. */
struct wish {
	const char *read, *write;
	int64_t address, count, read_address, and_mask, or_mask, function; /* -1: not there */
	const struct eb_value *values, *bytes;
};

/* A table of a device, and what a frame can carry of it. */
struct table {
	const char *name;
	uint8_t read, write_one, write_many;
	uint16_t read_max, write_max;
};

static const struct table tables[] = {
	{ "holding_registers", READ_HOLDING_REGISTERS, WRITE_REGISTER, WRITE_REGISTERS, 125, 123 },
	{ "input_registers", READ_INPUT_REGISTERS, 0, 0, 125, 0 },
	{ "coils", READ_COILS, WRITE_COIL, WRITE_COILS, 2000, 1968 },
	{ "discrete_inputs", READ_DISCRETE_INPUTS, 0, 0, 2000, 0 },
};

#define READ_WRITE_MAX 121

#define REFUSE(error, code, ...)                                             \
	({                                                                   \
		snprintf((error)->text, sizeof((error)->text), __VA_ARGS__); \
		-(code);                                                     \
	})

static const struct table *find_table(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		if (strcmp(tables[i].name, name) == 0)
			return &tables[i];
	}
	return NULL;
}

static void read_setting(struct wish *wish, const struct eb_setting *setting)
{
	const struct {
		const char *key;
		int64_t *to;
	} integers[] = {
		{ "address", &wish->address },
		{ "count", &wish->count },
		{ "read_address", &wish->read_address },
		{ "and_mask", &wish->and_mask },
		{ "or_mask", &wish->or_mask },
		{ "function", &wish->function },
	};
	for (size_t i = 0; i < sizeof(integers) / sizeof(*integers); i++) {
		if (strcmp(setting->key, integers[i].key) == 0)
			*integers[i].to = setting->value.integer;
	}
	if (strcmp(setting->key, "read") == 0)
		wish->read = setting->value.data;
	else if (strcmp(setting->key, "write") == 0)
		wish->write = setting->value.data;
	else if (strcmp(setting->key, "values") == 0)
		wish->values = &setting->value;
	else if (strcmp(setting->key, "bytes") == 0)
		wish->bytes = &setting->value;
}

static struct wish read_settings(const struct eb_settings *settings)
{
	struct wish wish = { .address = -1,
		.count = -1,
		.read_address = -1,
		.and_mask = -1,
		.or_mask = -1,
		.function = -1 };
	for (size_t i = 0; i < settings->count; i++)
		read_setting(&wish, &settings->items[i]);
	return wish;
}

static int check_range(int64_t address, int64_t count, int64_t max, const char *what,
	const char *table, struct eb_error *error)
{
	if (count < 1)
		return REFUSE(error, EINVAL, "nothing to %s: count must be at least 1", what);
	if (count > max)
		return REFUSE(error, E2BIG,
			"%" PRId64 " %s are too many to %s in one frame: the most is %" PRId64,
			count, table, what, max);
	if (address + count > ADDRESSES)
		return REFUSE(error, EINVAL,
			"address %" PRId64 " and %" PRId64
			" behind it pass the last address, 65535",
			address, count - 1);
	return 0;
}

static int make_read(const struct wish *wish, uint8_t *pdu, struct eb_error *error)
{
	const struct table *table = find_table(wish->read);
	int64_t count = wish->count < 0 ? 1 : wish->count;
	if (wish->function >= 0)
		return REFUSE(
			error, EINVAL, "function belongs to a write: what is read decides here");
	if (wish->values || wish->bytes || wish->read_address >= 0)
		return REFUSE(error, EINVAL,
			"values, bytes and read_address belong to a write: say write = \"...\" too");
	int result = check_range(wish->address, count, table->read_max, "read", table->name, error);
	if (result < 0)
		return result;
	pdu[0] = table->read;
	put16(pdu + 1, (uint32_t)wish->address);
	put16(pdu + 3, (uint32_t)count);
	return 5;
}

/* The values as they stand in a frame; returns how many there are. */
static int64_t put_registers(const struct wish *wish, uint8_t *to, struct eb_error *error)
{
	if (wish->bytes) {
		if (wish->bytes->size % 2)
			return REFUSE(error, EINVAL,
				"bytes has %zu bytes: a register has two, so their number must be even",
				wish->bytes->size);
		size_t room = 2 * (size_t)tables[0].write_max;
		memcpy(to, wish->bytes->data, wish->bytes->size < room ? wish->bytes->size : room);
		return (int64_t)(wish->bytes->size / 2);
	}
	for (uint32_t i = 0; i < wish->values->count && i < tables[0].write_max; i++) {
		const struct eb_value *value = &wish->values->items[i];
		if (value->type != EB_INTEGER)
			return REFUSE(error, EINVAL,
				"values: item %u must be an integer from -32768 to 65535", i + 1);
		put16(to + 2 * (size_t)i, (uint32_t)value->integer);
	}
	return wish->values->count;
}

static int64_t put_coils(const struct wish *wish, uint8_t *to, struct eb_error *error)
{
	const struct table *table = find_table("coils");
	if (wish->bytes) {
		size_t size = wish->bytes->size, room = (table->write_max + 7u) / 8;
		int64_t count = wish->count < 0 ? 8 * (int64_t)size : wish->count;
		if ((count + 7) / 8 != (int64_t)size)
			return REFUSE(error, EINVAL,
				"bytes has %zu bytes: %" PRId64 " coils take %" PRId64, size, count,
				(count + 7) / 8);
		memcpy(to, wish->bytes->data, size < room ? size : room);
		if (count % 8 && size <= room)
			to[size - 1] &= (uint8_t)((1u << count % 8) - 1);
		return count;
	}
	memset(to, 0, (table->write_max + 7u) / 8);
	for (uint32_t i = 0; i < wish->values->count && i < table->write_max; i++) {
		const struct eb_value *value = &wish->values->items[i];
		bool boolean = value->type == EB_BOOLEAN || value->type == EB_INTEGER;
		if (!boolean || value->integer < 0 || value->integer > 1)
			return REFUSE(error, EINVAL,
				"values: item %u must be true, false, 0 or 1: it is a coil", i + 1);
		if (value->integer)
			to[i / 8] |= (uint8_t)(1u << i % 8);
	}
	return wish->values->count;
}

static int put_values(const struct wish *wish, const struct table *table, uint8_t *to,
	int64_t *count, struct eb_error *error)
{
	if (!wish->values == !wish->bytes)
		return REFUSE(error, EINVAL, "a write needs either values or bytes%s",
			wish->values ? ", not both" : "");
	bool coils = table->write_one == WRITE_COIL;
	*count = coils ? put_coils(wish, to, error) : put_registers(wish, to, error);
	return *count < 0 ? (int)*count : 0;
}

static int make_mask_write(
	const struct wish *wish, const struct table *table, uint8_t *pdu, struct eb_error *error)
{
	if (wish->and_mask < 0 || wish->or_mask < 0 || table->write_one != WRITE_REGISTER ||
		wish->values || wish->bytes || wish->count >= 0 || wish->read ||
		wish->read_address >= 0 || wish->function >= 0)
		return REFUSE(error, EINVAL,
			"a mask write has write = \"holding_registers\", address, and_mask and "
			"or_mask, and nothing else");
	pdu[0] = MASK_WRITE_REGISTER;
	put16(pdu + 1, (uint32_t)wish->address);
	put16(pdu + 3, (uint32_t)wish->and_mask);
	put16(pdu + 5, (uint32_t)wish->or_mask);
	return 7;
}

static int make_read_write(
	const struct wish *wish, const struct table *table, uint8_t *pdu, struct eb_error *error)
{
	int64_t read_count = wish->count < 0 ? 1 : wish->count, count;
	if (strcmp(wish->read, "holding_registers") != 0 || table->write_one != WRITE_REGISTER ||
		wish->read_address < 0 || wish->function >= 0)
		return REFUSE(error, EINVAL,
			"a read and write in one has read and write = \"holding_registers\", address and "
			"values to write, read_address and count to read");
	uint8_t values[2 * 123];
	int result = put_values(wish, table, values, &count, error);
	if (result == 0)
		result = check_range(
			wish->address, count, READ_WRITE_MAX, "write", table->name, error);
	if (result == 0)
		result = check_range(wish->read_address, read_count, table->read_max, "read",
			table->name, error);
	if (result < 0)
		return result;
	pdu[0] = READ_WRITE_REGISTERS;
	put16(pdu + 1, (uint32_t)wish->read_address);
	put16(pdu + 3, (uint32_t)read_count);
	put16(pdu + 5, (uint32_t)wish->address);
	put16(pdu + 7, (uint32_t)count);
	pdu[9] = (uint8_t)(2 * count);
	memcpy(pdu + 10, values, 2 * (size_t)count);
	return (int)(10 + 2 * count);
}

/* Which of a table's two write functions: one value goes alone unless it is told otherwise. */
static int choose_function(
	const struct wish *wish, const struct table *table, int64_t count, struct eb_error *error)
{
	if (wish->function < 0)
		return count == 1 ? table->write_one : table->write_many;
	if (wish->function != table->write_many &&
		(wish->function != table->write_one || count != 1))
		return REFUSE(error, EINVAL,
			"function %" PRId64 " does not write %" PRId64 " %s: %u does%s",
			wish->function, count, table->name, table->write_many,
			count == 1 ? ", or leave it out" : "");
	return (int)wish->function;
}

static int make_write(
	const struct wish *wish, const struct table *table, uint8_t *pdu, struct eb_error *error)
{
	uint8_t values[2 * 123 + 2];
	int64_t count;
	int result = put_values(wish, table, values, &count, error);
	if (result < 0)
		return result;
	if (wish->read_address >= 0)
		return REFUSE(error, EINVAL, "read_address needs read = \"holding_registers\"");
	if (wish->count >= 0 && wish->count != count)
		return REFUSE(error, EINVAL,
			"count is %" PRId64 ", but there are %" PRId64 " values: leave it out",
			wish->count, count);
	result = check_range(wish->address, count, table->write_max, "write", table->name, error);
	int function = result < 0 ? result : choose_function(wish, table, count, error);
	if (function < 0)
		return function;
	bool coils = table->write_one == WRITE_COIL;
	pdu[0] = (uint8_t)function;
	put16(pdu + 1, (uint32_t)wish->address);
	if (function == table->write_one) {
		put16(pdu + 3, !coils ? get16(values) : values[0] & 1 ? 0xff00 : 0);
		return 5;
	}
	size_t size = coils ? ((size_t)count + 7) / 8 : 2 * (size_t)count;
	put16(pdu + 3, (uint32_t)count);
	pdu[5] = (uint8_t)size;
	memcpy(pdu + 6, values, size);
	return (int)(6 + size);
}

static int make_pdu(const struct wish *wish, uint8_t *pdu, struct eb_error *error)
{
	if (!wish->read && !wish->write)
		return REFUSE(error, EINVAL,
			"read or write must say what: holding_registers, coils, input_registers or "
			"discrete_inputs (the last two can only be read)");
	const struct table *table = wish->write ? find_table(wish->write) : NULL;
	if (wish->and_mask >= 0 || wish->or_mask >= 0)
		return table ? make_mask_write(wish, table, pdu, error)
			     : REFUSE(error, EINVAL, "and_mask and or_mask belong to a write");
	if (!table)
		return make_read(wish, pdu, error);
	return wish->read ? make_read_write(wish, table, pdu, error)
			  : make_write(wish, table, pdu, error);
}

void modbus_measure(const struct modbus *bus, struct eb_request *request, uint32_t pdu_size)
{
	uint32_t answer = pdu_answer_size(request->data);
	request->data_size = pdu_size;
	request->content_size = pdu_content_size(request->data);
	switch (bus->framing) {
	case FRAMING_RTU:
		request->frame_size = pdu_size + 3;
		request->answer_size = answer + 3;
		break;
	case FRAMING_ASCII:
		request->frame_size = 2 * pdu_size + 7;
		request->answer_size = 2 * answer + 7;
		break;
	case FRAMING_TCP:
		request->frame_size = pdu_size + 7;
		request->answer_size = answer + 7;
		break;
	}
}

int modbus_request(const void *state, const struct eb_settings *settings,
	struct eb_request *request, struct eb_error *error)
{
	const struct modbus *bus = state;
	struct wish wish = read_settings(settings);
	int size = make_pdu(&wish, request->data, error);
	if (size < 0)
		return size;
	bool broadcast = bus->framing != FRAMING_TCP && request->address.bytes[0] == 0;
	if (broadcast && wish.read)
		return REFUSE(error, EINVAL,
			"unit 0 is everybody on the line and nobody answers it: it can only be written");
	if (bus->listen && wish.write)
		return REFUSE(error, EINVAL,
			"the bus only listens (listen = true): nothing can be written on it");
	request->flags = (wish.write ? EB_WRITE : 0) | (broadcast ? EB_NO_ANSWER : 0) |
		(bus->listen ? EB_LISTEN : 0);
	modbus_measure(bus, request, (uint32_t)size);
	if (broadcast)
		request->answer_size = 0;
	return 0;
}
