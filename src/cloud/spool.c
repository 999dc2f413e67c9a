/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/spool.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cloud/feeder.h"
#include "cloud/writer.h"
#include "util/alloc.h"
#include "util/idset.h"
#include "util/json.h"
#include "util/log.h"

#define ROWS_AT_ONCE 500
/* Rows that are deleted at once: many, since they share pages that are then never written. */
#define GONE_AT_ONCE 4000
/* Acknowledged rows that wait to be deleted: beyond it nothing more is read back. */
#define GONE_MAX 10000
#define RETRY_MIN_US USEC_PER_SEC
#define RETRY_MAX_US (60 * USEC_PER_SEC)
/* How often it is looked whether rows are too old. */
#define AGE_LOOK_US (60 * USEC_PER_SEC)
/* Without an eviction for so long, the next one is news again. */
#define EVICTION_NEWS_US (600 * USEC_PER_SEC)

struct spool {
	struct spool_setup setup;
	const struct conf_spool *conf;
	struct loop *loop;
	struct writer *writer;
	struct feeder feeder;
	struct queue **queues; /* by device */
	uint32_t count;

	uint64_t last_id;
	struct list fresh; /* waiting reports that are in memory alone, as they came */
	size_t unsaved; /* with those under way to the disk */
	int64_t boot_ms; /* of the machine, to be told to the disk; 0: nothing to tell */
	struct idset gone; /* rows to delete */
	int64_t gone_since_us;
	bool opened, busy, failing, saved;
	int64_t free_us; /* when the last job to write was done */
	int64_t retry_us, failed_us, aged_us, evicted_us;
	struct log_limit news; /* of failures */
	struct timer timer;

	struct store_totals totals; /* after the last job */
	uint64_t written, deleted, failures;
};

/* ---- what goes to the disk ------------------------------------------------------------------ */

static int64_t half_us(const struct spool *spool)
{
	return spool->conf->commit_interval_ms * USEC_PER_MSEC / 2;
}

/* The reports that are due, as rows; each of its slots leads back to what waits. */
static void take_due(struct spool *spool, struct job *job, int64_t since_us, size_t most)
{
	struct store_row *rows = must_array(most, sizeof(*rows));
	struct waiting **slots = must_array(most, sizeof(*slots));
	size_t count = 0;
	list_for_each (link, &spool->fresh) {
		struct waiting *waiting = container_of(link, struct waiting, fresh);
		if (count == most || waiting->since_us > since_us)
			break;
		list_remove(link);
		waiting->place = WAITING_WRITTEN;
		if (waiting->report->kind == REPORT_ATTRIBUTES)
			waiting->queue->attributes_row = waiting->id;
		waiting->slot = &slots[count];
		slots[count] = waiting;
		rows[count++] = (struct store_row){ waiting->id,
			report_reference(waiting->report) };
	}
	job->write.rows = rows;
	job->write.count = count;
	job->context = slots;
}

/* Rows are only held for too old by a clock that was set. */
static int64_t oldest_ms(struct spool *spool)
{
	const struct clock *clock = loop_clock(spool->loop);
	int64_t now_us = loop_now(spool->loop);
	if (now_us < spool->aged_us)
		return 0;
	spool->aged_us = now_us + AGE_LOOK_US;
	if (!spool->conf->max_age_s || !clock_synced(clock))
		return 0;
	return clock_wall_ms(clock) - spool->conf->max_age_s * INT64_C(1000);
}

static void give_write(struct spool *spool, int64_t since_us, size_t most)
{
	struct job *job = job_create(JOB_WRITE);
	size_t gone = spool->gone.count < GONE_AT_ONCE ? spool->gone.count : GONE_AT_ONCE;
	take_due(spool, job, since_us, most);
	job->write.gone = must_memdup(spool->gone.ids, gone * sizeof(uint64_t));
	job->write.gone_count = gone;
	job->write.max_bytes = spool->conf->max_mb * UINT64_C(1000000);
	job->write.oldest_ms = oldest_ms(spool);
	job->write.boot_ms = spool->boot_ms;
	spool->busy = true;
	writer_give(spool->writer, job);
}

