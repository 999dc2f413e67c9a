/* SPDX-License-Identifier: Apache-2.0 */
/* A source, whatever it is, as a script whose functions are all called: within the limits. */
#ifndef EB_TESTS_FUZZ_SCRIPT_H
#define EB_TESTS_FUZZ_SCRIPT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "script/host.h"
#include "util/alloc.h"

static const struct conf_scripts fuzz_limits = { 20000, 256, 50 };

static inline void script_check(
	const struct script *script, const struct script_error *error, int result)
{
	const struct sandbox *box = script->program.box;
	if (box->peak > (size_t)fuzz_limits.memory_kb * 1024 ||
		box->left < -(int64_t)fuzz_limits.instructions || (result < 0 && !error->text[0]) ||
		strchr(error->text, '\n'))
		abort();
}

static inline void script_try_decode(struct script_device *device)
{
	static const char contents[] = "\x01\x02\x43\x66\x19\x9a\xff\xff";
	struct plan *plan = plan_create(1, &(struct eb_address){ 0 }, 1);
	plan->polls[0].request = must_alloc(sizeof(struct request));
	plan->polls[0].request->name = must_strdup("live");
	struct stamp stamp = { .wall_ms = 1700000000000 };
	struct reading *reading = reading_create(plan, 0, &stamp, contents, sizeof(contents) - 1);
	/* Twice: the second time with what the first left behind. */
	for (int i = 0; i < 2; i++) {
		struct reports reports;
		struct script_error error = { 0 };
		script_check(
			device->script, &error, script_decode(device, reading, &reports, &error));
		for (size_t k = 0; k < reports.count; k++)
			if (reports.items[k]->kind != REPORT_RAW &&
				!value_valid(reports.items[k]->data, reports.items[k]->size))
				abort();
		reports_finish(&reports);
	}
	message_destroy(&reading->mail);
	plan_release(plan);
}

static inline void script_try_command(struct script_device *device)
{
	static const char payload[] = "{\"id\":\"1\",\"method\":\"m\",\"params\":{\"a\":[1,null]}}";
	char why[100];
	struct command *command;
	struct script_error error = { 0 };
	struct buffer requests = BUFFER_EMPTY;
	command_create(&command, 1, ORIGIN_CLOUD, "thing/service/x", payload, sizeof(payload) - 1,
		why, sizeof(why));
	struct outcome *outcome = outcome_create(1, 1, 1);
	const struct outcome *results[] = { outcome };
	buffer_put(&outcome->steps[0].bytes, "\0\1", 2);
	int answer = script_encode(device, command, NULL, 0, &requests, &error);
	script_check(device->script, &error, answer);
	if (requests.size && !value_valid(requests.data, requests.size))
		abort();
	buffer_clear(&requests);
	script_check(device->script, &error,
		script_encode(device, command, results, 1, &requests, &error));
	struct script_reply reply;
	error = (struct script_error){ 0 };
	script_check(
		device->script, &error, script_reply(device, command, results, 1, &reply, &error));
	if (reply.data.size && !value_valid(reply.data.data, reply.data.size))
		abort();
	buffer_finish(&reply.data);
	buffer_finish(&requests);
	message_destroy(&outcome->mail);
	command_destroy(command);
}

/* What finds and prepares a device, and hears of its health. */
static void others(const struct script *script, struct script_device *device)
{
	struct buffer list = BUFFER_EMPTY;
	struct script_error error = { 0 };
	script_check(script, &error, script_setup(device, &list, &error));
	if (list.size && !value_valid(list.data, list.size))
		abort();
	struct outcome *outcome = outcome_create(1, 1, 1);
	buffer_put(&outcome->steps[0].bytes, "\0\1", 2);
	for (int i = 0; script_has(script, "discover") && i < 2; i++) {
		buffer_clear(&list);
		error = (struct script_error){ 0 };
		script_check(
			script, &error, script_discover(device, i ? outcome : NULL, &list, &error));
		if (list.size && !value_valid(list.data, list.size))
			abort();
	}
	message_destroy(&outcome->mail);
	struct health *health = health_create(1, HEALTH_DOWN);
	struct reports reports;
	error = (struct script_error){ 0 };
	script_check(script, &error, script_health(device, health, &reports, &error));
	reports_finish(&reports);
	message_destroy(&health->mail);
	buffer_finish(&list);
	const struct buffer *state = script_device_state(device);
	if (state->size && !value_valid(state->data, state->size))
		abort();
}

static inline int script_try(const void *data, size_t size)
{
	struct script script = { .file = "fuzz.lua",
		.source = (char *)data,
		.source_size = size,
		.limits = fuzz_limits,
		.generation = 1 };
	struct script_error error = { 0 };
	if (program_load(&script.program, &script, &error) < 0) {
		if (!error.text[0] || strchr(error.text, '\n'))
			abort();
		return 0;
	}
	struct conf_device conf = { .name = (char *)"meter-1" };
	struct script_device *device = script_device_create(&script, &conf);
	struct buffer polls = BUFFER_EMPTY;
	script_check(&script, &error, script_polls(device, &polls, &error));
	if (polls.size && !value_valid(polls.data, polls.size))
		abort();
	script_try_decode(device);
	script_try_command(device);
	others(&script, device);
	buffer_finish(&polls);
	script_device_destroy(device);
	program_finish(&script.program);
	return 0;
}

#endif
