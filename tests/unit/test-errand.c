/* SPDX-License-Identifier: Apache-2.0 */
/* What a site allows, what is read back, and which orders do the same. */
#include "pipeline-fixture.h"

/* ---- what a site allows --------------------------------------------------------------------- */

static void expect_forbidden(struct bench *bench, const char *topic, const char *params)
{
	submit_to(bench, topic, params);
	assert_null(take_order(bench));
	expect(bench, 403, "allow");
}

static void expect_done(struct bench *bench, const char *topic, const char *params)
{
	submit_to(bench, topic, params);
	answer(bench, 64, OUTCOME_DONE);
	expect(bench, 200, "200");
}

static void a_device_may_take_no_commands(void **state)
{
	struct bench *bench = *state;
	bench->device.commands = COMMANDS_NONE;
	submit(bench, "{}");
	assert_null(take_order(bench));
	expect(bench, 403, "commands = \\\"none\\\"");
}

static void what_no_rule_covers_is_refused(void **state)
{
	struct bench *bench = *state;
	struct conf_rule rules[] = {
		{ .service = (char *)"free", .address = { 0, INT64_MAX } },
		{ .write = (char *)"cell",
			.address = { 10, 20 },
			.values = { 0, 100 },
			.has_values = true },
		{ .service = (char *)"thing/model/other",
			.write = (char *)"cell",
			.address = { 30, 30 } },
	};
	bench->device.has_rules = true;
	submit(bench, "{}");
	expect(bench, 403, "thing/service/x is not allowed");
	bench->device.rules = rules;
	bench->device.rule_count = 3;
	expect_done(bench, "thing/service/free", "{\"write\":99,\"value\":255}");
	expect_done(bench, "thing/service/x", "{\"write\":10,\"value\":100}");
	expect_done(bench, "thing/service/x", "{\"write\":20,\"value\":0}");
	expect_done(bench, "thing/service/x", "{\"read\":99}");
	expect_done(bench, "thing/model/other", "{\"write\":30,\"value\":255}");
	expect_forbidden(bench, "thing/service/x", "{\"write\":9,\"value\":1}");
	expect_forbidden(bench, "thing/service/x", "{\"write\":21,\"value\":1}");
	expect_forbidden(bench, "thing/service/x", "{\"write\":10,\"value\":101}");
	expect_forbidden(bench, "thing/service/x", "{\"write\":30,\"value\":1}");
	/* The script's own two requests: the first is not covered, so neither is sent. */
	expect_forbidden(bench, "thing/service/x", "{}");
	/* A name that only begins like the one that is allowed. */
	expect_forbidden(bench, "thing/service/freedom", "{\"write\":99,\"value\":1}");
}

/* ---- reading back --------------------------------------------------------------------------- */

/* Plays the field for the order that reads back; bytes NULL: no answer. */
static void answer_read(struct bench *bench, const char *bytes)
{
	struct order *order = take_order(bench);
	assert_non_null(order);
	assert_int_equal(order->count, 1);
	assert_int_equal(order->requests[0]->wire.flags & EB_WRITE, 0);
	struct outcome *outcome = outcome_create(0, order->serial, 1);
	outcome->steps[0].status = bytes ? OUTCOME_DONE : OUTCOME_TIMEOUT;
	if (bytes)
		buffer_put(&outcome->steps[0].bytes, bytes, 1);
	message_destroy(&order->mail);
	mailbox_unreserve(bench->from_field);
	pipeline_outcome(bench->pipeline, outcome);
}

static void what_is_written_is_read_back(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 1999);
	assert_null(take_order(bench));
	assert_int_equal(bench->replies, 0);
	pass(bench, 1);
	answer_read(bench, "\x0a");
	expect(bench, 200, "200");

	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 2000);
	answer_read(bench, "\x0b");
	expect(bench, 502, "cell 5 was written 9 and reads 11");

	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 2000);
	answer_read(bench, NULL);
	expect(bench, 504, "cannot be read back");

	/* What failed is not read. */
	submit(bench, "{\"check\":9}");
	answer(bench, 0, OUTCOME_EXCEPTION);
	expect(bench, 502, "exception 2");
	pass(bench, 2000);
	assert_null(take_order(bench));
}

static void a_device_may_want_all_writes_read_back(void **state)
{
	struct bench *bench = *state;
	bench->device.read_back = (struct read_back){ .wanted = true, .settle_ms = 500 };
	submit(bench, "{\"write\":3,\"value\":7}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 500);
	answer_read(bench, "\x07");
	expect(bench, 200, "200");
	expect_done(bench, "thing/service/x", "{\"unchecked\":true}");
	expect_done(bench, "thing/service/x", "{\"read\":3}");
}

/* That a newer command wrote the same meanwhile is no fault of the device. */
static void what_was_written_again_is_not_held_against_the_device(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 1000);
	submit(bench, "{\"check\":50}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 1000);
	answer_read(bench, "\x32");
	assert_int_equal(bench->replies, 1);
	assert_int_equal(bench->code, 409);
	assert_non_null(strstr(bench->why, "a newer command"));
	bench->replies = 0;
	pass(bench, 1000);
	answer_read(bench, "\x32");
	expect(bench, 200, "200");
	/* Another place says nothing of this one. */
	bench->device.read_back = (struct read_back){ .wanted = true, .settle_ms = 1000 };
	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 1500);
	submit(bench, "{\"write\":3,\"value\":7}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 500);
	answer_read(bench, "\x32");
	assert_int_equal(bench->code, 502);
	bench->replies = 0;
	pass(bench, 500);
	answer_read(bench, "\x07");
	expect(bench, 200, "200");
	/* Nor does one that was not written. */
	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	submit(bench, "{\"check\":50}");
	answer(bench, 0, OUTCOME_EXPIRED);
	assert_int_equal(bench->code, 408);
	bench->replies = 0;
	pass(bench, 2000);
	answer_read(bench, "\x32");
	expect(bench, 502, "cell 5 was written 9 and reads 50");
}

static void a_stop_does_not_wait_for_what_settles(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pipeline_stop(bench->pipeline);
	expect(bench, 408, "written, but not read back");
}

static void the_places_of_an_order_are_named_where_the_newest_wins(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"write\":3,\"value\":7}");
	struct order *order = take_order(bench);
	assert_int_equal(order->places.size, 0);
	message_destroy(&order->mail);
	bench->device.newest_wins = true;
	submit(bench, "{\"write\":3,\"value\":7}");
	order = take_order(bench);
	assert_string_equal(buffer_text(&order->places), "cell 3 1;");
	message_destroy(&order->mail);
	/* One that also reads does more than another that writes the same; nor may one be cut short. */
	submit(bench, "{}");
	order = take_order(bench);
	assert_int_equal(order->places.size, 0);
	message_destroy(&order->mail);
	submit(bench, "{\"steps\":2}");
	order = take_order(bench);
	assert_int_equal(order->places.size, 0);
	message_destroy(&order->mail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_device_may_take_no_commands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_no_rule_covers_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_written_is_read_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_device_may_want_all_writes_read_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_written_again_is_not_held_against_the_device, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_stop_does_not_wait_for_what_settles, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_places_of_an_order_are_named_where_the_newest_wins, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
