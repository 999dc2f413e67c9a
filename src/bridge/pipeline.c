/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/pipeline.h"

#include <stdio.h>
#include <string.h>

#include "bridge/errand.h"
#include "cloud/cloud.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/log.h"

#define ROUNDS_MAX 32

/* Where a command is. */
enum phase {
	PHASE_EARLY, /* what came before the start is not known yet */
	PHASE_SCRIPT, /* with the script, or nowhere for a moment */
	PHASE_RECORDING, /* its record goes to the disk, then the order to the field */
	PHASE_FIELD,
	PHASE_SETTLING, /* written; before it is read back */
	PHASE_CHECKING, /* it is read back */
	PHASE_ENDING, /* its reply goes to the disk, then out */
};

struct job {
	struct list link;
	struct pipeline *pipeline;
	struct command *command;
	enum phase phase;
	uint64_t serial; /* of its order */
	bool begun; /* it was recorded */
	bool more; /* the script wants to be asked again */
	bool overtaken; /* what it wrote was written again before it was read back */
	struct errand errand;
	struct timer settled;
	int refusal; /* a command that is no command: answered without the script; 0: none */
	char *why;
	struct reply *reply;
	struct outcome *outcomes[ROUNDS_MAX];
	size_t rounds;
};

struct pipeline {
	struct pipeline_setup setup;
	struct list jobs;
	size_t running;
	uint64_t serial;
	bool stopping;
	struct log_limit repeats, faults; /* lines about them */
};

struct pipeline *pipeline_create(const struct pipeline_setup *setup)
{
	struct pipeline *pipeline = must_alloc(sizeof(*pipeline));
	pipeline->setup = *setup;
	pipeline->repeats = (struct log_limit){ .window_us = 60 * USEC_PER_SEC, .burst = 5 };
	pipeline->faults = (struct log_limit){ .window_us = 60 * USEC_PER_SEC, .burst = 10 };
	list_init(&pipeline->jobs);
	return pipeline;
}

size_t pipeline_running(const struct pipeline *pipeline)
{
	return pipeline->running;
}

static struct member *device_of(const struct pipeline *pipeline, const struct command *command)
{
	return &pipeline->setup.fleet->devices[command->device];
}

static const struct conf *conf_of(const struct pipeline *pipeline)
{
	return pipeline->setup.fleet->conf;
}

static uint32_t reply_room(const struct pipeline *pipeline, const struct command *command)
{
	const struct conf_enos *own = device_of(pipeline, command)->conf->enos;
	return cloud_payload_max(own ? own : &conf_of(pipeline)->enos);
}

/* A fault of a script shows at every command that the cloud sends; the audit has each of them. */
static bool may_say_fault(struct pipeline *pipeline)
{
	uint64_t held;
	if (!log_limit_pass(&pipeline->faults, loop_now(pipeline->setup.loop), &held))
		return false;
	if (held)
		log_info("bridge: lines about commands that scripts failed on were held back: %ju",
			(uintmax_t)held);
	return true;
}

/* ---- the end of a command ------------------------------------------------------------------- */

static struct job *job_create(struct pipeline *pipeline, struct command *command)
{
	struct job *job = must_alloc(sizeof(*job));
	job->pipeline = pipeline;
	job->command = command;
	job->phase = PHASE_SCRIPT;
	list_append(&pipeline->jobs, &job->link);
	pipeline->running++;
	return job;
}

static void job_destroy(struct job *job)
{
	struct pipeline *pipeline = job->pipeline;
	list_remove(&job->link);
	pipeline->running--;
	loop_disarm(pipeline->setup.loop, &job->settled);
	errand_finish(&job->errand);
	command_destroy(job->command);
	free(job->why);
	for (size_t i = 0; i < job->rounds; i++)
		message_destroy(&job->outcomes[i]->mail);
	free(job);
}

