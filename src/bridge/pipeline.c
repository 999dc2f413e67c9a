/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cloud/cloud.h"
#include "core/codec.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/log.h"

#define ROUNDS_MAX 32
#define REQUESTS_MAX 64
#define REASON_MAX 600

/* A command whose order is in the field. */
struct job {
	struct list link;
	struct command *command;
	uint64_t serial;
	bool more; /* the script wants to be asked again */
	struct outcome *outcomes[ROUNDS_MAX];
	size_t rounds;
};

struct pipeline {
	struct pipeline_setup setup;
	struct list jobs;
	size_t running;
	uint64_t serial;
	bool stopping;
};

struct pipeline *pipeline_create(const struct pipeline_setup *setup)
{
	struct pipeline *pipeline = must_alloc(sizeof(*pipeline));
	pipeline->setup = *setup;
	list_init(&pipeline->jobs);
	return pipeline;
}

size_t pipeline_running(const struct pipeline *pipeline)
{
	return pipeline->running;
}

static struct member *device_of(struct pipeline *pipeline, const struct command *command)
{
	return &pipeline->setup.fleet->devices[command->device];
}

static const struct conf *conf_of(const struct pipeline *pipeline)
{
	return pipeline->setup.fleet->conf;
}

/* ---- the reply ------------------------------------------------------------------------------ */

/* {"id":"7","code":200,"data":...} as enos-protocol asks of a JSON command's result. */
static void print_reply(struct buffer *json, const struct command *command, int code,
	const char *message, const struct buffer *data)
{
	buffer_put_byte(json, '{');
	if (command->id) {
		buffer_put_text(json, "\"id\":");
		json_put_text(json, command->id);
		buffer_put_byte(json, ',');
	}
	buffer_printf(json, "\"code\":%d,\"data\":", code);
	size_t before = json->size;
	if (message && *message) {
		buffer_put_text(json, "{\"message\":");
		json_put_text(json, message);
		buffer_put_byte(json, '}');
	} else if (!data || !data->size || json_print_value(json, data->data, data->size) < 0) {
		json->size = before;
		buffer_put_text(json, "{}");
	}
	buffer_put_byte(json, '}');
}

/* What does not fit into a message would never reach the cloud: it is told that much. */
static void fit_reply(
	const struct pipeline *pipeline, const struct command *command, struct reply *reply)
{
	const struct conf *conf = conf_of(pipeline);
	const struct conf_enos *own = conf->devices[command->device].enos;
	size_t size = reply->payload.size, room = cloud_payload_max(own ? own : &conf->enos);
	char why[120];
	if (size <= room)
		return;
	snprintf(why, sizeof(why), "the reply of %zu bytes does not fit into a message (%zu)", size,
		room);
	buffer_clear(&reply->payload);
	print_reply(&reply->payload, command, reply->code, why, NULL);
}

static void send_reply(struct pipeline *pipeline, struct command *command, struct reply *reply)
{
	fit_reply(pipeline, command, reply);
	pipeline->setup.reply(pipeline->setup.context, command, reply);
	command_destroy(command);
}

void pipeline_refuse(struct pipeline *pipeline, struct command *command, int code, const char *why)
{
	struct reply *reply = reply_create(command, code);
	reply->why = must_strdup(why);
	print_reply(&reply->payload, command, code, why, NULL);
	send_reply(pipeline, command, reply);
}

static void job_destroy(struct pipeline *pipeline, struct job *job)
{
	if (!job)
		return;
	list_remove(&job->link);
	pipeline->running--;
	command_destroy(job->command);
	for (size_t i = 0; i < job->rounds; i++)
		message_destroy(&job->outcomes[i]->mail);
	free(job);
}

static void refuse_job(struct pipeline *pipeline, struct job *job, int code, const char *why)
{
	pipeline_refuse(pipeline, TAKE(job->command), code, why);
	job_destroy(pipeline, job);
}

/* The first step that did not go well, or NULL. */
static const struct step_outcome *failed_step(const struct job *job)
{
	for (size_t i = 0; i < job->rounds; i++) {
		for (size_t s = 0; s < job->outcomes[i]->count; s++) {
			if (job->outcomes[i]->steps[s].status != OUTCOME_DONE)
				return &job->outcomes[i]->steps[s];
		}
	}
	return NULL;
}

