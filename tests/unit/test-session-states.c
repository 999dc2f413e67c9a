/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each step of the session's table, seen to be taken, and the table against its drawing in DESIGN.md.
 * With --print it writes the rows that should stand there.
 */
#include "session-fixture.h"

#include <stdlib.h>

#define SECRET "{\"params\":{\"deviceSecret\":\"0wn\"}}"
#define TEN_YEARS_MS INT64_C(315360000000)

static bool seen[SESSION_STATES][INPUTS];

/* The machine's own account: "cloud: NAME: STATE, INPUT -> STATE". */
static void hear_line(enum log_level level, const char *line, void *context)
{
	for (int state = 0; state < SESSION_STATES; state++)
		for (int input = 0; input < INPUTS; input++) {
			int next = session_next(state, input);
			if (next < 0)
				continue;
			OWNED char *step = must_printf("cloud: meter-1: %s, %s -> %s",
				session_state_name(state), input_name(input),
				session_state_name(next));
			if (strcmp(line, step) == 0)
				seen[state][input] = true;
		}
}

static void stop_talking(void)
{
	session_pause(bench->session, true);
}

static void say(void)
{
	put_raw("x");
	work();
}

static void late(void)
{
	advance_ms(30000);
}

static void retry(void)
{
	advance_ms(1500);
}

static void owe_reply(void)
{
	struct command *command;
	char why[100];
	int result = command_create(
		&command, 7, ORIGIN_CLOUD, "thing/model/down_raw", "\1", 1, why, sizeof(why));
	assert_int_equal(result, 0);
	reply_to(command, "done");
	command_destroy(command);
}

/* A session in that state. */
static void be(enum session_state state)
{
	bench_create();
	if (state == SESSION_RESOLVING)
		bench->server.count = 0;
	session_start(bench->session, bench->clock.mono_us + 500 * USEC_PER_MSEC);
	if (state != SESSION_IDLE)
		advance_ms(1000);
	if (state > SESSION_AUTHENTICATING)
		accept_login();
	if (state == SESSION_WAITING) {
		say();
		late();
	}
	if (state == SESSION_OFFLINE)
		stop_talking();
	assert_int_equal(bench->session->state, state);
}

static void answer_part(void)
{
	assert_true(respond((struct cloud_response){ .token = bench->sent.token,
		.code = CONTENT,
		.payload = "0123456789abcdef",
		.size = 16,
		.block2 = { .there = true, .more = true } }));
}

static void answer_ok(void)
{
	answer(OK, "");
}

static void answer_no(void)
{
	answer(CODE(4, 0), "");
}

static void answer_unauthorised(void)
{
	answer(CODE(4, 1), "");
}

static void begin(void)
{
	advance_ms(500);
}

static void find_address(void)
{
	set_address(&bench->server, "1");
	session_addresses_changed(bench->session);
}

static void find_address_and_wait(void)
{
	bench->enos.start_spread_ms = 100;
	find_address();
	assert_int_equal(bench->requests, 0);
	advance_ms(100);
}

static void ask_for_secret(void)
{
	bench_destroy();
	bench_create_with(SECURITY_DTLS, "pr0duct");
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	bench->endpoint.listener->connected(bench->endpoint.context);
}

static void activate(void)
{
	ask_for_secret();
	answer(CONTENT, SECRET);
}

static void activate_late(void)
{
	ask_for_secret();
	late();
	answer(CONTENT, SECRET);
}

static void poll_cloud(void)
{
	advance_ms(31000);
	assert_sent(REQUEST_GET, "thing/model/down_raw");
}

static void poll_and_part(void)
{
	poll_cloud();
	answer_part();
	assert_int_equal(bench->sent.block2.number, 1);
}

static void poll_and_part_late(void)
{
	bench_destroy();
	be(SESSION_ONLINE);
	poll_cloud();
	late();
	answer_part();
	assert_int_equal(bench->sent.block2.number, 1);
}

static void say_and_succeed(void)
{
	say();
	answer_ok();
}

static void say_and_fail(void)
{
	say();
	answer_no();
}

static void say_unauthorised(void)
{
	say();
	answer_unauthorised();
}

static void say_shut_out(void)
{
	say_unauthorised();
	accept_login();
	answer_unauthorised();
}

static void say_in_vain(void)
{
	say();
	late();
}

static void outlive_the_token(void)
{
	bench->plane.stopping = true; /* no polls */
	advance_ms(301000);
	say();
}

static void login_late(void)
{
	bench_destroy();
	be(SESSION_AUTHENTICATING);
	late();
	answer(OK, "{\"token\":\"" TOKEN "\"}");
}

static void login_again(void)
{
	bench_destroy();
	be(SESSION_AUTHENTICATING);
	late();
	retry();
}

static void shut_out_again(void)
{
	retry();
	answer_unauthorised();
	accept_login();
	answer_unauthorised();
}

static void try_in_vain(void)
{
	retry();
	late();
}

/* The result of a command is owed, and then it cannot be sent at all. */
static void owe_what_cannot_be_sent(void)
{
	bench_destroy();
	be(SESSION_ONLINE);
	owe_reply();
	stop_talking();
	late();
	assert_int_equal(bench->session->state, SESSION_WAITING);
	bench->send_error = -EMSGSIZE;
	retry();
	bench->send_error = 0;
}

