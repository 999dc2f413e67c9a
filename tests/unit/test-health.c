/* SPDX-License-Identifier: Apache-2.0 */
#include "field-rig.h"

#include <errno.h>
#include <string.h>

#include "field/answers.h"

static const struct rig_setup ten_units = {
	.devices = 10, .baud = 9600, .paced = true, .echo = ANSWER_AUTO, .retries = 2
};

static uint32_t readings_in(struct rig *rig, int64_t us)
{
	uint32_t before = rig->readings;
	rig_run(rig, us);
	return rig->readings - before;
}

static void test_one_dead_of_ten(void **state)
{
	static const uint32_t bauds[] = { 9600, 115200 };
	for (size_t b = 0; b < 2; b++) {
		struct rig_setup setup = ten_units;
		setup.baud = bauds[b];
		struct rig *rig = rig_create(&setup);
		rig_poll_all(rig, &(struct rig_poll){ .count = 10 });
		rig_run(rig, 10 * USEC_PER_SEC);
		uint32_t healthy = readings_in(rig, 20 * USEC_PER_SEC);
		rig->units[4].dead = true;
		/* Its tries take their time once; within ten seconds the line is the others'. */
		rig_run(rig, 10 * USEC_PER_SEC);
		assert_int_equal(HEALTH_DOWN, rig->health[3]);
		uint32_t then = readings_in(rig, 20 * USEC_PER_SEC);
		print_message("%u baud, one of ten dead: %.3f of the healthy rate after 10 s",
			setup.baud, (double)then / healthy);
		assert_true(then > 0.92 * healthy);
		uint32_t later = readings_in(rig, 200 * USEC_PER_SEC);
		print_message(", %.3f in the long run\n", (double)later / healthy / 10);
		assert_true(later > 0.985 * 10 * healthy);
		assert_int_equal(0, rig->wrong);
		rig_destroy(rig);
	}
}

static void test_states_are_told_once(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(10, rig->healths);
	rig->units[2].dead = true;
	rig_run(rig, 300 * USEC_PER_SEC);
	assert_int_equal(12, rig->healths);
	assert_int_equal(HEALTH_DOWN, rig->health[1]);
	assert_int_equal(EB_TIMEOUT, rig->devices[1]->condition.error);
	assert_int_equal(1, rig->bus->down_count);
	rig->units[2].dead = false;
	rig_run(rig, 70 * USEC_PER_SEC);
	assert_int_equal(13, rig->healths);
	assert_int_equal(HEALTH_OK, rig->health[1]);
	assert_int_equal(0, rig->bus->down_count);
	/* Back at full rate. */
	uint32_t before = rig->device_readings[1];
	rig_run(rig, 20 * USEC_PER_SEC);
	assert_int_equal(20, rig->device_readings[1] - before);
	const char *down = strstr(buffer_text(&rig->log), "unit-2 is down");
	assert_non_null(down);
	assert_null(strstr(down + 1, "unit-2 is down"));
	assert_non_null(strstr(down, "unit-2 answers again"));
	rig_destroy(rig);
}

static void test_all_dead_take_a_twentieth(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 10 * USEC_PER_SEC);
	for (uint32_t i = 1; i <= 9; i++)
		rig->units[i].dead = true;
	rig_run(rig, 60 * USEC_PER_SEC);
	uint64_t busy_us = rig->bus->busy_us;
	uint32_t tenth = rig->device_readings[9];
	rig_run(rig, 600 * USEC_PER_SEC);
	/* Of these, the living one takes 600 transactions. */
	double dead_share = ((double)(rig->bus->busy_us - busy_us) - 600.0 * 38000) / 600e6;
	assert_true(dead_share < 0.055);
	assert_int_equal(600, rig->device_readings[9] - tenth);
	/* They wake at once: all are back within a minute of the first. */
	for (uint32_t i = 1; i <= 9; i++)
		rig->units[i].dead = false;
	int64_t first_us = 0;
	for (int64_t us = 0; us < 200 && rig->bus->down_count; us++) {
		rig_run(rig, USEC_PER_SEC / 2);
		if (!first_us && rig->bus->down_count < 9)
			first_us = loop_now(rig->loop);
	}
	assert_int_equal(0, rig->bus->down_count);
	assert_true(loop_now(rig->loop) - first_us < 10 * USEC_PER_SEC);
	rig_destroy(rig);
}