static int code_of(const struct step_outcome *step, char *why, size_t room)
{
	why[0] = 0;
	switch (step ? step->status : OUTCOME_DONE) {
	case OUTCOME_DONE:
		return REPLY_DONE;
	case OUTCOME_EXCEPTION:
		snprintf(why, room, "the device refused: exception %u", step->code);
		return REPLY_DEVICE;
	case OUTCOME_TIMEOUT:
		snprintf(why, room, "no answer (%s): a write may have been executed",
			error_class_name(step->error));
		return REPLY_TIMEOUT;
	case OUTCOME_ECHO:
		snprintf(why, room,
			"only our own bytes came back: the line echoes, and nothing says that the "
			"device heard them; check the wiring, or set link.echo = false if the "
			"device answers with what it was told");
		return REPLY_DEVICE;
	case OUTCOME_EXPIRED:
		snprintf(why, room, "not sent: its deadline passed while it waited for the bus");
		return REPLY_EXPIRED;
	case OUTCOME_LINK:
		snprintf(why, room, "not sent: the port or connection is down");
		return REPLY_BUSY;
	case OUTCOME_SKIPPED:
		snprintf(why, room, "not sent: a request before it failed");
		return REPLY_DEVICE;
	case OUTCOME_BUSY:
		snprintf(why, room, "busy: too many commands wait for this bus; nothing was sent");
		return REPLY_BUSY;
	}
	return REPLY_DEVICE;
}

/* What was read back, one after the other: the default reply to a pass-through command. */
static void put_read_bytes(struct buffer *bytes, const struct job *job)
{
	for (size_t i = 0; i < job->rounds; i++) {
		for (size_t s = 0; s < job->outcomes[i]->count; s++) {
			const struct buffer *read = &job->outcomes[i]->steps[s].bytes;
			if (read->size)
				buffer_put(bytes, read->data, read->size);
		}
	}
}

static void default_payload(struct reply *reply, const struct job *job, const char *why)
{
	if (job->command->raw && reply->code == REPLY_DONE)
		put_read_bytes(&reply->payload, job);
	if (!reply->payload.size)
		print_reply(&reply->payload, job->command, reply->code, why, NULL);
}

/* Asks the script for the reply; false where it has none to give. */
static bool script_payload(struct pipeline *pipeline, struct job *job, struct reply *reply)
{
	struct member *device = device_of(pipeline, job->command);
	struct script_reply given = { .given = false };
	struct script_error error = { .text = "" };
	const struct outcome *const *outcomes = (const struct outcome *const *)job->outcomes;
	if (!device->lua)
		return false;
	if (script_reply(device->lua, job->command, outcomes, job->rounds, &given, &error) < 0) {
		/* The command ran all the same: its true result goes out in the default form. */
		log_warning("device %s: reply to %s failed: %s: the default reply goes out",
			device->conf->name, job->command->topic, error.text);
	} else if (given.given && given.raw) {
		buffer_put(&reply->payload, given.data.data, given.data.size);
	} else if (given.given) {
		reply->code = given.code;
		print_reply(&reply->payload, job->command, given.code, NULL, &given.data);
	}
	buffer_finish(&given.data);
	return reply->payload.size > 0;
}

static void finish(struct pipeline *pipeline, struct job *job)
{
	char why[REASON_MAX];
	int code = code_of(failed_step(job), why, sizeof(why));
	struct reply *reply = reply_create(job->command, code);
	reply->why = *why ? must_strdup(why) : NULL;
	if (!script_payload(pipeline, job, reply))
		default_payload(reply, job, why);
	send_reply(pipeline, TAKE(job->command), reply);
	job_destroy(pipeline, job);
}

/* ---- the order ------------------------------------------------------------------------------ */

/* The order for a list of request maps.  NULL with the reason. */
static struct order *make_order(struct pipeline *pipeline, const struct job *job,
	const struct buffer *requests, char *why, size_t room)
{
	const struct member *device = device_of(pipeline, job->command);
	const struct conf *conf = conf_of(pipeline);
	const struct conf_bus *bus = &conf->buses[device->conf->bus];
	struct problems problems = PROBLEMS_NONE;
	struct value_reader reader = value_reader(requests->data, requests->size);
	struct value list;
	snprintf(why, room, "the script's encode asks for more than %d requests", REQUESTS_MAX);
	if (!value_next(&reader, &list) || list.type != VALUE_LIST || list.size > REQUESTS_MAX)
		return NULL;

	int64_t deadline = job->command->received_us +
		conf->enos.command_timeout_ms * USEC_PER_MSEC;
	struct order *order = order_create(device->number, job->serial, deadline, list.size);
	OWNED_CODEC codec;
	int result = codec_open(&codec, bus, &problems);
	for (size_t i = 0; i < list.size && result == 0; i++) {
		const uint8_t *begin = reader.at;
		if (!value_skip(&reader)) {
			result = -EINVAL;
			break;
		}
		result = request_create(&order->requests[i], codec.plugin, codec.state,
			&device->plan->address, begin, (size_t)(reader.at - begin), SETTINGS_SCRIPT,
			device->conf->place, &problems);
	}
	if (result < 0) {
		snprintf(why, room, "the script's encode asks for what cannot be done: %s",
			problems.count ? problems.items[0].text : "damaged request");
		message_destroy(&order->mail);
		order = NULL;
	}
	problems_finish(&problems);
	return order;
}

