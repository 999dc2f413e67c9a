/* SPDX-License-Identifier: Apache-2.0 */
/* The cloud plane from its door to the wire; the peer is a socket of the test's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud/cloud.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

#define DEVICES 70

static struct clock manual;
static struct loop *loop;
static struct resolver *resolver;
static struct resolver_client *client;
static struct conf conf;
static struct conf_device devices[DEVICES];
static char names[DEVICES][16];
static struct cloud *cloud;
static int peer;

static struct command *commands[10];
static int command_count, told[REPORT_REPLACED + 1], states[SESSION_STATES];
static bool inside; /* of a call into the cloud: the listener must be silent */

static void hear_command(void *context, struct command *command)
{
	assert_false(inside);
	commands[command_count++] = command;
}

static void hear_bad_command(void *context, struct command *command, const char *why)
{
	hear_command(context, command);
}

static void hear_state(void *context, uint32_t device, enum session_state state, const char *reason)
{
	assert_false(inside);
	assert_true(device < DEVICES);
	states[state]++;
}

static void hear_fate(
	void *context, const struct report *report, enum report_fate fate, const char *reason)
{
	assert_false(inside);
	told[fate]++;
}

static void open_peer(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	peer = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(peer, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(peer, (struct sockaddr *)&address, &size), 0);
	conf.enos.port = ntohs(address.sin_port);
}

static int set_up(void **state)
{
	manual = (struct clock){ .manual = true, .mono_us = 100 * USEC_PER_SEC };
	conf = (struct conf){ .devices = devices, .device_count = DEVICES };
	conf.enos = (struct conf_enos){ .host = (char *)"127.0.0.1",
		.dialect = DIALECT_SIGNED,
		.lifetime_s = 300,
		.command_poll_s = 200,
		.max_payload = 1024,
		.queue_reports = 3,
		.start_spread_ms = 7000,
		.response_timeout_ms = 30000,
		.retry_min_ms = 1000,
		.retry_max_ms = 60000,
		.command_repeat_s = 60 };
	for (int i = 0; i < DEVICES; i++) {
		snprintf(names[i], sizeof(names[i]), "d%d", i);
		devices[i] = (struct conf_device){ .name = names[i],
			.product_key = (char *)"pk",
			.device_key = names[i],
			.secret = (char *)"s" };
	}
	memset(told, 0, sizeof(told));
	memset(states, 0, sizeof(states));
	command_count = 0;
	open_peer();
	assert_int_equal(loop_create(&loop, &manual), 0);
	assert_int_equal(resolver_create(&resolver, NULL), 0);
	assert_int_equal(resolver_client_create(&client, resolver, loop), 0);
	struct cloud_setup setup = { .conf = &conf,
		.loop = loop,
		.resolver = client,
		.listener = { .command = hear_command,
			.bad_command = hear_bad_command,
			.state = hear_state,
			.fate = hear_fate } };
	assert_int_equal(cloud_create(&cloud, &setup), 0);
	return 0;
}

static int tear_down(void **state)
{
	for (int i = 0; i < command_count; i++)
		command_destroy(commands[i]);
	cloud_destroy(cloud);
	resolver_client_destroy(client);
	resolver_destroy(resolver);
	loop_destroy(loop);
	close(peer);
	return 0;
}

/* Answers all that has come: logins with a token, the rest with code and options behind it. */
static int serve(uint8_t code, const char *options, size_t size)
{
	uint8_t bytes[2048], answer[512];
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	int served = 0;
	for (;; served++) {
		ssize_t got = recvfrom(
			peer, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &length);
		if (got < 0)
			break;
		bool login = memcmp(bytes + 12,
				     "\xb4"
				     "auth",
				     5) == 0;
		memcpy(answer, bytes, 12);
		answer[0] = 0x68;
		answer[1] = login ? 0x44 : code;
		const char *rest = login ? "\xff{\"token\":\"T\"}" : options;
		size_t rest_size = login ? strlen(rest) : size;
		memcpy(answer + 12, rest, rest_size);
		sendto(peer, answer, 12 + rest_size, 0, (struct sockaddr *)&from, length);
	}
	while (loop_step(loop, 0) > 0)
		;
	return served;
}

static void go_online(void)
{
	cloud_start(cloud);
	for (int i = 0; i < 70; i++) {
		loop_advance(loop, manual.mono_us + 100 * USEC_PER_MSEC);
		serve(0x44, "", 0);
	}
	for (uint32_t i = 0; i < DEVICES; i++)
		assert_int_equal(cloud_device_state(cloud, i), SESSION_ONLINE);
}

