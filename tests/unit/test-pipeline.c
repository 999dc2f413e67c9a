/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cloud/spool.h"
#include "toy.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/log.h"

/* A script that does what the test's commands name. */
static const char script_text[] =
	"return {\n"
	"  encode = function(command, device, results)\n"
	"    local p = command.params or {}\n"
	"    if p.refuse then return nil, 'not today' end\n"
	"    if p.fail then error('broken') end\n"
	"    if p.nonsense then return { { cell = 1, colour = 'red' } } end\n"
	"    if p.steps then\n"
	"      local done = results and #results or 0\n"
	"      return { { cell = done, value = 1 }, more = done + 1 < p.steps }\n"
	"    end\n"
	"    if p.nothing then return {} end\n"
	"    if p.write then return { { cell = p.write, value = p.value } } end\n"
	"    if p.read then return { { cell = p.read } } end\n"
	"    if p.check then\n"
	"      return { { cell = 5, value = p.check, read_back = { settle = 2, tolerance = 1 } } }\n"
	"    end\n"
	"    if p.unchecked then return { { cell = 5, value = 1, read_back = false } } end\n"
	"    return { { cell = 1, value = 42 }, { cell = 2 } }\n"
	"  end,\n"
	"  reply = function(command, results, device)\n"
	"    if command.params and command.params.long then\n"
	"      return { code = 200, data = { text = rep('x', 2000) } }\n"
	"    end\n"
	"    if command.params and command.params.answer then\n"
	"      return { code = 200, data = { first = results[1].status } }\n"
	"    end\n"
	"  end,\n"
	"}\n";

struct bench {
	char path[64];
	struct conf conf;
	struct conf_bus bus;
	struct conf_device device;
	struct fleet *fleet;
	struct mailbox *to_field, *from_field;
	struct clock clock;
	struct loop *loop;
	struct ledger *ledger;
	struct pipeline *pipeline;
	int replies, code, again, audits;
	struct buffer payload;
	char why[200];
};

static void take_reply(void *context, const struct command *command, struct reply *reply)
{
	struct bench *bench = context;
	bench->replies++;
	bench->code = reply->code;
	buffer_clear(&bench->payload);
	buffer_put(&bench->payload, reply->payload.data, reply->payload.size);
	snprintf(bench->why, sizeof(bench->why), "%s", reply->why ? reply->why : "");
	reply_destroy(reply);
}

static void ignore_taken(void *context, const struct command *command)
{
}

static void take_again(void *context, struct reply *reply)
{
	struct bench *bench = context;
	bench->again++;
	reply_destroy(reply);
}

static void take_audit(void *context, const struct record *record)
{
	struct bench *bench = context;
	bench->audits++;
}

static int set_up(void **state)
{
	struct bench *bench = must_alloc(sizeof(*bench));
	snprintf(bench->path, sizeof(bench->path), "/tmp/test-pipeline-XXXXXX");
	int fd = mkstemp(bench->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, script_text, strlen(script_text)), strlen(script_text));
	close(fd);
	bench->bus = (struct conf_bus){ .name = (char *)"b", .plugin = &toy };
	value_put_map(&bench->bus.options, 0);
	bench->device = (struct conf_device){ .name = (char *)"d",
		.script = (char *)"toy.lua",
		.script_path = bench->path,
		.product_key = (char *)"pk",
		.device_key = (char *)"dk" };
	value_put_map(&bench->device.address, 0);
	value_put_map(&bench->device.parameters, 0);
	value_put_list(&bench->device.polls, 0);
	bench->conf = (struct conf){
		.scripts = { .instructions = 100000, .memory_kb = 1024, .wall_ms = 1000 },
		.enos = { .command_timeout_ms = 30000, .max_payload = 1024 },
		.buses = &bench->bus,
		.bus_count = 1,
		.devices = &bench->device,
		.device_count = 1
	};
	struct problems problems = PROBLEMS_NONE;
	bench->fleet = fleet_create(&bench->conf, &problems);
	problems_print(&problems, stderr);
	assert_non_null(bench->fleet);
	assert_int_equal(mailbox_create(&bench->to_field, 4), 0);
	assert_int_equal(mailbox_create(&bench->from_field, 4), 0);
	bench->clock = (struct clock){
		.manual = true, .mono_us = 1000 * USEC_PER_SEC, .wall_ms = 1700000000000
	};
	assert_int_equal(loop_create(&bench->loop, &bench->clock), 0);
	const struct ledger_setup ledger = { .conf = &bench->conf, .loop = bench->loop };
	bench->ledger = ledger_create(&ledger);
	struct pipeline_setup setup = { .fleet = bench->fleet,
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
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	pipeline_destroy(bench->pipeline);
	ledger_destroy(bench->ledger);
	loop_destroy(bench->loop);
	mailbox_destroy(bench->to_field);
	mailbox_destroy(bench->from_field);
	fleet_destroy(bench->fleet);
	buffer_finish(&bench->bus.options);
	buffer_finish(&bench->device.address);
	buffer_finish(&bench->device.parameters);
	buffer_finish(&bench->device.polls);
	buffer_finish(&bench->payload);
	unlink(bench->path);
	free(bench);
	return 0;
}

