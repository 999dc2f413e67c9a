/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: by options, by fetching, once each whatever the network does. */
#include "session-fixture.h"

#define SERVICE TOPIC "thing/service/go"
#define GO "{\"id\":\"9\",\"method\":\"thing.service.go\",\"params\":{\"a\":1}}"

static void send_something(void)
{
	put_raw("x");
	work();
}

static void a_topic_alone_is_fetched_until_nothing_waits(void **state)
{
	bench_online();
	send_something();
	answer_command(OK, "/topic" SERVICE, NULL);
	assert_int_equal(bench->command_count, 0);
	assert_sent(REQUEST_GET, "thing/service/go");
	assert_signed(TOKEN, 2);
	/* The answer brings the command, and names the next one. */
	assert_true(respond((struct cloud_response){ .token = bench->sent.token,
		.code = CONTENT,
		.payload = GO,
		.size = strlen(GO),
		.topic = TOPIC "thing/model/down_raw",
		.topic_size = strlen(TOPIC "thing/model/down_raw") }));
	assert_int_equal(bench->command_count, 1);
	assert_string_equal(bench->commands[0]->topic, "thing/service/go");
	assert_string_equal(bench->commands[0]->id, "9");
	assert_int_equal(bench->commands[0]->device, 7);
	assert_int_equal(bench->commands[0]->origin, ORIGIN_CLOUD);
	assert_int_equal(bench->commands[0]->received_us, bench->clock.mono_us);
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	answer(CONTENT, "\x01\x02");
	assert_int_equal(bench->command_count, 2);
	assert_true(bench->commands[1]->raw);
	assert_int_equal(bench->commands[1]->payload.size, 2);
	/* No option: nothing waits, and nothing is asked. */
	assert_int_equal(bench->requests, 4);
	bench_destroy();
}

static void a_fetch_that_finds_nothing_ends(void **state)
{
	static const uint8_t codes[] = { OK, CONTENT, CODE(4, 4), CODE(4, 3), CODE(4, 5) };
	for (size_t i = 0; i < sizeof(codes); i++) {
		bench_online();
		send_something();
		answer_command(OK, SERVICE, NULL);
		answer(codes[i], "");
		assert_int_equal(bench->command_count, 0);
		assert_int_equal(bench->requests, 3);
		assert_false(bench->in_flight);
		assert_int_equal(bench->session->state, SESSION_ONLINE);
		bench_destroy();
	}
}

static void while_it_stops_commands_stay_in_the_cloud(void **state)
{
	bench_online();
	send_something();
	bench->plane.stopping = true;
	answer_command(OK, SERVICE, NULL);
	assert_int_equal(bench->requests, 2);
	advance_ms(200000);
	assert_int_equal(bench->requests, 2);
	bench_destroy();
}

/* One who names a command in every answer and never has it must not keep us asking. */
static void fetches_that_find_nothing_are_not_endless(void **state)
{
	bench_online();
	send_something();
	answer_command(OK, SERVICE, NULL);
	int fetches = 0;
	for (; bench->in_flight && fetches < 100; fetches++)
		answer_command(fetches % 2 ? OK : CODE(4, 4), SERVICE, NULL);
	assert_in_range(fetches, 1, 10);
	assert_int_equal(count_of(COUNT_FRUITLESS_FETCHES), fetches);
	/* When its time came, the next answer to something else may name it again. */
	advance_ms(bench->enos.command_poll_s * 1000 - 1);
	send_something();
	answer_command(OK, SERVICE, NULL);
	assert_false(bench->in_flight);
	advance_ms(1);
	send_something();
	answer_command(OK, SERVICE, NULL);
	assert_sent(REQUEST_GET, "thing/service/go");
	answer(CONTENT, GO);
	assert_int_equal(bench->command_count, 1);
	/* Now it is like any other. */
	send_something();
	answer_command(OK, SERVICE, NULL);
	assert_sent(REQUEST_GET, "thing/service/go");
	bench_destroy();
}

static int vain_lines;

static void count_line(enum log_level level, const char *line, void *context)
{
	vain_lines += strstr(line, "thing/service/go and has none") ? 1 : 0;
}

/* Ten messages a second, each answered with the name of a command that is not there. */
static void a_device_that_reports_does_not_fetch_in_vain_all_the_time(void **state)
{
	bench_online();
	bench->plane.chatter.burst = 100;
	vain_lines = 0;
	log_set_level(LOG_LEVEL_WARNING);
	log_set_sink(count_line, NULL);
	for (int i = 0; i < 250; i++) {
		advance_ms(100);
		send_something();
		answer_command(OK, SERVICE, NULL);
		while (bench->in_flight && bench->sent.method == REQUEST_GET)
			answer_command(CODE(4, 4), SERVICE, NULL);
	}
	log_set_sink(NULL, NULL);
	log_set_level(LOG_LEVEL_ERROR);
	/* 25 s: less than one command_poll. */
	assert_in_range(count_of(COUNT_FRUITLESS_FETCHES), 4, 5);
	assert_int_equal(vain_lines, 1);
	/* Another command is not held up. */
	send_something();
	answer_command(OK, TOPIC "thing/service/other", NULL);
	assert_sent(REQUEST_GET, "thing/service/other");
	answer_command(CODE(4, 4), SERVICE, NULL);
	assert_false(bench->in_flight);
	bench_destroy();
}