/* Hands the order over with a place for its outcome reserved.  False: too much waits already. */
static bool hand_over(struct pipeline *pipeline, struct order *order)
{
	if (!mailbox_reserve(pipeline->setup.from_field)) {
		message_destroy(&order->mail);
		return false;
	}
	if (mailbox_put(pipeline->setup.to_field, &order->mail))
		return true;
	mailbox_unreserve(pipeline->setup.from_field);
	return false;
}

/* One round: asks the script what to do, and has it done. */
static void advance(struct pipeline *pipeline, struct job *job)
{
	struct member *device = device_of(pipeline, job->command);
	struct script_error error = { .text = "" };
	OWNED_BUFFER requests = BUFFER_EMPTY;
	char why[REASON_MAX];
	if (job->rounds == ROUNDS_MAX) {
		snprintf(why, sizeof(why), "the script's encode asked for more than %d rounds",
			ROUNDS_MAX);
		refuse_job(pipeline, job, REPLY_SCRIPT, why);
		return;
	}
	if (pipeline->stopping) {
		refuse_job(pipeline, job, job->rounds ? REPLY_EXPIRED : REPLY_BUSY,
			job->rounds ? "the bridge was stopped in the middle of it"
				    : "the bridge is being stopped; nothing was sent");
		return;
	}
	int answer = device->lua ? script_encode(device->lua, job->command,
					   (const struct outcome *const *)job->outcomes,
					   job->rounds, &requests, &error)
				 : ENCODE_UNKNOWN;
	if (answer < 0) {
		log_warning("device %s: command %s: %s: refused with code %d", device->conf->name,
			job->command->topic, error.text, REPLY_SCRIPT);
		refuse_job(pipeline, job, REPLY_SCRIPT, error.text);
		return;
	}
	if (answer == ENCODE_UNKNOWN) {
		refuse_job(pipeline, job, REPLY_UNKNOWN,
			device->lua
				? "this device takes no commands: its script has no encode function"
				: "this device takes no commands: it has no script");
		return;
	}
	if (answer == ENCODE_REFUSED) {
		refuse_job(pipeline, job, REPLY_REFUSED, error.text);
		return;
	}
	job->more = answer == ENCODE_MORE;
	job->serial = ++pipeline->serial;
	struct order *order = make_order(pipeline, job, &requests, why, sizeof(why));
	if (!order) {
		refuse_job(pipeline, job, REPLY_SCRIPT, why);
		return;
	}
	if (order->count == 0) {
		message_destroy(&order->mail);
		finish(pipeline, job);
		return;
	}
	if (!hand_over(pipeline, order))
		refuse_job(pipeline, job, REPLY_BUSY,
			"busy: too many commands are under way; nothing was sent");
}

void pipeline_submit(struct pipeline *pipeline, struct command *command)
{
	struct job *job = must_alloc(sizeof(*job));
	job->command = command;
	list_append(&pipeline->jobs, &job->link);
	pipeline->running++;
	advance(pipeline, job);
}

static struct job *find_job(struct pipeline *pipeline, uint64_t serial)
{
	list_for_each (link, &pipeline->jobs) {
		struct job *job = container_of(link, struct job, link);
		if (job->serial == serial)
			return job;
	}
	return NULL;
}

void pipeline_outcome(struct pipeline *pipeline, struct outcome *outcome)
{
	struct job *job = find_job(pipeline, outcome->order);
	if (!job) {
		message_destroy(&outcome->mail);
		return;
	}
	job->outcomes[job->rounds++] = outcome;
	/* A script that asks step by step would build its next step on what was never read. */
	if (job->more && !failed_step(job))
		advance(pipeline, job);
	else
		finish(pipeline, job);
}

void pipeline_stop(struct pipeline *pipeline)
{
	pipeline->stopping = true;
}

void pipeline_destroy(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	list_for_each (link, &pipeline->jobs) {
		struct job *job = container_of(link, struct job, link);
		refuse_job(pipeline, job, REPLY_EXPIRED, "the bridge was stopped meanwhile");
	}
	free(pipeline);
}
