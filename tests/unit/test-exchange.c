/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of reports and replies: every answer, in every order. */
#include "session-fixture.h"

static void what_waits_while_offline_goes_when_online(void **state)
{
	bench_create();
	put_raw("a");
	put_raw("b");
	work();
	assert_int_equal(bench->requests, 0);
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	work();
	assert_int_equal(bench->requests, 1);
	accept_login();
	assert_string_equal((char *)bench->sent.payload, "a");
	answer(OK, "");
	assert_string_equal((char *)bench->sent.payload, "b");
	answer(OK, "");
	assert_fate(0, REPORT_ACKNOWLEDGED, 1);
	assert_fate(1, REPORT_ACKNOWLEDGED, 2);
	assert_true(queue_empty(&bench->session->queue));
	bench_destroy();
}

static void points_that_wait_go_together(void **state)
{
	bench_online();
	for (int i = 0; i < 4; i++)
		put_json(REPORT_POINTS, "{\"a\":1}");
	put_json(REPORT_EVENT, "{\"b\":1}");
	put_json(REPORT_POINTS, "{\"c\":1}");
	work();
	assert_sent(REQUEST_POST, "thing/measurepoint/post/batch");
	answer(OK, "{\"id\":\"1\",\"code\":200}");
	assert_int_equal(bench->fate_count, 4);
	assert_sent(REQUEST_POST, "thing/event/Alarm/post");
	answer(OK, "");
	assert_sent(REQUEST_POST, "thing/measurepoint/post");
	answer(OK, "");
	for (int i = 0; i < 6; i++)
		assert_fate(i, REPORT_ACKNOWLEDGED, i + 1);
	bench_destroy();
}

static void without_batches_each_goes_alone(void **state)
{
	bench_create();
	bench->enos.batch = false;
	for (int i = 0; i < 3; i++)
		put_json(REPORT_POINTS, "{\"a\":1}");
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	accept_login();
	for (int i = 0; i < 3; i++) {
		assert_sent(REQUEST_POST, "thing/measurepoint/post");
		answer(OK, "");
	}
	assert_int_equal(bench->fate_count, 3);
	bench_destroy();
}

static void a_refusal_never_blocks_what_is_behind(void **state)
{
	static const struct {
		uint8_t code;
		const char *payload;
	} refusals[] = {
		{ CODE(4, 0), "" },
		{ CODE(4, 3), "" },
		{ CODE(4, 4), "" },
		{ CODE(4, 5), "" },
		{ CODE(4, 13), "" },
		{ OK, "{\"id\":\"1\",\"code\":1204,\"message\":\"no such point\"}" },
		{ OK, "{\"id\":\"1\",\"code\":0}" },
		{ CONTENT, "{\"code\":500}" },
	};
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		bench_online();
		put_json(REPORT_EVENT, "{\"bad\":1}");
		put_json(REPORT_EVENT, "{\"good\":1}");
		work();
		answer(refusals[i].code, refusals[i].payload);
		assert_fate(0, REPORT_REJECTED, 1);
		assert_true(strlen(bench->fates[0].reason) > 0);
		assert_non_null(strstr((char *)bench->sent.payload, "good"));
		answer(OK, "");
		assert_fate(1, REPORT_ACKNOWLEDGED, 2);
		assert_int_equal(count_of(COUNT_REFUSED), 1);
		assert_int_equal(count_of(COUNT_REJECTED), 1);
		assert_int_equal(bench->session->state, SESSION_ONLINE);
		bench_destroy();
	}
}