static void test_dead_from_the_start(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig->units[5].dead = true;
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 0.5 });
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_int_equal(HEALTH_DOWN, rig->health[4]);
	for (uint32_t i = 0; i < 10; i++)
		assert_true(i == 4 || rig->device_readings[i] >= 110);
	rig->units[5].dead = false;
	rig_run(rig, 75 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[4]);
	rig_destroy(rig);
}

static void test_device_that_became_slower_comes_back(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 10 * USEC_PER_SEC);
	rig->units[3].dead = true;
	rig_run(rig, 20 * USEC_PER_SEC);
	rig->units[3].dead = false;
	rig->units[3].delay_us = 300000;
	rig_run(rig, 600 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[2]);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void silent_register(struct rig *rig, const struct heard_request *request)
{
	uint8_t frame[300];
	if (request->address == 66)
		return;
	rig_say(rig, request->end_us + rig->bus->gap_us, frame, rig_answer(request, false, frame));
}

static void test_silent_register_does_not_take_the_device_down(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	/* Their answers cannot be mistaken for each other: so the one does not wait for the other's. */
	struct rig_poll polls[] = { { .name = "good", .period = 1, .count = 6 },
		{ .name = "bad", .period = 1, .count = 5, .address = 66 } };
	rig->behave = silent_register;
	rig_run_plan(rig, 0, polls, 2);
	rig_run(rig, 600 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_true(rig->devices[0]->tasks[0].answers > 570);
	/* Tried again slowly, and never given up. */
	assert_in_range(rig->devices[0]->tasks[1].failures, 10, 25);
	assert_int_equal(0, rig->wrong);
	uint32_t bad = rig->devices[0]->tasks[1].failures;
	rig_run(rig, 130 * USEC_PER_SEC);
	assert_in_range(rig->devices[0]->tasks[1].failures - bad, 2, 3);
	rig_destroy(rig);
}

static void test_exception_is_an_answer(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig->units[1].exception = 2;
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 5 }, 1);
	rig_run(rig, 600 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(0, rig->readings);
	assert_true(rig->units[1].asked < 25);
	assert_int_equal(2, rig->devices[0]->stats.exceptions[0].code);
	assert_int_equal(rig->units[1].asked, rig->devices[0]->stats.exceptions[0].count);
	/* The log has it once, since nothing else tells why no readings come. */
	const char *said = strstr(buffer_text(&rig->log), "fails with exception 2: ");
	assert_non_null(said);
	assert_null(strstr(said + 1, "fails with"));
	assert_null(strstr(said, "works again"));
	rig->units[1].exception = 0;
	rig_run(rig, 61 * USEC_PER_SEC);
	assert_true(rig->readings > 1);
	assert_non_null(strstr(buffer_text(&rig->log), "works again"));
	/* One exception, as noise may make it, changes nothing for long. */
	rig->units[1].exception = 2;
	rig_run(rig, 100000);
	rig->units[1].exception = 0;
	uint32_t before = rig->readings;
	rig_run(rig, 5 * USEC_PER_SEC);
	assert_true(rig->readings - before > 100);
	rig_destroy(rig);
}

static void test_one_exception_is_not_said(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 5, .period = 10 }, 1);
	rig_run(rig, 5 * USEC_PER_SEC);
	rig->units[1].exception = 6;
	rig_run(rig, 10 * USEC_PER_SEC);
	rig->units[1].exception = 0;
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_int_equal(1, rig->devices[0]->stats.exceptions[0].count);
	assert_null(strstr(buffer_text(&rig->log), "poll "));
	rig_destroy(rig);
}

static void test_hourly_poll_is_tried_again_soon(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 5, .period = 3600 }, 1);
	rig_run(rig, 1800 * USEC_PER_SEC);
	assert_int_equal(1, rig->readings);
	rig->units[1].dead = true;
	rig_run(rig, 1810 * USEC_PER_SEC);
	assert_int_equal(1, rig->readings);
	rig->units[1].dead = false;
	rig_run(rig, 62 * USEC_PER_SEC);
	assert_int_equal(2, rig->readings);
	/* And the hours go on as they were. */
	rig_run(rig, 3600 * USEC_PER_SEC);
	assert_int_equal(3, rig->readings);
	rig_destroy(rig);
}

/* ---- a bus whose link is down ----------------------------------------------------------------- */

