/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "toy.h"
#include "util/alloc.h"
#include "util/clock.h"

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
	struct pipeline *pipeline;
	int replies, code;
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
	bench->fleet = fleet_create(&bench->conf, NULL, &problems);
	problems_print(&problems, stderr);
	assert_non_null(bench->fleet);
	assert_int_equal(mailbox_create(&bench->to_field, 4), 0);
	assert_int_equal(mailbox_create(&bench->from_field, 4), 0);
	struct pipeline_setup setup = { .fleet = bench->fleet,
		.to_field = bench->to_field,
		.from_field = bench->from_field,
		.context = bench,
		.reply = take_reply };
	bench->pipeline = pipeline_create(&setup);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	pipeline_destroy(bench->pipeline);
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

static void submit(struct bench *bench, const char *params)
{
	char payload[300], error[200];
	struct command *command;
	snprintf(payload, sizeof(payload),
		"{\"id\":\"7\",\"method\":\"thing.service.x\",\"params\":%s}", params);
	assert_int_equal(command_create(&command, 0, ORIGIN_CLOUD, "thing/service/x", payload,
				 strlen(payload), error, sizeof(error)),
		0);
	pipeline_submit(bench->pipeline, command);
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
