/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's own codec: frames of the three framings, and what the functions do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sim/field/dice.h"
#include "sim/field/frame.h"
#include "sim/field/function.h"
#include "sim/field/map.h"
#include "sim/field/unit.h"

/* MODBUS over Serial Line's and many a manual's example: read 10 registers of unit 1 from 0. */
static const uint8_t rtu_read[] = { 1, 3, 0, 0, 0, 10, 0xc5, 0xcd };
static const char ascii_read[] = ":01030000000AF2\r\n";
static const uint8_t tcp_read[] = { 0x12, 0x34, 0, 0, 0, 6, 1, 3, 0, 0, 0, 10 };

static void assert_is_read(const struct adu *adu)
{
	static const uint8_t pdu[] = { 3, 0, 0, 0, 10 };
	assert_int_equal(adu->unit, 1);
	assert_int_equal(adu->size, sizeof(pdu));
	assert_memory_equal(adu->pdu, pdu, sizeof(pdu));
}

/* The frame, cut at each byte, is unfinished; whole it is good, and built from the ADU again. */
static void check_frame(enum framing framing, const void *bytes, size_t size)
{
	struct adu adu;
	size_t used = 0;
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(frame_take(framing, bytes, cut, false, &adu, &used), FRAME_MORE);
	assert_int_equal(frame_take(framing, bytes, size, false, &adu, &used), FRAME_GOOD);
	assert_int_equal(used, size);
	assert_is_read(&adu);
	uint8_t frame[FRAME_MAX];
	assert_int_equal(frame_build(framing, &adu, frame), size);
	assert_memory_equal(frame, bytes, size);
}

static void frames_are_known(void **state)
{
	check_frame(FRAMING_RTU, rtu_read, sizeof(rtu_read));
	check_frame(FRAMING_ASCII, ascii_read, sizeof(ascii_read) - 1);
	check_frame(FRAMING_TCP, tcp_read, sizeof(tcp_read));
}

/* No single bit that flips leaves an RTU or ASCII frame that means something else. */
static void flipped_bits_show(void **state)
{
	for (size_t bit = 0; bit < 8 * sizeof(rtu_read); bit++) {
		uint8_t frame[sizeof(rtu_read)];
		struct adu adu;
		size_t used;
		memcpy(frame, rtu_read, sizeof(frame));
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(frame_take(FRAMING_RTU, frame, sizeof(frame), true, &adu, &used),
			FRAME_BAD);
	}
	for (size_t bit = 0; bit < 8 * (sizeof(ascii_read) - 1); bit++) {
		uint8_t frame[sizeof(ascii_read)];
		struct adu adu;
		size_t used;
		memcpy(frame, ascii_read, sizeof(frame));
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(
			frame_take(FRAMING_ASCII, frame, sizeof(ascii_read) - 1, true, &adu, &used),
			FRAME_GOOD);
	}
}

static void streams_are_cut_into_requests(void **state)
{
	uint8_t two[2 * sizeof(rtu_read)];
	struct adu adu;
	size_t used;
	memcpy(two, rtu_read, sizeof(rtu_read));
	memcpy(two + sizeof(rtu_read), rtu_read, sizeof(rtu_read));
	assert_int_equal(frame_take(FRAMING_RTU, two, sizeof(two), false, &adu, &used), FRAME_GOOD);
	assert_int_equal(used, sizeof(rtu_read));
	/* Function 17 has no size of its own; the CRC ends it. */
	uint8_t other[] = { 1, 17, 0, 0, 1, 3 };
	uint16_t crc = frame_crc(other, 2);
	other[2] = (uint8_t)crc;
	other[3] = (uint8_t)(crc >> 8);
	assert_int_equal(
		frame_take(FRAMING_RTU, other, sizeof(other), false, &adu, &used), FRAME_GOOD);
	assert_int_equal(used, 4);
	assert_int_equal(adu.pdu[0], 17);
}

