/* SPDX-License-Identifier: Apache-2.0 */
/* The echo against a broker that misbehaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker-rig.h"
#include "fake-broker.h"

struct fixture {
	struct rig rig;
	struct fake_broker fake;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	rig_start(&fixture.rig);
	fake_broker_start(&fixture.fake, fixture.rig.loop);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	fake_broker_stop(&fixture->fake);
	rig_stop(&fixture->rig);
	return 0;
}

static void connect_and_settle(struct fixture *fixture)
{
	rig_connect(&fixture->rig, fixture->fake.port);
	rig_until(&fixture->rig, fake_broker_last(&fixture->fake, "meter-2/state"));
	rig_until(&fixture->rig, rig_count(&fixture->rig, "in_flight") == 0);
}

static bool logged(const struct fixture *fixture, const char *words)
{
	return strstr(buffer_text(&fixture->rig.log), words) != NULL;
}

/* Moves the clock until the next try; how far, in ms. */
static int64_t await_retry(struct fixture *fixture)
{
	int64_t before_us = fixture->rig.clock.mono_us;
	int64_t failures = rig_count(&fixture->rig, "failures");
	while (strcmp(rig_state(&fixture->rig), "waiting") == 0 &&
		rig_count(&fixture->rig, "failures") == failures)
		rig_pass(&fixture->rig, 20 * USEC_PER_MSEC);
	return (fixture->rig.clock.mono_us - before_us) / USEC_PER_MSEC;
}

/* The number at the end of a reading's bytes. */
static uint32_t sequence_of(const struct fake_message *message)
{
	const char *bytes = strstr(message->payload, "\"bytes\":\"");
	return (uint32_t)strtoul(bytes + strlen("\"bytes\":\""), NULL, 16);
}

static void says_online_with_a_last_will(void **state)
{
	struct fixture *fixture = *state;
	struct fake_broker *fake = &fixture->fake;
	fixture->rig.conf.mqtt.user = (char *)"u";
	fixture->rig.conf.mqtt.password = (char *)"p4ss";
	connect_and_settle(fixture);
	assert_string_equal(fake->client_id, "enos-bridge-gw-1");
	assert_string_equal(fake->user, "u");
	assert_string_equal(fake->password, "p4ss");
	assert_string_equal(fake->will_topic, "enos-bridge/gw-1/status");
	assert_non_null(strstr(fake->will_payload, "\"state\":\"offline\""));
	assert_true(fake->will_retained);
	assert_int_equal(fake->will_qos, 1);
	assert_string_equal(fake->messages[0].topic, "enos-bridge/gw-1/status");
	assert_non_null(strstr(fake->messages[0].payload, "\"state\":\"online\""));
	assert_true(fake->messages[0].retain);
	assert_int_equal(fake->messages[0].qos, 1);
	assert_string_equal(rig_state(&fixture->rig), "online");
	assert_false(logged(fixture, "p4ss"));
}

static void says_what_a_refusal_means(void **state)
{
	struct fixture *fixture = *state;
	fixture->fake.greeting = 5;
	rig_connect(&fixture->rig, fixture->fake.port);
	rig_until(&fixture->rig, logged(fixture, "check user and password_file"));
	assert_string_equal(rig_state(&fixture->rig), "waiting");
	fixture->fake.greeting = 0;
	await_retry(fixture);
	rig_until(&fixture->rig, strcmp(rig_state(&fixture->rig), "online") == 0);
}

static void waits_longer_for_who_stays_away(void **state)
{
	struct fixture *fixture = *state;
	fake_broker_leave(&fixture->fake);
	rig_connect(&fixture->rig, fixture->fake.port);
	rig_until(&fixture->rig, rig_count(&fixture->rig, "failures") == 1);
	for (int64_t tries = 2, span = 1000; tries <= 8; tries++) {
		assert_in_range(await_retry(fixture), span / 2, span + 20);
		rig_until(&fixture->rig, rig_count(&fixture->rig, "failures") == tries);
		span = span < 32000 ? span * 2 : 60000;
	}
	/* One line, not eight. */
	assert_non_null(strstr(buffer_text(&fixture->rig.log), "cannot be reached"));
	assert_null(strstr(strstr(buffer_text(&fixture->rig.log), "cannot be reached") + 1,
		"cannot be reached"));
	fake_broker_return(&fixture->fake);
	await_retry(fixture);
	rig_until(&fixture->rig, strcmp(rig_state(&fixture->rig), "online") == 0);
}