static void deliver(struct job *job)
{
	struct pipeline *pipeline = job->pipeline;
	pipeline->setup.reply(pipeline->setup.context, job->command, TAKE(job->reply));
	job_destroy(job);
}

/* Keeps the reply before it goes out: so that after a restart the same one is given again. */
static void end(struct job *job, struct reply *reply)
{
	struct pipeline *pipeline = job->pipeline;
	result_fit(reply, job->command, reply_room(pipeline, job->command));
	job->phase = PHASE_ENDING;
	job->reply = reply;
	if (ledger_end(pipeline->setup.ledger, reply) == LEDGER_GO)
		deliver(job);
}

static void refuse(struct job *job, int code, const char *why)
{
	end(job, result_create(job->command, code, why));
}

/* The first step of the round that did not go well, or NULL. */
static const struct step_outcome *failed_in(const struct outcome *outcome)
{
	for (size_t s = 0; s < outcome->count; s++) {
		if (outcome->steps[s].status != OUTCOME_DONE)
			return &outcome->steps[s];
	}
	return NULL;
}

/* The same of all rounds. */
static const struct step_outcome *failed_step(const struct job *job)
{
	const struct step_outcome *failed = NULL;
	for (size_t i = 0; i < job->rounds && !failed; i++)
		failed = failed_in(job->outcomes[i]);
	return failed;
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
		result_print(&reply->payload, job->command, reply->code, why, NULL);
}

/* Asks the script for the reply; false where it has none to give. */
static bool script_payload(struct job *job, struct reply *reply)
{
	const struct member *device = device_of(job->pipeline, job->command);
	struct script_reply given = { .given = false };
	struct script_error error = { .text = "" };
	const struct outcome *const *outcomes = (const struct outcome *const *)job->outcomes;
	if (!device->lua)
		return false;
	if (script_reply(device->lua, job->command, outcomes, job->rounds, &given, &error) < 0) {
		/* The command ran all the same: its true result goes out in the default form. */
		if (may_say_fault(job->pipeline))
			log_warning("device %s: reply to %s failed: %s: the default reply goes out",
				device->conf->name, job->command->topic, error.text);
	} else if (given.given && given.raw) {
		buffer_put(&reply->payload, given.data.data, given.data.size);
	} else if (given.given) {
		reply->code = given.code;
		result_print(&reply->payload, job->command, given.code, NULL, &given.data);
	}
	buffer_finish(&given.data);
	return reply->payload.size > 0;
}

static void finish(struct job *job)
{
	char why[RESULT_REASON_MAX];
	const struct step_outcome *failed = failed_step(job);
	int code = result_code(failed, why, sizeof(why));
	struct reply *reply = reply_create(job->command, code);
	reply->why = *why ? must_strdup(why) : NULL;
	if (!script_payload(job, reply))
		default_payload(reply, job, why);
	end(job, reply);
}

/* ---- to the field --------------------------------------------------------------------------- */

/* Hands the order over; a place for its outcome is reserved. */
static void hand_over(struct job *job, struct order *order, enum phase phase)
{
	struct pipeline *pipeline = job->pipeline;
	job->phase = phase;
	job->serial = order->serial = ++pipeline->serial;
	if (mailbox_put(pipeline->setup.to_field, &order->mail))
		return;
	mailbox_unreserve(pipeline->setup.from_field);
	refuse(job, REPLY_BUSY, "busy: too many commands are under way; nothing was sent");
}

/* Hands the order over once the command is on the disk, or can do without. */
static void send_order(struct job *job)
{
	struct pipeline *pipeline = job->pipeline;
	if (!mailbox_reserve(pipeline->setup.from_field)) {
		refuse(job, REPLY_BUSY, "busy: too many commands are under way; nothing was sent");
		return;
	}
	bool first = !job->begun;
	job->begun = true;
	job->phase = PHASE_RECORDING;
	if (!first || ledger_begin(pipeline->setup.ledger, job->command) == LEDGER_GO)
		hand_over(job, TAKE(job->errand.order), PHASE_FIELD);
}