/* Deleting is never urgent. */
static int64_t gone_wait_us(const struct spool *spool)
{
	int64_t wait_us = 4 * half_us(spool);
	return wait_us > 2 * USEC_PER_SEC ? wait_us : 2 * USEC_PER_SEC;
}

/* When the disk has something to do; INT64_MAX: never. */
static int64_t wanted_us(const struct spool *spool)
{
	int64_t due_us = INT64_MAX;
	if (!spool->opened || spool->failing)
		return spool->free_us;
	if (!list_empty(&spool->fresh))
		due_us = container_of(spool->fresh.next, struct waiting, fresh)->since_us +
			half_us(spool);
	if (spool->gone.count >= GONE_AT_ONCE)
		return spool->free_us;
	if (spool->gone.count && spool->gone_since_us + gone_wait_us(spool) < due_us)
		due_us = spool->gone_since_us + gone_wait_us(spool);
	/* What is on the disk may have waited for it. */
	if (spool->totals.rows && spool->boot_ms)
		return spool->free_us;
	if (spool->totals.rows && spool->conf->max_age_s && spool->aged_us < due_us)
		due_us = spool->aged_us;
	return due_us;
}

/* The same, but not before the disk had a rest. */
static int64_t due_us(const struct spool *spool)
{
	int64_t wanted = wanted_us(spool), rested = spool->free_us + half_us(spool);
	if (spool->failing)
		return spool->free_us + spool->retry_us;
	/* What is more than one job takes, and was due before that one, need not wait again. */
	if (wanted <= spool->free_us || spool->gone.count >= GONE_AT_ONCE)
		rested = spool->free_us;
	return wanted > rested ? wanted : rested;
}

static void plan(struct spool *spool)
{
	if (spool->busy || spool->saved)
		return;
	int64_t due = due_us(spool);
	/* The timer is left alone where it is due earlier: each report would move it. */
	if (due != INT64_MAX && (!timer_armed(&spool->timer) || spool->timer.due_us > due))
		loop_arm(spool->loop, &spool->timer, due);
}

static void on_timer(struct timer *timer, int64_t now_us)
{
	struct spool *spool = container_of(timer, struct spool, timer);
	if (spool->busy)
		return;
	if (now_us < due_us(spool)) {
		plan(spool);
	} else if (spool->opened) {
		give_write(spool, now_us - half_us(spool), ROWS_AT_ONCE);
	} else {
		spool->busy = true;
		writer_give(spool->writer, job_create(JOB_OPEN));
	}
}

/* ---- what became of it ---------------------------------------------------------------------- */

static void note_failure(struct spool *spool, const struct job *job)
{
	int64_t now_us = loop_now(spool->loop);
	uint64_t held;
	spool->failures++;
	/* A disk that fails now and then is asked less and less. */
	bool again = spool->failed_us && now_us - spool->failed_us < 2 * RETRY_MAX_US;
	spool->retry_us = !again                     ? RETRY_MIN_US
		: spool->retry_us < RETRY_MAX_US / 2 ? spool->retry_us * 2
						     : RETRY_MAX_US;
	spool->failed_us = now_us;
	if (!spool->failing && log_limit_pass(&spool->news, now_us, &held))
		log_error(
			"spool: %s/spool.db cannot be %s: %s: reports wait in memory alone; check "
			"space and permissions there",
			spool->setup.conf->gateway.state_dir,
			job->kind == JOB_READ ? "read" : "written", job->reason);
	spool->failing = true;
}

static void note_success(struct spool *spool)
{
	if (spool->failing)
		log_info("spool: %s/spool.db works again", spool->setup.conf->gateway.state_dir);
	spool->failing = false;
}

