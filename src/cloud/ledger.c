/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/ledger.h"

#include <assert.h>
#include <string.h>

#include "cloud/ledger_parts.h"
#include "cloud/row.h"
#include "cloud/writer.h"
#include "util/alloc.h"

/* What is over is forgotten when its device has a new command, or after so long. */
#define SWEEP_US (60 * USEC_PER_SEC)

/* ---- entries -------------------------------------------------------------------------------- */

uint32_t ledger_hash(const char *topic, const struct buffer *payload)
{
	uint32_t hash = row_hash(ROW_HASH_START, topic, strlen(topic) + 1);
	return row_hash(hash, payload->data, payload->size);
}

uint32_t ledger_window(const struct ledger *ledger, const char *id)
{
	const struct conf_enos *enos = &ledger->setup.conf->enos;
	/* Without an id, whoever sends the same twice may mean it twice. */
	return id && *id ? enos->command_repeat_s : enos->command_repeat_raw_s;
}

struct entry *ledger_add(struct ledger *ledger, uint32_t device)
{
	struct entry *entry = must_alloc(sizeof(*entry));
	entry->token = ++ledger->last_token;
	entry->device = device;
	list_init(&entry->dirty);
	list_append(&ledger->devices[device], &entry->link);
	ledger->counts[device]++;
	ledger->count++;
	if (!timer_armed(&ledger->sweep))
		loop_arm(ledger->setup.loop, &ledger->sweep,
			loop_now(ledger->setup.loop) + SWEEP_US);
	return entry;
}

static void forget(struct ledger *ledger, struct entry *entry)
{
	list_remove(&entry->link);
	list_remove(&entry->dirty);
	ledger->counts[entry->device]--;
	ledger->count--;
	record_finish(&entry->record);
	free(entry);
}

/* Commands that run are not forgotten, nor what a job points to. */
static bool is_done(const struct entry *entry)
{
	return entry->record.state != RECORD_BEGUN && !entry->writing && !entry->waited_for;
}

static bool is_over(const struct ledger *ledger, const struct entry *entry, int64_t now_us)
{
	bool saved = list_empty(&entry->dirty) || !ledger->setup.writer;
	return is_done(entry) && now_us >= entry->until_us && saved &&
		entry->record.state == RECORD_DELIVERED;
}

static bool is_crowded(const struct ledger *ledger, uint32_t device)
{
	return ledger->counts[device] >= LEDGER_DEVICE_MAX || ledger->count >= LEDGER_MAX;
}

static void make_room(struct ledger *ledger, uint32_t device, bool repeats, int64_t now_us)
{
	list_for_each (link, &ledger->devices[device]) {
		struct entry *entry = container_of(link, struct entry, link);
		if (!is_crowded(ledger, device))
			return;
		if (!is_done(entry) || entry->record.repeat != repeats)
			continue;
		ledger->forgotten += now_us < entry->until_us;
		forget(ledger, entry);
	}
}

static void forget_old(struct ledger *ledger, uint32_t device, int64_t now_us)
{
	list_for_each (link, &ledger->devices[device]) {
		struct entry *entry = container_of(link, struct entry, link);
		if (is_over(ledger, entry, now_us))
			forget(ledger, entry);
	}
	/* Repeats first: what they repeat would run again if they pushed it out. */
	make_room(ledger, device, true, now_us);
	make_room(ledger, device, false, now_us);
}

/* The newest ones are asked for most. */
static struct entry *find(const struct ledger *ledger, uint32_t device, uint64_t token)
{
	const struct list *head = &ledger->devices[device];
	for (struct list *link = head->prev; link != head; link = link->prev) {
		struct entry *entry = container_of(link, struct entry, link);
		if (entry->token == token)
			return entry;
	}
	return NULL;
}

static void on_sweep(struct timer *timer, int64_t now_us)
{
	struct ledger *ledger = container_of(timer, struct ledger, sweep);
	for (uint32_t i = 0; i < ledger->setup.conf->device_count; i++)
		forget_old(ledger, i, now_us);
	if (ledger->count)
		loop_arm(ledger->setup.loop, timer, now_us + SWEEP_US);
}

