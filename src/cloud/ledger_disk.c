/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger on the disk: what is written of it, and what a start finds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cloud/ledger_parts.h"
#include "cloud/writer.h"
#include "util/alloc.h"
#include "util/log.h"

/* What nobody waits for is written with what somebody does, or after so long. */
#define LAZY_US (2 * USEC_PER_SEC)
/* A disk that fails is asked again after so long, or when the next command needs it. */
#define RETRY_US (5 * USEC_PER_SEC)
#define ROWS_AT_ONCE 500
#define LISTS_MAX 3
/* ---- to the disk ---------------------------------------------------------------------------- */

void ledger_mark(struct ledger *ledger, struct entry *entry)
{
	entry->version++;
	if (ledger->setup.writer && list_empty(&entry->dirty))
		list_append(&ledger->dirty, &entry->dirty);
}

static void give(struct ledger *ledger, struct batch *batch, void (*done)(struct job *job))
{
	struct job *job = job_create(JOB_BATCH);
	job->batch = batch;
	job->context = ledger;
	job->done = done;
	writer_give(ledger->setup.writer, job);
}

static void note_failure(struct ledger *ledger, const struct job *job)
{
	ledger->failures++;
	snprintf(ledger->reason, sizeof(ledger->reason), "%s", job->reason);
	if (!ledger->failing)
		log_error("commands: %s/spool.db fails: %s: %s; check space and permissions there",
			ledger->setup.conf->gateway.state_dir, job->reason,
			ledger->setup.conf->enos.commands_without_disk
				? "commands run without a record, as commands_without_disk says"
				: "commands are refused until it works");
	ledger->failing = true;
}

static void note_success(struct ledger *ledger)
{
	if (ledger->failing)
		log_info(
			"commands: %s/spool.db works again", ledger->setup.conf->gateway.state_dir);
	ledger->failing = false;
}

void ledger_set_waited_for(struct ledger *ledger, struct entry *entry, bool wanted)
{
	ledger->waiters += (unsigned)wanted - (unsigned)entry->waited_for;
	entry->waited_for = wanted;
}

static void tell_recorded(struct ledger *ledger, struct entry *entry, const char *why)
{
	uint64_t token = entry->token;
	ledger_set_waited_for(ledger, entry, false);
	ledger->listener.recorded(ledger->listener.context, token, why);
}

static void write_done(struct job *job)
{
	struct ledger *ledger = job->context;
	struct entry **slots = TAKE(ledger->slots);
	size_t count = ledger->slot_count;
	ledger->writing = false;
	if (job->result < 0)
		note_failure(ledger, job);
	else
		note_success(ledger);
	/* First all of them, since what is told may change any. */
	for (size_t i = 0; i < count; i++) {
		slots[i]->writing = false;
		if (job->result == 0 && slots[i]->version == slots[i]->written)
			list_remove(&slots[i]->dirty);
		else if (slots[i]->version != slots[i]->written)
			slots[i] = NULL;
	}
	for (size_t i = 0; i < count; i++) {
		if (slots[i] && slots[i]->waited_for)
			tell_recorded(ledger, slots[i], job->result < 0 ? ledger->reason : NULL);
	}
	free(slots);
	job_destroy(job);
	ledger_plan(ledger);
}

void ledger_give_write(struct ledger *ledger)
{
	struct batch *batch = batch_create(BATCH_WRITE);
	batch->keep = ledger->setup.conf->spool.command_records;
	ledger->slots = must_array(ROWS_AT_ONCE, sizeof(struct entry *));
	ledger->slot_count = 0;
	list_for_each (link, &ledger->dirty) {
		struct entry *entry = container_of(link, struct entry, dirty);
		if (ledger->slot_count == ROWS_AT_ONCE)
			break;
		if (!entry->record.id)
			entry->record.id = ++ledger->last_id;
		entry->writing = true;
		entry->written = entry->version;
		ledger->slots[ledger->slot_count++] = entry;
		batch_add(batch, record_copy(&entry->record));
	}
	ledger->writing = true;
	give(ledger, batch, write_done);
}

/* ---- from the disk -------------------------------------------------------------------------- */

static struct command *command_again(struct entry *entry)
{
	struct command *command;
	char error[160];
	const struct record *record = &entry->record;
	command_create(&command, entry->device, record->origin, record->topic, record->payload.data,
		record->payload.size, error, sizeof(error));
	command->token = entry->token;
	command->received_us = entry->came_us;
	return command;
}

/* How much of its window is left; a clock that was set meanwhile may give it all of it again. */
static int64_t window_left_us(const struct ledger *ledger, const struct record *record)
{
	int64_t window_ms = ledger_window(ledger, record->command_id) * INT64_C(1000);
	int64_t gone_ms = clock_wall_ms(loop_clock(ledger->setup.loop)) - record->ended_ms;
	int64_t left_ms = gone_ms < 0 ? window_ms : window_ms - gone_ms;
	return left_ms * USEC_PER_MSEC;
}

