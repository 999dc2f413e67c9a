/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/absence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct clock clock_;
static struct loop *loop;
static struct conf_device devices[3];
static struct conf conf = { .devices = devices, .device_count = 3 };
static struct absences *absences;
static int changes;
static uint32_t last;
static bool absent;

static void changed(void *context, uint32_t device, bool is_absent)
{
	changes++;
	last = device;
	absent = is_absent;
}

static int set_up(void **state)
{
	clock_ = (struct clock){ .manual = true };
	assert_int_equal(loop_create(&loop, &clock_), 0);
	devices[0] = (struct conf_device){ .offline_after_s = 60 };
	devices[1] = (struct conf_device){ .offline_after_s = 0 };
	devices[2] = (struct conf_device){ .offline = CONF_OFFLINE_KEEP, .offline_after_s = 60 };
	const struct absences_setup setup = { .conf = &conf, .loop = loop, .changed = changed };
	absences = absences_create(&setup);
	changes = 0;
	return 0;
}

static int tear_down(void **state)
{
	absences_destroy(absences);
	loop_destroy(loop);
	return 0;
}

static void advance_s(int64_t s)
{
	loop_advance(loop, clock_mono_us(&clock_) + s * USEC_PER_SEC);
}

static void a_device_is_absent_after_its_time(void **state)
{
	absences_health(absences, 0, HEALTH_SUSPECT);
	advance_s(100);
	absences_health(absences, 0, HEALTH_DOWN);
	advance_s(59);
	/* What is said again does not begin anew. */
	absences_health(absences, 0, HEALTH_DOWN);
	assert_int_equal(changes, 0);
	advance_s(1);
	assert_int_equal(changes, 1);
	assert_int_equal(last, 0);
	assert_true(absent);
	advance_s(1000);
	assert_int_equal(changes, 1);
	absences_health(absences, 0, HEALTH_OK);
	assert_int_equal(changes, 2);
	assert_false(absent);
	absences_health(absences, 0, HEALTH_OK);
	assert_int_equal(changes, 2);
}

static void one_that_comes_back_in_time_was_never_absent(void **state)
{
	for (int i = 0; i < 5; i++) {
		absences_health(absences, 0, HEALTH_DOWN);
		advance_s(50);
		absences_health(absences, 0, HEALTH_OK);
		advance_s(50);
	}
	assert_int_equal(changes, 0);
}

static void at_once_or_never(void **state)
{
	absences_health(absences, 1, HEALTH_DOWN);
	absences_health(absences, 2, HEALTH_DOWN);
	advance_s(100000);
	assert_int_equal(changes, 1);
	assert_int_equal(last, 1);
	absences_health(absences, 2, HEALTH_OK);
	assert_int_equal(changes, 1);
	absences_health(absences, 1, HEALTH_OK);
	assert_int_equal(changes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_device_is_absent_after_its_time),
		TEST(one_that_comes_back_in_time_was_never_absent),
		TEST(at_once_or_never),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