static void submit_to(struct bench *bench, const char *topic, const char *params)
{
	static int number;
	char payload[300], error[200];
	struct command *command;
	/* Of one id: what tells them apart is the version. */
	snprintf(payload, sizeof(payload), "{\"id\":\"7\",\"version\":\"%d\",\"params\":%s}",
		++number, params);
	assert_int_equal(command_create(&command, 0, ORIGIN_CLOUD, topic, payload, strlen(payload),
				 error, sizeof(error)),
		0);
	command->received_us = bench->clock.mono_us;
	pipeline_submit(bench->pipeline, command);
}

static void submit(struct bench *bench, const char *params)
{
	submit_to(bench, "thing/service/x", params);
}

/* The order that reached the field, or NULL; the caller destroys it. */
static struct order *take_order(struct bench *bench)
{
	struct list mails;
	list_init(&mails);
	if (!mailbox_take_all(bench->to_field, &mails))
		return NULL;
	struct mail *mail = container_of(list_take_first(&mails), struct mail, link);
	assert_int_equal(mail->kind, MESSAGE_ORDER);
	assert_true(list_empty(&mails));
	return container_of(mail, struct order, mail);
}

/* Plays the field: the first steps go well, the next ends with status, the rest are skipped. */
static void answer(struct bench *bench, size_t good, enum outcome_status status)
{
	struct order *order = take_order(bench);
	assert_non_null(order);
	struct outcome *outcome = outcome_create(0, order->serial, order->count);
	for (size_t i = 0; i < order->count; i++) {
		outcome->steps[i].status = i < good ? OUTCOME_DONE
			: i == good                 ? status
						    : OUTCOME_SKIPPED;
		outcome->steps[i].code = status == OUTCOME_EXCEPTION ? 2 : 0;
	}
	message_destroy(&order->mail);
	mailbox_put_reserved(bench->from_field, &outcome->mail);
	struct list mails;
	list_init(&mails);
	mailbox_take_all(bench->from_field, &mails);
	struct mail *mail = container_of(list_take_first(&mails), struct mail, link);
	pipeline_outcome(bench->pipeline, container_of(mail, struct outcome, mail));
}

static void expect(struct bench *bench, int code, const char *words)
{
	assert_int_equal(bench->replies, 1);
	assert_int_equal(bench->code, code);
	/* For the log, in words: the quotes of the payload are escaped. */
	assert_int_equal(bench->why[0] == 0, code == 200);
	if (!strstr(buffer_text(&bench->payload), words))
		fail_msg("\"%s\" is not in %s", words, buffer_text(&bench->payload));
	assert_non_null(strstr(buffer_text(&bench->payload), "\"id\":\"7\""));
	assert_int_equal(pipeline_running(bench->pipeline), 0);
	bench->replies = 0;
}

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

/* ---- what a site allows --------------------------------------------------------------------- */

static void expect_forbidden(struct bench *bench, const char *topic, const char *params)
{
	submit_to(bench, topic, params);
	assert_null(take_order(bench));
	expect(bench, 403, "allow");
}

static void expect_done(struct bench *bench, const char *topic, const char *params)
{
	submit_to(bench, topic, params);
	answer(bench, 64, OUTCOME_DONE);
	expect(bench, 200, "200");
}

static void a_device_may_take_no_commands(void **state)
{
	struct bench *bench = *state;
	bench->device.commands = COMMANDS_NONE;
	submit(bench, "{}");
	assert_null(take_order(bench));
	expect(bench, 403, "commands = \\\"none\\\"");
}

