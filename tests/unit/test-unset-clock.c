/* SPDX-License-Identifier: Apache-2.0 */
/* What is on the disk from before the clock was set: of this start of the machine, and of earlier ones. */
#include "cloud/calendar.h"
#include "spool-rig.h"

#define BUILT INT64_C(1700000000000)
/* What the rig's clock shows where it is not set. */
#define NEW_YEAR_1970 INT64_C(5000)

static struct rig rig;
static struct calendar calendar;
static int warnings;

static void count_warning(enum log_level level, const char *line, void *context)
{
	warnings += strstr(line, "never set") != NULL;
}

static void on_change(void *context)
{
	if (calendar.set)
		spool_clock_set(rig.spool, calendar.boot_ms);
}

/* The program starts, in the boot of the machine that the rig's clock has. */
static void start(void)
{
	rig_start_unopened(&rig);
	calendar_init(&calendar, rig.loop, BUILT, 0);
	calendar.changed = on_change;
	on_change(NULL);
	for (int i = 0; i < DEVICES; i++)
		rig.queues[i].calendar = &calendar;
	rig_pass(&rig, 10);
}

static void stop(void)
{
	calendar_finish(&calendar);
	assert_int_equal(rig_stop(&rig), 0);
}

/* The machine starts anew, without a battery. */
static void reboot(uint64_t boot)
{
	rig.clock = (struct clock){ .manual = true,
		.boot = boot,
		.mono_us = 1000 * USEC_PER_SEC,
		.wall_ms = NEW_YEAR_1970 };
}

static void set_clock(int64_t wall_ms)
{
	rig.clock.wall_ms = wall_ms;
	rig_pass(&rig, 1000);
	assert_true(calendar.set);
}

static void put(uint32_t device, enum report_kind kind)
{
	struct stamp stamp = { .wall_ms = rig.clock.wall_ms, .mono_us = rig.clock.mono_us };
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct report *gone;
	calendar_judge(&calendar, &stamp);
	value_put_map(&value, 0);
	struct report *report = report_create(device, kind, &stamp, value.data, value.size);
	if (kind == REPORT_EVENT)
		strcpy(report->name, "Alarm");
	queue_put(&rig.queues[device], report, 1000, &gone);
	assert_null(gone);
	report_release(report);
}

/* The time that goes to the cloud with what goes next; -1: nothing may go. */
static int64_t take(uint32_t device, enum report_kind *kind)
{
	struct queue *queue = &rig.queues[device];
	if (!queue_ready(queue))
		return -1;
	queue_hold(queue, 1);
	struct report *report = queue_take(queue);
	int64_t wall_ms = calendar_time(&calendar, &report->stamp);
	if (kind)
		*kind = report->kind;
	report_release(report);
	return wall_ms;
}

static int set_up(void **state)
{
	rig_init(&rig);
	reboot(7);
	warnings = 0;
	log_set_sink(count_warning, NULL);
	start();
	return 0;
}

static int tear_down(void **state)
{
	stop();
	log_set_sink(NULL, NULL);
	rig_finish(&rig);
	return 0;
}

static void what_waits_in_memory_is_corrected(void **state)
{
	rig_online(&rig, true);
	put(0, REPORT_POINTS);
	assert_int_equal(take(0, NULL), -1);
	rig_pass(&rig, 400);
	set_clock(BUILT + 1000);
	assert_in_range(take(0, NULL), BUILT + 599, BUILT + 601);
}

static void what_is_on_the_disk_is_corrected(void **state)
{
	for (int i = 0; i < 100; i++)
		put(0, REPORT_POINTS);
	rig_pass(&rig, 3000);
	assert_int_equal(rig.queues[0].count, 0);
	rig_online(&rig, true);
	rig_pass(&rig, 1000);
	assert_int_equal(take(0, NULL), -1);
	set_clock(BUILT + 10000);
	rig_pass(&rig, 500);
	for (int i = 0; i < 100; i++) {
		assert_in_range(take(0, NULL), BUILT + 5900, BUILT + 6100);
		rig_pass(&rig, 100);
	}
	assert_int_equal(take(0, NULL), -1);
}

static void a_restart_of_the_program_in_between_costs_nothing(void **state)
{
	put(0, REPORT_POINTS);
	rig_pass(&rig, 3000);
	stop();
	clock_advance(&rig.clock, 5 * USEC_PER_SEC);
	start();
	rig_online(&rig, true);
	set_clock(BUILT + 10000);
	rig_pass(&rig, 500);
	assert_in_range(take(0, NULL), BUILT + 1900, BUILT + 2100);
}