static void leave_and_succeed(void)
{
	bench_destroy();
	be(SESSION_WAITING);
	stop_talking();
	answer_ok();
}

static void leave_and_fail(void)
{
	bench_destroy();
	be(SESSION_WAITING);
	stop_talking();
	answer_no();
}

static void resume(void)
{
	session_pause(bench->session, false);
}

static const struct {
	enum session_state state;
	enum input input;
	void (*play)(void); /* from that state */
} plays[] = {
	{ SESSION_IDLE, INPUT_START, begin },
	{ SESSION_IDLE, INPUT_PAUSE, stop_talking },
	{ SESSION_RESOLVING, INPUT_ADDRESS, find_address },
	{ SESSION_RESOLVING, INPUT_EXPIRED, find_address_and_wait },
	{ SESSION_RESOLVING, INPUT_PAUSE, stop_talking },
	{ SESSION_AUTHENTICATING, INPUT_ACTIVATED, activate },
	{ SESSION_AUTHENTICATING, INPUT_TOKEN, accept_login },
	{ SESSION_AUTHENTICATING, INPUT_SHUT_OUT, answer_unauthorised },
	{ SESSION_AUTHENTICATING, INPUT_LOST, late },
	{ SESSION_AUTHENTICATING, INPUT_PAUSE, stop_talking },
	{ SESSION_ONLINE, INPUT_WORK, say },
	{ SESSION_ONLINE, INPUT_PART, poll_and_part },
	{ SESSION_ONLINE, INPUT_DONE, say_and_succeed },
	{ SESSION_ONLINE, INPUT_REFUSED, say_and_fail },
	{ SESSION_ONLINE, INPUT_UNAUTHORISED, say_unauthorised },
	{ SESSION_ONLINE, INPUT_SHUT_OUT, say_shut_out },
	{ SESSION_ONLINE, INPUT_LOST, say_in_vain },
	{ SESSION_ONLINE, INPUT_DUE, poll_cloud },
	{ SESSION_ONLINE, INPUT_EXPIRED, outlive_the_token },
	{ SESSION_ONLINE, INPUT_PAUSE, stop_talking },
	{ SESSION_ONLINE, INPUT_QUIET, stop_talking },
	{ SESSION_WAITING, INPUT_ACTIVATED, activate_late },
	{ SESSION_WAITING, INPUT_TOKEN, login_late },
	{ SESSION_WAITING, INPUT_PART, poll_and_part_late },
	{ SESSION_WAITING, INPUT_DONE, answer_ok },
	{ SESSION_WAITING, INPUT_REFUSED, answer_no },
	{ SESSION_WAITING, INPUT_UNAUTHORISED, answer_unauthorised },
	{ SESSION_WAITING, INPUT_SHUT_OUT, shut_out_again },
	{ SESSION_WAITING, INPUT_LOST, try_in_vain },
	{ SESSION_WAITING, INPUT_DUE, retry },
	{ SESSION_WAITING, INPUT_EXPIRED, login_again },
	{ SESSION_WAITING, INPUT_PAUSE, stop_talking },
	{ SESSION_WAITING, INPUT_QUIET, owe_what_cannot_be_sent },
	{ SESSION_OFFLINE, INPUT_DONE, leave_and_succeed },
	{ SESSION_OFFLINE, INPUT_REFUSED, leave_and_fail },
	{ SESSION_OFFLINE, INPUT_WORK, owe_reply },
	{ SESSION_OFFLINE, INPUT_RESUME, resume },
};

/* The cloud is well: whatever happened before, the session gets all through to it. */
static void assert_recovers(void)
{
	struct session *session = bench->session;
	bench->plane.stopping = false;
	if (!bench->server.count)
		find_address();
	resume();
	say();
	for (int i = 0; i < 100; i++) {
		if (session->in_flight && session->login && !session->sent_token)
			bench->endpoint.listener->connected(bench->endpoint.context);
		else if (!bench->in_flight)
			advance_ms(1000);
		else if (strncmp(bench->sent.path, "auth", 4) == 0)
			accept_login();
		else
			answer(CONTENT, strstr(bench->sent.path, "activate") ? SECRET : "");
	}
	assert_int_equal(session->state, SESSION_ONLINE);
	assert_int_equal(bench->state, SESSION_ONLINE);
	assert_int_equal(session->queue.count + session->queue.reply_count, 0);
	assert_null(session->trouble);
}

static void each_step_is_taken_and_recovered_from(void **state)
{
	log_set_sink(hear_line, NULL);
	log_set_level(LOG_LEVEL_DEBUG);
	for (size_t i = 0; i < sizeof(plays) / sizeof(*plays); i++) {
		be(plays[i].state);
		memset(seen, 0, sizeof(seen));
		plays[i].play();
		if (!seen[plays[i].state][plays[i].input])
			fail_msg("%s, %s was not taken", session_state_name(plays[i].state),
				input_name(plays[i].input));
		assert_recovers();
		bench_destroy();
	}
	log_set_level(LOG_LEVEL_ERROR);
	log_set_sink(NULL, NULL);
}

