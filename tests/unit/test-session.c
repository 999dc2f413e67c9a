/* SPDX-License-Identifier: Apache-2.0 */
/* The session's life: logging in, tokens, silence, failures and time. */
#include "session-fixture.h"

static void logs_in_with_a_sign(void **state)
{
	bench_create();
	session_start(bench->session, bench->clock.mono_us + 500 * USEC_PER_MSEC);
	advance_ms(499);
	assert_int_equal(bench->requests, 0);
	assert_int_equal(bench->session->state, SESSION_IDLE);
	advance_ms(1);
	assert_int_equal(bench->session->state, SESSION_AUTHENTICATING);
	assert_int_equal(bench->connects, 1);
	assert_int_equal(bench->sent.method, REQUEST_POST);
	assert_int_equal(bench->sent.format, CONTENT_JSON);
	assert_string_equal(bench->sent.path, "auth/pk1/dk1");
	assert_string_equal(bench->sent.signature, "");
	assert_string_equal((char *)bench->sent.payload,
		"{\"secureMode\":2,\"lifetime\":300,\"sign\":"
		"\"37A632FEFDB8584E42D75216032E2A8FB3129376D01C327852A698AC630BD510\"}");
	accept_login();
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	assert_int_equal(bench->requests, 1);
	bench_destroy();
}

static void waits_for_an_address(void **state)
{
	bench_create();
	bench->server.count = 0;
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(60000);
	assert_int_equal(bench->session->state, SESSION_RESOLVING);
	assert_int_equal(bench->requests, 0);
	/* Found at last: within start_spread, since others wait as well. */
	bench->enos.start_spread_ms = 10000;
	set_address(&bench->server, "1");
	session_addresses_changed(bench->session);
	assert_int_equal(bench->requests, 0);
	advance_ms(10000);
	accept_login();
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	bench_destroy();
}

static void numbers_rise_from_one(void **state)
{
	bench_online();
	for (int n = 1; n <= 5; n++) {
		put_raw("x");
		work();
		assert_signed(TOKEN, (uint64_t)n);
		answer(OK, "");
	}
	bench_destroy();
}

static void polls_for_commands_in_silence(void **state)
{
	bench_online();
	advance_ms(29000);
	assert_int_equal(bench->requests, 1);
	advance_ms(2000);
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	assert_signed(TOKEN, 1);
	assert_int_equal(bench->sent.size, 0);
	assert_int_equal(bench->sent.format, CONTENT_NONE);
	/* An empty 2.xx and a 4.04 both say that nothing waits. */
	answer(CONTENT, "");
	assert_int_equal(bench->requests, 2);
	advance_ms(31000);
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	answer(CODE(4, 4), "");
	assert_int_equal(bench->requests, 3);
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	assert_int_equal(count_of(COUNT_REFUSED), 0);
	assert_int_equal(count_of(COUNT_POLLS), 2);
	assert_int_equal(bench->command_count, 0);
	/* A report in between is no silence. */
	advance_ms(20000);
	put_raw("x");
	work();
	answer(OK, "");
	advance_ms(20000);
	assert_int_equal(bench->requests, 4);
	bench_destroy();
}

static void a_short_lifetime_is_kept_alive(void **state)
{
	bench_create();
	bench->enos.lifetime_s = 30;
	bench->enos.command_poll_s = 3600;
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	accept_login();
	for (int i = 0; i < 20; i++) {
		int before = bench->requests;
		advance_ms(11000);
		assert_int_equal(bench->requests, before + 1);
		assert_sent(REQUEST_GET, "thing/model/down_raw");
		answer(CONTENT, "");
	}
	assert_int_equal(count_of(COUNT_LOGINS), 1);
	bench_destroy();
}

static void the_piggyback_dialect_signs_nothing(void **state)
{
	bench_create();
	bench->enos.dialect = DIALECT_PIGGYBACK;
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	accept_login();
	put_raw("x");
	work();
	assert_sent(REQUEST_POST, "thing/model/up_raw");
	assert_string_equal(bench->sent.signature, "");
	answer(OK, "");
	advance_ms(31000);
	assert_sent(REQUEST_POST, "thing/tag/query");
	assert_string_equal(bench->sent.signature, "");
	answer(OK, "{\"id\":\"1\",\"code\":200,\"data\":{}}");
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	bench_destroy();
}