struct reply *ledger_reply(const struct entry *entry)
{
	const struct record *record = &entry->record;
	struct reply *reply = must_alloc(sizeof(*reply));
	reply->device = entry->device;
	reply->origin = record->origin;
	reply->token = entry->token;
	reply->topic = must_strdup(record->topic);
	reply->code = record->code;
	reply->why = record->why ? must_strdup(record->why) : NULL;
	buffer_put(&reply->payload, record->reply.data, record->reply.size);
	return reply;
}

/* ---- what the pipeline asks and tells ------------------------------------------------------- */

static bool same(const struct entry *entry, uint32_t hash, const struct command *command)
{
	const struct buffer *payload = &entry->record.payload;
	return entry->hash == hash && !entry->record.repeat &&
		entry->record.origin == command->origin &&
		strcmp(entry->record.topic, command->topic) == 0 &&
		payload->size == command->payload.size &&
		(!payload->size ||
			memcmp(payload->data, command->payload.data, payload->size) == 0);
}

static struct entry *enter(struct ledger *ledger, const struct command *command)
{
	struct entry *entry = ledger_add(ledger, command->device);
	entry->came_us = command->received_us;
	entry->record = (struct record){ .key = census_key(&ledger->census, command->device),
		.device = must_strdup(ledger->setup.conf->devices[command->device].name),
		.origin = command->origin,
		.came_ms = clock_wall_ms(loop_clock(ledger->setup.loop)),
		.topic = must_strdup(command->topic),
		.command_id = command->id ? must_strdup(command->id) : NULL };
	return entry;
}

/* A record of its own says that it came again. */
static void enter_repeat(
	struct ledger *ledger, const struct command *command, const struct entry *first)
{
	struct entry *entry = enter(ledger, command);
	struct record *record = &entry->record;
	record->repeat = true;
	record->state = RECORD_DELIVERED;
	record->ended_ms = record->came_ms;
	record->code = first->record.code;
	record->why = must_strdup(first->record.state == RECORD_BEGUN
			? "came again while it ran: not run twice"
			: "came again: not run twice, the stored reply is sent again");
	ledger->repeats++;
	ledger_mark(ledger, entry);
	ledger_plan(ledger);
	ledger->listener.ended(ledger->listener.context, record);
}

enum ledger_verdict ledger_judge(
	struct ledger *ledger, struct command *command, struct reply **reply)
{
	uint32_t hash = ledger_hash(command->topic, &command->payload);
	int64_t now_us = loop_now(ledger->setup.loop);
	*reply = NULL;
	forget_old(ledger, command->device, now_us);
	list_for_each (link, &ledger->devices[command->device]) {
		struct entry *first = container_of(link, struct entry, link);
		if (!first->window_s || !same(first, hash, command) ||
			(first->record.state != RECORD_BEGUN && now_us >= first->until_us))
			continue;
		enum ledger_verdict verdict = first->record.state == RECORD_BEGUN ? LEDGER_RUNNING
										  : LEDGER_ANSWERED;
		command->token = first->token;
		if (verdict == LEDGER_ANSWERED)
			*reply = ledger_reply(first);
		enter_repeat(ledger, command, first);
		return verdict;
	}
	struct entry *entry = enter(ledger, command);
	buffer_put(&entry->record.payload, command->payload.data, command->payload.size);
	entry->hash = hash;
	entry->window_s = ledger_window(ledger, command->id);
	command->token = entry->token;
	return LEDGER_NEW;
}

static enum ledger_answer wait_for(struct ledger *ledger, struct entry *entry)
{
	if (!ledger->setup.writer)
		return LEDGER_GO;
	ledger_set_waited_for(ledger, entry, true);
	ledger_plan(ledger);
	return LEDGER_WAIT;
}

enum ledger_answer ledger_begin(struct ledger *ledger, const struct command *command)
{
	struct entry *entry = find(ledger, command->device, command->token);
	assert(entry && !entry->began);
	entry->began = true;
	ledger_mark(ledger, entry);
	return wait_for(ledger, entry);
}

