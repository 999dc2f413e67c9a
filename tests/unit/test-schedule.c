/* SPDX-License-Identifier: Apache-2.0 */
#include "field-rig.h"

#include <errno.h>
#include <string.h>

#include "field/schedule.h"

static const struct rig_setup line_9600 = {
	.devices = 10, .baud = 9600, .paced = true, .echo = ANSWER_AUTO, .retries = 2
};

/* What a bus can do: characters of request and answer and two silences for each transaction. */
static double limit(const struct rig *rig, uint16_t registers)
{
	double us = (double)((8 + 5 + 2 * registers) * rig_char_us(rig) + 2 * rig->bus->gap_us);
	return 1e6 / us;
}

static void test_no_drift_over_a_day(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){
		.devices = 1, .baud = 9600, .paced = true, .echo = ANSWER_NO });
	rig_poll_all(rig, &(struct rig_poll){ .period = 7.3, .count = 10 });
	int64_t begun_us = rig->devices[0]->tasks[0].due_us;
	rig_run(rig, 86400 * USEC_PER_SEC);
	const struct task *task = &rig->devices[0]->tasks[0];
	assert_int_equal(0, task->missed);
	assert_int_equal(0, (task->due_us - begun_us) % 7300000);
	assert_int_equal(86400 * 10 / 73 + 1, rig->readings);
	assert_true(task->late_max_us < 100);
	rig_destroy(rig);
}

static void test_line_is_used_and_silence_kept(void **state)
{
	static const uint32_t bauds[] = { 9600, 19200, 38400, 115200 };
	static const uint16_t registers[] = { 1, 10, 125 };
	for (size_t b = 0; b < 4; b++) {
		for (size_t r = 0; r < 3; r++) {
			struct rig_setup setup = line_9600;
			setup.baud = bauds[b];
			struct rig *rig = rig_create(&setup);
			rig_poll_all(rig, &(struct rig_poll){ .count = registers[r] });
			rig_run(rig, 100 * USEC_PER_SEC);
			assert_true(rig->readings >= 0.97 * 100 * limit(rig, registers[r]));
			assert_true(rig->least_gap_us >= rig->bus->gap_us);
			assert_int_equal(0, rig->wrong);
			assert_int_equal(0, rig->bus->early);
			rig_destroy(rig);
		}
	}
}

static void test_devices_share_alike(void **state)
{
	struct rig *rig = rig_create(&line_9600);
	struct rig_poll polls[20];
	for (size_t i = 0; i < 20; i++)
		polls[i] = (struct rig_poll){ .count = 10, .address = (uint16_t)i };
	/* One device with twenty polls as fast as can be does not push the others aside. */
	rig_run_plan(rig, 0, polls, 20);
	for (uint32_t i = 1; i < 10; i++)
		rig_run_plan(rig, i, polls, 1);
	rig_run(rig, 60 * USEC_PER_SEC);
	for (uint32_t i = 1; i < 10; i++)
		assert_in_range(rig->device_readings[i], rig->device_readings[0] - 1,
			rig->device_readings[0] + 1);
	rig_destroy(rig);
}

static void test_slow_poll_among_fast_ones(void **state)
{
	struct rig *rig = rig_create(&line_9600);
	for (uint32_t i = 0; i < 9; i++)
		rig_run_plan(rig, i, &(struct rig_poll){ .count = 100 }, 1);
	rig_run_plan(rig, 9, &(struct rig_poll){ .count = 1, .period = 1 }, 1);
	rig_run(rig, 100 * USEC_PER_SEC);
	/* It waits for the one transaction on the wire, and every fourth time for one more. */
	assert_int_equal(100, rig->device_readings[9]);
	assert_true(rig->devices[9]->tasks[0].late_max_us < 500000);
	assert_int_equal(0, rig->devices[9]->tasks[0].missed);
	rig_destroy(rig);
}