/* A listener whose backlog is full drops the handshake, as an address does where nobody is. */
static void is_not_held_up_by_an_address_that_does_not_answer(void **state)
{
	struct fixture *fixture = *state;
	int fillers[4];
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int deaf = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(bind(deaf, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_return_code(listen(deaf, 0), 0);
	getsockname(deaf, (struct sockaddr *)&address, &size);
	for (int i = 0; i < 4; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fillers[i], (struct sockaddr *)&address, sizeof(address)) == 0)
			continue;
	}
	/* Were any of this to block, the alarm would end the test: TCP gives up after minutes. */
	rig_connect(&fixture->rig, ntohs(address.sin_port));
	rig_until(&fixture->rig, strcmp(rig_state(&fixture->rig), "connecting") == 0);
	rig_reading(&fixture->rig, 0, 1);
	rig_pass(&fixture->rig, 9 * USEC_PER_SEC);
	assert_string_equal(rig_state(&fixture->rig), "connecting");
	rig_pass(&fixture->rig, 2 * USEC_PER_SEC);
	assert_int_equal(rig_count(&fixture->rig, "failures"), 1);
	assert_true(logged(fixture, "no answer"));
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	close(deaf);
}

static void gives_up_on_who_takes_the_call_and_says_nothing(void **state)
{
	struct fixture *fixture = *state;
	fixture->fake.silent = true;
	rig_connect(&fixture->rig, fixture->fake.port);
	rig_until(&fixture->rig, fixture->fake.greetings == 1);
	rig_pass(&fixture->rig, 10 * USEC_PER_SEC);
	assert_int_equal(rig_count(&fixture->rig, "failures"), 1);
	assert_true(logged(fixture, "no answer"));
}

static void survives_garbage(void **state)
{
	static const struct {
		const uint8_t *bytes;
		size_t size;
	} garbage[] = {
		{ (const uint8_t *)"HTTP/1.1 400 Bad Request\r\n\r\n", 28 },
		{ (const uint8_t *)"\x00\x00\x00\x00", 4 },
		{ (const uint8_t *)"\x20\xff\xff\xff\xff\xff", 6 }, /* no length is that long */
		{ (const uint8_t *)"\x20\x02\x00\x77", 4 }, /* a code that does not exist */
		{ (const uint8_t *)"\x40\x02\x00\x01", 4 }, /* an acknowledgement of nothing */
		{ (const uint8_t *)"\xf0\x00", 2 },
	};
	struct fixture *fixture = *state;
	fixture->fake.silent = true;
	rig_connect(&fixture->rig, fixture->fake.port);
	for (unsigned i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		rig_until(&fixture->rig, fixture->fake.greetings == i + 1);
		fake_broker_send(&fixture->fake, garbage[i].bytes, garbage[i].size);
		fake_broker_hang_up(&fixture->fake);
		rig_until(&fixture->rig, rig_count(&fixture->rig, "failures") == i + 1);
		await_retry(fixture);
	}
	rig_until(&fixture->rig, fixture->fake.greetings == 7);
	fake_broker_send(&fixture->fake, "\x20\x02\x00\x00", 4);
	rig_until(&fixture->rig, strcmp(rig_state(&fixture->rig), "online") == 0);
}