static void a_refused_batch_is_sent_singly(void **state)
{
	bench_online();
	for (int i = 0; i < 4; i++)
		put_json(REPORT_POINTS, i == 2 ? "{\"bad\":1}" : "{\"good\":1}");
	work();
	assert_sent(REQUEST_POST, "thing/measurepoint/post/batch");
	answer(OK, "{\"code\":1204}");
	assert_int_equal(bench->fate_count, 0);
	for (int i = 0; i < 4; i++) {
		assert_sent(REQUEST_POST, "thing/measurepoint/post");
		bool bad = strstr((char *)bench->sent.payload, "bad");
		answer(OK, bad ? "{\"code\":1204}" : "");
	}
	for (int i = 0; i < 4; i++)
		assert_fate(i, i == 2 ? REPORT_REJECTED : REPORT_ACKNOWLEDGED, i + 1);
	assert_int_equal(count_of(COUNT_REFUSED_BATCHES), 1);
	/* Afterwards they go together again. */
	put_json(REPORT_POINTS, "{\"good\":1}");
	put_json(REPORT_POINTS, "{\"good\":1}");
	work();
	assert_sent(REQUEST_POST, "thing/measurepoint/post/batch");
	bench_destroy();
}

/* One bad element costs itself alone, and none of them becomes the current value. */
static void a_refused_batch_of_late_points_is_sent_singly(void **state)
{
	bench_online();
	bench->plane.late_after_ms = 60000;
	bench->clock.wall_ms += 1000000;
	for (int i = 0; i < 4; i++)
		put_json(REPORT_POINTS, i == 2 ? "{\"bad\":1}" : "{\"good\":1}");
	work();
	assert_sent(REQUEST_POST, "thing/measurepoint/resume/batch");
	answer(OK, "{\"code\":1204}");
	for (int i = 0; i < 4; i++) {
		assert_sent(REQUEST_POST, "thing/measurepoint/resume");
		bool bad = strstr((char *)bench->sent.payload, "bad");
		answer(OK, bad ? "{\"code\":1204}" : "");
	}
	for (int i = 0; i < 4; i++)
		assert_fate(i, i == 2 ? REPORT_REJECTED : REPORT_ACKNOWLEDGED, i + 1);
	bench_destroy();
}

static void put_at(int64_t wall_ms)
{
	put_json(REPORT_POINTS, "{\"a\":1}");
	struct waiting *last = container_of(bench->session->queue.front.prev, struct waiting, link);
	last->report->stamp.wall_ms = wall_ms;
}

/* However young it is, what comes behind newer points must not set them back. */
static void points_behind_newer_ones_are_late(void **state)
{
	bench_online();
	bench->enos.batch = false;
	bench->plane.late_after_ms = 60000;
	int64_t now_ms = bench->clock.wall_ms = 1700000000000;
	static const int64_t ages[] = { 1000, 2000, 1000, 900, 61000, 0 };
	static const bool late[] = { false, true, false, false, true, false };
	for (int i = 0; i < 6; i++) {
		put_at(now_ms - ages[i]);
		work();
		assert_sent(REQUEST_POST,
			late[i] ? "thing/measurepoint/resume" : "thing/measurepoint/post");
		answer(OK, "");
	}
	/* The clock went back: what was posted is of the future, and the present is what counts. */
	bench->clock.wall_ms -= 3600000;
	put_at(bench->clock.wall_ms);
	work();
	assert_sent(REQUEST_POST, "thing/measurepoint/post");
	answer(OK, "");
	bench_destroy();
}

static void a_4_01_during_a_batch_repeats_the_batch(void **state)
{
	bench_online();
	for (int i = 0; i < 3; i++)
		put_json(REPORT_POINTS, "{\"a\":1}");
	work();
	struct sent first = bench->sent;
	put_json(REPORT_POINTS, "{\"a\":2}");
	answer(CODE(4, 1), "");
	accept_login();
	assert_string_equal(bench->sent.path, first.path);
	assert_string_equal((char *)bench->sent.payload, (char *)first.payload);
	answer(OK, "");
	assert_int_equal(bench->fate_count, 3);
	assert_sent(REQUEST_POST, "thing/measurepoint/post");
	bench_destroy();
}

static void a_report_under_way_is_neither_dropped_nor_replaced(void **state)
{
	bench_online();
	bench->enos.queue_reports = 2;
	put_raw("first");
	work();
	for (int i = 0; i < 5; i++)
		put_raw("later");
	assert_int_equal(bench->session->queue.count, 2);
	advance_ms(30000);
	await_request();
	assert_string_equal((char *)bench->sent.payload, "first");
	answer(OK, "");
	assert_fate(0, REPORT_ACKNOWLEDGED, 1);
	answer(OK, "");
	assert_fate(1, REPORT_ACKNOWLEDGED, 6);
	bench_destroy();
}

