/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/function.h"

#include <errno.h>
#include <string.h>

#define READ_BITS_MAX 2000
#define READ_WORDS_MAX 125
#define WRITE_BITS_MAX 1968
#define WRITE_WORDS_MAX 123
#define BOTH_WRITE_MAX 121 /* function 23 */

/* A request's PDU taken apart; data points into it. */
struct request {
	bool reads, writes, masks;
	enum table table;
	uint32_t from, count; /* what it reads */
	uint32_t to, values; /* what it writes */
	const uint8_t *data; /* values as on the wire: words, or bits packed */
	uint16_t single; /* 5: the bit */
};

static uint16_t word(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static int parse_read(const struct adu *adu, struct request *request)
{
	static const enum table tables[] = {
		[1] = TABLE_COILS, [2] = TABLE_DISCRETE, [3] = TABLE_HOLDING, [4] = TABLE_INPUT
	};
	request->reads = true;
	request->table = tables[adu->pdu[0]];
	if (adu->size != 5)
		return EXCEPTION_VALUE;
	request->from = word(adu->pdu + 1);
	request->count = word(adu->pdu + 3);
	uint32_t most = table_is_bits(request->table) ? READ_BITS_MAX : READ_WORDS_MAX;
	return request->count < 1 || request->count > most ? EXCEPTION_VALUE : 0;
}

static int parse_single(const struct adu *adu, struct request *request)
{
	request->writes = true;
	request->table = adu->pdu[0] == 5 ? TABLE_COILS : TABLE_HOLDING;
	if (adu->size != 5)
		return EXCEPTION_VALUE;
	request->to = word(adu->pdu + 1);
	request->values = 1;
	request->data = adu->pdu + 3;
	if (adu->pdu[0] == 6)
		return 0;
	request->single = word(adu->pdu + 3) == 0xff00;
	return request->single || word(adu->pdu + 3) == 0 ? 0 : EXCEPTION_VALUE;
}

static int parse_multiple(const struct adu *adu, struct request *request)
{
	bool bits = adu->pdu[0] == 15;
	request->writes = true;
	request->table = bits ? TABLE_COILS : TABLE_HOLDING;
	if (adu->size < 6)
		return EXCEPTION_VALUE;
	request->to = word(adu->pdu + 1);
	request->values = word(adu->pdu + 3);
	request->data = adu->pdu + 6;
	uint32_t most = bits ? WRITE_BITS_MAX : WRITE_WORDS_MAX;
	uint32_t bytes = bits ? (request->values + 7) / 8 : request->values * 2;
	if (request->values < 1 || request->values > most || adu->pdu[5] != bytes ||
		adu->size != 6 + bytes)
		return EXCEPTION_VALUE;
	return 0;
}

static int parse_mask(const struct adu *adu, struct request *request)
{
	request->writes = request->masks = true;
	request->table = TABLE_HOLDING;
	if (adu->size != 7)
		return EXCEPTION_VALUE;
	request->to = word(adu->pdu + 1);
	request->values = 1;
	request->data = adu->pdu + 3;
	return 0;
}

static int parse_both(const struct adu *adu, struct request *request)
{
	request->reads = request->writes = true;
	request->table = TABLE_HOLDING;
	if (adu->size < 10)
		return EXCEPTION_VALUE;
	request->from = word(adu->pdu + 1);
	request->count = word(adu->pdu + 3);
	request->to = word(adu->pdu + 5);
	request->values = word(adu->pdu + 7);
	request->data = adu->pdu + 10;
	if (request->count < 1 || request->count > READ_WORDS_MAX || request->values < 1 ||
		request->values > BOTH_WRITE_MAX || adu->pdu[9] != request->values * 2 ||
		adu->size != 10 + request->values * 2)
		return EXCEPTION_VALUE;
	return 0;
}

/* 0, or the exception that the request deserves by its form alone. */
static int parse(const struct adu *adu, struct request *request)
{
	*request = (struct request){ .reads = false };
	switch (adu->pdu[0]) {
	case 1 ... 4:
		return parse_read(adu, request);
	case 5:
	case 6:
		return parse_single(adu, request);
	case 15:
	case 16:
		return parse_multiple(adu, request);
	case 22:
		return parse_mask(adu, request);
	case 23:
		return parse_both(adu, request);
	}
	return EXCEPTION_FUNCTION;
}

/* Value i of those that the request writes, but for the masks of function 22. */
static uint16_t value_at(const struct adu *adu, const struct request *request, uint32_t i)
{
	switch (adu->pdu[0]) {
	case 5:
		return request->single;
	case 15:
		return request->data[i / 8] >> i % 8 & 1;
	}
	return word(request->data + 2 * (size_t)i);
}

/* 0, or the exception for the first value that cannot be written. */
static int check_all(const struct unit *unit, const struct adu *adu, const struct request *request)
{
	for (uint32_t i = 0; i < request->values; i++) {
		uint32_t address = request->to + i;
		uint16_t value = value_at(adu, request, i);
		if (address > UINT16_MAX)
			return EXCEPTION_ADDRESS;
		int result = unit_may_write(unit, request->table, (uint16_t)address, value);
		if (result < 0)
			return result == -ERANGE ? EXCEPTION_VALUE : EXCEPTION_ADDRESS;
	}
	return 0;
}

static int write_all(struct unit *unit, const struct adu *adu, const struct request *request)
{
	int exception = check_all(unit, adu, request);
	for (uint32_t i = 0; !exception && i < request->values; i++)
		unit_write(unit, request->table, (uint16_t)(request->to + i),
			value_at(adu, request, i));
	return exception;
}

/* Function 22 writes what was there, AND and OR their masks. */
static int write_masked(
	struct unit *unit, const struct request *request, int64_t start_us, int64_t now_us)
{
	uint16_t and_mask = word(request->data), or_mask = word(request->data + 2);
	uint16_t address = (uint16_t)request->to, value;
	if (unit_read(unit, request->table, address, start_us, now_us, &value) < 0)
		return EXCEPTION_ADDRESS;
	value = (uint16_t)((value & and_mask) | (or_mask & ~and_mask));
	int result = unit_may_write(unit, request->table, address, value);
	if (result < 0)
		return result == -ERANGE ? EXCEPTION_VALUE : EXCEPTION_ADDRESS;
	unit_write(unit, request->table, address, value);
	return 0;
}

static int read_all(struct unit *unit, const struct request *request, int64_t start_us,
	int64_t now_us, struct adu *answer)
{
	bool bits = table_is_bits(request->table);
	uint8_t *data = answer->pdu + 2;
	size_t bytes = bits ? (request->count + 7) / 8 : (size_t)request->count * 2;
	memset(data, 0, bytes);
	for (uint32_t i = 0; i < request->count; i++) {
		uint32_t address = request->from + i;
		uint16_t value;
		if (address > UINT16_MAX ||
			unit_read(unit, request->table, (uint16_t)address, start_us, now_us,
				&value) < 0)
			return EXCEPTION_ADDRESS;
		if (bits) {
			data[i / 8] = (uint8_t)(data[i / 8] | value << i % 8);
			continue;
		}
		data[2 * i] = (uint8_t)(value >> 8);
		data[2 * i + 1] = (uint8_t)value;
	}
	answer->pdu[1] = (uint8_t)bytes;
	answer->size = (uint8_t)(2 + bytes);
	return 0;
}

void function_refuse(const struct adu *request, uint8_t code, struct adu *answer)
{
	answer->transaction = request->transaction;
	answer->unit = request->unit;
	answer->pdu[0] = request->pdu[0] | 0x80;
	answer->pdu[1] = code;
	answer->size = 2;
}

void function_serve(struct unit *unit, const struct adu *adu, int64_t start_us, int64_t now_us,
	struct adu *answer)
{
	struct request request;
	answer->transaction = adu->transaction;
	answer->unit = adu->unit;
	answer->pdu[0] = adu->pdu[0];
	int exception = parse(adu, &request);
	/* Function 23 writes before it reads; what cannot be read must not have been written. */
	if (!exception && request.reads)
		exception = read_all(unit, &request, start_us, now_us, answer);
	if (!exception && request.writes)
		exception = request.masks ? write_masked(unit, &request, start_us, now_us)
					  : write_all(unit, adu, &request);
	if (!exception && request.reads && request.writes)
		exception = read_all(unit, &request, start_us, now_us, answer);
	if (exception) {
		function_refuse(adu, (uint8_t)exception, answer);
		return;
	}
	if (request.reads)
		return;
	/* A write is answered by its head, which is all of functions 5, 6 and 22. */
	answer->size = request.masks ? 7 : 5;
	memcpy(answer->pdu, adu->pdu, answer->size);
}

bool function_writes(uint8_t function)
{
	switch (function) {
	case 5:
	case 6:
	case 15:
	case 16:
	case 22:
	case 23:
		return true;
	}
	return false;
}

void function_describe(const struct adu *adu, struct buffer *json)
{
	struct request request;
	if (parse(adu, &request))
		return;
	buffer_printf(json, ",\"table\":\"%s\"", table_name(request.table));
	if (request.reads)
		buffer_printf(json, ",\"address\":%u,\"count\":%u", request.from, request.count);
	if (!request.writes)
		return;
	buffer_printf(json, ",\"%s\":%u", request.reads ? "to" : "address", request.to);
	if (request.masks) {
		buffer_printf(
			json, ",\"and\":%u,\"or\":%u", word(request.data), word(request.data + 2));
		return;
	}
	buffer_put_text(json, ",\"values\":[");
	for (uint32_t i = 0; i < request.values; i++)
		buffer_printf(json, i ? ",%u" : "%u", value_at(adu, &request, i));
	buffer_put_byte(json, ']');
}