static void a_4_01_renews_the_token_and_repeats_the_message(void **state)
{
	bench_online();
	int64_t mark = put_json(REPORT_POINTS, "{\"a\":1}");
	work();
	struct sent first = bench->sent;
	assert_signed(TOKEN, 1);
	/* What comes meanwhile does not change the message. */
	put_json(REPORT_POINTS, "{\"a\":2}");
	answer(CODE(4, 1), "");
	assert_int_equal(bench->session->state, SESSION_AUTHENTICATING);
	answer(OK, "{\"token\":\"second\"}");
	assert_string_equal(bench->sent.path, first.path);
	assert_int_equal(bench->sent.size, first.size);
	assert_memory_equal(bench->sent.payload, first.payload, first.size);
	assert_true(bench->sent.token != first.token);
	assert_signed("second", 1);
	answer(OK, "");
	assert_fate(0, REPORT_ACKNOWLEDGED, mark);
	assert_int_equal(count_of(COUNT_UNAUTHORISED), 1);
	bench_destroy();
}

static void a_4_01_of_an_older_request_is_ignored(void **state)
{
	bench_online();
	put_raw("x");
	work();
	uint64_t old = bench->sent.token;
	advance_ms(30000); /* lost */
	advance_ms(2000);
	assert_true(bench->in_flight && bench->sent.token != old);
	assert_false(respond((struct cloud_response){ .token = old, .code = CODE(4, 1) }));
	assert_int_equal(bench->session->state, SESSION_WAITING);
	assert_true(bench->in_flight);
	answer(OK, "");
	assert_fate(0, REPORT_ACKNOWLEDGED, 1);
	assert_int_equal(count_of(COUNT_LOGINS), 1);
	bench_destroy();
}

static void a_loop_of_4_01_backs_off(void **state)
{
	bench_online();
	int64_t mark = put_raw("x");
	work();
	int64_t begin_us = bench->clock.mono_us;
	/* Every login is accepted, and everything else refused. */
	while (bench->clock.mono_us < begin_us + 600 * USEC_PER_SEC) {
		if (!bench->in_flight)
			advance_ms(100);
		else if (strncmp(bench->sent.path, "auth", 4) == 0)
			accept_login();
		else
			answer(CODE(4, 1), "");
	}
	/* 1, 2, 4 ... 60 s: about fifteen rounds in ten minutes, not thousands. */
	assert_in_range(count_of(COUNT_LOGINS), 8, 20);
	assert_string_equal(bench->session->trouble ? bench->session->trouble : "",
		"4.01 although the login was accepted: check enos.dialect and the signature's "
		"settings");
	/* And nothing is lost by it. */
	assert_int_equal(bench->fate_count, 0);
	for (int i = 0; i < 1000 && !bench->fate_count; i++) {
		if (!bench->in_flight)
			advance_ms(1000);
		else if (strncmp(bench->sent.path, "auth", 4) == 0)
			accept_login();
		else
			answer(OK, "");
	}
	assert_fate(0, REPORT_ACKNOWLEDGED, mark);
	bench_destroy();
}

static void a_message_that_alone_gets_4_01_is_refused(void **state)
{
	bench_online();
	int64_t mark = put_raw("poison"), next = put_json(REPORT_EVENT, "{\"a\":1}");
	work();
	for (int i = 0; i < 10000 && bench->fate_count < 2; i++) {
		if (!bench->in_flight)
			advance_ms(1000);
		else if (strncmp(bench->sent.path, "auth", 4) == 0)
			accept_login();
		else
			answer(strstr((char *)bench->sent.payload, "poison") ? CODE(4, 1) : OK, "");
	}
	assert_fate(0, REPORT_REJECTED, mark);
	assert_fate(1, REPORT_ACKNOWLEDGED, next);
	assert_in_range(count_of(COUNT_LOGINS), 3, 8);
	bench_destroy();
}

static void a_refused_login_backs_off(void **state)
{
	bench_create();
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	answer(CODE(4, 1), "");
	assert_int_equal(bench->session->state, SESSION_WAITING);
	assert_non_null(strstr(bench->reason, "device key and secret"));
	int64_t begin_us = bench->clock.mono_us;
	while (bench->clock.mono_us < begin_us + 600 * USEC_PER_SEC) {
		if (bench->in_flight)
			answer(CODE(4, 3), "");
		else
			advance_ms(100);
	}
	assert_in_range(bench->requests, 8, 20);
	await_request();
	accept_login();
	/* Nothing waits to be sent: a poll shows that the token is good. */
	assert_int_equal(bench->session->state, SESSION_WAITING);
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	answer(CONTENT, "");
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	bench_destroy();
}

