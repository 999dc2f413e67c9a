/* SPDX-License-Identifier: Apache-2.0 */
/* Each fault does what it says, is no violation of the client's, and is the same for the same seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cloud-sim-rig.h"
#include "util/json.h"

#define POST "thing/measurepoint/post"

static void start(struct rig *rig)
{
	rig_start(rig, NULL);
	assert_int_equal(rig_authenticate(rig, 300).code, CODE_CHANGED);
}

static void strike(struct rig *rig, enum fault fault, int64_t count)
{
	rig->sim->faults.rates[fault] = (struct fault_rate){ 1, count };
}

static const struct exchange_counts *counts(struct rig *rig)
{
	return exchanges_counts(rig->sim->exchanges);
}

static uint64_t readings(struct rig *rig)
{
	return journal_stats(rig->sim->journal)->readings;
}

static void finish(struct rig *rig)
{
	OWNED_BUFFER list = BUFFER_EMPTY;
	journal_print_violations(rig->sim->journal, &list);
	assert_string_equal(buffer_text(&list), "[]");
	rig_stop(rig);
}

static void test_lost_request(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_LOSE_REQUEST, 1);
	assert_false(rig_post(&rig, POST, rig_report()).any);
	assert_int_equal(readings(&rig), 0);
	/* Given up by the client: sequence 1 never comes, and that is our doing. */
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	finish(&rig);
}

static void test_lost_answer(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_LOSE_ANSWER, 1);
	assert_false(rig_post(&rig, POST, rig_report()).any);
	assert_int_equal(readings(&rig), 1);
	rig_advance(&rig, 2000);
	rig_send_again(&rig);
	assert_int_equal(rig_receive(&rig).code, CODE_CHANGED);
	assert_int_equal(readings(&rig), 1);
	/* Answered now, so the next one may follow at once. */
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	finish(&rig);
}

static void test_repeats(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_REPEAT_REQUEST, 1);
	strike(&rig, FAULT_REPEAT_ANSWER, 1);
	struct got first = rig_post(&rig, POST, rig_report());
	for (int i = 0; i < 2; i++) {
		struct got again = rig_receive(&rig);
		assert_int_equal(again.size, first.size);
		assert_memory_equal(again.bytes, first.bytes, first.size);
	}
	assert_false(rig_receive(&rig).any);
	assert_int_equal(readings(&rig), 1);
	finish(&rig);
}

static void test_delays(void **state)
{
	struct rig rig;
	start(&rig);
	rig.sim->faults.delay_ms[0] = rig.sim->faults.delay_ms[1] = 300;
	strike(&rig, FAULT_DELAY_ANSWER, 1);
	assert_false(rig_post(&rig, POST, rig_report()).any);
	assert_int_equal(readings(&rig), 1);
	rig_advance(&rig, 299);
	assert_false(rig_receive(&rig).any);
	rig_advance(&rig, 2);
	assert_int_equal(rig_receive(&rig).code, CODE_CHANGED);
	strike(&rig, FAULT_DELAY_REQUEST, 1);
	assert_false(rig_post(&rig, POST, rig_report()).any);
	assert_int_equal(readings(&rig), 1);
	rig_advance(&rig, 301);
	assert_int_equal(rig_receive(&rig).code, CODE_CHANGED);
	assert_int_equal(readings(&rig), 2);
	/* One that is overtaken by its successor has too low a sequence by then. */
	strike(&rig, FAULT_DELAY_REQUEST, 1);
	assert_false(rig_post(&rig, POST, rig_report()).any);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	rig_advance(&rig, 301);
	assert_int_equal(rig_receive(&rig).code, CODE_UNAUTHORIZED);
	finish(&rig);
}

static void test_reordering(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_REORDER, 1);
	assert_false(rig_post(&rig, POST, rig_report()).any);
	uint16_t first = rig.message_id;
	rig_advance(&rig, 1);
	assert_int_equal(rig_post(&rig, POST, rig_report()).message_id, first + 1);
	assert_int_equal(rig_receive(&rig).message_id, first);
	/* Nothing overtakes it: it comes all the same. */
	strike(&rig, FAULT_REORDER, 1);
	assert_false(rig_post(&rig, POST, rig_report()).any);
	rig_advance(&rig, 201);
	assert_int_equal(rig_receive(&rig).code, CODE_CHANGED);
	finish(&rig);
}

