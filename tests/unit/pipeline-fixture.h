/* SPDX-License-Identifier: Apache-2.0 */
/* A pipeline with one device, whose field the test plays. */
#ifndef EB_TESTS_PIPELINE_FIXTURE_H
#define EB_TESTS_PIPELINE_FIXTURE_H

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

static inline void take_reply(void *context, const struct command *command, struct reply *reply)
{
	struct bench *bench = context;
	bench->replies++;
	bench->code = reply->code;
	buffer_clear(&bench->payload);
	buffer_put(&bench->payload, reply->payload.data, reply->payload.size);
	snprintf(bench->why, sizeof(bench->why), "%s", reply->why ? reply->why : "");
	reply_destroy(reply);
}

static inline void ignore_taken(void *context, const struct command *command)
{
}

static inline void take_again(void *context, struct reply *reply)
{
	struct bench *bench = context;
	bench->again++;
	reply_destroy(reply);
}

static inline void take_audit(void *context, const struct record *record)
{
	struct bench *bench = context;
	bench->audits++;
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

static inline void submit_to(struct bench *bench, const char *topic, const char *params)
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

static inline void submit(struct bench *bench, const char *params)
{
	submit_to(bench, "thing/service/x", params);
}

/* The order that reached the field, or NULL; the caller destroys it. */
static inline struct order *take_order(struct bench *bench)
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
static inline void answer(struct bench *bench, size_t good, enum outcome_status status)
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

static inline void expect(struct bench *bench, int code, const char *words)
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

static inline void pass(struct bench *bench, int64_t ms)
{
	loop_advance(bench->loop, bench->clock.mono_us + ms * USEC_PER_MSEC);
}

#endif