static void a_login_without_a_token_is_tried_again(void **state)
{
	static const char *const bad[] = { "", "garbage", "{}", "{\"token\":\"\"}",
		"{\"token\":17}", "[]" };
	bench_create();
	session_start(bench->session, bench->clock.mono_us);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		await_request();
		answer(OK, bad[i]);
		assert_int_equal(bench->session->state, SESSION_WAITING);
	}
	await_request();
	accept_login();
	assert_int_equal(count_of(COUNT_BAD_JSON), sizeof(bad) / sizeof(*bad));
	bench_destroy();
}

static void no_answer_is_tried_again_with_growing_pauses(void **state)
{
	int64_t pauses[8];
	bench_online();
	int64_t mark = put_raw("x");
	work();
	struct sent first = bench->sent;
	for (int i = 0; i < 8; i++) {
		advance_ms(30000);
		assert_false(bench->in_flight);
		assert_int_equal(bench->session->state, SESSION_WAITING);
		int64_t lost_us = bench->clock.mono_us;
		await_request();
		pauses[i] = (bench->clock.mono_us - lost_us) / USEC_PER_MSEC;
		if (strncmp(bench->sent.path, "auth", 4) == 0)
			accept_login(); /* the lifetime ran out meanwhile */
		assert_memory_equal(bench->sent.payload, first.payload, first.size);
	}
	for (int i = 0; i < 8; i++) {
		int64_t base = i < 6 ? 1000 << i : 60000;
		assert_in_range(pauses[i], base * 3 / 4, base * 5 / 4 + 1);
	}
	answer(OK, "");
	assert_fate(0, REPORT_ACKNOWLEDGED, mark);
	assert_int_equal(bench->session->failures, 0);
	assert_int_equal(count_of(COUNT_TIMEOUTS), 8);
	bench_destroy();
}

static void repeated_silence_makes_a_new_connection(void **state)
{
	bench_online();
	bench->server.count = 2;
	bench->server.addresses[1] = bench->server.addresses[0];
	bench->server.addresses[1].v4.sin_addr.s_addr = htonl(0x7f000002);
	put_raw("x");
	work();
	advance_ms(32000);
	assert_true(bench->in_flight);
	assert_int_equal(bench->connects, 1);
	advance_ms(33000);
	assert_true(bench->in_flight);
	assert_int_equal(bench->connects, 2);
	assert_int_equal(ntohl(bench->connected_to.v4.sin_addr.s_addr), 0x7f000002);
	bench_destroy();
}

static void follows_the_server_to_another_address(void **state)
{
	bench_online();
	set_address(&bench->server, "9");
	session_addresses_changed(bench->session);
	assert_int_equal(bench->connects, 1);
	put_raw("x");
	work();
	assert_int_equal(bench->connects, 2);
	assert_int_equal(ntohl(bench->connected_to.v4.sin_addr.s_addr), 0x7f000009);
	answer(OK, "");
	/* A list that still has our address changes nothing. */
	session_addresses_changed(bench->session);
	put_raw("x");
	work();
	assert_int_equal(bench->connects, 2);
	bench_destroy();
}

static void a_dead_cloud_shows_as_waiting_until_it_answers(void **state)
{
	bench_online();
	int64_t mark = put_raw("x");
	work();
	int changes = bench->changes;
	/* Past the end of the lifetime: first the message goes again, then logins. */
	for (int i = 0; i < 20; i++) {
		await_request();
		advance_ms(30000);
	}
	assert_true(count_of(COUNT_LOGINS) > 5);
	assert_int_equal(bench->changes, changes + 1);
	/* Another reason is told, and once. */
	for (int i = 0; i < 3; i++) {
		await_request();
		answer(CODE(5, 0), "");
	}
	assert_int_equal(bench->changes, changes + 2);
	assert_string_equal(bench->reason, "login answered with 5.00");
	await_request();
	accept_login();
	assert_int_equal(bench->state, SESSION_WAITING);
	answer(OK, "");
	assert_int_equal(bench->changes, changes + 3);
	assert_int_equal(bench->state, SESSION_ONLINE);
	assert_null(bench->session->trouble);
	assert_fate(0, REPORT_ACKNOWLEDGED, mark);
	bench_destroy();
}