static void broken_headers_are_bad(void **state)
{
	struct adu adu;
	size_t used;
	uint8_t frame[sizeof(tcp_read)];
	memcpy(frame, tcp_read, sizeof(frame));
	frame[3] = 1; /* protocol */
	assert_int_equal(
		frame_take(FRAMING_TCP, frame, sizeof(frame), false, &adu, &used), FRAME_BAD);
	frame[3] = 0;
	frame[5] = 1; /* no function */
	assert_int_equal(
		frame_take(FRAMING_TCP, frame, sizeof(frame), false, &adu, &used), FRAME_BAD);
	frame[4] = 1; /* 257 bytes */
	assert_int_equal(
		frame_take(FRAMING_TCP, frame, sizeof(frame), false, &adu, &used), FRAME_BAD);
	assert_int_equal(
		frame_take(FRAMING_ASCII, (const uint8_t *)"abc\r\n", 5, false, &adu, &used),
		FRAME_BAD);
	assert_int_equal(used, 5);
	assert_int_equal(frame_take(FRAMING_RTU, rtu_read, 7, true, &adu, &used), FRAME_BAD);
}

static struct map *carried;

static int make_map(void **state)
{
	struct rule rule = rule_default(RULE_CARRY, 0);
	carried = map_uniform(&rule, 200);
	return 0;
}

static int free_map(void **state)
{
	map_destroy(carried);
	return 0;
}

/* Serves a PDU and compares the answer's. */
static void check_served(struct unit *unit, const uint8_t *pdu, size_t size,
	const uint8_t *expected, size_t expected_size)
{
	struct adu request = { .transaction = 7, .unit = unit->id, .size = (uint8_t)size }, answer;
	memcpy(request.pdu, pdu, size);
	function_serve(unit, &request, 0, 0, &answer);
	assert_int_equal(answer.transaction, 7);
	assert_int_equal(answer.unit, unit->id);
	assert_int_equal(answer.size, expected_size);
	assert_memory_equal(answer.pdu, expected, expected_size);
}

#define BYTES(...) ((const uint8_t[]){ __VA_ARGS__ }), sizeof((const uint8_t[]){ __VA_ARGS__ })

static void reads_answer(void **state)
{
	struct unit unit = { .id = 5, .map = carried };
	check_served(&unit, BYTES(3, 0, 9, 0, 2), BYTES(3, 4, 5, 9, 5, 10));
	check_served(&unit, BYTES(4, 0, 9, 0, 1), BYTES(4, 2, 0xfa, 0xf6));
	/* 5 + 1, 5 + 4, 5 + 7 are multiples of 3: coils 1, 4, 7. */
	check_served(&unit, BYTES(1, 0, 0, 0, 9), BYTES(1, 2, 0x92, 0));
	check_served(&unit, BYTES(2, 0, 0, 0, 9), BYTES(2, 2, 0x6d, 1));
	unit_finish(&unit);
}

static void writes_are_kept_and_counted(void **state)
{
	struct unit unit = { .id = 1, .map = carried };
	check_served(&unit, BYTES(6, 0, 100, 0, 42), BYTES(6, 0, 100, 0, 42));
	check_served(&unit, BYTES(16, 0, 101, 0, 2, 4, 1, 2, 3, 4), BYTES(16, 0, 101, 0, 2));
	check_served(&unit, BYTES(3, 0, 100, 0, 3), BYTES(3, 6, 0, 42, 1, 2, 3, 4));
	check_served(&unit, BYTES(5, 0, 3, 0xff, 0), BYTES(5, 0, 3, 0xff, 0));
	check_served(&unit, BYTES(15, 0, 4, 0, 3, 1, 5), BYTES(15, 0, 4, 0, 3));
	check_served(&unit, BYTES(1, 0, 3, 0, 4), BYTES(1, 1, 0x0b));
	/* The example of the specification: 0x12 and 0xf2 and 0x25 give 0x17. */
	check_served(&unit, BYTES(6, 0, 4, 0, 0x12), BYTES(6, 0, 4, 0, 0x12));
	check_served(&unit, BYTES(22, 0, 4, 0, 0xf2, 0, 0x25), BYTES(22, 0, 4, 0, 0xf2, 0, 0x25));
	check_served(&unit, BYTES(3, 0, 4, 0, 1), BYTES(3, 2, 0, 0x17));
	/* 23 writes first: what it reads is what it wrote. */
	check_served(&unit, BYTES(23, 0, 9, 0, 2, 0, 10, 0, 1, 2, 9, 9), BYTES(23, 4, 1, 9, 9, 9));
	assert_int_equal(unit_writes(&unit, TABLE_HOLDING, 100), 1);
	assert_int_equal(unit_writes(&unit, TABLE_HOLDING, 4), 2);
	assert_int_equal(unit_writes(&unit, TABLE_HOLDING, 10), 1);
	assert_int_equal(unit_writes(&unit, TABLE_HOLDING, 9), 0);
	unit_finish(&unit);
}