static void acknowledge(struct rig *rig, uint16_t id)
{
	uint8_t ack[] = { 0x60, 0, (uint8_t)(id >> 8), (uint8_t)id };
	rig_send_bytes(rig, ack, sizeof(ack));
}

static void test_separate_answer(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_SEPARATE, 1);
	struct got ack = rig_post(&rig, POST, rig_report());
	assert_int_equal(ack.type, PACKET_ACK);
	assert_int_equal(ack.code, CODE_EMPTY);
	assert_int_equal(ack.size, 4);
	assert_int_equal(ack.message_id, rig.message_id);
	rig_send_again(&rig);
	assert_int_equal(rig_receive(&rig).code, CODE_EMPTY);
	rig_advance(&rig, 101);
	struct got answer = rig_receive(&rig);
	assert_int_equal(answer.type, PACKET_CON);
	assert_int_equal(answer.code, CODE_CHANGED);
	assert_true(answer.token_fits);
	/* Not acknowledged: it comes again after 2 to 3 s, then after twice that. */
	rig_advance(&rig, 3001);
	struct got again = rig_receive(&rig);
	assert_memory_equal(again.bytes, answer.bytes, answer.size);
	acknowledge(&rig, answer.message_id);
	assert_false(rig_receive(&rig).any);
	rig_advance(&rig, 60 * 1000);
	assert_false(rig_receive(&rig).any);
	assert_int_equal(counts(&rig)->unacknowledged, 0);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	finish(&rig);
}

static void test_separate_given_up(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_SEPARATE_BARE, 1);
	assert_false(rig_post(&rig, POST, rig_report()).any);
	int came = 0;
	for (int second = 0; second < 120; second++) {
		rig_advance(&rig, 1000);
		came += rig_receive(&rig).any;
	}
	assert_int_equal(came, 5); /* the first and MAX_RETRANSMIT more */
	assert_int_equal(counts(&rig)->unacknowledged, 1);
	finish(&rig);
}

static void test_wrong_token(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_WRONG_TOKEN, 1);
	struct got got = rig_post(&rig, POST, rig_report());
	assert_true(got.any);
	assert_int_equal(got.type, PACKET_ACK);
	assert_int_equal(got.message_id, rig.message_id);
	assert_false(got.token_fits);
	rig_send_again(&rig);
	got = rig_receive(&rig);
	assert_true(got.token_fits);
	assert_int_equal(got.code, CODE_CHANGED);
	finish(&rig);
}

static void test_spoofed(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_SPOOF, -1);
	for (int i = 0; i < 60; i++) {
		struct got forged = rig_post(&rig, POST, rig_report());
		assert_true(forged.any);
		assert_false(forged.token_fits);
		struct got answer = rig_receive(&rig);
		assert_true(answer.token_fits);
		assert_int_equal(answer.code, CODE_CHANGED);
	}
	assert_int_equal(counts(&rig)->spoofed, 60);
	finish(&rig);
}

static void test_server_faults(void **state)
{
	static const struct {
		enum fault fault;
		uint8_t code;
	} rows[] = {
		{ FAULT_ERROR, CODE_SERVER_ERROR },
		{ FAULT_FORBID, CODE_FORBIDDEN },
		{ FAULT_FORGET, CODE_UNAUTHORIZED },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rig rig;
		start(&rig);
		strike(&rig, rows[i].fault, 1);
		struct got got = rig_post(&rig, POST, rig_report());
		assert_int_equal(got.code, rows[i].code);
		assert_true(got.token_fits);
		assert_int_equal(readings(&rig), 0);
		if (rows[i].fault == FAULT_FORGET)
			rig_authenticate(&rig, 300);
		assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
		finish(&rig);
	}
}

static void test_silence(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_SILENCE, 1);
	assert_false(rig_post(&rig, POST, rig_report()).any);
	rig_advance(&rig, 3000);
	rig_send_again(&rig);
	assert_false(rig_receive(&rig).any);
	assert_int_equal(readings(&rig), 0);
	rig_advance(&rig, 3000);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	finish(&rig);
}

static void test_rejection(void **state)
{
	struct rig rig;
	start(&rig);
	strike(&rig, FAULT_REJECT, 1);
	struct got got = rig_post(&rig, POST, rig_report());
	assert_int_equal(got.code, CODE_CHANGED);
	assert_string_equal(got.payload, "{\"id\":\"7\",\"code\":1204,\"data\":\"\"}");
	assert_int_equal(readings(&rig), 0);
	finish(&rig);
}