static void test_urgent_first_without_starving(void **state)
{
	struct rig *rig = rig_create(&line_9600);
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 10, .urgent = true }, 1);
	rig_run_plan(rig, 1, &(struct rig_poll){ .count = 10 }, 1);
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_in_range(rig->device_readings[0], 3 * rig->device_readings[1] - 5,
		3 * rig->device_readings[1] + 5);
	assert_true(rig->device_readings[1] > 100);
	rig_destroy(rig);
}

static void test_missed_periods_are_counted(void **state)
{
	struct rig *rig = rig_create(&line_9600);
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 125, .period = 0.1 }, 1);
	rig_run(rig, 100 * USEC_PER_SEC);
	const struct task *task = &rig->devices[0]->tasks[0];
	assert_true(task->missed > 500);
	assert_in_range(task->missed + rig->readings, 995, 1002);
	assert_int_equal(task->missed, rig->bus->missed);
	/* Said once in ten minutes. */
	const char *said = strstr(buffer_text(&rig->log), "were missed");
	assert_non_null(said);
	assert_non_null(strstr(said, "poll live of device unit-1, every 0.1 s"));
	assert_null(strstr(said + 1, "were missed"));
	rig_run(rig, 600 * USEC_PER_SEC);
	said = strstr(buffer_text(&rig->log), "were missed");
	assert_non_null(strstr(said + 1, "were missed"));
	rig_destroy(rig);
}

static void test_outages_are_no_overload(void **state)
{
	struct rig *rig = rig_create(&line_9600);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 10 * USEC_PER_SEC);
	rig->units[3].dead = true;
	rig_run(rig, 200 * USEC_PER_SEC);
	rig->units[3].dead = false;
	rig_run(rig, 70 * USEC_PER_SEC);
	rig->open_result = -ENOENT;
	rig_lose(rig, ENODEV);
	rig_run(rig, 100 * USEC_PER_SEC);
	rig->open_result = 0;
	rig_run(rig, 20 * USEC_PER_SEC);
	assert_true(rig->devices[2]->tasks[0].missed > 50);
	assert_in_range(rig->bus->missed, 0, 5);
	assert_null(strstr(buffer_text(&rig->log), "were missed"));
	rig_destroy(rig);
}

static void test_plan_change_keeps_phase(void **state)
{
	struct rig *rig = rig_create(&line_9600);
	struct rig_poll polls[] = { { .name = "a", .period = 10, .count = 2 },
		{ .name = "b", .period = 10, .count = 3, .address = 50 } };
	rig_run_plan(rig, 0, polls, 1);
	rig_run(rig, 25 * USEC_PER_SEC);
	int64_t due_us = rig->devices[0]->tasks[0].due_us;
	struct rig_poll changed[] = { polls[1], polls[0] };
	rig_run_plan(rig, 0, changed, 2);
	rig_run(rig, USEC_PER_SEC);
	assert_int_equal(due_us, rig->devices[0]->tasks[1].due_us);
	assert_int_equal(3, rig->devices[0]->tasks[1].answers);
	assert_int_equal(1, rig->devices[0]->tasks[0].answers);
	/* A shorter period begins at once. */
	changed[1].period = 0.5;
	rig_run_plan(rig, 0, changed, 2);
	rig_run(rig, 4600000);
	assert_int_equal(3 + 9, rig->devices[0]->tasks[1].answers);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_plan_change_during_transaction(void **state)
{
	struct rig *rig = rig_create(&line_9600);
	rig_run_plan(rig, 0, &(struct rig_poll){ .name = "a", .count = 100, .period = 1 }, 1);
	rig_run(rig, 5000);
	assert_int_equal(1, rig->bus->in_flight);
	rig_run_plan(rig, 0, &(struct rig_poll){ .name = "b", .count = 1, .address = 9 }, 1);
	assert_non_null(rig->devices[0]->next_plan);
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_null(rig->devices[0]->next_plan);
	assert_true(rig->readings > 100);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_tcp_polls_fall_into_slots(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 20, .in_flight = 4 });
	for (uint32_t i = 0; i < 20; i++) {
		rig_run(rig, 1234);
		rig_run_plan(rig, i, &(struct rig_poll){ .count = 10, .period = 1 }, 1);
	}
	rig_run(rig, 3 * USEC_PER_SEC);
	uint64_t before = loop_wakeups(rig->loop);
	rig_run(rig, 10 * USEC_PER_SEC);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(0, rig->devices[i]->tasks[0].due_us % 50000);
		assert_int_equal(0, rig->devices[i]->tasks[0].missed);
	}
	assert_in_range(rig->readings, 20 * 13, 20 * 15);
	assert_true(loop_wakeups(rig->loop) - before < 20 * 10);
	rig_destroy(rig);
}