static void new_names_without_end_are_not_all_fetched(void **state)
{
	bench_online();
	send_something();
	for (int i = 0; i < 100 && bench->in_flight; i++) {
		char topic[64];
		snprintf(topic, sizeof(topic), TOPIC "thing/service/s%d", i);
		answer_command(i ? CODE(4, 4) : OK, topic, NULL);
	}
	assert_false(bench->in_flight);
	assert_int_equal(count_of(COUNT_FRUITLESS_FETCHES), 16);
	advance_ms(1000);
	send_something();
	answer_command(OK, SERVICE, NULL);
	assert_sent(REQUEST_GET, "thing/service/go");
	answer(CONTENT, GO);
	assert_int_equal(bench->command_count, 1);
	bench_destroy();
}

static void a_whole_command_needs_no_fetch(void **state)
{
	/* Whatever the dialect. */
	for (int dialect = 0; dialect < 2; dialect++) {
		bench_create();
		bench->enos.dialect = dialect ? DIALECT_PIGGYBACK : DIALECT_SIGNED;
		session_start(bench->session, bench->clock.mono_us);
		advance_ms(0);
		accept_login();
		send_something();
		answer_command(OK, SERVICE, GO);
		assert_int_equal(bench->command_count, 1);
		assert_int_equal(bench->requests, 2);
		assert_int_equal(bench->fate_count, 1);
		bench_destroy();
	}
}

static void a_poll_brings_raw_commands(void **state)
{
	bench_online();
	advance_ms(31000);
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	answer(CONTENT, "go");
	assert_int_equal(bench->command_count, 1);
	assert_true(bench->commands[0]->raw);
	assert_int_equal(bench->requests, 2);
	bench_destroy();
}

static void the_answer_to_a_query_is_no_command(void **state)
{
	bench_create();
	bench->enos.dialect = DIALECT_PIGGYBACK;
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	accept_login();
	advance_ms(31000);
	assert_sent(REQUEST_POST, "thing/tag/query");
	answer(CONTENT, "{\"id\":\"1\",\"code\":200,\"data\":{\"tag\":\"x\"}}");
	assert_int_equal(bench->command_count, 0);
	bench_destroy();
}

static void refusals_bring_commands_too(void **state)
{
	bench_online();
	send_something();
	answer_command(CODE(4, 3), SERVICE, GO);
	assert_int_equal(bench->command_count, 1);
	assert_fate(0, REPORT_REJECTED, 1);
	send_something();
	answer_command(CODE(5, 0), TOPIC "thing/service/b", GO);
	assert_int_equal(bench->command_count, 2);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	bench_destroy();
}

static void only_our_own_topics_count(void **state)
{
	static const char *const foreign[] = { "", "/", "/sys/pk1/dk2/thing/model/down_raw",
		"/sys/pk2/dk1/thing/model/down_raw", "/sys/pk1/dk1", "/sys/pk1/dk1/",
		"/sys/pk1/dk1thing/model", "/sys/pk1/dk1//thing", "/sys/pk1/dk1/a//b",
		"/sys/pk1/dk1/thing/", "/sys/pk1/dk1/a b", "/sys/pk1/dk1/a\x01", "x", "/topic/",
		"/topic/topic/sys/pk1/dk1/thing/model/down_raw", "/sys/pk1/dk1/\xc3\xa4",
		"/sys/pk1/dk1/../dk2/thing/service/go", "/sys/pk1/dk1/a/.", "/sys/pk1/dk1/..",
		"/sys/pk1/dk1/+/#", "/sys/pk1/dk1/thing/#" };
	bench_online();
	size_t count = sizeof(foreign) / sizeof(*foreign);
	for (size_t i = 0; i < count; i++) {
		send_something();
		answer_command(OK, foreign[i], i % 2 ? GO : NULL);
	}
	assert_int_equal(count_of(COUNT_FOREIGN_COMMANDS), count);
	assert_int_equal(bench->command_count, 0);
	assert_int_equal(bench->requests, 1 + count);
	char endless[400] = TOPIC;
	memset(endless + strlen(TOPIC), 'x', 300);
	send_something();
	answer_command(OK, endless, GO);
	assert_int_equal(bench->command_count, 0);
	/* With and without the path's first level, and the slash. */
	static const char *const ours[] = { SERVICE, "/topic" SERVICE, "topic" SERVICE,
		"sys/pk1/dk1/thing/service/go" };
	for (int i = 0; i < 4; i++) {
		char payload[32];
		snprintf(payload, sizeof(payload), "{\"id\":\"%d\"}", i);
		send_something();
		answer_command(OK, ours[i], payload);
		assert_int_equal(bench->command_count, i + 1);
		assert_string_equal(bench->commands[i]->topic, "thing/service/go");
	}
	bench_destroy();
}

