/* SPDX-License-Identifier: Apache-2.0 */
#include "field-rig.h"

#include <string.h>

#include "util/alloc.h"

static struct rig *create(enum conf_answer echo, bool echoes)
{
	struct rig *rig = rig_create(&(struct rig_setup){
		.devices = 1, .baud = 9600, .paced = true, .echo = echo, .retries = 1 });
	rig->echoes = echoes;
	return rig;
}

static const struct rig_poll live = { .count = 10, .period = 1 };
static const struct rig_poll write_one = { .write = true, .address = 5 };

/* Writes once; what became of it. */
static enum outcome_status written(struct rig *rig)
{
	rig_order(rig, 0, 5 * USEC_PER_SEC, &write_one, 1);
	rig_run(rig, 3 * USEC_PER_SEC);
	assert_int_equal(1, rig->outcomes);
	enum outcome_status status = rig->outcome->steps[0].status;
	rig_destroy(rig);
	return status;
}

static struct rig *after_reads(enum conf_answer echo, bool echoes)
{
	struct rig *rig = create(echo, echoes);
	rig_run_plan(rig, 0, &live, 1);
	rig_run(rig, 10 * USEC_PER_SEC + 500000);
	return rig;
}

static void test_reads_on_an_echoing_line(void **state)
{
	struct rig *rig = after_reads(ANSWER_YES, true);
	assert_int_equal(11, rig->readings);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
	rig = after_reads(ANSWER_AUTO, true);
	assert_int_equal(11, rig->readings);
	assert_int_equal(ECHO_PRESENT, rig->bus->echo);
	assert_int_equal(11, rig->bus->stats.errors[EB_ECHO]);
	const char *said = strstr(buffer_text(&rig->log), "link.echo");
	assert_non_null(said);
	assert_null(strstr(said + 1, "link.echo"));
	rig_destroy(rig);
	rig = after_reads(ANSWER_AUTO, false);
	assert_int_equal(11, rig->readings);
	assert_int_equal(ECHO_NONE, rig->bus->echo);
	rig_destroy(rig);
	/* Said to echo, and does not: reads go on. */
	rig = after_reads(ANSWER_YES, false);
	assert_int_equal(11, rig->readings);
	rig_destroy(rig);
}

static void test_writes_that_are_answered(void **state)
{
	assert_int_equal(OUTCOME_DONE, written(after_reads(ANSWER_AUTO, false)));
	assert_int_equal(OUTCOME_DONE, written(after_reads(ANSWER_AUTO, true)));
	assert_int_equal(OUTCOME_DONE, written(after_reads(ANSWER_YES, true)));
	assert_int_equal(OUTCOME_DONE, written(after_reads(ANSWER_NO, false)));
	assert_int_equal(OUTCOME_DONE, written(create(ANSWER_NO, false)));
	assert_int_equal(OUTCOME_DONE, written(create(ANSWER_YES, true)));
	/* Our own bytes, then more: the first were the echo. */
	assert_int_equal(OUTCOME_DONE, written(create(ANSWER_AUTO, true)));
}

static struct rig *dead(struct rig *rig)
{
	rig->units[1].dead = true;
	return rig;
}

static void test_echo_is_never_success(void **state)
{
	assert_int_equal(OUTCOME_ECHO, written(dead(create(ANSWER_AUTO, true))));
	assert_int_equal(OUTCOME_ECHO, written(dead(after_reads(ANSWER_AUTO, true))));
	assert_int_equal(OUTCOME_TIMEOUT, written(dead(after_reads(ANSWER_YES, true))));
	assert_int_equal(OUTCOME_TIMEOUT, written(dead(after_reads(ANSWER_AUTO, false))));
	/* Nothing was read yet: an answer that looks like an echo may be one. */
	assert_int_equal(OUTCOME_ECHO, written(create(ANSWER_AUTO, false)));
}

static void test_adapter_exchanged_for_one_that_echoes(void **state)
{
	struct rig *rig = after_reads(ANSWER_AUTO, false);
	rig->echoes = true;
	rig_run(rig, 3 * USEC_PER_SEC);
	assert_int_equal(ECHO_PRESENT, rig->bus->echo);
	assert_int_equal(14, rig->readings);
	assert_int_equal(OUTCOME_ECHO, written(dead(rig)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_on_an_echoing_line),
		cmocka_unit_test(test_writes_that_are_answered),
		cmocka_unit_test(test_echo_is_never_success),
		cmocka_unit_test(test_adapter_exchanged_for_one_that_echoes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