static void put(uint32_t device, uint32_t replaces)
{
	static int64_t number;
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct stamp stamp = { .wall_ms = ++number, .mono_us = number };
	value_put_map(&value, 1);
	value_pair_integer(&value, "a", number);
	struct report *report = report_create(
		device, REPORT_POINTS, &stamp, value.data, value.size);
	report->replaces = replaces;
	inside = true;
	cloud_report(cloud, report);
	inside = false;
	/* The cloud has a reference of its own. */
	report_release(report);
}

static int64_t number_in(const struct buffer *json, const char *key)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct value number;
	char error[120];
	assert_int_equal(json_parse(&value, json->data, json->size, error, sizeof(error)), 0);
	assert_true(value_find(value.data, value.size, key, &number, NULL));
	assert_int_equal(number.type, VALUE_INTEGER);
	return number.integer;
}

static int64_t total(const char *key)
{
	OWNED_BUFFER json = BUFFER_EMPTY;
	cloud_status(cloud, &json);
	return number_in(&json, key);
}

static void starts_are_spread(void **state)
{
	cloud_start(cloud);
	/* One every 10 ms, though start_spread allows more time. */
	for (int tenth = 0; tenth < DEVICES / 10; tenth++) {
		loop_advance(loop, manual.mono_us + 100 * USEC_PER_MSEC);
		assert_in_range(serve(0x44, "", 0), 8, 12);
	}
	assert_int_equal(total("online"), DEVICES);
	assert_int_equal(total("contexts"), 2);
	assert_int_equal(total("logins"), DEVICES);
	assert_int_equal(states[SESSION_ONLINE], DEVICES);
}

static void reports_go_and_are_told_later(void **state)
{
	go_online();
	for (uint32_t i = 0; i < DEVICES; i++)
		put(i, 0);
	assert_int_equal(cloud_pending(cloud), DEVICES);
	while (loop_step(loop, 0) > 0)
		;
	assert_int_equal(cloud_pending(cloud), DEVICES);
	assert_int_equal(serve(0x44, "", 0), DEVICES);
	assert_int_equal(told[REPORT_ACKNOWLEDGED], DEVICES);
	assert_int_equal(cloud_pending(cloud), 0);
	assert_int_equal(total("acknowledged"), DEVICES);
}

static void what_makes_way_is_told_after_the_call(void **state)
{
	for (int i = 0; i < 5; i++)
		put(3, 0);
	assert_int_equal(told[REPORT_DROPPED], 0);
	for (int i = 0; i < 2; i++)
		put(4, 1);
	while (loop_step(loop, 0) > 0)
		;
	assert_int_equal(told[REPORT_DROPPED], 2);
	assert_int_equal(told[REPORT_REPLACED], 1);
	assert_int_equal(cloud_pending(cloud), 4);
	OWNED_BUFFER json = BUFFER_EMPTY;
	cloud_device_status(cloud, 3, &json);
	assert_int_equal(number_in(&json, "dropped"), 2);
	assert_int_equal(number_in(&json, "queued_reports"), 3);
	assert_non_null(strstr(buffer_text(&json), "\"state\":\"idle\""));
	/* What waits or is still to be told is freed with the cloud. */
	put(3, 0);
}

static void commands_come_and_replies_go(void **state)
{
	/* 2100, then 2102 with {"id":"4"} */
	static const char options[] = "\xed\x07\x27\x08/sys/pk/d5/thing/x/y\x2a{\"id\":\"4\"}";
	char rest[64];
	memcpy(rest, options, sizeof(options));
	rest[3] = (char)(strlen("/sys/pk/d5/thing/x/y") - 13);
	go_online();
	put(5, 0);
	while (loop_step(loop, 0) > 0)
		;
	assert_int_equal(serve(0x44, rest, sizeof(options) - 1), 1);
	assert_int_equal(command_count, 1);
	assert_int_equal(commands[0]->device, 5);
	assert_string_equal(commands[0]->topic, "thing/x/y");
	assert_string_equal(commands[0]->id, "4");
	struct reply *reply = reply_create(commands[0], 200);
	buffer_put_text(&reply->payload, "{\"id\":\"4\",\"code\":200}");
	inside = true;
	cloud_reply(cloud, reply);
	inside = false;
	assert_int_equal(cloud_pending(cloud), 1);
	while (loop_step(loop, 0) > 0)
		;
	assert_int_equal(serve(0x44, "", 0), 1);
	assert_int_equal(cloud_pending(cloud), 0);
	assert_int_equal(total("replies"), 1);
}

static void states_have_names(void **state)
{
	assert_string_equal(session_state_name(SESSION_AUTHENTICATING), "authenticating");
	assert_string_equal(session_state_name((enum session_state)99), "unknown");
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(starts_are_spread),
		TEST(reports_go_and_are_told_later),
		TEST(what_makes_way_is_told_after_the_call),
		TEST(commands_come_and_replies_go),
		cmocka_unit_test(states_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