static void later_means_the_same_again(void **state)
{
	static const uint8_t codes[] = { CODE(5, 0), CODE(5, 3), CODE(4, 29), CODE(1, 0),
		CODE(3, 1) };
	for (size_t i = 0; i < sizeof(codes); i++) {
		bench_online();
		put_json(REPORT_POINTS, "{\"a\":1}");
		work();
		struct sent first = bench->sent;
		answer(codes[i], "");
		assert_int_equal(bench->session->state, SESSION_WAITING);
		assert_int_equal(bench->fate_count, 0);
		int64_t begin_us = bench->clock.mono_us;
		await_request();
		assert_in_range(bench->clock.mono_us - begin_us, 750000, 1251000);
		assert_string_equal((char *)bench->sent.payload, (char *)first.payload);
		assert_signed(TOKEN, 2);
		answer(OK, "");
		assert_fate(0, REPORT_ACKNOWLEDGED, 1);
		assert_int_equal(count_of(COUNT_SERVER_ERRORS), 1);
		bench_destroy();
	}
}

static void nonsense_with_a_good_code_is_good(void **state)
{
	static const char *const payloads[] = { "nonsense", "{\"code\":", "[1]", "\xff\xfe",
		"{\"code\":\"200\"}", "null" };
	bench_online();
	for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++) {
		put_json(REPORT_POINTS, "{\"a\":1}");
		work();
		answer(OK, payloads[i]);
		assert_fate((int)i, REPORT_ACKNOWLEDGED, (int64_t)i + 1);
	}
	assert_int_equal(count_of(COUNT_BAD_JSON), 5);
	/* The answer to raw bytes is whatever the cloud's script makes of it. */
	put_raw("x");
	work();
	answer(OK, "{\"code\":1204}");
	assert_fate(6, REPORT_ACKNOWLEDGED, 7);
	bench_destroy();
}

/* Fifty points of long names: more than a message holds. */
static void put_large(void)
{
	OWNED_BUFFER json = BUFFER_EMPTY;
	buffer_put_byte(&json, '{');
	for (int i = 0; i < 50; i++)
		buffer_printf(
			&json, "%s\"a_point_with_quite_a_long_name_%d\":%d", i ? "," : "", i, i);
	buffer_put_byte(&json, '}');
	put_json(REPORT_POINTS, buffer_text(&json));
}

static void a_large_report_goes_in_parts(void **state)
{
	bench_online();
	put_large();
	put_json(REPORT_POINTS, "{\"next\":1}");
	work();
	int parts = 0;
	while (!strstr((char *)bench->sent.payload, "next")) {
		assert_sent(REQUEST_POST, "thing/measurepoint/post");
		assert_true(bench->sent.size <= 1024);
		assert_int_equal(bench->fate_count, 0);
		/* A loss on the way repeats that part alone. */
		if (++parts == 2) {
			struct sent part = bench->sent;
			answer(CODE(5, 0), "");
			await_request();
			assert_string_equal((char *)bench->sent.payload, (char *)part.payload);
		}
		answer(OK, "");
	}
	assert_in_range(parts, 2, 4);
	assert_fate(0, REPORT_ACKNOWLEDGED, 1);
	answer(OK, "");
	assert_fate(1, REPORT_ACKNOWLEDGED, 2);
	bench_destroy();
}

static void a_refused_part_does_not_stop_the_others(void **state)
{
	bench_online();
	put_large();
	work();
	answer(CODE(4, 0), "");
	int others = 0;
	while (!bench->fate_count) {
		assert_true(bench->in_flight && others < 5);
		others++;
		answer(OK, "");
	}
	assert_true(others >= 1);
	assert_fate(0, REPORT_REJECTED, 1);
	assert_true(queue_empty(&bench->session->queue));
	bench_destroy();
}

