/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <string.h>

static uint8_t add(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum;
}

static uint8_t exclusive_or(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum ^= bytes[i];
	return sum;
}

static void put_sum8(const uint8_t *bytes, size_t size, uint8_t *sum)
{
	sum[0] = add(bytes, size);
}

static void put_lrc(const uint8_t *bytes, size_t size, uint8_t *sum)
{
	sum[0] = (uint8_t)-add(bytes, size);
}

static void put_xor8(const uint8_t *bytes, size_t size, uint8_t *sum)
{
	sum[0] = exclusive_or(bytes, size);
}

static void put_crc8(const uint8_t *bytes, size_t size, uint8_t *sum)
{
	uint32_t crc = 0;
	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x80 ? 0x107 : 0);
	}
	sum[0] = (uint8_t)crc;
}

static void put_modbus(const uint8_t *bytes, size_t size, uint8_t *sum)
{
	uint32_t crc = 0xffff;
	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xa001 : 0);
	}
	sum[0] = (uint8_t)crc;
	sum[1] = (uint8_t)(crc >> 8);
}

static void put_ccitt(const uint8_t *bytes, size_t size, uint8_t *sum)
{
	uint32_t crc = 0xffff;
	for (size_t i = 0; i < size; i++) {
		crc ^= (uint32_t)bytes[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x8000 ? 0x11021 : 0);
	}
	sum[0] = (uint8_t)(crc >> 8);
	sum[1] = (uint8_t)crc;
}

static void put_nmea(const uint8_t *bytes, size_t size, uint8_t *sum)
{
	static const char digits[] = "0123456789ABCDEF";
	uint8_t value = exclusive_or(bytes, size);
	sum[0] = '*';
	sum[1] = (uint8_t)digits[value >> 4];
	sum[2] = (uint8_t)digits[value & 15];
}

static const struct sum sums[] = {
	{ "sum8", 1, false, put_sum8 },
	{ "xor8", 1, false, put_xor8 },
	{ "crc8", 1, false, put_crc8 },
	{ "crc16-modbus", 2, false, put_modbus },
	{ "crc16-ccitt", 2, false, put_ccitt },
	{ "lrc", 1, false, put_lrc },
	{ "nmea", 3, true, put_nmea },
};

const struct sum *sum_find(const char *name)
{
	for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++) {
		if (strcmp(sums[i].name, name) == 0)
			return &sums[i];
	}
	return NULL;
}

/* Some devices write hexadecimal digits in lower case. */
static uint8_t fold(const struct sum *sum, uint8_t byte)
{
	return sum->text && byte >= 'a' && byte <= 'f' ? (uint8_t)(byte - 'a' + 'A') : byte;
}

bool sum_fits(const struct frame *bus, const uint8_t *bytes, size_t size)
{
	const struct sum *sum = bus->sum;
	uint8_t right[SUM_MAX];
	if (!sum)
		return true;
	size_t around = (size_t)sum->size + bus->sum_end;
	if (size < around || size - around < bus->sum_from)
		return false;
	sum->put(bytes + bus->sum_from, size - around - bus->sum_from, right);
	const uint8_t *there = bytes + size - around;
	for (size_t i = 0; i < sum->size; i++) {
		if (fold(sum, there[i]) != right[i])
			return false;
	}
	return true;
}