static void sends_again_what_was_not_acknowledged(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	fixture->fake.keeps_acks = true;
	fake_broker_forget(&fixture->fake);
	struct command *command = rig_command(1);
	broker_command(fixture->rig.broker, command);
	rig_result(&fixture->rig, command, 200, "{\"id\":\"1\",\"code\":200,\"data\":{}}");
	rig_until(&fixture->rig, fixture->fake.count == 2);
	assert_int_equal(rig_count(&fixture->rig, "in_flight"), 2);
	/* A protocol error ends the connection; half a packet is in the way as well. */
	fake_broker_send(&fixture->fake, "\xf0\x00\x40", 3);
	rig_until(&fixture->rig, rig_count(&fixture->rig, "failures") == 1);
	assert_int_equal(rig_count(&fixture->rig, "queued"), 2);
	fake_broker_forget(&fixture->fake);
	fixture->fake.keeps_acks = false;
	await_retry(fixture);
	rig_until(&fixture->rig, fixture->fake.count == 5);
	/* Status, then the command before its result, then the states again. */
	assert_string_equal(fixture->fake.messages[0].topic, "enos-bridge/gw-1/status");
	assert_string_equal(
		fixture->fake.messages[1].topic, "enos-bridge/gw-1/device/meter-1/command");
	assert_string_equal(
		fixture->fake.messages[2].topic, "enos-bridge/gw-1/device/meter-1/result");
	assert_non_null(fake_broker_last(&fixture->fake, "meter-2/state"));
	rig_until(&fixture->rig, rig_count(&fixture->rig, "in_flight") == 0);
	assert_int_equal(rig_count(&fixture->rig, "queued"), 0);
	command_destroy(command);
}

static void keeps_few_in_flight(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	fixture->fake.keeps_acks = true;
	fake_broker_forget(&fixture->fake);
	for (uint32_t i = 0; i < 50; i++) {
		struct command *command = rig_command(i);
		broker_command(fixture->rig.broker, command);
		command_destroy(command);
	}
	/* Telemetry needs no acknowledgement and goes on meanwhile. */
	rig_reading(&fixture->rig, 0, 7);
	rig_until(&fixture->rig, fake_broker_last(&fixture->fake, "reading/live"));
	assert_int_equal(fixture->fake.count, 21);
	assert_int_equal(rig_count(&fixture->rig, "in_flight"), 20);
	assert_int_equal(rig_count(&fixture->rig, "queued"), 30);
	for (int i = 0; i < 5; i++)
		fake_broker_acknowledge(&fixture->fake, fixture->fake.messages[i].number);
	rig_until(&fixture->rig, fixture->fake.count == 26);
	assert_int_equal(rig_count(&fixture->rig, "in_flight"), 20);
	/* Twice, and for a message that there is not: both mean nothing. */
	fake_broker_acknowledge(&fixture->fake, fixture->fake.messages[0].number);
	fake_broker_acknowledge(&fixture->fake, 65000);
	for (int i = 5; i < 20; i++)
		fake_broker_acknowledge(&fixture->fake, fixture->fake.messages[i].number);
	rig_until(&fixture->rig, fixture->fake.count == 41);
	assert_int_equal(rig_count(&fixture->rig, "in_flight"), 20);
}

static void leaves_who_acknowledges_nothing(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	fixture->fake.keeps_acks = true;
	struct command *command = rig_command(1);
	broker_command(fixture->rig.broker, command);
	rig_until(&fixture->rig, fake_broker_last(&fixture->fake, "command"));
	rig_pass(&fixture->rig, 85 * USEC_PER_SEC);
	assert_string_equal(rig_state(&fixture->rig), "online");
	rig_pass(&fixture->rig, 20 * USEC_PER_SEC);
	assert_true(logged(fixture, "it acknowledges nothing"));
	command_destroy(command);
}

static void leaves_who_sends_what_nobody_asked_for(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	/* A message of 200 MiB is announced; the library would keep all of it. */
	fake_broker_send(&fixture->fake, "\x30\x80\x80\x80\x64", 5);
	char block[4096];
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 1000 && fixture->fake.connected; i++) {
		fake_broker_send(&fixture->fake, block, sizeof(block));
		rig_turn(fixture->rig.loop);
	}
	rig_until(&fixture->rig, rig_count(&fixture->rig, "failures") == 1);
	assert_true(logged(fixture, "nobody asked for"));
}