static void note_evictions(struct spool *spool, uint64_t evicted)
{
	int64_t now_us = loop_now(spool->loop);
	if (evicted && (!spool->evicted_us || now_us - spool->evicted_us > EVICTION_NEWS_US))
		log_warning("spool: the oldest reports are taken away: they are more than "
			    "spool.max_mb or older than spool.max_age; check the connection to %s",
			spool->setup.conf->enos.host);
	if (evicted)
		spool->evicted_us = now_us;
}

static void tell_ready(struct spool *spool, uint32_t device)
{
	const struct queue *queue = spool->queues[device];
	if (queue && queue_ready(queue))
		spool->setup.ready(spool->setup.context, device);
}

static void tell_all_ready(struct spool *spool)
{
	for (uint32_t i = 0; i < spool->count; i++)
		tell_ready(spool, i);
}

/* In the order in which they came, before all others. */
static void take_back(struct spool *spool, struct waiting **slots, size_t count)
{
	while (count--) {
		struct waiting *waiting = slots[count];
		if (!waiting)
			continue;
		waiting->place = WAITING_FRESH;
		waiting->slot = NULL;
		list_prepend(&spool->fresh, &waiting->fresh);
	}
}

/* Its row is of no use any more. */
static void row_gone(struct spool *spool, uint64_t id)
{
	if (!spool->gone.count)
		spool->gone_since_us = loop_now(spool->loop);
	idset_add(&spool->gone, id);
}

static void mark_stored(struct spool *spool, struct waiting **slots, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct waiting *waiting = slots[i];
		if (!waiting)
			continue;
		uint32_t device = waiting->report->device;
		bool attributes = waiting->report->kind == REPORT_ATTRIBUTES;
		waiting->slot = NULL;
		spool->unsaved--;
		if (waiting->supersedes)
			row_gone(spool, waiting->supersedes);
		waiting->supersedes = 0;
		queue_stored(waiting);
		if (!spool->conf->commit_interval_ms || attributes)
			tell_ready(spool, device);
	}
}

static void end_write(struct spool *spool, struct job *job)
{
	struct waiting **slots = job->context;
	for (size_t i = 0; i < job->write.count; i++)
		report_release(job->write.rows[i].report);
	if (job->result < 0) {
		take_back(spool, slots, job->write.count);
		note_failure(spool, job);
		tell_all_ready(spool);
	} else {
		idset_drop(&spool->gone, job->write.gone_count);
		spool->written += job->write.count;
		spool->deleted += job->write.gone_count;
		if (spool->boot_ms == job->write.boot_ms)
			spool->boot_ms = 0;
		note_success(spool);
		mark_stored(spool, slots, job->write.count);
	}
	free(slots);
	spool->gone_since_us = loop_now(spool->loop);
}

static void restore_attributes(struct spool *spool, struct job *job)
{
	for (size_t i = 0; i < job->read.count; i++) {
		struct store_row *row = &job->read.rows[i];
		struct queue *queue = spool->queues[row->report->device];
		if (queue)
			queue_return(queue, row->id, report_reference(row->report));
	}
}

/* Ids so far were counted from 1: what is on the disk came before. */
static void shift_ids(struct spool *spool, uint64_t next_id)
{
	list_for_each (link, &spool->fresh)
		container_of(link, struct waiting, fresh)->id += next_id;
	spool->last_id += next_id;
}

static void end_open(struct spool *spool, struct job *job)
{
	if (job->result < 0)
		note_failure(spool, job);
	else
		note_success(spool);
	for (uint32_t i = 0; i < spool->count; i++) {
		struct queue *queue = spool->queues[i];
		if (!queue)
			continue;
		const struct store_counts none = { .first = 0 };
		const struct store_counts *counts = job->result < 0 ? &none : &job->counts[i];
		queue->disk_points = counts->points;
		queue->disk_strict = counts->strict;
		queue->disk_from = counts->points || counts->strict ? counts->first : 0;
		queue->departures++;
	}
	if (job->result == 0) {
		spool->opened = true;
		shift_ids(spool, job->next_id);
		restore_attributes(spool, job);
	}
	tell_all_ready(spool);
}

