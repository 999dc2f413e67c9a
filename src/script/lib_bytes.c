/* SPDX-License-Identifier: Apache-2.0 */
/* What devices do to numbers: hexadecimal text, BCD, swapped words, checksums, bit fields. */
#include "script/library.h"

#include <string.h>

#include <lauxlib.h>

#include "script/sandbox.h"

#define BYTES_PER_STEP 8
/* Checksums go bit by bit, since they are short and tables are not. */
#define CRC_STEPS_PER_BYTE 1

/* hex(bytes [, between]): lower-case digits. */
static int hex(lua_State *L)
{
	static const char digits[] = "0123456789abcdef";
	size_t size, between_size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	const char *between = luaL_optlstring(L, 2, "", &between_size);
	luaL_argcheck(L, between_size <= 16, 2, "longer than 16 bytes");
	sandbox_charge(L, size * (2 + between_size) / BYTES_PER_STEP);
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	for (size_t i = 0; i < size; i++) {
		if (i)
			luaL_addlstring(&buffer, between, between_size);
		luaL_addchar(&buffer, digits[(unsigned char)bytes[i] >> 4]);
		luaL_addchar(&buffer, digits[(unsigned char)bytes[i] & 15]);
	}
	luaL_pushresult(&buffer);
	return 1;
}

static int digit_of(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* unhex(text): the bytes; blanks between pairs are passed over. */
static int unhex(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);
	sandbox_charge(L, size / BYTES_PER_STEP);
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	for (size_t i = 0; i < size; i++) {
		if (text[i] == ' ')
			continue;
		int high = digit_of(text[i]), low = i + 1 < size ? digit_of(text[i + 1]) : -1;
		if (high < 0 || low < 0)
			return luaL_error(
				L, "unhex: no pair of hexadecimal digits at place %d", (int)i + 1);
		luaL_addchar(&buffer, (char)(high << 4 | low));
		i++;
	}
	luaL_pushresult(&buffer);
	return 1;
}

/* bcd(bytes): the number of two decimal digits a byte, the first byte the highest. */
static int bcd(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	luaL_argcheck(L, size <= 9, 1, "longer than 9 bytes, 18 digits");
	lua_Integer number = 0;
	for (size_t i = 0; i < size; i++) {
		int high = (unsigned char)bytes[i] >> 4, low = bytes[i] & 15;
		if (high > 9 || low > 9)
			return luaL_error(L, "bcd: byte %d is 0x%c%c: no two decimal digits",
				(int)i + 1, "0123456789abcdef"[high], "0123456789abcdef"[low]);
		number = number * 100 + high * 10 + low;
	}
	lua_pushinteger(L, number);
	return 1;
}

/* tobcd(number, size): bytes of two decimal digits each. */
static int to_bcd(lua_State *L)
{
	lua_Integer number = luaL_checkinteger(L, 1), size = luaL_checkinteger(L, 2);
	luaL_argcheck(L, number >= 0, 1, "negative");
	luaL_argcheck(L, size >= 1 && size <= 9, 2, "from 1 to 9 bytes");
	char bytes[9];
	for (lua_Integer i = size; i-- > 0; number /= 100)
		bytes[i] = (char)(number % 100 / 10 << 4 | number % 10);
	luaL_argcheck(L, number == 0, 1, "has more digits than the bytes hold");
	lua_pushlstring(L, bytes, (size_t)size);
	return 1;
}

/*
 * reorder(bytes, order): each group of as many bytes as the order has letters, put into that order:
 * reorder(b, "cdab") turns the words of 32-bit values round.
 */
static int reorder(lua_State *L)
{
	size_t size, width;
	const char *bytes = luaL_checklstring(L, 1, &size);
	const char *order = luaL_checklstring(L, 2, &width);
	unsigned seen = 0;
	luaL_argcheck(L, width >= 1 && width <= 8, 2, "from 1 to 8 letters");
	for (size_t i = 0; i < width; i++) {
		unsigned place = (unsigned)(order[i] - 'a');
		luaL_argcheck(L, place < width, 2, "the letters are to be 'a' and those behind it");
		seen |= 1u << place;
	}
	luaL_argcheck(L, seen == (1u << width) - 1, 2, "each letter is to stand there once");
	if (size % width)
		return luaL_error(
			L, "reorder: %d bytes are no multiple of %d", (int)size, (int)width);
	sandbox_charge(L, size / BYTES_PER_STEP);
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	for (size_t i = 0; i < size; i++)
		luaL_addchar(&buffer, bytes[i - i % width + (size_t)(order[i % width] - 'a')]);
	luaL_pushresult(&buffer);
	return 1;
}

/* ---- checksums ------------------------------------------------------------------------------ */

/* A cyclic redundancy check as it is usually catalogued. */
struct crc {
	unsigned width;
	uint32_t polynomial; /* reflected where the check is */
	uint32_t start, finish;
	bool reflected;
};

static uint32_t crc_of(const struct crc *crc, const uint8_t *bytes, size_t size)
{
	uint32_t sum = crc->start, top = 1u << (crc->width - 1);
	uint32_t mask = top | (top - 1);
	for (size_t i = 0; i < size; i++) {
		sum ^= crc->reflected ? bytes[i] : (uint32_t)bytes[i] << (crc->width - 8);
		for (int bit = 0; bit < 8; bit++) {
			bool out = sum & (crc->reflected ? 1 : top);
			sum = crc->reflected ? sum >> 1 : sum << 1 & mask;
			if (out)
				sum ^= crc->polynomial;
		}
	}
	return (sum ^ crc->finish) & mask;
}

static int push_crc(lua_State *L, const struct crc *crc)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	sandbox_charge(L, size * CRC_STEPS_PER_BYTE);
	lua_pushinteger(L, crc_of(crc, (const uint8_t *)bytes, size));
	return 1;
}