static void lose(struct rig *rig)
{
	rig->open_result = -ENOENT;
	rig_lose(rig, ENODEV);
}

static void test_devices_go_with_their_link(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(10, rig->healths);
	lose(rig);
	rig_run(rig, 4 * USEC_PER_SEC);
	assert_int_equal(10, rig->healths);
	rig_run(rig, 2 * USEC_PER_SEC);
	assert_int_equal(20, rig->healths);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(HEALTH_DOWN, rig->health[i]);
		assert_int_equal(EB_LINK, rig->health_error[i]);
	}
	/* Told once, however long it lasts, and the log has the link alone. */
	rig_run(rig, 600 * USEC_PER_SEC);
	assert_int_equal(20, rig->healths);
	assert_null(strstr(buffer_text(&rig->log), "device unit"));
	rig->open_result = 0;
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(30, rig->healths);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(HEALTH_OK, rig->health[i]);
	assert_int_equal(0, rig->bus->unlinked_count);
	uint32_t before = rig->readings;
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(100, rig->readings - before);
	rig_destroy(rig);
}

static void test_short_loss_of_the_link_changes_no_state(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 10 * USEC_PER_SEC);
	for (int i = 0; i < 50; i++) {
		rig_lose(rig, ENODEV);
		rig_run(rig, 4 * USEC_PER_SEC);
	}
	assert_int_equal(10, rig->healths);
	assert_int_equal(50, rig->bus->link_losses);
	rig_destroy(rig);
}

static void nobody(struct rig *rig, const struct heard_request *request)
{
}

static void test_link_that_flaps_without_an_answer(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 10 * USEC_PER_SEC);
	rig->behave = nobody;
	for (int i = 0; i < 100; i++) {
		rig_lose(rig, ENODEV);
		rig_run(rig, 800000);
	}
	/* Opened again and again, but nobody was heard meanwhile. */
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(HEALTH_DOWN, rig->health[i]);
	assert_true(rig->healths <= 10 + 2 * 10);
	rig_destroy(rig);
}

static void test_dead_behind_a_link_that_came_back(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 10 * USEC_PER_SEC);
	lose(rig);
	rig_run(rig, 20 * USEC_PER_SEC);
	rig->units[3].dead = true;
	rig->open_result = 0;
	rig_run(rig, 20 * USEC_PER_SEC);
	assert_int_equal(9 * 3 + 3, rig->healths);
	assert_int_equal(HEALTH_DOWN, rig->health[2]);
	assert_int_equal(EB_TIMEOUT, rig->health_error[2]);
	assert_non_null(strstr(buffer_text(&rig->log), "unit-3 is down: timeout"));
	assert_int_equal(1, rig->bus->down_count);
	rig_destroy(rig);
}

static void test_link_that_never_came(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	lose(rig);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 20 * USEC_PER_SEC);
	assert_int_equal(10, rig->healths);
	assert_int_equal(HEALTH_DOWN, rig->health[9]);
	assert_int_equal(EB_LINK, rig->health_error[9]);
	OWNED_BUFFER text = BUFFER_EMPTY;
	answer_bus(rig->bus, &text);
	assert_non_null(strstr(buffer_text(&text), "\"devices\":10,\"down\":10"));
	assert_non_null(strstr(buffer_text(&text), "\"state\":\"down\""));
	assert_non_null(strstr(buffer_text(&text), "\"error\":\"link\""));
	rig_destroy(rig);
}

static void test_many_changes_are_one_event(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	rig_run(rig, 20 * USEC_PER_SEC);
	uint32_t said = 0;
	for (int i = 0; i < 250; i++)
		said += plane_may_log(rig->plane);
	assert_int_equal(100, said);
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_true(plane_may_log(rig->plane));
	assert_non_null(strstr(
		buffer_text(&rig->log), "150 more changes of links and devices were not logged"));
	rig_destroy(rig);
}

/* ---- probes ----------------------------------------------------------------------------------- */