static void refusals_change_nothing(void **state)
{
	struct range ranges[] = {
		{ .table = TABLE_HOLDING,
			.first = 0,
			.count = 4,
			.writable = true,
			.limited = true,
			.high = 100 },
		{ .table = TABLE_HOLDING, .first = 4, .count = 2 },
	};
	struct map map = { ranges, 2 };
	struct unit unit = { .id = 1, .map = &map };
	check_served(
		&unit, BYTES(16, 0, 3, 0, 2, 4, 0, 1, 0, 2), BYTES(0x90, 2)); /* 4 is read-only */
	check_served(&unit, BYTES(16, 0, 2, 0, 2, 4, 0, 1, 0, 101), BYTES(0x90, 3));
	check_served(&unit, BYTES(23, 0, 6, 0, 1, 0, 0, 0, 1, 2, 0, 1), BYTES(0x97, 2));
	for (uint16_t address = 0; address < 4; address++)
		assert_int_equal(unit_writes(&unit, TABLE_HOLDING, address), 0);
	check_served(&unit, BYTES(3, 0, 5, 0, 2), BYTES(0x83, 2));
	check_served(&unit, BYTES(3, 0xff, 0xff, 0, 2), BYTES(0x83, 2));
	check_served(&unit, BYTES(3, 0, 0, 0, 0), BYTES(0x83, 3));
	check_served(&unit, BYTES(3, 0, 0, 0, 126), BYTES(0x83, 3));
	check_served(&unit, BYTES(5, 0, 0, 1, 0), BYTES(0x85, 3));
	check_served(&unit, BYTES(16, 0, 0, 0, 2, 3, 0, 1, 0), BYTES(0x90, 3));
	check_served(&unit, BYTES(6, 0, 0), BYTES(0x86, 3));
	check_served(&unit, BYTES(43, 14, 1, 0), BYTES(0xab, 1));
	unit_finish(&unit);
}

static void requests_are_described(void **state)
{
	OWNED_BUFFER json = BUFFER_EMPTY;
	struct adu request = { .size = 5, .pdu = { 6, 0, 100, 0, 42 } };
	function_describe(&request, &json);
	assert_string_equal(
		buffer_text(&json), ",\"table\":\"holding\",\"address\":100,\"values\":[42]");
	buffer_clear(&json);
	request.pdu[0] = 1;
	function_describe(&request, &json);
	assert_string_equal(
		buffer_text(&json), ",\"table\":\"coils\",\"address\":100,\"count\":42");
}

/* Whatever comes, the codec consumes some of it or waits, and an answer fits its frame. */
static void random_bytes_do_no_harm(void **state)
{
	struct dice dice = { 11 };
	struct unit unit = { .id = 1, .map = carried };
	unsigned good = 0;
	for (int round = 0; round < 60000; round++) {
		enum framing framing = (enum framing)(round % 3);
		uint8_t bytes[300];
		size_t size = 1 + dice_below(&dice, sizeof(bytes) - 1), used = 0;
		struct adu request, answer;
		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)dice_roll(&dice);
		enum frame_result result = frame_take(
			framing, bytes, size, dice_falls(&dice, 0.5), &request, &used);
		if (result != FRAME_MORE)
			assert_in_range(used, 1, size);
		/* A request of a function that we know, whose rest is by chance. */
		static const uint8_t functions[] = { 1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 99 };
		bool short_one = dice_falls(&dice, 0.5);
		request.size = short_one ? 5 : (uint8_t)(1 + dice_below(&dice, PDU_MAX));
		memcpy(request.pdu, bytes, PDU_MAX);
		request.pdu[0] = functions[dice_below(&dice, sizeof(functions))];
		request.pdu[1] = request.pdu[3] = 0;
		function_serve(&unit, &request, 0, 0, &answer);
		assert_in_range(answer.size, 2, PDU_MAX);
		good += !function_refused(&answer);
	}
	assert_true(good > 100);
	unit_finish(&unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_known),
		cmocka_unit_test(flipped_bits_show),
		cmocka_unit_test(streams_are_cut_into_requests),
		cmocka_unit_test(broken_headers_are_bad),
		cmocka_unit_test(reads_answer),
		cmocka_unit_test(writes_are_kept_and_counted),
		cmocka_unit_test(refusals_change_nothing),
		cmocka_unit_test(requests_are_described),
		cmocka_unit_test(random_bytes_do_no_harm),
	};
	return cmocka_run_group_tests(tests, make_map, free_map);
}
