/* SPDX-License-Identifier: Apache-2.0 */
/* How registers change, what they look like, what goes wrong and how it is said. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sim/field/answer.h"
#include "sim/field/fault.h"
#include "sim/field/map.h"
#include "sim/field/plan.h"
#include "sim/field/unit.h"
#include "util/json.h"

#define SECOND INT64_C(1000000)

static void numbers_become_registers(void **state)
{
	uint16_t words[4];
	assert_int_equal(number_encode(NUMBER_FLOAT32, false, 230.5, words), 2);
	assert_int_equal(words[0], 0x4366);
	assert_int_equal(words[1], 0x8000);
	number_encode(NUMBER_FLOAT32, true, 230.5, words);
	assert_int_equal(words[0], 0x8000);
	assert_int_equal(words[1], 0x4366);
	number_encode(NUMBER_INT32, false, -2, words);
	assert_int_equal(words[0], 0xffff);
	assert_int_equal(words[1], 0xfffe);
	number_encode(NUMBER_UINT16, false, 65537, words);
	assert_int_equal(words[0], 1);
	assert_int_equal(number_encode(NUMBER_FLOAT64, false, 1, words), 4);
	assert_int_equal(words[0], 0x3ff0);
}

static void rules_follow_the_clock(void **state)
{
	struct rule counter = { .kind = RULE_COUNTER, .base = 5, .step = 2, .period_us = SECOND };
	assert_true(rule_value(&counter, 0, 100, 100 + SECOND - 1) == 5);
	assert_true(rule_value(&counter, 0, 100, 100 + 3 * SECOND) == 11);
	struct rule sine = {
		.kind = RULE_SINE, .base = 230, .amplitude = 10, .period_us = 4 * SECOND
	};
	assert_true(rule_value(&sine, 0, 0, SECOND) == 240);
	assert_true(rule_value(&sine, 3, 0, SECOND) > 239.999);
	assert_true(rule_value(&sine, 1, 0, SECOND) < 239);
	struct rule toggle = { .kind = RULE_TOGGLE, .period_us = SECOND };
	assert_true(rule_value(&toggle, 0, 0, 0) != rule_value(&toggle, 0, 0, SECOND));
	assert_true(rule_value(&toggle, 0, 0, 0) != rule_value(&toggle, 1, 0, 0));
	struct rule clock = { .kind = RULE_CLOCK, .period_us = 1000 };
	assert_true(rule_value(&clock, 0, 7 * SECOND, 9 * SECOND) == 9000);
}

static void walks_repeat_and_stay_within(void **state)
{
	struct rule rule = { .kind = RULE_WALK,
		.base = 50,
		.step = 30,
		.max = 100,
		.period_us = SECOND,
		.seed = 3 };
	struct walk one = { 0 }, two = { 0 }, jump = { 0 }, other = { 0 };
	bool moved = false, differs = false;
	double before = 50, last = 0;
	for (int64_t at = 0; at < 500 * SECOND; at += SECOND) {
		double value = rule_walk(&rule, &one, 1, 0, at);
		assert_true(value >= 0 && value <= 100);
		assert_true(value == rule_walk(&rule, &two, 1, 0, at));
		assert_true(value - before <= 30 && before - value <= 30);
		differs |= value != rule_walk(&rule, &other, 2, 0, at);
		moved |= value != before;
		before = last = value;
	}
	assert_true(moved && differs);
	/* Looked at only once, it is at the same place. */
	assert_true(rule_walk(&rule, &jump, 1, 0, 499 * SECOND) == last);
}

static struct map *read_map(const char *json, char *problem, size_t room)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[160];
	assert_int_equal(json_parse(&value, json, strlen(json), error, sizeof(error)), 0);
	struct node root = node_root(value.data, value.size, problem, room);
	return map_read(&root, 1);
}

static void maps_are_read(void **state)
{
	char problem[240];
	struct map *map = read_map(
		"[{\"table\":\"input\",\"address\":0,\"number\":\"float32\",\"values\":[230.5,1]},"
		"{\"table\":\"holding\",\"address\":10,\"count\":2,\"rule\":\"counter\",\"writable\":"
		"true,\"accept\":[0,9]}]",
		problem, sizeof(problem));
	assert_non_null(map);
	struct unit unit = { .id = 1, .map = map };
	uint16_t value;
	assert_int_equal(unit_read(&unit, TABLE_INPUT, 0, 0, 0, &value), 0);
	assert_int_equal(value, 0x4366);
	assert_int_equal(unit_read(&unit, TABLE_INPUT, 3, 0, 0, &value), 0);
	assert_int_equal(unit_read(&unit, TABLE_INPUT, 4, 0, 0, &value), -ENOENT);
	assert_int_equal(unit_read(&unit, TABLE_HOLDING, 10, 0, 4 * SECOND, &value), 0);
	assert_int_equal(value, 4);
	/* What was set stays, read-only or changing. */
	assert_int_equal(unit_set(&unit, TABLE_HOLDING, 10, 77), 0);
	assert_int_equal(unit_read(&unit, TABLE_HOLDING, 10, 0, 9 * SECOND, &value), 0);
	assert_int_equal(value, 77);
	assert_int_equal(unit_may_write(&unit, TABLE_HOLDING, 10, 10), -ERANGE);
	assert_int_equal(unit_may_write(&unit, TABLE_INPUT, 0, 1), -EACCES);
	unit_finish(&unit);
	map_destroy(map);
}