static void order_recorded(struct job *job, const char *why)
{
	struct pipeline *pipeline = job->pipeline;
	char text[RESULT_REASON_MAX];
	if (!pipeline->stopping && (!why || conf_of(pipeline)->enos.commands_without_disk)) {
		hand_over(job, TAKE(job->errand.order), PHASE_FIELD);
		return;
	}
	mailbox_unreserve(pipeline->setup.from_field);
	if (why)
		snprintf(text, sizeof(text),
			"not sent: its record cannot be written to the gateway's disk: %s", why);
	refuse(job, REPLY_BUSY, why ? text : "the bridge is being stopped; nothing was sent");
}

/* Asks the script; false where the job ended with that. */
static bool ask_script(struct job *job, struct buffer *requests)
{
	const struct member *device = device_of(job->pipeline, job->command);
	struct script_error error = { .text = "" };
	int answer = device->lua ? script_encode(device->lua, job->command,
					   (const struct outcome *const *)job->outcomes,
					   job->rounds, requests, &error)
				 : ENCODE_UNKNOWN;
	job->more = answer == ENCODE_MORE;
	switch (answer) {
	case ENCODE_REQUESTS:
	case ENCODE_MORE:
		return true;
	case ENCODE_UNKNOWN:
		refuse(job, REPLY_UNKNOWN,
			device->lua
				? "this device takes no commands: its script has no encode function"
				: "this device takes no commands: it has no script");
		return false;
	case ENCODE_REFUSED:
		refuse(job, REPLY_REFUSED, error.text);
		return false;
	default:
		if (may_say_fault(job->pipeline))
			log_warning("device %s: command %s: %s: refused with code %d",
				device->conf->name, job->command->topic, error.text, REPLY_SCRIPT);
		refuse(job, REPLY_SCRIPT, error.text);
		return false;
	}
}

/* One round: asks the script what to do, and has it done. */
static void advance(struct job *job)
{
	struct pipeline *pipeline = job->pipeline;
	const struct member *device = device_of(pipeline, job->command);
	OWNED_BUFFER requests = BUFFER_EMPTY;
	char why[RESULT_REASON_MAX];
	job->phase = PHASE_SCRIPT;
	job->overtaken = false;
	errand_finish(&job->errand);
	if (job->rounds == ROUNDS_MAX) {
		snprintf(why, sizeof(why), "the script's encode asked for more than %d rounds",
			ROUNDS_MAX);
		refuse(job, REPLY_SCRIPT, why);
	} else if (pipeline->stopping) {
		refuse(job, job->rounds ? REPLY_EXPIRED : REPLY_BUSY,
			job->rounds ? "the bridge was stopped in the middle of it"
				    : "the bridge is being stopped; nothing was sent");
	} else if (!errand_allowed(&job->errand, device->conf, job->command->topic)) {
		refuse(job, job->errand.code, job->errand.why);
	} else if (!ask_script(job, &requests)) {
		return;
	} else if (!errand_make(&job->errand, conf_of(pipeline), device, job->command, &requests)) {
		refuse(job, job->errand.code, job->errand.why);
	} else if (job->errand.order->count == 0) {
		finish(job);
	} else {
		/* What did a part of its work, or will do more, is not made pointless by another. */
		if (job->rounds || job->more)
			buffer_clear(&job->errand.order->places);
		send_order(job);
	}
}

/* ---- what comes back ------------------------------------------------------------------------ */

static void go_on(struct job *job)
{
	/* A script that asks step by step would build its next step on what was never read. */
	if (job->more && !failed_step(job))
		advance(job);
	else
		finish(job);
}

static void read_back(struct timer *timer, int64_t now_us)
{
	(void)now_us;
	struct job *job = container_of(timer, struct job, settled);
	if (!mailbox_reserve(job->pipeline->setup.from_field)) {
		refuse(job, REPLY_BUSY,
			"written, but not read back: too many commands are under way");
		return;
	}
	hand_over(job, errand_read_back(&job->errand, job->command->device), PHASE_CHECKING);
}