static void test_slots_grow_with_the_period(void **state)
{
	static const struct {
		double period;
		int64_t slot_ms;
	} cases[] = { { 0.9, 0 }, { 1, 50 }, { 3, 100 }, { 5, 250 }, { 12, 500 }, { 20, 1000 },
		{ 3600, 1000 } };
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 7, .in_flight = 4 });
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(cases[i].slot_ms * USEC_PER_MSEC,
			schedule_slot_us(rig->bus, (int64_t)(cases[i].period * 1e6)));
	for (uint32_t i = 1; i < 7; i++) {
		rig_run(rig, 12345);
		rig_run_plan(
			rig, i, &(struct rig_poll){ .count = 10, .period = cases[i].period }, 1);
		assert_int_equal(
			0, rig->devices[i]->tasks[0].due_us % (cases[i].slot_ms * USEC_PER_MSEC));
	}
	/* However long the periods, each has its readings, and none is late. */
	rig_run(rig, 600 * USEC_PER_SEC);
	for (uint32_t i = 1; i < 6; i++) {
		assert_in_range(
			rig->device_readings[i], 600 / cases[i].period, 600 / cases[i].period + 2);
		assert_true(rig->devices[i]->tasks[0].late_max_us < 1000);
	}
	rig_destroy(rig);
	rig = rig_create(&line_9600);
	assert_int_equal(0, schedule_slot_us(rig->bus, 60 * USEC_PER_SEC));
	rig_destroy(rig);
}

static void test_heartbeat_is_written_and_not_repeated(void **state)
{
	struct rig *rig = rig_create(&line_9600);
	struct rig_poll polls[] = { { .name = "beat", .period = 2, .write = true, .address = 3 },
		{ .name = "live", .period = 1, .count = 4 } };
	rig_run_plan(rig, 0, polls, 2);
	rig_run(rig, 10 * USEC_PER_SEC + 500000);
	assert_int_equal(6, rig->units[1].written);
	assert_int_equal(11, rig->readings);
	rig->units[1].dead = true;
	uint32_t asked = rig->units[1].asked;
	rig_run_plan(rig, 0, polls, 1);
	rig_run(rig, 1800000);
	assert_int_equal(asked + 1, rig->units[1].asked);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_drift_over_a_day),
		cmocka_unit_test(test_line_is_used_and_silence_kept),
		cmocka_unit_test(test_devices_share_alike),
		cmocka_unit_test(test_slow_poll_among_fast_ones),
		cmocka_unit_test(test_urgent_first_without_starving),
		cmocka_unit_test(test_missed_periods_are_counted),
		cmocka_unit_test(test_outages_are_no_overload),
		cmocka_unit_test(test_slots_grow_with_the_period),
		cmocka_unit_test(test_plan_change_keeps_phase),
		cmocka_unit_test(test_plan_change_during_transaction),
		cmocka_unit_test(test_tcp_polls_fall_into_slots),
		cmocka_unit_test(test_heartbeat_is_written_and_not_repeated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
