/* SPDX-License-Identifier: Apache-2.0 */
/* The setup requests of a plan: when they are sent, when again, and what becomes of those that fail. */
#include "field-rig.h"

#include <errno.h>
#include <string.h>

/* Its nature is known: a write may be the first that is asked. */
static const struct rig_setup quiet_line = {
	.devices = 2, .baud = 9600, .paced = true, .echo = ANSWER_NO, .retries = 2
};
static const struct rig_poll polls[] = { { .name = "a", .period = 1, .count = 4, .address = 10 },
	{ .name = "b", .period = 1, .count = 5, .address = 20 } };
static const struct rig_poll three[] = { { .write = true, .address = 1 },
	{ .write = true, .address = 2 }, { .write = true, .address = 3 } };

#define MINUTE_US (60 * USEC_PER_SEC)

static struct rig *start(const struct rig_setup *setup)
{
	struct rig *rig = rig_create(setup);
	rig->notes = true;
	return rig;
}

static void forget(struct rig *rig)
{
	buffer_clear(&rig->heard);
}

/* What the unit heard begins so. */
static void expect_heard(struct rig *rig, const char *begin)
{
	const char *heard = buffer_text(&rig->heard);
	if (strncmp(heard, begin, strlen(begin)) != 0)
		fail_msg("\"%.80s\" does not begin with \"%s\"", heard, begin);
}

static uint32_t count_heard(struct rig *rig, const char *what)
{
	uint32_t count = 0;
	for (const char *at = buffer_text(&rig->heard); (at = strstr(at, what)); at += strlen(what))
		count++;
	return count;
}

static void test_before_the_first_poll(void **state)
{
	struct rig *rig = start(&quiet_line);
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run(rig, 3500000);
	expect_heard(rig, "w1 w2 w3 r10 r20 r10 r20 ");
	assert_int_equal(3, count_heard(rig, "w"));
	assert_int_equal(8, rig->readings);
	assert_int_equal(0, rig->devices[0]->tasks[0].missed);
	rig_destroy(rig);
}

static void test_a_read_first_where_the_line_may_echo(void **state)
{
	struct rig_setup setup = quiet_line;
	setup.echo = ANSWER_AUTO;
	struct rig *rig = start(&setup);
	rig_run_setup(rig, 0, polls, 2, three, 2);
	rig_run(rig, 100000);
	expect_heard(rig, "r10 w1 w2 ");
	/* What came before the device was set up is nobody's reading. */
	assert_int_equal(0, rig->readings);
	rig_run(rig, 800000);
	expect_heard(rig, "r10 w1 w2 r20 r10 ");
	assert_int_equal(2, rig->readings);
	rig_destroy(rig);
}