static void checked(struct job *job, const struct outcome *outcome)
{
	struct pipeline *pipeline = job->pipeline;
	const struct member *device = device_of(pipeline, job->command);
	char why[RESULT_REASON_MAX], text[RESULT_REASON_MAX + 40];
	int code = result_code(failed_in(outcome), why, sizeof(why));
	if (code != REPLY_DONE) {
		snprintf(text, sizeof(text), "written, but it cannot be read back: %s", why);
		refuse(job, code, text);
	} else if (!errand_compare(&job->errand, &conf_of(pipeline)->buses[device->conf->bus],
			   outcome, why, sizeof(why))) {
		refuse(job, job->overtaken ? REPLY_SUPERSEDED : REPLY_DEVICE,
			job->overtaken ? "written, but a newer command wrote the same before it "
					 "could be read back"
				       : why);
	} else {
		go_on(job);
	}
}

/* Whether something of it was written, or may have been. */
static bool may_have_written(const struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->count; i++) {
		enum outcome_status status = outcome->steps[i].status;
		if (status == OUTCOME_DONE || status == OUTCOME_TIMEOUT)
			return true;
	}
	return false;
}

/* What others read back from now on is what this one has written. */
static void overtake(struct job *newer)
{
	if (!may_have_written(newer->outcomes[newer->rounds - 1]))
		return;
	list_for_each (link, &newer->pipeline->jobs) {
		struct job *job = container_of(link, struct job, link);
		if (job != newer && job->command->device == newer->command->device &&
			(job->phase == PHASE_SETTLING || job->phase == PHASE_CHECKING) &&
			errand_overlaps(&job->errand, &newer->errand))
			job->overtaken = true;
	}
}

static struct job *find_order(struct pipeline *pipeline, uint64_t serial)
{
	list_for_each (link, &pipeline->jobs) {
		struct job *job = container_of(link, struct job, link);
		if (job->serial == serial &&
			(job->phase == PHASE_FIELD || job->phase == PHASE_CHECKING))
			return job;
	}
	return NULL;
}

void pipeline_outcome(struct pipeline *pipeline, struct outcome *outcome)
{
	struct job *job = find_order(pipeline, outcome->order);
	if (!job) {
		message_destroy(&outcome->mail);
	} else if (job->phase == PHASE_CHECKING) {
		checked(job, outcome);
		message_destroy(&outcome->mail);
	} else {
		job->outcomes[job->rounds++] = outcome;
		overtake(job);
		bool good = !failed_in(outcome);
		if (!good || !job->errand.check_count || pipeline->stopping) {
			go_on(job);
			return;
		}
		job->phase = PHASE_SETTLING;
		job->settled.expired = read_back;
		loop_arm(pipeline->setup.loop, &job->settled,
			loop_now(pipeline->setup.loop) + job->errand.settle_us);
	}
}

/* ---- what comes in -------------------------------------------------------------------------- */

static void say_repeat(struct pipeline *pipeline, const struct command *command, bool answered)
{
	uint64_t held;
	if (log_limit_pass(&pipeline->repeats, loop_now(pipeline->setup.loop), &held))
		log_info("device %s: %s came again (%ju more were not logged): %s",
			device_of(pipeline, command)->conf->name, command->topic, (uintmax_t)held,
			answered ? "its reply is sent again" : "it still runs");
}

static void judge(struct job *job)
{
	struct pipeline *pipeline = job->pipeline;
	struct reply *reply;
	enum ledger_verdict verdict = ledger_judge(pipeline->setup.ledger, job->command, &reply);
	if (verdict != LEDGER_NEW) {
		say_repeat(pipeline, job->command, reply);
		if (reply)
			pipeline->setup.again(pipeline->setup.context, reply);
		job_destroy(job);
		return;
	}
	pipeline->setup.taken(pipeline->setup.context, job->command);
	if (job->refusal)
		refuse(job, job->refusal, job->why);
	else
		advance(job);
}

