/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline-fixture.h"

static void a_command_runs_and_is_answered(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{}");
	assert_int_equal(pipeline_running(bench->pipeline), 1);
	answer(bench, 2, OUTCOME_DONE);
	expect(bench, 200, "\"code\":200");
}

static void the_script_words_the_reply(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"answer\":true}");
	answer(bench, 2, OUTCOME_DONE);
	expect(bench, 200, "\"data\":{\"first\":\"done\"}");
}

static void a_reply_that_fits_no_message_says_so(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"long\":true}");
	answer(bench, 2, OUTCOME_DONE);
	assert_true(bench->payload.size <= 1024);
	expect(bench, 200, "does not fit into a message (1024)");
}

static void what_goes_wrong_has_a_code(void **state)
{
	static const struct {
		enum outcome_status status;
		int code;
		const char *words;
	} cases[] = {
		{ OUTCOME_EXCEPTION, 502, "exception 2" },
		{ OUTCOME_TIMEOUT, 504, "may have been executed" },
		{ OUTCOME_ECHO, 502, "own bytes" },
		{ OUTCOME_EXPIRED, 408, "deadline" },
		{ OUTCOME_LINK, 503, "down" },
		{ OUTCOME_BUSY, 503, "busy" },
	};
	struct bench *bench = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		submit(bench, "{}");
		answer(bench, 1, cases[i].status);
		expect(bench, cases[i].code, cases[i].words);
	}
}

static void refusals_reach_no_wire(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"refuse\":true}");
	expect(bench, 400, "not today");
	submit(bench, "{\"fail\":true}");
	expect(bench, 500, "broken");
	submit(bench, "{\"nonsense\":true}");
	expect(bench, 500, "colour");
	assert_null(take_order(bench));
}

static void nothing_to_do_is_success(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"nothing\":true}");
	expect(bench, 200, "\"code\":200");
}

static void rounds_go_on_until_the_script_has_enough(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"steps\":3}");
	for (int i = 0; i < 3; i++)
		answer(bench, 1, OUTCOME_DONE);
	expect(bench, 200, "200");
	submit(bench, "{\"steps\":3}");
	answer(bench, 0, OUTCOME_TIMEOUT);
	expect(bench, 504, "may have been executed");
}

static void rounds_have_an_end(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"steps\":1000}");
	for (int i = 0; i < 32; i++)
		answer(bench, 1, OUTCOME_DONE);
	expect(bench, 500, "32 rounds");
	assert_null(take_order(bench));
}

static void too_many_are_answered_busy(void **state)
{
	struct bench *bench = *state;
	for (int i = 0; i < 4; i++)
		submit(bench, "{}");
	assert_int_equal(bench->replies, 0);
	submit(bench, "{}");
	assert_int_equal(bench->replies, 1);
	assert_int_equal(bench->code, 503);
	assert_int_equal(pipeline_running(bench->pipeline), 4);
}

static void what_comes_while_it_stops_is_answered(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"steps\":3}");
	pipeline_stop(bench->pipeline);
	answer(bench, 1, OUTCOME_DONE);
	expect(bench, 408, "in the middle");
	submit(bench, "{}");
	expect(bench, 503, "nothing was sent");
	assert_null(take_order(bench));
}

static void those_under_way_at_the_end_are_answered(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{}");
	pipeline_destroy(TAKE(bench->pipeline));
	assert_int_equal(bench->replies, 1);
	assert_int_equal(bench->code, 408);
}

/* ---- what came before ----------------------------------------------------------------------- */

static struct command *same(struct bench *bench)
{
	static const char payload[] = "{\"id\":\"7\",\"params\":{}}";
	struct command *command;
	char error[200];
	command_create(&command, 0, ORIGIN_CLOUD, "thing/service/x", payload, strlen(payload),
		error, sizeof(error));
	command->received_us = bench->clock.mono_us;
	return command;
}

static void one_that_comes_again_is_not_run_again(void **state)
{
	struct bench *bench = *state;
	bench->conf.enos.command_repeat_s = 60;
	pipeline_submit(bench->pipeline, same(bench));
	pipeline_submit(bench->pipeline, same(bench));
	assert_int_equal(bench->again, 0);
	answer(bench, 2, OUTCOME_DONE);
	expect(bench, 200, "200");
	pipeline_submit(bench->pipeline, same(bench));
	assert_null(take_order(bench));
	assert_int_equal(bench->replies, 0);
	assert_int_equal(bench->again, 1);
	/* Each of the three has its record. */
	assert_int_equal(bench->audits, 3);
	assert_int_equal(pipeline_running(bench->pipeline), 0);
}

/* ---- the disk ------------------------------------------------------------------------------- */

