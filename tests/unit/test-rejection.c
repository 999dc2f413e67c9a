/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/rejection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/log.h"

#define DEVICES 300

static struct clock clock_;
static struct loop *loop;
static char name[] = "meter";
static struct conf_device devices[DEVICES];
static struct conf conf = { .devices = devices, .device_count = DEVICES };
static struct rejections *rejections;
static int warnings;
static bool held_59, held_devices;

static void count_line(enum log_level level, const char *line, void *context)
{
	warnings += strstr(line, "the cloud rejected a points report: 1204") ? 1 : 0;
	held_59 = held_59 || strstr(line, "meter: 59 lines");
	held_devices = held_devices || strstr(line, "bridge: 200 devices more");
}

static int set_up(void **state)
{
	clock_ = (struct clock){ .manual = true, .mono_us = USEC_PER_SEC };
	for (int i = 0; i < DEVICES; i++)
		devices[i].name = name;
	warnings = 0;
	held_59 = held_devices = false;
	log_set_sink(count_line, NULL);
	rejections = rejections_create(&conf, loop_create(&loop, &clock_) == 0 ? loop : NULL);
	return 0;
}

static int tear_down(void **state)
{
	log_set_sink(NULL, NULL);
	rejections_destroy(rejections);
	loop_destroy(loop);
	return 0;
}

static void reject(uint32_t device)
{
	const struct report report = { .device = device, .kind = REPORT_POINTS };
	rejections_say(rejections, &report, "1204");
}

static void advance_s(int64_t s)
{
	loop_advance(loop, clock_mono_us(&clock_) + s * USEC_PER_SEC);
}

static void a_device_has_one_line_in_a_minute(void **state)
{
	for (int i = 0; i < 60; i++) {
		reject(0);
		advance_s(1);
	}
	assert_int_equal(warnings, 1);
	reject(1);
	assert_int_equal(warnings, 2);
	reject(0);
	assert_int_equal(warnings, 3);
	assert_true(held_59);
}

static void many_devices_do_not_fill_the_log(void **state)
{
	for (uint32_t i = 0; i < DEVICES; i++)
		reject(i);
	assert_int_equal(warnings, 100);
	advance_s(60);
	reject(0);
	assert_int_equal(warnings, 101);
	assert_true(held_devices);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_device_has_one_line_in_a_minute, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			many_devices_do_not_fill_the_log, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