static void restore(struct ledger *ledger, struct record *record)
{
	int64_t device = census_number(&ledger->census, record->key);
	if (device < 0)
		return;
	struct entry *entry = ledger_add(ledger, (uint32_t)device);
	entry->record = *record;
	*record = (struct record){ .id = 0 };
	/* It is found by its keys in EnOS: its name may be another one by now. */
	free(entry->record.device);
	entry->record.device = must_strdup(ledger->setup.conf->devices[device].name);
	entry->hash = ledger_hash(entry->record.topic, &entry->record.payload);
	entry->window_s = ledger_window(ledger, entry->record.command_id);
	entry->came_us = loop_now(ledger->setup.loop);
	entry->until_us = entry->came_us + window_left_us(ledger, &entry->record);
	entry->began = entry->record.state == RECORD_BEGUN;
	if (entry->began)
		ledger->listener.interrupted(ledger->listener.context, command_again(entry));
	else if (entry->record.state == RECORD_ANSWERED)
		ledger->listener.unsent(ledger->listener.context, ledger_reply(entry));
}

static void load_done(struct job *job)
{
	struct ledger *ledger = job->context;
	bool first = !ledger->tried;
	ledger->loading = false;
	ledger->tried = true;
	if (job->result < 0) {
		note_failure(ledger, job);
		list_for_each (link, &ledger->dirty) {
			struct entry *entry = container_of(link, struct entry, dirty);
			if (entry->waited_for)
				tell_recorded(ledger, entry, ledger->reason);
		}
	} else {
		note_success(ledger);
		ledger->loaded = true;
		ledger->last_id = job->batch->last_id;
		for (size_t i = 0; i < job->batch->count; i++)
			restore(ledger, job->batch->records[i]);
	}
	job_destroy(job);
	if (first)
		ledger->listener.ready(ledger->listener.context);
	ledger_plan(ledger);
}

static void give_load(struct ledger *ledger)
{
	const struct conf_enos *enos = &ledger->setup.conf->enos;
	uint32_t window_s = enos->command_repeat_s > enos->command_repeat_raw_s
		? enos->command_repeat_s
		: enos->command_repeat_raw_s;
	struct batch *batch = batch_create(BATCH_LOAD);
	batch->since_ms = clock_wall_ms(loop_clock(ledger->setup.loop)) - window_s * INT64_C(1000);
	ledger->loading = true;
	give(ledger, batch, load_done);
}

/* ---- when ----------------------------------------------------------------------------------- */

void ledger_work(struct ledger *ledger)
{
	if (ledger->writing || ledger->loading || !ledger->setup.writer)
		return;
	if (!ledger->loaded)
		give_load(ledger);
	else if (!list_empty(&ledger->dirty))
		ledger_give_write(ledger);
}

void ledger_plan(struct ledger *ledger)
{
	if (!ledger->setup.writer || (ledger->loaded && list_empty(&ledger->dirty)))
		return;
	int64_t now_us = loop_now(ledger->setup.loop);
	/* In the next turn, so that what comes together is committed together. */
	int64_t due_us = ledger->waiters ? now_us
		: ledger->failing        ? now_us + RETRY_US
					 : now_us + LAZY_US;
	if (!timer_armed(&ledger->timer) || ledger->timer.due_us > due_us)
		loop_arm(ledger->setup.loop, &ledger->timer, due_us);
}

/* ---- the list ------------------------------------------------------------------------------- */

struct list_wish {
	struct ledger *ledger;
	void (*told)(void *context, uint64_t token, struct record *const *records, size_t count,
		const char *why);
	void *context;
	uint64_t token;
};

static void list_done(struct job *job)
{
	struct list_wish *wish = job->context;
	wish->ledger->lists--;
	wish->told(wish->context, wish->token, job->batch->records, job->batch->count,
		job->result < 0 ? job->reason : NULL);
	free(wish);
	job_destroy(job);
}

static int is_newer(const void *a, const void *b)
{
	const struct record *first = *(struct record *const *)a;
	const struct record *second = *(struct record *const *)b;
	return first->came_ms < second->came_ms ? 1 : first->came_ms > second->came_ms ? -1 : 0;
}

static void list_memory(
	struct ledger *ledger, int64_t device, size_t room, const struct list_wish *wish)
{
	size_t count = 0;
	struct record **records = must_array(ledger->count + 1, sizeof(*records));
	for (uint32_t i = 0; i < ledger->setup.conf->device_count; i++) {
		if (device >= 0 && device != i)
			continue;
		list_for_each (link, &ledger->devices[i])
			records[count++] = &container_of(link, struct entry, link)->record;
	}
	qsort(records, count, sizeof(*records), is_newer);
	wish->told(wish->context, wish->token, records, count < room ? count : room, NULL);
	free(records);
}

int ledger_list(struct ledger *ledger, int64_t device, size_t room,
	void (*told)(void *context, uint64_t token, struct record *const *records, size_t count,
		const char *why),
	void *context, uint64_t token)
{
	const struct list_wish wish = { ledger, told, context, token };
	if (!ledger->setup.writer) {
		list_memory(ledger, device, room, &wish);
		return 0;
	}
	if (ledger->lists == LISTS_MAX)
		return -EBUSY;
	/* What came last is to be in it. */
	if (ledger->loaded && !ledger->writing && !list_empty(&ledger->dirty))
		ledger_give_write(ledger);
	struct job *job = job_create(JOB_BATCH);
	job->batch = batch_create(BATCH_LIST);
	job->batch->key = device < 0 ? 0 : census_key(&ledger->census, (uint32_t)device);
	job->batch->room = room;
	job->context = must_memdup(&wish, sizeof(wish));
	job->done = list_done;
	ledger->lists++;
	writer_give(ledger->setup.writer, job);
	return 0;
}