static void what_no_rule_covers_is_refused(void **state)
{
	struct bench *bench = *state;
	struct conf_rule rules[] = {
		{ .service = (char *)"free", .address = { 0, INT64_MAX } },
		{ .write = (char *)"cell",
			.address = { 10, 20 },
			.values = { 0, 100 },
			.has_values = true },
		{ .service = (char *)"thing/model/other",
			.write = (char *)"cell",
			.address = { 30, 30 } },
	};
	bench->device.has_rules = true;
	submit(bench, "{}");
	expect(bench, 403, "thing/service/x is not allowed");
	bench->device.rules = rules;
	bench->device.rule_count = 3;
	expect_done(bench, "thing/service/free", "{\"write\":99,\"value\":255}");
	expect_done(bench, "thing/service/x", "{\"write\":10,\"value\":100}");
	expect_done(bench, "thing/service/x", "{\"write\":20,\"value\":0}");
	expect_done(bench, "thing/service/x", "{\"read\":99}");
	expect_done(bench, "thing/model/other", "{\"write\":30,\"value\":255}");
	expect_forbidden(bench, "thing/service/x", "{\"write\":9,\"value\":1}");
	expect_forbidden(bench, "thing/service/x", "{\"write\":21,\"value\":1}");
	expect_forbidden(bench, "thing/service/x", "{\"write\":10,\"value\":101}");
	expect_forbidden(bench, "thing/service/x", "{\"write\":30,\"value\":1}");
	/* The script's own two requests: the first is not covered, so neither is sent. */
	expect_forbidden(bench, "thing/service/x", "{}");
	/* A name that only begins like the one that is allowed. */
	expect_forbidden(bench, "thing/service/freedom", "{\"write\":99,\"value\":1}");
}

/* ---- reading back --------------------------------------------------------------------------- */

/* Plays the field for the order that reads back; bytes NULL: no answer. */
static void answer_read(struct bench *bench, const char *bytes)
{
	struct order *order = take_order(bench);
	assert_non_null(order);
	assert_int_equal(order->count, 1);
	assert_int_equal(order->requests[0]->wire.flags & EB_WRITE, 0);
	struct outcome *outcome = outcome_create(0, order->serial, 1);
	outcome->steps[0].status = bytes ? OUTCOME_DONE : OUTCOME_TIMEOUT;
	if (bytes)
		buffer_put(&outcome->steps[0].bytes, bytes, 1);
	message_destroy(&order->mail);
	mailbox_unreserve(bench->from_field);
	pipeline_outcome(bench->pipeline, outcome);
}

static void pass(struct bench *bench, int64_t ms)
{
	loop_advance(bench->loop, bench->clock.mono_us + ms * USEC_PER_MSEC);
}

static void what_is_written_is_read_back(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 1999);
	assert_null(take_order(bench));
	assert_int_equal(bench->replies, 0);
	pass(bench, 1);
	answer_read(bench, "\x0a");
	expect(bench, 200, "200");

	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 2000);
	answer_read(bench, "\x0b");
	expect(bench, 502, "cell 5 was written 9 and reads 11");

	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 2000);
	answer_read(bench, NULL);
	expect(bench, 504, "cannot be read back");

	/* What failed is not read. */
	submit(bench, "{\"check\":9}");
	answer(bench, 0, OUTCOME_EXCEPTION);
	expect(bench, 502, "exception 2");
	pass(bench, 2000);
	assert_null(take_order(bench));
}

static void a_device_may_want_all_writes_read_back(void **state)
{
	struct bench *bench = *state;
	bench->device.read_back = (struct read_back){ .wanted = true, .settle_ms = 500 };
	submit(bench, "{\"write\":3,\"value\":7}");
	answer(bench, 1, OUTCOME_DONE);
	pass(bench, 500);
	answer_read(bench, "\x07");
	expect(bench, 200, "200");
	expect_done(bench, "thing/service/x", "{\"unchecked\":true}");
	expect_done(bench, "thing/service/x", "{\"read\":3}");
}

static void a_stop_does_not_wait_for_what_settles(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"check\":9}");
	answer(bench, 1, OUTCOME_DONE);
	pipeline_stop(bench->pipeline);
	expect(bench, 408, "written, but not read back");
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

static void the_places_of_an_order_are_named_where_the_newest_wins(void **state)
{
	struct bench *bench = *state;
	submit(bench, "{\"write\":3,\"value\":7}");
	struct order *order = take_order(bench);
	assert_int_equal(order->places.size, 0);
	message_destroy(&order->mail);
	bench->device.newest_wins = true;
	submit(bench, "{\"write\":3,\"value\":7}");
	order = take_order(bench);
	assert_string_equal(buffer_text(&order->places), "cell 3 1;");
	message_destroy(&order->mail);
	/* One that also reads does more than another that writes the same; nor may one be cut short. */
	submit(bench, "{}");
	order = take_order(bench);
	assert_int_equal(order->places.size, 0);
	message_destroy(&order->mail);
	submit(bench, "{\"steps\":2}");
	order = take_order(bench);
	assert_int_equal(order->places.size, 0);
	message_destroy(&order->mail);
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
		cmocka_unit_test_setup_teardown(a_device_may_take_no_commands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_no_rule_covers_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_written_is_read_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_device_may_want_all_writes_read_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_stop_does_not_wait_for_what_settles, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_comes_again_is_not_run_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_places_of_an_order_are_named_where_the_newest_wins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			nothing_goes_to_the_field_before_it_is_recorded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			while_the_disk_fails_commands_are_refused, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
