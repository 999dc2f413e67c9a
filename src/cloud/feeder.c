/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/feeder.h"

#include "util/alloc.h"

#define READ_MAX 256
/* Reports from the disk that wait for one device, and for all. */
#define DEVICE_MAX 32
#define WAITING_MAX 1024
#define TICK_US (50 * USEC_PER_MSEC)

void feeder_plan(struct feeder *feeder)
{
	if (!feeder->busy && !timer_armed(&feeder->timer))
		loop_arm(feeder->loop, &feeder->timer, loop_now(feeder->loop) + TICK_US);
}

static size_t earn(struct feeder *feeder, int64_t now_us)
{
	int64_t most = feeder->rate * (USEC_PER_SEC / 4);
	int64_t passed_us = now_us - feeder->credit_us;
	feeder->credit_us = now_us;
	if (passed_us > USEC_PER_SEC)
		passed_us = USEC_PER_SEC;
	feeder->credit += passed_us * feeder->rate;
	if (most < USEC_PER_SEC)
		most = USEC_PER_SEC;
	if (feeder->credit > most)
		feeder->credit = most;
	return feeder->credit < 0 ? 0 : (size_t)(feeder->credit / USEC_PER_SEC);
}

/* The first id that the queue misses and could send; UINT64_MAX: none. */
static uint64_t misses(struct queue *queue)
{
	if (!queue->disk_from)
		return UINT64_MAX;
	if (!queue->calendar || queue->calendar->set)
		queue->untimed_from = 0;
	return queue->untimed_from > queue->disk_from ? queue->untimed_from : queue->disk_from;
}

/* What devices want, from the oldest that one of them misses; false: nothing. */
static bool choose(struct feeder *feeder, bool *wanted, uint64_t *from, size_t *waiting)
{
	*from = UINT64_MAX;
	*waiting = 0;
	for (uint32_t i = 0; i < feeder->count; i++) {
		struct queue *queue = feeder->queues[i];
		if (!queue)
			continue;
		*waiting += queue->returned;
		uint64_t missed = misses(queue);
		if (!queue->online || missed == UINT64_MAX || queue->returned >= DEVICE_MAX)
			continue;
		feeder->untimed = queue->calendar && !queue->calendar->set;
		wanted[i] = true;
		queue->stopped = false;
		queue->departures_read = queue->departures;
		if (missed < *from)
			*from = missed;
	}
	return *from != UINT64_MAX;
}

static void on_timer(struct timer *timer, int64_t now_us)
{
	struct feeder *feeder = container_of(timer, struct feeder, timer);
	OWNED bool *wanted = must_array(feeder->count, sizeof(*wanted));
	size_t room = earn(feeder, now_us), waiting;
	uint64_t from;
	if (!choose(feeder, wanted, &from, &waiting))
		return;
	if (!room || waiting >= WAITING_MAX) {
		feeder_plan(feeder);
		return;
	}
	struct job *job = job_create(JOB_READ);
	job->read.from = from;
	job->read.untimed = feeder->untimed;
	job->read.wanted = TAKE(wanted);
	job->read.room = room < READ_MAX ? room : READ_MAX;
	job->read.rows = must_array(job->read.room, sizeof(*job->read.rows));
	feeder->busy = true;
	writer_give(feeder->writer, job);
}

/* Whether what was read is what the queue still misses. */
static bool is_current(const struct queue *queue)
{
	return queue && queue->online && queue->departures == queue->departures_read;
}

/* Of an earlier boot, and nobody knows when that was. */
static bool is_timeless(const struct report *report)
{
	return report->stamp.unset && report->stamp.boot &&
		(report->kind == REPORT_POINTS || report->kind == REPORT_EVENT);
}

static void take_row(struct feeder *feeder, struct store_row *row, bool untimed, struct idset *gone)
{
	struct queue *queue = feeder->queues[row->report->device];
	if (!is_current(queue) || queue->stopped || row->id < queue->disk_from ||
		idset_has(gone, row->id) || queue_has(queue, row->id))
		return;
	if (queue->returned >= DEVICE_MAX) {
		queue->stopped = true;
		if (untimed)
			queue->untimed_from = row->id;
		else
			queue->disk_from = row->id;
		return;
	}
	feeder->credit -= USEC_PER_SEC;
	feeder->read++;
	if (is_timeless(row->report) && !feeder->send_unset) {
		feeder->dropped++;
		idset_add(gone, row->id);
		return;
	}
	queue_return(queue, row->id, report_reference(row->report));
}

/* Points and events are still there; nothing waits for these events. */
static void took_untimed(struct queue *queue, const struct store_read *read)
{
	queue->untimed_from = read->end ? UINT64_MAX : read->next;
	if (!read->end)
		return;
	queue->disk_points += queue->disk_strict;
	queue->disk_strict = 0;
}

void feeder_take(struct feeder *feeder, struct job *job, struct idset *gone)
{
	const struct store_read *read = &job->read;
	feeder->busy = false;
	if (job->result < 0)
		return;
	for (size_t i = 0; i < read->count; i++)
		take_row(feeder, &read->rows[i], read->untimed, gone);
	for (uint32_t i = 0; i < feeder->count; i++) {
		struct queue *queue = feeder->queues[i];
		if (!read->wanted[i] || !is_current(queue) || queue->stopped)
			continue;
		if (read->untimed)
			took_untimed(queue, read);
		else if (read->end)
			queue->disk_from = queue->disk_points = queue->disk_strict = 0;
		else if (read->next > queue->disk_from)
			queue->disk_from = read->next;
	}
}

void feeder_init(struct feeder *feeder, struct loop *loop, struct writer *writer,
	struct queue **queues, uint32_t count, uint32_t rate)
{
	*feeder = (struct feeder){ .loop = loop,
		.writer = writer,
		.queues = queues,
		.count = count,
		.rate = rate,
		.credit_us = loop_now(loop) };
	feeder->timer.expired = on_timer;
}

void feeder_finish(struct feeder *feeder)
{
	if (feeder->loop)
		loop_disarm(feeder->loop, &feeder->timer);
}
