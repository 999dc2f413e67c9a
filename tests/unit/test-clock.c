/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static int set_up(void **state)
{
	snprintf(path, sizeof(path), "/tmp/clock-test-XXXXXX");
	int fd = mkstemp(path);
	close(fd);
	return fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	unlink(path);
	return 0;
}

static void write_id(const char *id)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(id, file);
	fclose(file);
}

static void assert_random(void)
{
	uint64_t one = clock_boot_id_from(path), other = clock_boot_id_from(path);
	assert_true(one && one <= INT64_MAX);
	assert_true(other && other <= INT64_MAX);
	assert_true(one != other);
}

static void a_boot_has_one_number(void **state)
{
	write_id("2f0cb1a6-5a06-4a4e-9f0b-1b5d2a4f6d11\n");
	uint64_t first = clock_boot_id_from(path);
	assert_true(first && first <= INT64_MAX);
	assert_true(clock_boot_id_from(path) == first);
	write_id("2f0cb1a6-5a06-4a4e-9f0b-1b5d2a4f6d12\n");
	assert_true(clock_boot_id_from(path) != first);
}

/* A number that were the same at each boot would make another boot's times ours. */
static void without_the_kernels_word_it_is_random(void **state)
{
	assert_random(); /* empty */
	unlink(path);
	assert_random();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_boot_has_one_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			without_the_kernels_word_it_is_random, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