static int crc_modbus(lua_State *L)
{
	return push_crc(L, &(struct crc){ 16, 0xa001, 0xffff, 0, true });
}

static int crc_ccitt(lua_State *L)
{
	return push_crc(L, &(struct crc){ 16, 0x1021, 0xffff, 0, false });
}

static int crc_xmodem(lua_State *L)
{
	return push_crc(L, &(struct crc){ 16, 0x1021, 0, 0, false });
}

static int crc_crc8(lua_State *L)
{
	return push_crc(L, &(struct crc){ 8, 0x07, 0, 0, false });
}

static int crc_nrsc5(lua_State *L)
{
	return push_crc(L, &(struct crc){ 8, 0x31, 0xff, 0, false });
}

static int crc_crc32(lua_State *L)
{
	return push_crc(L, &(struct crc){ 32, 0xedb88320, 0xffffffff, 0xffffffff, true });
}

static int push_sum(lua_State *L, uint32_t (*step)(uint32_t sum, uint8_t byte))
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	sandbox_charge(L, size / BYTES_PER_STEP);
	uint32_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum = step(sum, (uint8_t)bytes[i]);
	lua_pushinteger(L, sum);
	return 1;
}

static uint32_t step_sum8(uint32_t sum, uint8_t byte)
{
	return (sum + byte) & 0xff;
}

static uint32_t step_sum16(uint32_t sum, uint8_t byte)
{
	return (sum + byte) & 0xffff;
}

static uint32_t step_xor8(uint32_t sum, uint8_t byte)
{
	return sum ^ byte;
}

static uint32_t step_lrc(uint32_t sum, uint8_t byte)
{
	return (sum - byte) & 0xff;
}

static int crc_sum8(lua_State *L)
{
	return push_sum(L, step_sum8);
}

static int crc_sum16(lua_State *L)
{
	return push_sum(L, step_sum16);
}

static int crc_xor8(lua_State *L)
{
	return push_sum(L, step_xor8);
}

static int crc_lrc(lua_State *L)
{
	return push_sum(L, step_lrc);
}

/* ---- bits ----------------------------------------------------------------------------------- */

/* The arguments first bit and width at index and behind it, as a mask of that width. */
static uint64_t field_mask(lua_State *L, int index, lua_Integer *from, lua_Integer width)
{
	*from = luaL_checkinteger(L, index);
	luaL_argcheck(L, *from >= 0 && *from <= 63, index, "bits are numbered from 0 to 63");
	luaL_argcheck(L, width >= 1 && width <= 64 - *from, index + 1,
		"at least 1 bit, and none behind bit 63");
	return width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
}

/* bits.get(number, from [, width]): bit 0 is the lowest. */
static int bits_get(lua_State *L)
{
	uint64_t number = (uint64_t)luaL_checkinteger(L, 1);
	lua_Integer from;
	uint64_t mask = field_mask(L, 2, &from, luaL_optinteger(L, 3, 1));
	lua_pushinteger(L, (lua_Integer)(number >> from & mask));
	return 1;
}

/* bits.set(number, from, width, value): the number with that field changed. */
static int bits_set(lua_State *L)
{
	uint64_t number = (uint64_t)luaL_checkinteger(L, 1);
	lua_Integer from;
	uint64_t mask = field_mask(L, 2, &from, luaL_checkinteger(L, 3));
	uint64_t value = (uint64_t)luaL_checkinteger(L, 4);
	luaL_argcheck(L, value <= mask, 4, "does not fit into that many bits");
	lua_pushinteger(L, (lua_Integer)((number & ~(mask << from)) | value << from));
	return 1;
}

/* bits.signed(number, width): the low bits read as two's complement. */
static int bits_signed(lua_State *L)
{
	uint64_t number = (uint64_t)luaL_checkinteger(L, 1);
	lua_Integer width = luaL_checkinteger(L, 2);
	luaL_argcheck(L, width >= 1 && width <= 64, 2, "from 1 to 64 bits");
	uint64_t top = UINT64_C(1) << (width - 1), mask = top | (top - 1);
	number &= mask;
	lua_pushinteger(L, (lua_Integer)((number ^ top) - top));
	return 1;
}

/* bits.list(bytes [, count]): booleans, the lowest bit of the first byte first, as coils are read. */
static int bits_list(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	lua_Integer count = luaL_optinteger(L, 2, (lua_Integer)size * 8);
	luaL_argcheck(L, count >= 0 && count <= (lua_Integer)size * 8, 2,
		"more bits than the bytes have");
	sandbox_charge(L, (uint64_t)count);
	lua_createtable(L, count < 2048 ? (int)count : 2048, 0);
	for (lua_Integer i = 0; i < count; i++) {
		lua_pushboolean(L, (unsigned char)bytes[i / 8] >> (i % 8) & 1);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

const struct library_function library_bytes[] = {
	{ "hex", hex },
	{ "unhex", unhex },
	{ "bcd", bcd },
	{ "tobcd", to_bcd },
	{ "reorder", reorder },
	{ NULL },
};

const struct library_function library_crc[] = {
	{ "modbus", crc_modbus },
	{ "ccitt", crc_ccitt },
	{ "xmodem", crc_xmodem },
	{ "crc8", crc_crc8 },
	{ "nrsc5", crc_nrsc5 },
	{ "crc32", crc_crc32 },
	{ "sum8", crc_sum8 },
	{ "sum16", crc_sum16 },
	{ "xor8", crc_xor8 },
	{ "lrc", crc_lrc },
	{ NULL },
};

const struct library_function library_bits[] = {
	{ "get", bits_get },
	{ "set", bits_set },
	{ "signed", bits_signed },
	{ "list", bits_list },
	{ NULL },
};