static void wrong_maps_say_where(void **state)
{
	static const struct {
		const char *json, *problem;
	} cases[] = {
		{ "{}", "a list [...] is wanted here" },
		{ "[{\"table\":\"holdings\"}]",
			"[0].table: one of coils, discrete, input, holding is wanted here" },
		{ "[{\"table\":\"input\",\"count\":0}]",
			"[0].count: an integer from 1 to 65536 is wanted here" },
		{ "[{\"table\":\"input\",\"address\":65535,\"count\":2}]",
			"[0]: addresses end at 65535" },
		{ "[{\"table\":\"input\",\"count\":3,\"number\":\"float32\"}]",
			"[0]: count: registers, a multiple of 2 for these numbers" },
		{ "[{\"table\":\"input\",\"writable\":true}]", "[0]: nobody can write input" },
		{ "[{\"table\":\"input\",\"count\":1,\"values\":[1,2]}]",
			"[0].values: 2 values, but room for 1" },
		{ "[{\"table\":\"input\",\"values\":[1,\"x\"]}]",
			"[0].values[1]: a number from -1e+300 to 1e+300 is wanted here" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char problem[240];
		assert_null(read_map(cases[i].json, problem, sizeof(problem)));
		assert_string_equal(problem, cases[i].problem);
	}
}

static void faults_are_read(void **state)
{
	char error[160];
	struct fault *fault = NULL;
	assert_int_equal(
		fault_parse("unit=3 late ms=800 p=0.25 n=2 line=a", &fault, error, sizeof(error)),
		0);
	assert_int_equal(fault->kind, FAULT_LATE);
	assert_int_equal(fault->unit, 3);
	assert_int_equal(fault->ms, 800);
	assert_int_equal(fault->left, 2);
	assert_string_equal(fault->line, "a");
	assert_true(fault->probability == 0.25);
	fault_destroy(fault);
	static const char *const wrong[] = { "", "unit=3", "unit=256 silence", "silent",
		"silence cut", "late", "silence ms=3", "late ms=x", "noise", "cut bytes=0",
		"silence p=1.5", "exception", "exception code=256", "foreign what=ever",
		"colour=red", "silence n=0", "late ms=nan" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		error[0] = 0;
		assert_int_equal(fault_parse(wrong[i], &fault, error, sizeof(error)), -EINVAL);
		assert_true(error[0]);
	}
}

static void faults_befall_whom_they_are_for(void **state)
{
	struct list faults;
	struct dice dice = { 1 };
	struct fault *fault;
	char error[160];
	list_init(&faults);
	assert_int_equal(
		fault_parse("unit=3 function=4 silence n=2", &fault, error, sizeof(error)), 0);
	list_append(&faults, &fault->link);
	struct victim victim = { .line = "a", .framing = FRAMING_RTU, .unit = 3, .function = 3 };
	assert_null(fault_choose(&faults, &dice, &victim));
	victim.function = 4;
	assert_ptr_equal(fault_choose(&faults, &dice, &victim), fault);
	victim.unit = 4;
	assert_null(fault_choose(&faults, &dice, &victim));
	victim.unit = 3;
	assert_ptr_equal(fault_choose(&faults, &dice, &victim), fault);
	assert_null(fault_choose(&faults, &dice, &victim));
	assert_int_equal(fault->used, 2);
	fault_destroy(fault);

	/* Connections cannot be closed on a wire, and RTU has no transaction ids. */
	assert_int_equal(fault_parse("close", &fault, error, sizeof(error)), 0);
	list_append(&faults, &fault->link);
	assert_null(fault_choose(&faults, &dice, &victim));
	victim.stream = true;
	assert_non_null(fault_choose(&faults, &dice, &victim));
	victim.accepting = true;
	assert_null(fault_choose(&faults, &dice, &victim));
	fault_destroy(fault);
}

static void chances_come_out_and_repeat(void **state)
{
	uint32_t counts[2] = { 0, 0 };
	for (int round = 0; round < 2; round++) {
		struct dice dice = { 42 };
		for (int i = 0; i < 100000; i++)
			counts[round] += dice_falls(&dice, 0.1);
	}
	assert_int_equal(counts[0], counts[1]);
	assert_in_range(counts[0], 9700, 10300);
}

static const struct adu reply = {
	.transaction = 9, .unit = 5, .size = 6, .pdu = { 3, 4, 1, 2, 3, 4 }
};
static const uint8_t request[] = { 5, 3, 0, 0, 0, 2, 0xc4, 0x4f };

static struct answer *spoil(const char *words, enum framing framing)
{
	static struct answer answer;
	struct dice dice = { 1 };
	struct fault *fault = NULL;
	char error[160];
	assert_int_equal(fault_parse(words, &fault, error, sizeof(error)), 0);
	answer_build(&answer, fault, &dice, framing, request, sizeof(request), &reply);
	fault_destroy(fault);
	return &answer;
}

static void spoilt_answers_are_as_said(void **state)
{
	uint8_t good[FRAME_MAX];
	size_t size = frame_build(FRAMING_RTU, &reply, good);
	assert_int_equal(spoil("silence", FRAMING_RTU)->size, 0);
	assert_int_equal(spoil("lost", FRAMING_RTU)->size, 0);
	assert_int_equal(spoil("late ms=800", FRAMING_RTU)->delay_us, 800000);
	assert_int_equal(spoil("drip ms=5", FRAMING_RTU)->drip_us, 5000);
	assert_int_equal(spoil("cut bytes=3", FRAMING_RTU)->size, size - 3);
	assert_in_range(spoil("cut", FRAMING_RTU)->size, 1, size - 1);
	assert_true(spoil("close", FRAMING_TCP)->close);

	struct answer *answer = spoil("repeat", FRAMING_RTU);
	assert_int_equal(answer->size, 2 * size);
	assert_int_equal(answer->pause_at, size);
	assert_memory_equal(answer->bytes + size, good, size);

	answer = spoil("corrupt", FRAMING_RTU);
	assert_int_equal(answer->size, size);
	assert_memory_not_equal(answer->bytes, good, size);

	answer = spoil("echo", FRAMING_RTU);
	assert_memory_equal(answer->bytes, request, sizeof(request));
	assert_memory_equal(answer->bytes + sizeof(request), good, size);
	assert_int_equal(spoil("echo-only", FRAMING_RTU)->size, sizeof(request));

	answer = spoil("noise before=3 after=2", FRAMING_RTU);
	assert_int_equal(answer->size, size + 5);
	assert_memory_equal(answer->bytes + 3, good, size);

	answer = spoil("transaction", FRAMING_TCP);
	assert_int_equal(answer->bytes[1], 10);
}

static void foreign_frames_are_whole(void **state)
{
	struct adu adu;
	const struct answer *answer = spoil("foreign", FRAMING_RTU);
	assert_int_equal(answer->bytes[0], 6);
	assert_int_equal(answer->bytes[3], 0xfe); /* inverted data */
	assert_int_equal(frame_crc(answer->bytes, answer->size), 0);
	answer = spoil("foreign what=function also=1", FRAMING_RTU);
	assert_int_equal(answer->bytes[1], 4);
	assert_int_equal(answer->bytes[answer->pause_at + 1], 3);
	answer = spoil("foreign what=count", FRAMING_TCP);
	assert_int_equal(answer->bytes[8], 2);
	assert_int_equal(answer->bytes[5], 5);
	assert_int_equal(answer->size, 11);
	size_t used;
	assert_int_equal(frame_take(FRAMING_TCP, answer->bytes, answer->size, false, &adu, &used),
		FRAME_GOOD);
}

static void ids_are_read(void **state)
{
	struct ids ids;
	assert_int_equal(ids_parse("1-3,20,2", &ids), 0);
	assert_int_equal(ids.count, 4);
	assert_int_equal(ids.ids[3], 20);
	static const char *const wrong[] = { "", "1-", "3-1", "256", "1,,2", "a", "1-2-3", "-1" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(ids_parse(wrong[i], &ids), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_become_registers),
		cmocka_unit_test(rules_follow_the_clock),
		cmocka_unit_test(walks_repeat_and_stay_within),
		cmocka_unit_test(maps_are_read),
		cmocka_unit_test(wrong_maps_say_where),
		cmocka_unit_test(faults_are_read),
		cmocka_unit_test(faults_befall_whom_they_are_for),
		cmocka_unit_test(chances_come_out_and_repeat),
		cmocka_unit_test(spoilt_answers_are_as_said),
		cmocka_unit_test(foreign_frames_are_whole),
		cmocka_unit_test(ids_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