static void submit(struct job *job)
{
	if (ledger_ready(job->pipeline->setup.ledger))
		judge(job);
	else
		job->phase = PHASE_EARLY;
}

void pipeline_submit(struct pipeline *pipeline, struct command *command)
{
	submit(job_create(pipeline, command));
}

void pipeline_refuse(struct pipeline *pipeline, struct command *command, int code, const char *why)
{
	struct job *job = job_create(pipeline, command);
	job->refusal = code;
	job->why = must_strdup(why);
	submit(job);
}

/* ---- what the ledger tells ------------------------------------------------------------------ */

static void on_ready(void *context)
{
	struct pipeline *pipeline = context;
	list_for_each (link, &pipeline->jobs) {
		struct job *job = container_of(link, struct job, link);
		if (job->phase == PHASE_EARLY)
			judge(job);
	}
}

static void on_recorded(void *context, uint64_t token, const char *why)
{
	struct pipeline *pipeline = context;
	list_for_each (link, &pipeline->jobs) {
		struct job *job = container_of(link, struct job, link);
		if (job->command->token != token)
			continue;
		if (job->phase == PHASE_RECORDING)
			order_recorded(job, why);
		else if (job->phase == PHASE_ENDING)
			deliver(job);
		return;
	}
}

static void on_interrupted(void *context, struct command *command)
{
	refuse(job_create(context, command), REPLY_TIMEOUT,
		"the gateway restarted while the command was under way: it may have been executed");
}

static void on_unsent(void *context, struct reply *reply)
{
	struct pipeline *pipeline = context;
	pipeline->setup.again(pipeline->setup.context, reply);
}

static void on_ended(void *context, const struct record *record)
{
	struct pipeline *pipeline = context;
	pipeline->setup.audit(pipeline->setup.context, record);
}

/* ---- start and stop ------------------------------------------------------------------------- */

void pipeline_start(struct pipeline *pipeline)
{
	const struct ledger_listener listener = { .context = pipeline,
		.ready = on_ready,
		.recorded = on_recorded,
		.interrupted = on_interrupted,
		.unsent = on_unsent,
		.ended = on_ended };
	ledger_start(pipeline->setup.ledger, &listener);
}

void pipeline_stop(struct pipeline *pipeline)
{
	pipeline->stopping = true;
	list_for_each (link, &pipeline->jobs) {
		struct job *job = container_of(link, struct job, link);
		if (job->phase == PHASE_SETTLING)
			refuse(job, REPLY_EXPIRED,
				"written, but not read back: the bridge was stopped");
	}
}

static void abandon(struct job *job)
{
	struct pipeline *pipeline = job->pipeline;
	if (job->phase == PHASE_EARLY) {
		/* Nothing is known of it, so nothing may be recorded. */
		pipeline->setup.reply(pipeline->setup.context, job->command,
			result_create(job->command, REPLY_BUSY,
				"the bridge was stopped; nothing was sent"));
		job_destroy(job);
		return;
	}
	if (job->phase == PHASE_RECORDING)
		mailbox_unreserve(pipeline->setup.from_field);
	if (job->phase == PHASE_ENDING) {
		deliver(job);
		return;
	}
	/* It does not come back from the disk any more: what refuse() would have it wait for. */
	struct reply *reply = result_create(
		job->command, REPLY_EXPIRED, "the bridge was stopped meanwhile");
	ledger_end(pipeline->setup.ledger, reply);
	job->reply = reply;
	deliver(job);
}

void pipeline_destroy(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	/* It tells nothing from then on. */
	ledger_save(pipeline->setup.ledger);
	list_for_each (link, &pipeline->jobs)
		abandon(container_of(link, struct job, link));
	free(pipeline);
}