static void an_earlier_boot_whose_clock_was_set_is_corrected(void **state)
{
	put(0, REPORT_POINTS);
	rig_pass(&rig, 3000);
	set_clock(BUILT + 10000);
	rig_pass(&rig, 3000);
	stop();
	reboot(8);
	start();
	rig_online(&rig, true);
	rig_pass(&rig, 500);
	/* Its time is known, though the clock of today is not. */
	assert_false(calendar.set);
	assert_in_range(take(0, NULL), BUILT + 6900, BUILT + 7100);
}

static void store_in_an_earlier_boot(void)
{
	static const enum report_kind kinds[] = { REPORT_POINTS, REPORT_RAW, REPORT_EVENT,
		REPORT_ATTRIBUTES };
	for (int i = 0; i < 4; i++)
		put(0, kinds[i]);
	rig_pass(&rig, 3000);
	stop();
	reboot(8);
}

static void what_nobody_knows_the_time_of_is_dropped(void **state)
{
	enum report_kind kind;
	int seen = 0;
	store_in_an_earlier_boot();
	start();
	rig_online(&rig, true);
	set_clock(BUILT + 10000);
	rig_pass(&rig, 500);
	while (take(0, &kind) != -1) {
		assert_true(kind == REPORT_RAW || kind == REPORT_ATTRIBUTES);
		seen++;
		rig_pass(&rig, 100);
	}
	assert_int_equal(seen, 2);
	assert_int_equal(rig_status(&rig, "dropped_unset"), 2);
	assert_int_equal(warnings, 1);
	rig_pass(&rig, 5000);
	assert_int_equal(rig_status(&rig, "rows"), 0);
}

static void or_it_is_sent(void **state)
{
	int seen = 0;
	store_in_an_earlier_boot();
	rig.conf.spool.unset_clock = UNSET_CLOCK_SEND;
	start();
	rig_online(&rig, true);
	rig_pass(&rig, 500);
	/* With the time that it has, whatever the clock of today says. */
	for (int64_t wall_ms; (wall_ms = take(0, NULL)) != -1; seen++) {
		assert_in_range(wall_ms, NEW_YEAR_1970, NEW_YEAR_1970 + 1000);
		rig_pass(&rig, 100);
	}
	assert_int_equal(seen, 4);
	assert_int_equal(rig_status(&rig, "dropped_unset"), 0);
}

/* However many points stand before them on the disk. */
static void raw_bytes_always_go(void **state)
{
	enum report_kind kind;
	for (int i = 0; i < 200; i++)
		put(0, i % 100 == 99 ? REPORT_RAW : i % 2 ? REPORT_POINTS : REPORT_EVENT);
	rig_pass(&rig, 3000);
	rig_online(&rig, true);
	rig_pass(&rig, 1000);
	put(0, REPORT_RAW);
	for (int i = 0; i < 3; i++) {
		assert_int_not_equal(take(0, &kind), -1);
		assert_int_equal(kind, REPORT_RAW);
	}
	assert_int_equal(take(0, NULL), -1);
	rig_pass(&rig, 5000);
	assert_int_equal(rig_status(&rig, "rows"), 198);
	set_clock(BUILT);
	int count = 0;
	for (int i = 0; i < 400; i++) {
		count += take(0, NULL) != -1;
		rig_pass(&rig, 50);
	}
	assert_int_equal(count, 198);
	rig_pass(&rig, 5000);
	assert_int_equal(rig_status(&rig, "rows"), 0);
}

/* Nothing is too old because its clock began in 1970. */
static void age_is_of_the_corrected_time(void **state)
{
	rig.conf.spool.max_age_s = 3600;
	put(0, REPORT_POINTS);
	rig_pass(&rig, 3000);
	rig.clock.synced = true;
	set_clock(BUILT + 10000);
	rig_pass(&rig, 130000);
	assert_int_equal(rig_status(&rig, "rows"), 1);
	rig_pass(&rig, 3700000);
	assert_int_equal(rig_status(&rig, "rows"), 0);
	assert_int_equal(rig_status(&rig, "evicted"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_waits_in_memory_is_corrected),
		TEST(what_is_on_the_disk_is_corrected),
		TEST(a_restart_of_the_program_in_between_costs_nothing),
		TEST(an_earlier_boot_whose_clock_was_set_is_corrected),
		TEST(what_nobody_knows_the_time_of_is_dropped),
		TEST(or_it_is_sent),
		TEST(raw_bytes_always_go),
		TEST(age_is_of_the_corrected_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