static void a_bad_payload_is_a_bad_command(void **state)
{
	bench_online();
	send_something();
	answer_command(OK, SERVICE, "{\"id\":");
	assert_int_equal(bench->bad_count, 1);
	assert_int_equal(bench->command_count, 1);
	assert_string_equal(bench->commands[0]->topic, "thing/service/go");
	assert_true(strlen(bench->why[0]) > 0);
	/* Half a command is none. */
	send_something();
	answer_command(OK, TOPIC "thing/model/down_raw", NULL);
	assert_true(respond((struct cloud_response){ .token = bench->sent.token,
		.code = CONTENT,
		.payload = "half",
		.size = 4,
		.block2 = { .there = true, .more = true } }));
	assert_int_equal(bench->bad_count, 2);
	bench_destroy();
}

static void a_lost_fetch_is_repeated(void **state)
{
	bench_online();
	send_something();
	answer_command(OK, SERVICE, NULL);
	advance_ms(30000);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	await_request();
	assert_sent(REQUEST_GET, "thing/service/go");
	answer(CODE(4, 1), "");
	accept_login();
	assert_sent(REQUEST_GET, "thing/service/go");
	answer(CONTENT, GO);
	assert_int_equal(bench->command_count, 1);
	bench_destroy();
}

static void a_late_answer_to_a_fetch_counts(void **state)
{
	bench_online();
	send_something();
	answer_command(OK, SERVICE, NULL);
	advance_ms(30000);
	answer(CONTENT, GO);
	assert_int_equal(bench->command_count, 1);
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	/* It is not fetched again. */
	assert_true(!bench->in_flight || strstr(bench->sent.path, "service") == NULL);
	bench_destroy();
}

static void endless_commands_do_not_stop_reports(void **state)
{
	bench_online();
	send_something();
	for (int i = 0; i < 20; i++)
		put_json(REPORT_EVENT, "{\"a\":1}");
	for (int i = 0; i < 60 && bench->fate_count < 21; i++) {
		char go[32];
		snprintf(go, sizeof(go), "{\"id\":\"%d\"}", i);
		bool fetch = bench->sent.method == REQUEST_GET;
		assert_true(respond((struct cloud_response){ .token = bench->sent.token,
			.code = CONTENT,
			.payload = fetch ? go : NULL,
			.size = fetch ? strlen(go) : 0,
			.topic = SERVICE,
			.topic_size = strlen(SERVICE) }));
	}
	assert_int_equal(bench->fate_count, 21);
	assert_in_range(bench->command_count, 15, 25);
	bench_destroy();
}

/* A bridge that replies from within the listener's call. */
static void reply_at_once(void *context, struct command *command)
{
	bench->commands[bench->command_count++] = command;
	struct reply *reply = reply_create(command, 200);
	buffer_put_text(&reply->payload, "done");
	queue_put_reply(&bench->session->queue, reply);
}

static void one_that_is_answered_at_once_is_no_trouble(void **state)
{
	bench_online();
	bench->plane.listener.command = reply_at_once;
	send_something();
	answer_command(OK, SERVICE, GO);
	assert_sent(REQUEST_POST, "thing/service/go_reply");
	answer(OK, "");
	assert_int_equal(bench->command_count, 1);
	bench_destroy();
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_topic_alone_is_fetched_until_nothing_waits),
		cmocka_unit_test(a_fetch_that_finds_nothing_ends),
		cmocka_unit_test(while_it_stops_commands_stay_in_the_cloud),
		cmocka_unit_test(fetches_that_find_nothing_are_not_endless),
		cmocka_unit_test(a_device_that_reports_does_not_fetch_in_vain_all_the_time),
		cmocka_unit_test(new_names_without_end_are_not_all_fetched),
		cmocka_unit_test(a_whole_command_needs_no_fetch),
		cmocka_unit_test(a_poll_brings_raw_commands),
		cmocka_unit_test(the_answer_to_a_query_is_no_command),
		cmocka_unit_test(refusals_bring_commands_too),
		cmocka_unit_test(only_our_own_topics_count),
		cmocka_unit_test(a_bad_payload_is_a_bad_command),
		cmocka_unit_test(a_lost_fetch_is_repeated),
		cmocka_unit_test(a_late_answer_to_a_fetch_counts),
		cmocka_unit_test(endless_commands_do_not_stop_reports),
		cmocka_unit_test(one_that_is_answered_at_once_is_no_trouble),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