/* One device's faults, and only where the topic fits. */
static void test_of_one_device(void **state)
{
	struct rig rig;
	start(&rig);
	assert_int_equal(devices_add(rig.sim->devices, "pk1", "dk2", "x"), 0);
	struct device *other = devices_named(rig.sim->devices, "dk2");
	other->has_faults = true;
	other->faults.rates[FAULT_ERROR] = (struct fault_rate){ 1, -1 };
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	struct draft draft = {
		.code = CODE_POST, .path = "auth/pk1/dk2", .message_id = -1, .token = -1
	};
	assert_int_equal(rig_exchange(&rig, &draft).code, CODE_SERVER_ERROR);
	strcpy(rig.sim->faults.topic, "up_raw");
	strike(&rig, FAULT_ERROR, -1);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	assert_int_equal(rig_post(&rig, "thing/model/up_raw", "x").code, CODE_SERVER_ERROR);
	finish(&rig);
}

/* Lets time pass until nobody can wait for the last request any more. */
static void settle(struct rig *rig)
{
	rig_advance(rig, 5000);
	while (rig_receive(rig).any)
		;
}

/* What came of 200 requests under all faults, one letter each. */
static void run_seeded(uint64_t seed, char *story)
{
	struct sim_settings settings;
	struct rig rig;
	rig_settings(&settings);
	settings.seed = seed;
	rig_start(&rig, &settings);
	for (int i = 0; i < FAULT_COUNT; i++)
		rig.sim->faults.rates[i] = (struct fault_rate){ 0.1, -1 };
	bool online = false;
	for (int i = 0; i < 200; i++) {
		struct got got = online ? rig_post(&rig, POST, rig_report())
					: rig_authenticate(&rig, 300);
		*story++ = !got.any ? '-' : (char)('A' + got.type * 6 + (got.code >> 5));
		if (got.token_fits && got.code == CODE_UNAUTHORIZED)
			online = false;
		else if (got.token_fits && got.code == CODE_CHANGED)
			online = true;
		settle(&rig);
	}
	*story = 0;
	assert_true(readings(&rig) > 20);
	finish(&rig);
}

static void test_seeds(void **state)
{
	char first[201], second[201], other[201];
	run_seeded(5, first);
	run_seeded(5, second);
	run_seeded(6, other);
	assert_string_equal(first, second);
	assert_string_not_equal(first, other);
}

static int set(struct fault_plan *plan, const char *json)
{
	OWNED_BUFFER map = BUFFER_EMPTY;
	char error[200] = "";
	assert_int_equal(json_parse(&map, json, strlen(json), error, sizeof(error)), 0);
	int result = fault_plan_set(plan, map.data, map.size, error, sizeof(error));
	assert_int_equal(result < 0, error[0] != 0);
	return result;
}

static void test_settings(void **state)
{
	struct fault_plan plan;
	OWNED_BUFFER json = BUFFER_EMPTY;
	fault_plan_init(&plan);
	assert_int_equal(
		set(&plan,
			"{\"loss\":0.25,\"error\":{\"p\":1,\"count\":3},\"delay_ms\":[5,9],"
			"\"reject_code\":1212,\"topic\":\"up_raw\",\"separate_ms\":7}"),
		0);
	fault_plan_print(&plan, &json);
	assert_string_equal(buffer_text(&json),
		"{\"lose_request\":{\"p\":0.25},\"lose_answer\":{\"p\":0.25},\"error\":{\"p\":1.0,\"count\":3},"
		"\"topic\":\"up_raw\",\"delay_ms\":[5,9],\"separate_ms\":7,\"reject_code\":1212}");
	static const char *const wrong[] = { "[]", "{\"los\":1}", "{\"loss\":1.5}", "{\"loss\":-1}",
		"{\"loss\":\"x\"}", "{\"loss\":{\"q\":1}}", "{\"delay_ms\":[9,5]}",
		"{\"delay_ms\":[1]}", "{\"topic\":5}", "{\"error\":0,\"separate_ms\":-1}" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(set(&plan, wrong[i]), -22);
	assert_int_equal(plan.rates[FAULT_ERROR].left, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_request),
		cmocka_unit_test(test_lost_answer),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_reordering),
		cmocka_unit_test(test_separate_answer),
		cmocka_unit_test(test_separate_given_up),
		cmocka_unit_test(test_wrong_token),
		cmocka_unit_test(test_spoofed),
		cmocka_unit_test(test_server_faults),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_rejection),
		cmocka_unit_test(test_of_one_device),
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