static void a_late_answer_counts(void **state)
{
	bench_online();
	int64_t mark = put_raw("x");
	work();
	advance_ms(30000);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	answer(OK, "");
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	assert_fate(0, REPORT_ACKNOWLEDGED, mark);
	assert_int_equal(count_of(COUNT_LATE), 1);
	assert_int_equal(bench->requests, 2);
	bench_destroy();
}

static void a_late_login_counts(void **state)
{
	bench_create();
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(30000);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	answer(OK, "{\"token\":\"" TOKEN "\"}");
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	assert_signed(TOKEN, 1);
	answer(CONTENT, "");
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	bench_destroy();
}

static void wrong_tokens_and_copies_change_nothing(void **state)
{
	bench_online();
	put_raw("x");
	work();
	uint64_t token = bench->sent.token;
	assert_false(respond((struct cloud_response){ .token = token ^ 1, .code = OK }));
	assert_false(respond((struct cloud_response){ .token = 0, .code = CODE(4, 1) }));
	assert_int_equal(count_of(COUNT_STRANGERS), 2);
	assert_int_equal(bench->fate_count, 0);
	answer(OK, "");
	assert_int_equal(bench->fate_count, 1);
	for (int i = 0; i < 3; i++)
		assert_true(respond((struct cloud_response){ .token = token,
			.code = CODE(4, 1),
			.topic = TOPIC "thing/model/down_raw",
			.topic_size = 33,
			.command = "x",
			.command_size = 1 }));
	assert_int_equal(bench->fate_count, 1);
	assert_int_equal(bench->command_count, 0);
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	bench_destroy();
}

static void icmp_errors_are_not_final(void **state)
{
	bench_online();
	put_raw("x");
	work();
	const struct endpoint *endpoint = &bench->endpoint;
	for (int i = 0; i < 5; i++)
		endpoint->listener->failed(
			endpoint->context, ENDPOINT_UNREACHABLE, bench->sent.token);
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	answer(OK, "");
	assert_int_equal(bench->fate_count, 1);
	assert_int_equal(count_of(COUNT_UNREACHABLE), 5);
	bench_destroy();
}

static void the_librarys_end_is_an_end(void **state)
{
	static const enum endpoint_failure failures[] = { ENDPOINT_SILENT, ENDPOINT_RESET,
		ENDPOINT_BROKEN, ENDPOINT_SPOOFED };
	for (size_t i = 0; i < 4; i++) {
		bench_online();
		put_raw("x");
		work();
		const struct endpoint *endpoint = &bench->endpoint;
		endpoint->listener->failed(endpoint->context, failures[i], 12345);
		assert_int_equal(bench->session->state, SESSION_ONLINE);
		bench->in_flight = false;
		endpoint->listener->failed(endpoint->context, failures[i], bench->sent.token);
		assert_int_equal(bench->session->state, SESSION_WAITING);
		advance_ms(1500);
		assert_sent(REQUEST_POST, "thing/model/up_raw");
		answer(OK, "");
		assert_int_equal(bench->fate_count, 1);
		bench_destroy();
	}
}

static void what_cannot_be_sent_is_tried_again(void **state)
{
	bench_online();
	bench->send_error = -ENETUNREACH;
	put_raw("x");
	work();
	assert_int_equal(bench->session->state, SESSION_WAITING);
	bench->send_error = 0;
	advance_ms(1500);
	assert_true(bench->in_flight);
	answer(OK, "");
	assert_int_equal(bench->fate_count, 1);
	bench_destroy();
	bench_create();
	bench->connect_error = -EMFILE;
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	bench->connect_error = 0;
	advance_ms(1500);
	accept_login();
	bench_destroy();
}

static void a_lifetime_that_ran_out_is_renewed_first(void **state)
{
	bench_online();
	bench->enos.command_poll_s = 86400;
	/* Nothing reached the cloud since: only an answer shows that it heard of us. */
	for (int i = 0; i < 9; i++) {
		advance_ms(80000);
		if (bench->in_flight)
			bench->in_flight = false;
		if (strncmp(bench->sent.path, "auth", 4) == 0 && i > 0)
			break;
	}
	assert_string_equal(bench->sent.path, "auth/pk1/dk1");
	assert_int_equal(count_of(COUNT_LOGINS), 2);
	bench_destroy();
}