/* A ledger with a disk in that directory, which need not be there, in place of the one without. */
static struct spool *use_disk(struct bench *bench, char *directory)
{
	struct spool *spool;
	pipeline_destroy(bench->pipeline);
	ledger_destroy(bench->ledger);
	bench->conf.gateway.state_dir = directory;
	bench->conf.spool = (struct conf_spool){ .enabled = true,
		.commit_interval_ms = 1000,
		.max_mb = 10,
		.backfill_rate = 100,
		.command_records = 1000 };
	const struct spool_setup disk = { .conf = &bench->conf, .loop = bench->loop };
	assert_int_equal(spool_create(&spool, &disk), 0);
	const struct ledger_setup ledger = {
		.conf = &bench->conf, .loop = bench->loop, .writer = spool_writer(spool)
	};
	bench->ledger = ledger_create(&ledger);
	const struct pipeline_setup setup = { .fleet = bench->fleet,
		.loop = bench->loop,
		.ledger = bench->ledger,
		.to_field = bench->to_field,
		.from_field = bench->from_field,
		.context = bench,
		.taken = ignore_taken,
		.reply = take_reply,
		.again = take_again,
		.audit = take_audit };
	bench->pipeline = pipeline_create(&setup);
	pipeline_start(bench->pipeline);
	return spool;
}

/* Lets the disk do what it has to, however often it is asked. */
static void settle(struct bench *bench, struct spool *spool)
{
	for (int i = 0; i < 4; i++) {
		pass(bench, 1);
		spool_settle(spool);
	}
}

static void release_disk(struct bench *bench, struct spool *spool)
{
	pipeline_destroy(TAKE(bench->pipeline));
	ledger_save(bench->ledger);
	spool_destroy(spool);
}

static void nothing_goes_to_the_field_before_it_is_recorded(void **state)
{
	struct bench *bench = *state;
	char directory[] = "/tmp/test-pipeline-disk-XXXXXX";
	assert_non_null(mkdtemp(directory));
	struct spool *spool = use_disk(bench, directory);
	submit(bench, "{}");
	/* What is on the disk is not even known yet. */
	assert_null(take_order(bench));
	settle(bench, spool);
	answer(bench, 2, OUTCOME_DONE);
	/* Nor does the reply go out before it is recorded. */
	assert_int_equal(bench->replies, 0);
	settle(bench, spool);
	expect(bench, 200, "200");
	submit(bench, "{}");
	assert_null(take_order(bench));
	/* One that is being recorded when it stops was never sent. */
	pipeline_stop(bench->pipeline);
	settle(bench, spool);
	assert_null(take_order(bench));
	expect(bench, 503, "nothing was sent");
	release_disk(bench, spool);
	OWNED char *file = must_printf("%s/spool.db", directory);
	unlink(file);
	assert_int_equal(rmdir(directory), 0);
}

static void while_the_disk_fails_commands_are_refused(void **state)
{
	struct bench *bench = *state;
	char directory[] = "/tmp/test-pipeline-disk-is-not-there";
	log_set_level(LOG_LEVEL_ERROR);
	struct spool *spool = use_disk(bench, directory);
	submit(bench, "{}");
	settle(bench, spool);
	assert_null(take_order(bench));
	settle(bench, spool);
	expect(bench, 503, "cannot be written to the gateway's disk");
	bench->conf.enos.commands_without_disk = true;
	submit(bench, "{}");
	settle(bench, spool);
	answer(bench, 2, OUTCOME_DONE);
	settle(bench, spool);
	expect(bench, 200, "200");
	/* The place that an outcome would have had is free again. */
	assert_int_equal(pipeline_running(bench->pipeline), 0);
	for (int i = 0; i < 4; i++)
		assert_true(mailbox_reserve(bench->from_field));
	release_disk(bench, spool);
}

static void count_faults(enum log_level level, const char *line, void *context)
{
	if (strstr(line, "broken"))
		++*(int *)context;
}

static void a_storm_of_commands_does_not_fill_the_log(void **state)
{
	struct bench *bench = *state;
	int lines = 0;
	log_set_level(LOG_LEVEL_WARNING);
	log_set_sink(count_faults, &lines);
	for (int i = 0; i < 100; i++) {
		submit(bench, "{\"fail\":true}");
		expect(bench, 500, "broken");
	}
	log_set_sink(NULL, NULL);
	assert_in_range(lines, 1, 10);
	assert_int_equal(bench->audits, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_command_runs_and_is_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_script_words_the_reply, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_reply_that_fits_no_message_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_goes_wrong_has_a_code, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refusals_reach_no_wire, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_to_do_is_success, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			rounds_go_on_until_the_script_has_enough, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rounds_have_an_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_many_are_answered_busy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_comes_while_it_stops_is_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			those_under_way_at_the_end_are_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_comes_again_is_not_run_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			nothing_goes_to_the_field_before_it_is_recorded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			while_the_disk_fails_commands_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_storm_of_commands_does_not_fill_the_log, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