static bool played(enum session_state state, enum input input)
{
	for (size_t i = 0; i < sizeof(plays) / sizeof(*plays); i++)
		if (plays[i].state == state && plays[i].input == input)
			return true;
	return false;
}

static void the_table_has_no_other_steps(void **state)
{
	for (int from = 0; from < SESSION_STATES; from++)
		for (int input = 0; input < INPUTS; input++) {
			bool exists = session_next(from, input) >= 0;
			if (exists != played(from, input))
				fail_msg("%s, %s: %s", session_state_name(from), input_name(input),
					exists ? "is in no test" : "is not in the table");
		}
}

static void all_other_inputs_change_nothing(void **state)
{
	for (int from = 0; from < SESSION_STATES; from++) {
		be(from);
		int requests = bench->requests, changes = bench->changes;
		for (int input = 0; input < INPUTS; input++)
			if (session_next(from, input) < 0)
				session_step(bench->session, input, "why");
		assert_int_equal(bench->session->state, from);
		assert_int_equal(bench->requests, requests);
		assert_int_equal(bench->changes, changes);
		assert_recovers();
		bench_destroy();
	}
}

/* What anybody on the network can do, and the wall clock. */
static void noise_changes_nothing_in_any_state(void **state)
{
	for (int from = 0; from < SESSION_STATES; from++) {
		be(from);
		const struct endpoint *endpoint = &bench->endpoint;
		uint64_t token = bench->sent.token;
		int requests = bench->requests, changes = bench->changes;
		bool in_flight = bench->session->in_flight;
		for (int code = 0; code < 256; code++)
			assert_false(respond((struct cloud_response){ .token = token ^ 1,
				.code = (uint8_t)code,
				.topic = TOPIC "thing/model/down_raw",
				.topic_size = 33,
				.command = "x",
				.command_size = 1 }));
		assert_false(respond((struct cloud_response){ .code = CODE(4, 1) }));
		for (int failure = 0; failure <= ENDPOINT_SPOOFED; failure++)
			endpoint->listener->failed(endpoint->context, failure, token ^ 1);
		endpoint->listener->failed(endpoint->context, ENDPOINT_UNREACHABLE, token);
		endpoint->listener->connected(endpoint->context);
		bench->clock.wall_ms += TEN_YEARS_MS;
		advance_ms(1);
		bench->clock.wall_ms -= 2 * TEN_YEARS_MS;
		advance_ms(1);
		assert_int_equal(bench->session->state, from);
		assert_int_equal(bench->session->in_flight, in_flight);
		assert_int_equal(bench->requests, requests);
		assert_int_equal(bench->changes, changes);
		assert_int_equal(bench->command_count, 0);
		assert_recovers();
		bench_destroy();
	}
}

/* The cloud fails while the program ends, and nothing waits: nothing is due, so nothing turns. */
static void a_stop_while_waiting_is_quiet(void **state)
{
	be(SESSION_AUTHENTICATING);
	late();
	bench->plane.stopping = true;
	await_request();
	accept_login();
	assert_int_equal(bench->session->state, SESSION_WAITING);
	int requests = bench->requests;
	advance_ms(200000);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	assert_int_equal(bench->requests, requests);
	assert_false(timer_armed(&bench->session->timer));
	bench_destroy();
}

static void put_rows(struct buffer *text)
{
	for (int input = 0; input < INPUTS; input++) {
		buffer_printf(text, "| %s |", input_name(input));
		for (int state = 0; state < SESSION_STATES; state++) {
			int next = session_next(state, input);
			buffer_printf(text, next < 0 ? " |" : " %s |", session_state_name(next));
		}
		buffer_put_text(text, "\n");
	}
}

static void the_design_shows_the_table(void **state)
{
	const char *srcdir = getenv("srcdir");
	OWNED char *path = must_printf("%s/DESIGN.md", srcdir ? srcdir : ".");
	OWNED_BUFFER rows = BUFFER_EMPTY;
	OWNED_BUFFER text = BUFFER_EMPTY;
	FILE *file = fopen(path, "r");
	if (!file)
		fail_msg("%s cannot be read: run it from the build tree with srcdir set", path);
	for (int c; (c = getc(file)) != EOF;)
		buffer_put_byte(&text, (uint8_t)c);
	fclose(file);
	put_rows(&rows);
	if (!strstr(buffer_text(&text), buffer_text(&rows)))
		fail_msg("the session's table there should read\n%s", buffer_text(&rows));
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--print") == 0) {
		OWNED_BUFFER rows = BUFFER_EMPTY;
		put_rows(&rows);
		return fputs(buffer_text(&rows), stdout) < 0;
	}
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_is_taken_and_recovered_from),
		cmocka_unit_test(the_table_has_no_other_steps),
		cmocka_unit_test(all_other_inputs_change_nothing),
		cmocka_unit_test(noise_changes_nothing_in_any_state),
		cmocka_unit_test(a_stop_while_waiting_is_quiet),
		cmocka_unit_test(the_design_shows_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
