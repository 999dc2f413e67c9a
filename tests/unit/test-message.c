/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/message.h"
#include "util/json.h"

static const struct stamp stamp = { .wall_ms = 1700000000000, .mono_us = 5, .synced = true };

/* Each message owns what it holds: the sanitizers say where it does not. */
static void test_field_messages(void **state)
{
	struct eb_address address = { .size = 1, .bytes = { 3 } };
	struct plan *plan = plan_create(4, &address, 3);
	struct reading *reading = reading_create(plan, 2, &stamp, "abc", 3);
	assert_int_equal(reading->device, 4);
	assert_int_equal(reading->mail.kind, MESSAGE_READING);
	assert_true(reading->mail.droppable);
	assert_int_equal(atomic_load(&plan->polls[2].untaken), 1);
	assert_memory_equal(reading->bytes, "abc", 3);
	struct plan_change *change = plan_change_create(plan);
	assert_int_equal(change->mail.kind, MESSAGE_PLAN);
	assert_int_equal(atomic_load(&plan->references), 3);
	plan_release(plan);
	message_destroy(&change->mail);
	assert_int_equal(reading->plan->device, 4);
	message_destroy(&reading->mail);

	struct outcome *outcome = outcome_create(4, 99, 2);
	assert_false(outcome->mail.droppable);
	buffer_put_text(&outcome->steps[1].bytes, "read back");
	outcome->steps[0].status = OUTCOME_EXCEPTION;
	message_destroy(&outcome->mail);

	struct health *health = health_create(4, HEALTH_DOWN);
	assert_false(health->mail.droppable);
	message_destroy(&health->mail);
	struct link_change *link = link_change_create(1, true);
	assert_true(link->up);
	message_destroy(&link->mail);
	struct answer *answer = answer_create(12);
	buffer_put_text(&answer->text, "{}");
	message_destroy(&answer->mail);
	message_destroy(NULL);
}

static void test_main_messages(void **state)
{
	struct order *order = order_create(4, 99, 1000, 2);
	assert_int_equal(order->count, 2);
	assert_null(order->requests[1]);
	message_destroy(&order->mail);
	struct query *query = query_create(QUERY_BUS, 7, 3);
	assert_int_equal(query->number, 3);
	message_destroy(&query->mail);
	struct report *report = report_create(4, REPORT_RAW, &stamp, "\1\2", 2);
	assert_ptr_equal(report_reference(report), report);
	report_release(report);
	assert_memory_equal(report->data, "\1\2", 2);
	report_release(report);
	report_release(NULL);
}

static void test_names(void **state)
{
	assert_string_equal(outcome_name(OUTCOME_BUSY), "busy");
	assert_string_equal(outcome_name((enum outcome_status)99), "unknown");
	assert_string_equal(health_name(HEALTH_DOWN), "down");
	assert_string_equal(report_kind_name(REPORT_RAW), "raw");
	assert_string_equal(command_origin_name(ORIGIN_CONTROL), "control");
}

static struct command *command_of(const char *topic, const char *payload, int expected, char *error)
{
	struct command *command;
	int result = command_create(
		&command, 4, ORIGIN_CLOUD, topic, payload, strlen(payload), error, 160);
	assert_int_equal(result, expected);
	assert_string_equal(command->topic, topic);
	assert_string_equal(buffer_text(&command->payload), payload);
	return command;
}

static void expect_id(const char *json, const char *id)
{
	char payload[200], error[160];
	snprintf(payload, sizeof(payload), "{\"id\":%s,\"method\":\"m\",\"params\":{}}", json);
	struct command *command = command_of("thing/service/x", payload, 0, error);
	assert_string_equal(command->id, id);
	command_destroy(command);
}

static void test_ids(void **state)
{
	expect_id("\"12\"", "12");
	expect_id("12", "12");
	expect_id("-9223372036854775808", "-9223372036854775808");
	expect_id("1.5", "1.5");
	expect_id("null", "");
	expect_id("\"a\\\"b\\u00e9\"", "a\"b\xc3\xa9");
}

static void test_json_command(void **state)
{
	char error[160];
	struct command *command = command_of("thing/service/measurepoint/set",
		"{\"params\":{\"a\":[1,{\"b\":null}],\"c\":2.5},\"id\":\"1\",\"version\":\"1.0\",\"method\":\"x.y\"}",
		0, error);
	OWNED_BUFFER text = BUFFER_EMPTY;
	assert_false(command->raw);
	assert_string_equal(command->method, "x.y");
	assert_true(value_valid(command->params.data, command->params.size));
	json_print_value(&text, command->params.data, command->params.size);
	assert_string_equal(buffer_text(&text), "{\"a\":[1,{\"b\":null}],\"c\":2.5}");
	command_destroy(command);
	command = command_of("thing/service/x", "{}", 0, error);
	assert_string_equal(command->id, "");
	assert_string_equal(command->method, "");
	assert_int_equal(command->params.size, 1);
	assert_int_equal(command->params.data[0], VALUE_NULL);
	command_destroy(command);
}

static void test_raw_command(void **state)
{
	struct command *command;
	char error[160];
	assert_int_equal(command_create(&command, 1, ORIGIN_BROKER, "thing/model/down_raw",
				 "\0{\xff", 3, error, sizeof(error)),
		0);
	assert_true(command->raw);
	assert_null(command->id);
	assert_memory_equal(command->payload.data, "\0{\xff", 3);
	struct reply *reply = reply_create(command, 500);
	command_destroy(command);
	assert_string_equal(reply->topic, "thing/model/down_raw");
	assert_int_equal(reply->origin, ORIGIN_BROKER);
	assert_int_equal(reply->code, 500);
	buffer_put_text(&reply->payload, "x");
	reply_destroy(reply);
	reply_destroy(NULL);
	command_destroy(NULL);
	/* Not every topic that looks like it is raw. */
	command = command_of("other-thing/model/down_raw", "{}", 0, error);
	assert_false(command->raw);
	command_destroy(command);
}

static void test_bad_commands(void **state)
{
	static const char *const payloads[] = { "", "{", "[]", "1", "{\"id\":[1]}", "{\"id\":true}",
		"{\"method\":1}", "{\"a\":1,\"a\":2}", "{} x" };
	for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++) {
		char error[160] = "";
		command_destroy(command_of("thing/service/x", payloads[i], -EINVAL, error));
		assert_true(strlen(error) > 10);
	}
}

/* The refusal of a text that is no JSON still names whose it is. */
static void test_id_of_what_is_no_json(void **state)
{
	static const struct {
		const char *payload, *id;
	} cases[] = {
		{ "{\"id\":\"7\",\"params\":{\"a\":1,\"a\":2}}", "7" },
		{ "{\"id\" : 42, broken", "42" },
		{ "{\"id\":\"a\\\"b\", broken", NULL },
		{ "{\"id\":{}, broken", NULL },
		{ "{\"id\"", NULL },
		{ "nothing", NULL },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct command *command;
		char error[200];
		assert_int_equal(
			command_create(&command, 0, ORIGIN_CLOUD, "thing/service/x",
				cases[i].payload, strlen(cases[i].payload), error, sizeof(error)),
			-EINVAL);
		if (cases[i].id)
			assert_string_equal(command->id, cases[i].id);
		else
			assert_null(command->id);
		command_destroy(command);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_field_messages),
		cmocka_unit_test(test_main_messages),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_json_command),
		cmocka_unit_test(test_raw_command),
		cmocka_unit_test(test_bad_commands),
		cmocka_unit_test(test_id_of_what_is_no_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