static void end_read(struct spool *spool, struct job *job)
{
	if (job->result < 0)
		note_failure(spool, job);
	uint64_t dropped = spool->feeder.dropped;
	if (!spool->gone.count)
		spool->gone_since_us = loop_now(spool->loop);
	feeder_take(&spool->feeder, job, &spool->gone);
	if (!dropped && spool->feeder.dropped)
		log_warning(
			"spool: reports of an earlier start of the machine, whose clock was never "
			"set, are dropped: see spool.unset_clock");
	for (uint32_t i = 0; i < spool->count; i++) {
		if (job->read.wanted[i])
			tell_ready(spool, i);
	}
}

static void on_done(void *context, struct job *job)
{
	struct spool *spool = context;
	note_evictions(spool, job->totals.evicted - spool->totals.evicted);
	spool->totals = job->totals;
	if (job->kind == JOB_READ) {
		end_read(spool, job);
	} else {
		spool->busy = false;
		spool->free_us = loop_now_exact(spool->loop);
		if (job->kind == JOB_WRITE)
			end_write(spool, job);
		else
			end_open(spool, job);
	}
	job_destroy(job);
	plan(spool);
	spool_hungry(spool);
}

/* ---- what queues tell ----------------------------------------------------------------------- */

void spool_came(struct spool *spool, struct waiting *waiting)
{
	waiting->id = ++spool->last_id;
	waiting->since_us = loop_now(spool->loop);
	waiting->place = WAITING_FRESH;
	list_append(&spool->fresh, &waiting->fresh);
	spool->unsaved++;
	plan(spool);
}

void spool_gone(struct spool *spool, struct waiting *waiting)
{
	if (waiting->supersedes) {
		row_gone(spool, waiting->supersedes);
		plan(spool);
	}
	switch (waiting->place) {
	case WAITING_FRESH:
		list_remove(&waiting->fresh);
		spool->unsaved--;
		break;
	case WAITING_WRITTEN:
		*waiting->slot = NULL;
		spool->unsaved--;
		/* After a failure it may be on the disk nevertheless. */
		row_gone(spool, waiting->id);
		break;
	case WAITING_STORED:
		row_gone(spool, waiting->id);
		plan(spool);
		break;
	case WAITING_SUPERSEDED:
		break;
	}
}

void spool_hungry(struct spool *spool)
{
	if (spool->opened && !spool->saved && !spool->failing && spool->gone.count < GONE_MAX)
		feeder_plan(&spool->feeder);
}

/*
 * After a kill older attributes that are still on the disk would come behind newer ones, unless those are
 * there too.
 */
static bool would_be_undone(const struct spool *spool, const struct waiting *waiting)
{
	const struct queue *queue = waiting->queue;
	return waiting->report->kind == REPORT_ATTRIBUTES && queue->attributes_row &&
		(idset_has(&spool->gone, queue->attributes_row) ||
			queue_has(queue, queue->attributes_row));
}

bool spool_may_send(const struct spool *spool, const struct waiting *waiting)
{
	if (waiting->place == WAITING_STORED || spool->failing || spool->saved)
		return true;
	return spool->conf->commit_interval_ms && !would_be_undone(spool, waiting);
}

void spool_clock_set(struct spool *spool, int64_t boot_ms)
{
	spool->boot_ms = boot_ms;
	plan(spool);
	spool_hungry(spool);
}

bool spool_works(const struct spool *spool)
{
	return !spool->failing && !spool->saved;
}

/* ---- the whole ------------------------------------------------------------------------------ */