static void test_pauses_grow_to_a_minute_and_differ(void **state)
{
	struct rig *rig = rig_create(&ten_units);
	/* All but one are dead, so that one alone gets all of the budget: the pauses are its own. */
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 10, .period = 1 }, 1);
	rig_run_plan(rig, 1, &(struct rig_poll){ .count = 10, .period = 1 }, 1);
	rig_run(rig, 10 * USEC_PER_SEC);
	rig->units[1].dead = true;
	while (rig->health[0] != HEALTH_DOWN)
		rig_run(rig, 10000);
	double expected = 0.5;
	int64_t last_us = loop_now(rig->loop);
	uint32_t different = 0;
	for (int i = 0; i < 20; i++) {
		uint32_t asked = rig->units[1].asked;
		while (rig->units[1].asked == asked)
			rig_run(rig, 10000);
		double pause = (double)(rig->units[1].asked_us - last_us) / 1e6;
		last_us = rig->units[1].asked_us;
		/* An eighth less or more, and the probe's own time. */
		if (i > 0)
			assert_true(pause > 0.874 * expected && pause < 1.126 * expected + 0.6);
		different += pause < 0.97 * expected || pause > 1.05 * expected + 0.2;
		if (i > 0)
			expected = expected < 30 ? 2 * expected : 60;
	}
	assert_true(different > 3);
	rig_destroy(rig);
}

/* The first asleep ones of a bus; what is not asleep has the line until dawn. */
static void wake_fifty(uint32_t asleep)
{
	struct rig_setup setup = ten_units;
	setup.devices = 50;
	setup.timeout_ms = 1000;
	struct rig *rig = rig_create(&setup);
	rig_poll_all(rig, &(struct rig_poll){ .count = 40, .period = 10 });
	rig_run(rig, 60 * USEC_PER_SEC);
	for (uint32_t i = 1; i <= asleep; i++)
		rig->units[i].dead = true;
	rig_run(rig, 12 * 3600 * USEC_PER_SEC);
	assert_int_equal(asleep, rig->bus->down_count);
	/* They wake one after the other, within half a minute. */
	for (uint32_t i = 1; i <= asleep; i++) {
		rig->units[i].dead = false;
		rig_run(rig, 600000);
	}
	int64_t awake_us = loop_now(rig->loop);
	while (rig->bus->down_count && loop_now(rig->loop) - awake_us < 3600 * USEC_PER_SEC)
		rig_run(rig, 100000);
	double took = (double)(loop_now(rig->loop) - awake_us) / 1e6;
	print_message("%u inverters awake, the last one is back after %.1f s\n", asleep, took);
	assert_true(took < 60);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_fifty_inverters_at_dawn(void **state)
{
	wake_fifty(50);
	wake_fifty(49);
}

static void test_namesakes_on_two_buses(void **state)
{
	struct rig *a = rig_create(&ten_units), *b = rig_create(&ten_units);
	rig_poll_all(a, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_poll_all(b, &(struct rig_poll){ .count = 10, .period = 1 });
	a->units[4].dead = true;
	rig_run(a, 60 * USEC_PER_SEC);
	rig_run(b, 60 * USEC_PER_SEC);
	assert_int_equal(HEALTH_DOWN, a->health[3]);
	assert_int_equal(HEALTH_OK, b->health[3]);
	assert_int_equal(0, b->devices[3]->condition.failures);
	assert_int_equal(0, b->bus->down_count);
	assert_int_equal(0, b->devices[3]->stats.errors[EB_TIMEOUT]);
	rig_destroy(b);
	rig_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_dead_of_ten),
		cmocka_unit_test(test_states_are_told_once),
		cmocka_unit_test(test_all_dead_take_a_twentieth),
		cmocka_unit_test(test_dead_from_the_start),
		cmocka_unit_test(test_device_that_became_slower_comes_back),
		cmocka_unit_test(test_silent_register_does_not_take_the_device_down),
		cmocka_unit_test(test_exception_is_an_answer),
		cmocka_unit_test(test_one_exception_is_not_said),
		cmocka_unit_test(test_hourly_poll_is_tried_again_soon),
		cmocka_unit_test(test_devices_go_with_their_link),
		cmocka_unit_test(test_short_loss_of_the_link_changes_no_state),
		cmocka_unit_test(test_link_that_flaps_without_an_answer),
		cmocka_unit_test(test_dead_behind_a_link_that_came_back),
		cmocka_unit_test(test_link_that_never_came),
		cmocka_unit_test(test_many_changes_are_one_event),
		cmocka_unit_test(test_pauses_grow_to_a_minute_and_differ),
		cmocka_unit_test(test_fifty_inverters_at_dawn),
		cmocka_unit_test(test_namesakes_on_two_buses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