static void logs_in_before_the_sequence_ends(void **state)
{
	bench_online();
	bench->session->sequence = SEQUENCE_MAX - 1;
	put_raw("x");
	work();
	assert_signed(TOKEN, 2147483647);
	answer(OK, "");
	put_raw("y");
	work();
	assert_string_equal(bench->sent.path, "auth/pk1/dk1");
	answer(OK, "{\"token\":\"second\"}");
	assert_sent(REQUEST_POST, "thing/model/up_raw");
	assert_signed("second", 1);
	bench_destroy();
}

static void steps_of_the_wall_clock_change_nothing(void **state)
{
	static const int64_t steps_ms[] = { 3600000, -3600000, 315360000000, -315360000000 };
	for (size_t i = 0; i < 4; i++) {
		bench_online();
		put_raw("x");
		work();
		bench->clock.wall_ms += steps_ms[i];
		advance_ms(29999);
		assert_true(bench->in_flight);
		advance_ms(1);
		assert_int_equal(count_of(COUNT_TIMEOUTS), 1);
		bench->clock.wall_ms += steps_ms[i];
		advance_ms(1300);
		assert_sent(REQUEST_POST, "thing/model/up_raw");
		answer(OK, "");
		bench->clock.wall_ms += steps_ms[i];
		advance_ms(28000);
		assert_int_equal(bench->requests, 3);
		advance_ms(4000);
		assert_sent(REQUEST_GET, "thing/model/down_raw");
		bench_destroy();
	}
}

static int said_online;

static void hear_line(enum log_level level, const char *line, void *context)
{
	said_online += strstr(line, "online again") != NULL;
}

static void only_an_answer_tells_that_it_is_online_again(void **state)
{
	said_online = 0;
	bench_online();
	bench->plane.chatter.burst = 100;
	log_set_sink(hear_line, NULL);
	log_set_level(LOG_LEVEL_INFO);
	put_raw("x");
	work();
	for (int i = 0; i < 4; i++) {
		await_request();
		advance_ms(30000);
	}
	assert_int_equal(said_online, 0);
	await_request();
	answer(OK, "");
	assert_int_equal(said_online, 1);
	log_set_level(LOG_LEVEL_ERROR);
	log_set_sink(NULL, NULL);
	bench_destroy();
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_an_answer_tells_that_it_is_online_again),
		cmocka_unit_test(logs_in_with_a_sign),
		cmocka_unit_test(waits_for_an_address),
		cmocka_unit_test(numbers_rise_from_one),
		cmocka_unit_test(polls_for_commands_in_silence),
		cmocka_unit_test(a_short_lifetime_is_kept_alive),
		cmocka_unit_test(the_piggyback_dialect_signs_nothing),
		cmocka_unit_test(a_4_01_renews_the_token_and_repeats_the_message),
		cmocka_unit_test(a_4_01_of_an_older_request_is_ignored),
		cmocka_unit_test(a_loop_of_4_01_backs_off),
		cmocka_unit_test(a_message_that_alone_gets_4_01_is_refused),
		cmocka_unit_test(a_refused_login_backs_off),
		cmocka_unit_test(a_login_without_a_token_is_tried_again),
		cmocka_unit_test(no_answer_is_tried_again_with_growing_pauses),
		cmocka_unit_test(repeated_silence_makes_a_new_connection),
		cmocka_unit_test(follows_the_server_to_another_address),
		cmocka_unit_test(a_dead_cloud_shows_as_waiting_until_it_answers),
		cmocka_unit_test(a_late_answer_counts),
		cmocka_unit_test(a_late_login_counts),
		cmocka_unit_test(wrong_tokens_and_copies_change_nothing),
		cmocka_unit_test(icmp_errors_are_not_final),
		cmocka_unit_test(the_librarys_end_is_an_end),
		cmocka_unit_test(what_cannot_be_sent_is_tried_again),
		cmocka_unit_test(a_lifetime_that_ran_out_is_renewed_first),
		cmocka_unit_test(logs_in_before_the_sequence_ends),
		cmocka_unit_test(steps_of_the_wall_clock_change_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