int spool_create(struct spool **result, const struct spool_setup *setup)
{
	const struct conf *conf = setup->conf;
	struct spool *spool = must_alloc(sizeof(*spool));
	spool->setup = *setup;
	spool->conf = &conf->spool;
	spool->loop = setup->loop;
	spool->count = conf->device_count;
	spool->queues = must_array(spool->count, sizeof(struct queue *));
	spool->timer.expired = on_timer;
	spool->last_id = 1; /* as if that were on the disk, until it is known */
	spool->free_us = loop_now(setup->loop);
	spool->retry_us = RETRY_MIN_US;
	spool->news = (struct log_limit){ .window_us = EVICTION_NEWS_US, .burst = 1 };
	list_init(&spool->fresh);
	const struct writer_setup writer = { .directory = conf->gateway.state_dir,
		.devices = conf->devices,
		.count = conf->device_count,
		.boot = clock_boot_id(loop_clock(setup->loop)),
		.loop = setup->loop,
		.context = spool,
		.done = on_done };
	int error = writer_create(&spool->writer, &writer);
	if (error < 0) {
		spool_destroy(spool);
		return error;
	}
	feeder_init(&spool->feeder, setup->loop, spool->writer, spool->queues, spool->count,
		spool->conf->backfill_rate);
	spool->feeder.send_unset = spool->conf->unset_clock == UNSET_CLOCK_SEND;
	plan(spool);
	*result = spool;
	return 0;
}

struct writer *spool_writer(struct spool *spool)
{
	return spool->writer;
}

void spool_attach(struct spool *spool, uint32_t device, struct queue *queue)
{
	assert(!spool->opened && device < spool->count);
	spool->queues[device] = queue;
	queue->spool = spool;
	queue->device = device;
	/* Until it is known what is on the disk, raw bytes and events wait. */
	queue->disk_from = queue->disk_strict = 1;
}

void spool_detach(struct spool *spool, struct queue *queue)
{
	spool->queues[queue->device] = NULL;
	struct list *lists[] = { &queue->front, &queue->backlog, &queue->under_way };
	for (int i = 0; i < 3; i++) {
		list_for_each (link, lists[i]) {
			struct waiting *waiting = container_of(link, struct waiting, link);
			list_remove(&waiting->fresh);
			if (waiting->slot)
				*waiting->slot = NULL;
		}
	}
	queue->spool = NULL;
}

size_t spool_unsaved(const struct spool *spool)
{
	return spool->saved ? 0 : spool->unsaved;
}

void spool_settle(struct spool *spool)
{
	writer_settle(spool->writer);
}

size_t spool_save(struct spool *spool)
{
	if (spool->saved)
		return 0;
	spool_settle(spool);
	loop_disarm(spool->loop, &spool->timer);
	if (spool->opened &&
		(spool->unsaved || spool->gone.count || (spool->totals.rows && spool->boot_ms))) {
		give_write(spool, INT64_MAX, spool->unsaved);
		spool_settle(spool);
	}
	spool->saved = true;
	loop_disarm(spool->loop, &spool->timer);
	feeder_finish(&spool->feeder);
	writer_stop(spool->writer);
	return spool->unsaved;
}

void spool_destroy(struct spool *spool)
{
	if (!spool)
		return;
	if (spool->writer)
		spool_save(spool);
	writer_destroy(spool->writer);
	loop_disarm(spool->loop, &spool->timer);
	idset_finish(&spool->gone);
	free(spool->queues);
	free(spool);
}

void spool_status(const struct spool *spool, struct buffer *json)
{
	const struct store_totals *totals = &spool->totals;
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{ "rows", totals->rows },
		{ "bytes", totals->bytes },
		{ "strangers", totals->strangers },
		{ "unsaved", spool->unsaved },
		{ "written", spool->written },
		{ "read", spool->feeder.read },
		{ "deleted", spool->deleted },
		{ "evicted", totals->evicted },
		{ "dropped_unset", spool->feeder.dropped },
		{ "damaged_files", totals->damaged },
		{ "failures", spool->failures },
	};
	buffer_printf(json, "{\"state\":\"%s\"",
		spool->failing           ? "failing"
			: !spool->opened ? "opening"
					 : "ok");
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		buffer_printf(json, ",\"%s\":%ju", counts[i].name, (uintmax_t)counts[i].value);
	buffer_put_byte(json, '}');
}
