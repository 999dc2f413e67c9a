/* SPDX-License-Identifier: Apache-2.0 */
/* The session of a device that is down: it says what it has to say, then nothing until it is well. */
#include "session-fixture.h"

#define HOUR_MS (3600 * INT64_C(1000))

static void assert_offline(void)
{
	assert_int_equal(bench->session->state, SESSION_OFFLINE);
	assert_int_equal(bench->state, SESSION_OFFLINE);
	assert_string_equal(bench->reason, "the device is down");
	assert_false(bench->in_flight);
	int requests = bench->requests;
	advance_ms(24 * HOUR_MS);
	assert_int_equal(bench->requests, requests);
	assert_int_equal(bench->session->state, SESSION_OFFLINE);
}

static void assert_comes_back(void)
{
	int logins = (int)count_of(COUNT_LOGINS);
	session_pause(bench->session, false);
	advance_ms(0);
	accept_login();
	assert_int_equal(count_of(COUNT_LOGINS), logins + 1);
	assert_int_equal(bench->session->state, SESSION_ONLINE);
}

static void is_silent_and_comes_back_with_what_was_kept(void **state)
{
	bench_online();
	session_pause(bench->session, true);
	session_pause(bench->session, true);
	assert_offline();
	int64_t mark = put_raw("kept");
	work();
	assert_offline();
	assert_comes_back();
	assert_sent(REQUEST_POST, "thing/model/up_raw");
	assert_signed(TOKEN, 1);
	answer(OK, "");
	assert_int_equal(bench->fates[0].mark, mark);
	assert_int_equal(bench->fates[0].fate, REPORT_ACKNOWLEDGED);
	/* It asks for commands again. */
	advance_ms(31000);
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	bench_destroy();
}

static void says_first_what_waits(void **state)
{
	bench_online();
	put_raw("one");
	work();
	put_raw("two");
	session_pause(bench->session, true);
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	answer(OK, "");
	assert_sent(REQUEST_POST, "thing/model/up_raw");
	answer(CODE(4, 1), "");
	accept_login();
	assert_sent(REQUEST_POST, "thing/model/up_raw");
	answer(OK, "");
	assert_int_equal(bench->fate_count, 2);
	assert_offline();
	bench_destroy();
}

static void well_again_before_all_was_said(void **state)
{
	bench_online();
	put_raw("one");
	work();
	session_pause(bench->session, true);
	session_pause(bench->session, false);
	answer(OK, "");
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	advance_ms(31000);
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	bench_destroy();
}

static void a_dead_cloud_is_left_alone(void **state)
{
	bench_online();
	put_raw("one");
	work();
	advance_ms(30000);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	session_pause(bench->session, true);
	assert_offline();
	assert_comes_back();
	assert_sent(REQUEST_POST, "thing/model/up_raw");
	/* And where it dies while the rest is being said. */
	session_pause(bench->session, true);
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	advance_ms(30000);
	assert_offline();
	assert_int_equal(bench->fate_count, 0);
	bench_destroy();
}

static void an_answer_that_is_late_counts(void **state)
{
	bench_online();
	int64_t mark = put_raw("one");
	work();
	advance_ms(30000);
	session_pause(bench->session, true);
	answer(OK, "");
	assert_int_equal(bench->fate_count, 1);
	assert_int_equal(bench->fates[0].mark, mark);
	assert_offline();
	assert_comes_back();
	assert_false(bench->in_flight);
	put_raw("two");
	work();
	advance_ms(30000);
	session_pause(bench->session, true);
	answer(CODE(4, 0), "");
	assert_int_equal(bench->fates[1].fate, REPORT_REJECTED);
	assert_offline();
	bench_destroy();
}

static void down_before_it_was_online(void **state)
{
	bench_create();
	session_start(bench->session, bench->clock.mono_us + 500 * USEC_PER_MSEC);
	session_pause(bench->session, true);
	assert_offline();
	assert_int_equal(bench->requests, 0);
	assert_comes_back();
	bench_destroy();

	bench_create();
	bench->server.count = 0;
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(1000);
	assert_int_equal(bench->session->state, SESSION_RESOLVING);
	session_pause(bench->session, true);
	set_address(&bench->server, "1");
	session_addresses_changed(bench->session);
	assert_offline();
	assert_comes_back();
	bench_destroy();

	bench_create();
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	assert_int_equal(bench->session->state, SESSION_AUTHENTICATING);
	session_pause(bench->session, true);
	answer(OK, "{\"token\":\"" TOKEN "\"}");
	assert_offline();
	assert_comes_back();
	bench_destroy();
}

static void put_reply(void)
{
	struct command *command;
	char why[100];
	assert_int_equal(command_create(&command, 7, ORIGIN_CLOUD, "thing/model/down_raw", "\1", 1,
				 why, sizeof(why)),
		0);
	struct reply *reply = reply_create(command, 504);
	buffer_put_text(&reply->payload, "late");
	queue_put_reply(&bench->session->queue, reply);
	command_destroy(command);
	work();
}

/* A command that was at the device when that went down. */
static void the_result_of_a_command_is_said_all_the_same(void **state)
{
	bench_online();
	session_pause(bench->session, true);
	assert_int_equal(bench->session->state, SESSION_OFFLINE);
	put_reply();
	advance_ms(0);
	accept_login();
	assert_sent(REQUEST_POST, "thing/model/down_raw_reply");
	answer(OK, "");
	assert_offline();
	/* Again and again, where the cloud does not answer. */
	put_reply();
	for (int i = 0; i < 5; i++) {
		await_request();
		advance_ms(30000);
		assert_int_equal(bench->session->state, SESSION_WAITING);
	}
	await_request();
	accept_login();
	answer(OK, "");
	assert_offline();
	bench_destroy();
}

static void a_new_secret_changes_nothing_of_it(void **state)
{
	bench_online();
	session_pause(bench->session, true);
	session_rekey(bench->session);
	assert_offline();
	assert_comes_back();
	bench_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_silent_and_comes_back_with_what_was_kept),
		cmocka_unit_test(says_first_what_waits),
		cmocka_unit_test(well_again_before_all_was_said),
		cmocka_unit_test(a_dead_cloud_is_left_alone),
		cmocka_unit_test(an_answer_that_is_late_counts),
		cmocka_unit_test(down_before_it_was_online),
		cmocka_unit_test(the_result_of_a_command_is_said_all_the_same),
		cmocka_unit_test(a_new_secret_changes_nothing_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
