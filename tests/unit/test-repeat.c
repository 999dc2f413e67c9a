/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/repeat.h"
#include "util/clock.h"

static struct command *make(const char *topic, const char *payload)
{
	struct command *command;
	char error[160];
	command_create(
		&command, 3, ORIGIN_CLOUD, topic, payload, strlen(payload), error, sizeof(error));
	return command;
}

static enum repeat_verdict judge(
	struct repeats *repeats, struct command *command, int64_t now_s, struct reply **reply)
{
	return repeat_judge(repeats, command, now_s * USEC_PER_SEC, 60, reply);
}

static void answer(struct repeats *repeats, const struct command *command, int64_t now_s)
{
	struct reply *reply = reply_create(command, 200);
	buffer_put_text(&reply->payload, "done");
	repeat_answered(repeats, reply, now_s * USEC_PER_SEC);
	reply_destroy(reply);
}

static void swallows_while_running_and_answers_afterwards(void **state)
{
	struct repeats repeats;
	struct reply *reply;
	repeats_init(&repeats);
	struct command *first = make("thing/service/a", "{\"id\":\"1\"}");
	struct command *again = make("thing/service/a", "{\"id\":\"1\"}");
	assert_int_equal(judge(&repeats, first, 0, &reply), REPEAT_NEW);
	/* However long it runs. */
	assert_int_equal(judge(&repeats, again, 500, &reply), REPEAT_RUNNING);
	assert_null(reply);
	answer(&repeats, first, 600);
	assert_int_equal(judge(&repeats, again, 659, &reply), REPEAT_ANSWERED);
	assert_string_equal(buffer_text(&reply->payload), "done");
	assert_string_equal(reply->topic, "thing/service/a");
	assert_int_equal(reply->code, 200);
	assert_int_equal(reply->device, 3);
	reply_destroy(reply);
	assert_int_equal(judge(&repeats, again, 660, &reply), REPEAT_NEW);
	command_destroy(first);
	command_destroy(again);
	repeats_finish(&repeats);
}

static void another_topic_or_payload_is_another_command(void **state)
{
	struct repeats repeats;
	struct reply *reply;
	repeats_init(&repeats);
	struct command *commands[] = {
		make("thing/service/a", "{\"id\":\"1\"}"),
		make("thing/service/b", "{\"id\":\"1\"}"),
		make("thing/service/a", "{\"id\":\"2\"}"),
		make("thing/service/a", "{\"id\":\"1\",\"params\":{}}"),
	};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(judge(&repeats, commands[i], 1, &reply), REPEAT_NEW);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(commands[i]->token, i + 1);
		command_destroy(commands[i]);
	}
	repeats_finish(&repeats);
}

static void without_a_window_nothing_is_a_repeat(void **state)
{
	struct repeats repeats;
	struct reply *reply;
	repeats_init(&repeats);
	struct command *command = make("thing/model/down_raw", "x");
	for (int i = 0; i < 3; i++)
		assert_int_equal(repeat_judge(&repeats, command, 0, 0, &reply), REPEAT_NEW);
	assert_int_equal(repeats.count, 0);
	command_destroy(command);
	repeats_finish(&repeats);
}

static void remembers_a_bounded_number(void **state)
{
	struct repeats repeats;
	struct reply *reply;
	repeats_init(&repeats);
	for (int i = 0; i < 10 * REPEAT_MAX; i++) {
		char payload[32];
		snprintf(payload, sizeof(payload), "{\"id\":\"%d\"}", i);
		struct command *command = make("thing/service/a", payload);
		assert_int_equal(judge(&repeats, command, 1, &reply), REPEAT_NEW);
		answer(&repeats, command, 1);
		command_destroy(command);
		assert_true(repeats.count <= REPEAT_MAX);
	}
	repeats_finish(&repeats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swallows_while_running_and_answers_afterwards),
		cmocka_unit_test(another_topic_or_payload_is_another_command),
		cmocka_unit_test(without_a_window_nothing_is_a_repeat),
		cmocka_unit_test(remembers_a_bounded_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