static void stays_within_its_bounds_before_a_stalled_broker(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	fake_broker_forget(&fixture->fake);
	fake_broker_stall(&fixture->fake, true);
	struct command *command = rig_command(1);
	/* Until the sockets are full and the queue is full of what is older than the command. */
	uint32_t sequence = 0;
	while (rig_count(&fixture->rig, "dropped_telemetry") == 0) {
		for (int i = 0; i < 100; i++)
			rig_reading(&fixture->rig, 0, sequence++);
	}
	broker_command(fixture->rig.broker, command);
	rig_result(&fixture->rig, command, 200, "{\"id\":\"1\",\"code\":200,\"data\":{}}");
	for (uint32_t end = sequence + 50000; sequence < end; sequence++) {
		rig_reading(&fixture->rig, 0, sequence);
		if (sequence % 1000 == 0) {
			rig_turn(fixture->rig.loop);
			assert_in_range(rig_count(&fixture->rig, "queued"), 0, 1000);
			assert_in_range(rig_count(&fixture->rig, "queued_bytes"), 0, 4 << 20);
		}
	}
	int64_t dropped = rig_count(&fixture->rig, "dropped_telemetry");
	assert_true(dropped >= 49000);
	assert_int_equal(rig_count(&fixture->rig, "dropped_results"), 0);
	assert_string_equal(rig_state(&fixture->rig), "online");
	/* It wakes: all but the dropped arrives, in order, the command and its result among it. */
	fake_broker_stall(&fixture->fake, false);
	rig_until(&fixture->rig,
		rig_count(&fixture->rig, "queued") == 0 &&
			rig_count(&fixture->rig, "in_flight") == 0 &&
			fixture->fake.count == sequence - (uint64_t)dropped + 2);
	uint32_t expected = 0, results = 0;
	for (size_t i = 0; i < fixture->fake.count; i++) {
		const struct fake_message *message = &fixture->fake.messages[i];
		if (message->qos) {
			results++;
			continue;
		}
		assert_true(sequence_of(message) >= expected);
		expected = sequence_of(message) + 1;
	}
	assert_int_equal(expected, sequence);
	assert_int_equal(results, 2);
	command_destroy(command);
}

static void leaves_who_takes_nothing_for_long(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	fake_broker_stall(&fixture->fake, true);
	for (uint32_t i = 0; rig_count(&fixture->rig, "queued") == 0; i++)
		rig_reading(&fixture->rig, 0, i);
	rig_turn(fixture->rig.loop);
	rig_pass(&fixture->rig, 110 * USEC_PER_SEC);
	assert_true(logged(fixture, "it takes no more data"));
}

static void says_states_again_after_a_reconnection(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	struct link_change *change = link_change_create(0, false);
	snprintf(change->reason, sizeof(change->reason), "unplugged");
	change->stamp.wall_ms = RIG_READ_MS;
	broker_link(fixture->rig.broker, change);
	message_destroy(&change->mail);
	broker_session(fixture->rig.broker, 1, "resolving", "");
	broker_session(fixture->rig.broker, 1, "online", "");
	fake_broker_forget(&fixture->fake);
	rig_pass(&fixture->rig, 20 * USEC_PER_MSEC);
	rig_until(&fixture->rig,
		fake_broker_last(&fixture->fake, "rs485-1/state") &&
			fake_broker_last(&fixture->fake, "meter-2/state"));
	/* Two changes at once are one message. */
	assert_int_equal(fixture->fake.count, 2);
	fake_broker_hang_up(&fixture->fake);
	fake_broker_forget(&fixture->fake);
	rig_until(&fixture->rig, rig_count(&fixture->rig, "failures") == 1);
	assert_true(logged(fixture, "it closed the connection; trying"));
	await_retry(fixture);
	rig_until(&fixture->rig, fixture->fake.count == 4);
	const struct fake_message *bus = fake_broker_last(&fixture->fake, "bus/rs485-1/state");
	assert_non_null(strstr(bus->payload, "\"link\":\"down\""));
	assert_non_null(strstr(bus->payload, "unplugged"));
	const struct fake_message *device = fake_broker_last(&fixture->fake, "meter-2/state");
	assert_non_null(strstr(device->payload, "\"session\":\"online\""));
}

