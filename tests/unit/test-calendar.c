/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/calendar.h"
#include "spool-rig.h"

#define BUILT INT64_C(1700000000000)
#define YEARS_MS (INT64_C(10) * 365 * 24 * 3600 * 1000)
#define DAY_MS (INT64_C(24) * 3600 * 1000)

static void hush(enum log_level level, const char *line, void *context)
{
}

static struct clock wall;
static struct loop *loop;
static struct calendar calendar;
static int changes;

static void count_change(void *context)
{
	changes++;
}

/* As a machine without a battery starts. */
static int set_up(void **state)
{
	wall = (struct clock){ .manual = true, .mono_us = 5 * USEC_PER_SEC, .wall_ms = 5000 };
	log_set_sink(hush, NULL);
	changes = 0;
	return loop_create(&loop, &wall);
}

static int tear_down(void **state)
{
	calendar_finish(&calendar);
	loop_destroy(loop);
	log_set_sink(NULL, NULL);
	return 0;
}

static void begin(uint32_t clock_wait_s)
{
	calendar_init(&calendar, loop, BUILT, clock_wait_s);
	calendar.changed = count_change;
}

static struct stamp stamp_now(void)
{
	struct stamp stamp = {
		.wall_ms = wall.wall_ms, .mono_us = wall.mono_us, .synced = wall.synced
	};
	calendar_judge(&calendar, &stamp);
	return stamp;
}

static void pass(int64_t ms)
{
	loop_advance(loop, wall.mono_us + ms * USEC_PER_MSEC);
}

static void what_was_read_in_1970_is_corrected(void **state)
{
	begin(0);
	assert_false(calendar.set);
	struct stamp early = stamp_now();
	assert_true(early.unset);
	pass(7000);
	struct stamp later = stamp_now();
	wall.wall_ms = BUILT + DAY_MS;
	assert_false(calendar.set);
	pass(1000);
	assert_true(calendar.set);
	assert_int_equal(changes, 1);
	/* The look came a second after the step at most. */
	assert_int_equal(calendar_time(&calendar, &early), BUILT + DAY_MS - 7000);
	assert_int_equal(calendar_time(&calendar, &later), BUILT + DAY_MS);
	struct stamp good = stamp_now();
	assert_false(good.unset);
	assert_int_equal(calendar_time(&calendar, &good), good.wall_ms);
}

static void raw_bytes_and_attributes_do_not_wait(void **state)
{
	static const bool waits[] = { [REPORT_POINTS] = true,
		[REPORT_EVENT] = true,
		[REPORT_ATTRIBUTES] = false,
		[REPORT_RAW] = false };
	begin(0);
	struct stamp stamp = stamp_now();
	for (int kind = REPORT_POINTS; kind <= REPORT_RAW; kind++) {
		struct report *report = report_create(0, (enum report_kind)kind, &stamp, "", 0);
		assert_int_equal(calendar_holds(&calendar, report), waits[kind]);
		report_release(report);
	}
	wall.wall_ms = BUILT;
	pass(1000);
	struct report *report = report_create(0, REPORT_POINTS, &stamp, "", 0);
	assert_false(calendar_holds(&calendar, report));
	report_release(report);
}

static void a_clock_that_is_not_synchronised_is_believed_after_the_wait(void **state)
{
	wall.wall_ms = BUILT + DAY_MS;
	begin(60);
	struct stamp early = stamp_now();
	assert_true(early.unset);
	pass(59000);
	assert_true(stamp_now().unset);
	pass(2000);
	assert_true(calendar.set);
	assert_false(stamp_now().unset);
	/* It was not stepped: the correction is none. */
	assert_int_equal(calendar_time(&calendar, &early), early.wall_ms);
}

static void a_synchronised_clock_ends_the_wait(void **state)
{
	wall.wall_ms = BUILT + DAY_MS;
	begin(60);
	struct stamp early = stamp_now();
	pass(10000);
	wall.wall_ms += 3600000;
	wall.synced = true;
	pass(1000);
	assert_true(calendar.set);
	assert_int_equal(calendar_time(&calendar, &early), early.wall_ms + 3600000);
	begin(0);
	wall.synced = false;
	assert_true(calendar.set);
}

/* That correction is the only one: a time that was believed stays. */
static void steps_while_running(void **state)
{
	wall.wall_ms = BUILT + DAY_MS;
	begin(0);
	struct stamp first = stamp_now();
	wall.wall_ms += YEARS_MS;
	pass(5000);
	struct stamp ahead = stamp_now();
	assert_int_equal(calendar_time(&calendar, &ahead), ahead.wall_ms);
	wall.wall_ms -= YEARS_MS;
	pass(5000);
	assert_int_equal(calendar_time(&calendar, &first), BUILT + DAY_MS);
	assert_int_equal(calendar_time(&calendar, &ahead), BUILT + DAY_MS + YEARS_MS + 5000);
	wall.wall_ms -= YEARS_MS;
	struct stamp behind = stamp_now();
	assert_true(behind.unset);
	assert_false(calendar.set);
	assert_int_equal(changes, 1);
	pass(5000);
	wall.wall_ms += YEARS_MS;
	pass(1000);
	assert_true(calendar.set);
	assert_int_equal(changes, 2);
	assert_int_equal(calendar_time(&calendar, &behind), BUILT + DAY_MS + 10000);
	assert_int_equal(calendar_time(&calendar, &first), BUILT + DAY_MS);
}

/* A reading that was on its way when the clock was set. */
static void a_late_comer_is_corrected_at_once(void **state)
{
	begin(0);
	struct stamp late = { .wall_ms = wall.wall_ms, .mono_us = wall.mono_us };
	wall.wall_ms = BUILT;
	pass(1000);
	assert_true(calendar.set);
	calendar_judge(&calendar, &late);
	assert_true(late.unset);
	assert_true(calendar.set);
	assert_int_equal(calendar_time(&calendar, &late), BUILT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_read_in_1970_is_corrected, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			raw_bytes_and_attributes_do_not_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_clock_that_is_not_synchronised_is_believed_after_the_wait, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_synchronised_clock_ends_the_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(steps_while_running, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_late_comer_is_corrected_at_once, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