static void test_again_after_it_was_down(void **state)
{
	struct rig *rig = start(&quiet_line);
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run(rig, 10 * USEC_PER_SEC);
	rig->units[1].dead = true;
	rig_run(rig, 30 * USEC_PER_SEC);
	assert_int_equal(HEALTH_DOWN, rig->health[0]);
	/* It is probed with reads, never with what sets it up. */
	assert_int_equal(3, count_heard(rig, "w"));
	uint32_t before = rig->readings;
	forget(rig);
	rig->units[1].dead = false;
	while (!count_heard(rig, "w3"))
		rig_run(rig, 50000);
	/* The probe's answer tells that it is back, and no more. */
	assert_int_equal(before, rig->readings);
	rig_run(rig, 900000);
	const char *writes = strchr(buffer_text(&rig->heard), 'w');
	assert_non_null(writes);
	assert_memory_equal("w1 w2 w3 r", writes, 10);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_true(rig->readings >= before + 2);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void refuse_second(struct rig *rig, const struct heard_request *request)
{
	uint8_t frame[300];
	bool refused = request->function > 4 && request->address == 2 && !rig->context;
	size_t size = refused ? rig_refusal(request, false, 4, frame)
			      : rig_answer(request, false, frame);
	rig_say(rig, request->end_us + rig->bus->gap_us, frame, size);
}

static void test_refused_is_left_for_later(void **state)
{
	struct rig *rig = start(&quiet_line);
	rig->behave = refuse_second;
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run(rig, 3500000);
	expect_heard(rig, "w1 w2 w3 r10 r20 r10 r20 ");
	assert_int_equal(8, rig->readings);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	const char *said = strstr(
		buffer_text(&rig->log), "setup request 2 fails with exception 4: ");
	assert_non_null(said);
	assert_non_null(strstr(said, "write"));
	/* After a minute, two, four... and said once. */
	rig_run(rig, 8 * MINUTE_US);
	assert_int_equal(1 + 3, count_heard(rig, "w2 "));
	assert_int_equal(1, count_heard(rig, "w1 "));
	said = strstr(buffer_text(&rig->log), "setup request 2");
	assert_null(strstr(said + 1, "setup request"));
	assert_int_equal(4, rig->devices[0]->setup.steps[1].failures);
	rig->context = rig;
	rig_run(rig, 8 * MINUTE_US);
	assert_int_equal(1 + 4, count_heard(rig, "w2 "));
	assert_int_equal(1, count_heard(rig, "w1 "));
	assert_non_null(strstr(buffer_text(&rig->log), "setup request 2 works again"));
	rig_run(rig, 120 * MINUTE_US);
	assert_int_equal(1 + 4, count_heard(rig, "w2 "));
	rig_destroy(rig);
}

/* Writes to 2 are executed, but the first of them, or all, are never answered. */
struct mute {
	uint32_t answers_from, writes;
};

static void mute_second(struct rig *rig, const struct heard_request *request)
{
	struct mute *mute = rig->context;
	uint8_t frame[300];
	if (request->function > 4 && request->address == 2 && mute->writes++ < mute->answers_from)
		return;
	rig_say(rig, request->end_us + rig->bus->gap_us, frame, rig_answer(request, false, frame));
}

static void test_lost_write_waits_for_a_read(void **state)
{
	struct rig *rig = start(&quiet_line);
	struct mute mute = { .answers_from = 1 };
	rig->behave = mute_second;
	rig->context = &mute;
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run(rig, 6 * USEC_PER_SEC);
	/* Not twice in a row, and no reading before it is done. */
	expect_heard(rig, "w1 w2 r10 w2 w3 r20 r10 ");
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_true(rig->readings >= 4);
	assert_null(strstr(buffer_text(&rig->log), "setup request"));
	rig_destroy(rig);
}

static void test_write_that_is_never_answered(void **state)
{
	struct rig *rig = start(&quiet_line);
	struct mute mute = { .answers_from = UINT32_MAX };
	rig->behave = mute_second;
	rig->context = &mute;
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run(rig, 20 * USEC_PER_SEC);
	/* Three times with a read in between, then the polls have waited enough. */
	assert_int_equal(3, mute.writes);
	assert_int_equal(1, count_heard(rig, "w3 "));
	assert_true(rig->readings > 10);
	assert_non_null(strstr(buffer_text(&rig->log), "setup request 2 fails with timeout"));
	rig_run(rig, 61 * MINUTE_US);
	assert_in_range(mute.writes, 8, 10);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	rig_destroy(rig);
}

static void test_retry_safe_is_repeated(void **state)
{
	struct rig *rig = start(&quiet_line);
	struct rig_poll safe[] = { three[0], three[1], three[2] };
	struct mute mute = { .answers_from = 2 };
	safe[1].retry_safe = true;
	rig->behave = mute_second;
	rig->context = &mute;
	rig_run_setup(rig, 0, polls, 2, safe, 3);
	rig_run(rig, 6 * USEC_PER_SEC);
	expect_heard(rig, "w1 w2 w2 w2 w3 r10 r20 ");
	rig_destroy(rig);
}

static void test_dead_from_the_start(void **state)
{
	struct rig *rig = start(&quiet_line);
	rig->units[1].dead = true;
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run_plan(rig, 1, polls, 2);
	rig_run(rig, 5 * MINUTE_US);
	assert_int_equal(HEALTH_DOWN, rig->health[0]);
	/* One write into the silence, then reads. */
	assert_int_equal(1, count_heard(rig, "w"));
	assert_true(rig->device_readings[1] > 2 * 280);
	forget(rig);
	rig->units[1].dead = false;
	rig_run(rig, 65 * USEC_PER_SEC);
	assert_int_equal(1, count_heard(rig, "w1 w2 w3 r"));
	assert_int_equal(3, count_heard(rig, "w"));
	assert_int_equal(HEALTH_OK, rig->health[0]);
	rig_destroy(rig);
}

static void test_plan_change(void **state)
{
	struct rig *rig = start(&quiet_line);
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run(rig, 5 * USEC_PER_SEC);
	forget(rig);
	/* The same setup is not sent again; another one is. */
	rig_run_setup(rig, 0, polls, 1, three, 3);
	rig_run(rig, 5 * USEC_PER_SEC);
	assert_int_equal(0, count_heard(rig, "w"));
	struct rig_poll two[] = { three[2], three[0] };
	rig_run_setup(rig, 0, polls, 1, two, 2);
	rig_run(rig, 500000);
	expect_heard(rig, "r10 r10 r10 r10 r10 w3 w1 ");
	rig_run_plan(rig, 0, polls, 2);
	rig_run(rig, 5 * USEC_PER_SEC);
	assert_int_equal(2, count_heard(rig, "w"));
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_plan_change_while_it_is_under_way(void **state)
{
	struct rig *rig = start(&quiet_line);
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run(rig, 30000);
	expect_heard(rig, "w1 w2 ");
	assert_int_equal(1, rig->bus->in_flight);
	rig_run_setup(rig, 0, polls, 1, three, 3);
	rig_run(rig, 800000);
	expect_heard(rig, "w1 w2 w3 r10 ");
	assert_int_equal(3, count_heard(rig, "w"));
	rig_destroy(rig);
}

static void test_link_lost_in_the_middle(void **state)
{
	struct rig *rig = start(&quiet_line);
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run(rig, 30000);
	expect_heard(rig, "w1 w2 ");
	rig_lose(rig, ENODEV);
	rig_run(rig, 2 * USEC_PER_SEC);
	/* The write on the wire may have been done: a read, then it again. */
	expect_heard(rig, "w1 w2 r10 w2 w3 r20 r10 ");
	rig_destroy(rig);
}

static void test_orders_do_not_wait_for_it(void **state)
{
	struct rig *rig = start(&quiet_line);
	rig_run_setup(rig, 0, polls, 2, three, 3);
	rig_run(rig, 5000);
	rig_order(rig, 0, 10 * USEC_PER_SEC, &(struct rig_poll){ .write = true, .address = 9 }, 1);
	rig_run(rig, 2 * USEC_PER_SEC);
	expect_heard(rig, "w1 w9 w2 w3 r10 ");
	assert_int_equal(OUTCOME_DONE, rig->outcome->steps[0].status);
	rig_destroy(rig);
}

static void test_many_over_tcp(void **state)
{
	struct rig *rig = start(&(struct rig_setup){
		.devices = 20, .in_flight = 8, .merge = true, .merge_hole = 10, .retries = 1 });
	for (uint32_t i = 0; i < 20; i++)
		rig_run_setup(rig, i, polls, 2, three, 3);
	rig_run(rig, 10 * USEC_PER_SEC);
	expect_heard(rig, "w1 w2 w3 r10 r10 ");
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(3, rig->units[i + 1].written);
	assert_int_equal(0, rig->wrong);
	for (uint32_t i = 1; i <= 20; i++)
		rig->units[i].dead = i % 2;
	rig_run(rig, MINUTE_US);
	for (uint32_t i = 1; i <= 20; i++)
		rig->units[i].dead = false;
	rig_run(rig, 2 * MINUTE_US);
	for (uint32_t i = 1; i <= 20; i++)
		assert_int_equal(i % 2 ? 6 : 3, rig->units[i].written);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_the_first_poll),
		cmocka_unit_test(test_a_read_first_where_the_line_may_echo),
		cmocka_unit_test(test_again_after_it_was_down),
		cmocka_unit_test(test_refused_is_left_for_later),
		cmocka_unit_test(test_lost_write_waits_for_a_read),
		cmocka_unit_test(test_write_that_is_never_answered),
		cmocka_unit_test(test_retry_safe_is_repeated),
		cmocka_unit_test(test_dead_from_the_start),
		cmocka_unit_test(test_plan_change),
		cmocka_unit_test(test_plan_change_while_it_is_under_way),
		cmocka_unit_test(test_link_lost_in_the_middle),
		cmocka_unit_test(test_orders_do_not_wait_for_it),
		cmocka_unit_test(test_many_over_tcp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