static void refreshes_the_times_in_a_state(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	fake_broker_forget(&fixture->fake);
	struct stamp stamp = { .wall_ms = RIG_NOW_MS + 59999, .synced = true };
	for (int i = 0; i < 2; i++, stamp.wall_ms++) {
		assert_null(fake_broker_last(&fixture->fake, "meter-1/state"));
		struct reading *reading = reading_create(fixture->rig.plan, 0, &stamp, "x", 1);
		broker_reading(fixture->rig.broker, reading);
		message_destroy(&reading->mail);
		rig_pass(&fixture->rig, 20 * USEC_PER_MSEC);
	}
	rig_until(&fixture->rig, fake_broker_last(&fixture->fake, "meter-1/state"));
	assert_non_null(strstr(fake_broker_last(&fixture->fake, "meter-1/state")->payload,
		"\"last_reading\":1700000061000"));
}

static void names_of_scripts_stay_one_level(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	rig_reading(&fixture->rig, 1, 1);
	rig_until(&fixture->rig, fake_broker_last(&fixture->fake, "/reading/odd_name___"));
	assert_non_null(strstr(fake_broker_last(&fixture->fake, "/reading/odd_name___")->payload,
		"\"poll\":\"odd/name #+\""));
}

static void drops_what_json_cannot_say(void **state)
{
	struct fixture *fixture = *state;
	connect_and_settle(fixture);
	OWNED_BUFFER points = BUFFER_EMPTY;
	value_put_map(&points, 1);
	value_pair_real(&points, "p", (double)NAN);
	struct stamp stamp = { .wall_ms = RIG_READ_MS };
	struct report *report = report_create(0, REPORT_POINTS, &stamp, points.data, points.size);
	broker_report(fixture->rig.broker, report);
	report_release(report);
	assert_int_equal(rig_count(&fixture->rig, "refused"), 1);
	rig_points(&fixture->rig, "{\"p\":1.5}");
	rig_until(&fixture->rig, fake_broker_last(&fixture->fake, "/report"));
	assert_string_equal(fake_broker_last(&fixture->fake, "/report")->payload,
		"{\"time\":1700000000000,\"synced\":true,\"kind\":\"points\",\"points\":{\"p\":1.5}}");
}

static void without_a_broker_nothing_happens(void **state)
{
	struct fixture *fixture = *state;
	rig_reading(&fixture->rig, 0, 1);
	OWNED_BUFFER json = BUFFER_EMPTY;
	broker_status(NULL, &json);
	assert_string_equal(buffer_text(&json), "null");
	broker_session(NULL, 0, "online", "");
	broker_script(NULL, 0, "");
	broker_destroy(NULL);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(says_online_with_a_last_will),
		TEST(says_what_a_refusal_means),
		TEST(waits_longer_for_who_stays_away),
		TEST(is_not_held_up_by_an_address_that_does_not_answer),
		TEST(gives_up_on_who_takes_the_call_and_says_nothing),
		TEST(survives_garbage),
		TEST(sends_again_what_was_not_acknowledged),
		TEST(keeps_few_in_flight),
		TEST(leaves_who_acknowledges_nothing),
		TEST(leaves_who_sends_what_nobody_asked_for),
		TEST(stays_within_its_bounds_before_a_stalled_broker),
		TEST(leaves_who_takes_nothing_for_long),
		TEST(says_states_again_after_a_reconnection),
		TEST(refreshes_the_times_in_a_state),
		TEST(names_of_scripts_stay_one_level),
		TEST(drops_what_json_cannot_say),
		TEST(without_a_broker_nothing_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
