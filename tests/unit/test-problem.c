/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/problem.h"
#include "util/alloc.h"
#include "util/log.h"

static void expect(const struct problems *problems, const char *text)
{
	char *printed OWNED = NULL;
	size_t size;
	FILE *to = open_memstream(&printed, &size);
	problems_print(problems, to);
	fclose(to);
	assert_string_equal(printed, text);
}

static void test_order(void **state)
{
	struct problems problems = PROBLEMS_NONE;
	problem_error(&problems, (struct place){ "b.conf", 5 }, "five");
	problem_error(&problems, (struct place){ "a.conf", 9 }, "nine");
	problem_warning(&problems, (struct place){ "b.conf", 2 }, "two");
	problem_error(&problems, (struct place){ NULL, 0 }, "nowhere");
	problem_error(&problems, (struct place){ "b.conf", 5 }, "five again: %d%%", 7);
	problem_error(&problems, (struct place){ "a.conf", 0 }, "the file");
	problem_error(&problems, (struct place){ "b.conf", 4 }, "four");
	problem_error(&problems, (struct place){ "a.conf", 10 }, "ten");
	assert_int_equal(problems.count, 8);
	assert_int_equal(problems.errors, 7);
	expect(&problems,
		"b.conf:2: warning: two\n"
		"b.conf:4: four\n"
		"b.conf:5: five\n"
		"b.conf:5: five again: 7%\n"
		"a.conf: the file\n"
		"a.conf:9: nine\n"
		"a.conf:10: ten\n"
		"nowhere\n");
	problems_finish(&problems);
	assert_int_equal(problems.count, 0);
	expect(&problems, "");
	problems_finish(&problems);
}

/* In any order of coming, the lines of a file stand in theirs. */
static void test_any_order(void **state)
{
	static const char *const files[] = { "a", "b", "c" };
	struct problems problems = PROBLEMS_NONE;
	unsigned last[3] = { 0 };
	srandom(3);
	for (int i = 0; i < 300; i++)
		problem_error(&problems,
			(struct place){ files[random() % 3], 1 + (unsigned)random() % 40 }, "x");
	unsigned changes = 0;
	for (size_t i = 0; i < problems.count; i++) {
		const struct problem *problem = &problems.items[i];
		assert_true(problem->line >= last[problem->file[0] - 'a']);
		last[problem->file[0] - 'a'] = problem->line;
		changes += i && problem->file[0] != problem[-1].file[0];
	}
	/* All of a file stand together. */
	assert_int_equal(changes, 2);
	problems_finish(&problems);
}

/* ---- log --------------------------------------------------------------------------------------- */

static char lines[400];

static void keep(enum log_level level, const char *line, void *context)
{
	size_t used = strlen(lines);
	snprintf(lines + used, sizeof(lines) - used, "%d %s\n", (int)level, line);
}

static void test_log(void **state)
{
	struct problems problems = PROBLEMS_NONE;
	log_set_sink(keep, NULL);
	problem_error(&problems, (struct place){ "a.conf", 3 }, "bad\nline\tin");
	problem_warning(&problems, (struct place){ "a.conf", 4 }, "odd");
	problems_log(&problems);
	log_debug("not said");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("not said either");
	log_set_level(LOG_LEVEL_INFO);
	assert_string_equal(lines, "0 a.conf:3: bad?line in\n1 a.conf:4: warning: odd\n");
	log_set_sink(NULL, NULL);
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_true(log_level_parse("loud") < 0);
	problems_finish(&problems);
}

static void test_log_limit(void **state)
{
	struct log_limit limit = { .window_us = 1000, .burst = 2 };
	uint64_t held = 99;
	assert_true(log_limit_pass(&limit, 0, &held));
	assert_int_equal(held, 0);
	assert_true(log_limit_pass(&limit, 10, &held));
	for (int i = 0; i < 5; i++)
		assert_false(log_limit_pass(&limit, 20 + i, &held));
	assert_true(log_limit_pass(&limit, 1001, &held));
	assert_int_equal(held, 5);
	assert_true(log_limit_pass(&limit, 1002, &held));
	assert_int_equal(held, 0);
	assert_false(log_limit_pass(&limit, 1003, &held));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_log_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