enum ledger_answer ledger_end(struct ledger *ledger, const struct reply *reply)
{
	struct entry *entry = find(ledger, reply->device, reply->token);
	assert(entry && entry->record.state == RECORD_BEGUN);
	struct record *record = &entry->record;
	int64_t now_us = loop_now(ledger->setup.loop);
	record->state = record->origin == ORIGIN_CLOUD ? RECORD_ANSWERED : RECORD_DELIVERED;
	record->code = reply->code;
	record->why = reply->why ? must_strdup(reply->why) : NULL;
	buffer_put(&record->reply, reply->payload.data, reply->payload.size);
	record->ended_ms = clock_wall_ms(loop_clock(ledger->setup.loop));
	record->spent_us = now_us - entry->came_us;
	entry->until_us = now_us + entry->window_s * USEC_PER_SEC;
	ledger_set_waited_for(ledger, entry, false);
	ledger_mark(ledger, entry);
	ledger->listener.ended(ledger->listener.context, record);
	if (entry->began)
		return wait_for(ledger, entry);
	ledger_plan(ledger);
	return LEDGER_GO;
}

void ledger_delivered(struct ledger *ledger, const struct reply *reply)
{
	struct entry *entry = ledger ? find(ledger, reply->device, reply->token) : NULL;
	if (!entry || entry->record.state != RECORD_ANSWERED)
		return;
	entry->record.state = RECORD_DELIVERED;
	ledger_mark(ledger, entry);
	ledger_plan(ledger);
}

static void on_timer(struct timer *timer, int64_t now_us)
{
	(void)now_us;
	ledger_work(container_of(timer, struct ledger, timer));
}

/* ---- the whole ------------------------------------------------------------------------------ */

struct ledger *ledger_create(const struct ledger_setup *setup)
{
	struct ledger *ledger = must_alloc(sizeof(*ledger));
	uint32_t count = setup->conf->device_count;
	ledger->setup = *setup;
	ledger->timer.expired = on_timer;
	ledger->sweep.expired = on_sweep;
	ledger->devices = must_array(count, sizeof(struct list));
	ledger->counts = must_array(count, sizeof(uint32_t));
	for (uint32_t i = 0; i < count; i++)
		list_init(&ledger->devices[i]);
	list_init(&ledger->dirty);
	census_init(&ledger->census, setup->conf->devices, count);
	return ledger;
}

void ledger_start(struct ledger *ledger, const struct ledger_listener *listener)
{
	ledger->listener = *listener;
	ledger->loaded = ledger->tried = !ledger->setup.writer;
	ledger_work(ledger);
}

bool ledger_ready(const struct ledger *ledger)
{
	return ledger->tried;
}

bool ledger_durable(const struct ledger *ledger)
{
	return ledger && ledger->setup.writer && !ledger->failing;
}

void ledger_save(struct ledger *ledger)
{
	struct writer *writer = ledger->setup.writer;
	if (!writer)
		return;
	writer_settle(writer);
	for (bool fine = ledger->loaded; fine && !list_empty(&ledger->dirty);) {
		if (!ledger->writing)
			ledger_give_write(ledger);
		writer_settle(writer);
		fine = !ledger->failing;
	}
	loop_disarm(ledger->setup.loop, &ledger->timer);
	ledger->setup.writer = NULL;
}

void ledger_destroy(struct ledger *ledger)
{
	if (!ledger)
		return;
	ledger_save(ledger);
	for (uint32_t i = 0; i < ledger->setup.conf->device_count; i++) {
		list_for_each (link, &ledger->devices[i])
			forget(ledger, container_of(link, struct entry, link));
	}
	loop_disarm(ledger->setup.loop, &ledger->timer);
	loop_disarm(ledger->setup.loop, &ledger->sweep);
	census_finish(&ledger->census);
	free(ledger->devices);
	free(ledger->counts);
	free(ledger);
}

void ledger_status(const struct ledger *ledger, struct buffer *json)
{
	buffer_printf(json,
		"{\"state\":\"%s\",\"remembered\":%zu,\"repeated\":%ju,\"forgotten\":%ju,"
		"\"failures\":%ju}",
		!ledger->setup.writer     ? "memory"
			: ledger->failing ? "failing"
			: !ledger->loaded ? "opening"
					  : "ok",
		ledger->count, (uintmax_t)ledger->repeats, (uintmax_t)ledger->forgotten,
		(uintmax_t)ledger->failures);
}