static void what_cannot_be_written_is_refused_here(void **state)
{
	static char large[1025];
	memset(large, 'x', sizeof(large) - 1);
	bench_online();
	large[1024] = 'x';
	struct stamp stamp = { .wall_ms = ++bench->next_mark };
	struct report *report = report_create(7, REPORT_RAW, &stamp, large, 1025), *gone;
	queue_put(&bench->session->queue, report, 100, &gone);
	report_release(report);
	put_json(REPORT_POINTS, "{}");
	put_raw("good");
	work();
	assert_int_equal(bench->requests, 2);
	assert_fate(0, REPORT_REJECTED, 1);
	assert_non_null(strstr(bench->fates[0].reason, "1025"));
	assert_fate(1, REPORT_REJECTED, 2);
	assert_string_equal((char *)bench->sent.payload, "good");
	assert_signed(TOKEN, 1);
	answer(OK, "");
	assert_fate(2, REPORT_ACKNOWLEDGED, 3);
	bench_destroy();
}

static void replies_go_first(void **state)
{
	bench_online();
	put_raw("1");
	work();
	put_raw("2");
	struct command command = { .device = 7,
		.origin = ORIGIN_CLOUD,
		.topic = (char *)"thing/service/go",
		.token = 99 };
	reply_to(&command, "{\"id\":\"5\",\"code\":200}");
	answer(OK, "");
	assert_sent(REQUEST_POST, "thing/service/go_reply");
	assert_string_equal((char *)bench->sent.payload, "{\"id\":\"5\",\"code\":200}");
	assert_int_equal(bench->sent.format, CONTENT_JSON);
	/* A reply is repeated like a report. */
	advance_ms(30000);
	await_request();
	assert_sent(REQUEST_POST, "thing/service/go_reply");
	answer(OK, "");
	assert_string_equal((char *)bench->sent.payload, "2");
	answer(OK, "");
	assert_int_equal(count_of(COUNT_REPLIES), 1);
	command.topic = (char *)"thing/model/down_raw";
	reply_to(&command, "bytes");
	assert_sent(REQUEST_POST, "thing/model/down_raw_reply");
	assert_int_equal(bench->sent.format, CONTENT_OCTETS);
	/* A refused one is dropped, and counted. */
	put_raw("3");
	answer(CODE(4, 4), "");
	assert_int_equal(count_of(COUNT_REFUSED_REPLIES), 1);
	assert_string_equal((char *)bench->sent.payload, "3");
	bench_destroy();
}

static void what_fits_no_message_blocks_nothing(void **state)
{
	struct command command = { .topic = (char *)"thing/model/down_raw", .raw = true };
	bench_online();
	bench->send_error = -EMSGSIZE;
	reply_to(&command, "bytes");
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	assert_int_equal(count_of(COUNT_REFUSED_REPLIES), 1);
	put_raw("too long");
	work();
	assert_fate(0, REPORT_REJECTED, 1);
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	bench->send_error = 0;
	put_raw("next");
	work();
	assert_string_equal((char *)bench->sent.payload, "next");
	bench_destroy();
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_no_message_blocks_nothing),
		cmocka_unit_test(what_waits_while_offline_goes_when_online),
		cmocka_unit_test(points_that_wait_go_together),
		cmocka_unit_test(without_batches_each_goes_alone),
		cmocka_unit_test(a_refusal_never_blocks_what_is_behind),
		cmocka_unit_test(a_refused_batch_is_sent_singly),
		cmocka_unit_test(a_refused_batch_of_late_points_is_sent_singly),
		cmocka_unit_test(points_behind_newer_ones_are_late),
		cmocka_unit_test(a_4_01_during_a_batch_repeats_the_batch),
		cmocka_unit_test(a_report_under_way_is_neither_dropped_nor_replaced),
		cmocka_unit_test(later_means_the_same_again),
		cmocka_unit_test(nonsense_with_a_good_code_is_good),
		cmocka_unit_test(a_large_report_goes_in_parts),
		cmocka_unit_test(a_refused_part_does_not_stop_the_others),
		cmocka_unit_test(what_cannot_be_written_is_refused_here),
		cmocka_unit_test(replies_go_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
