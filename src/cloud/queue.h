/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits to be sent for one device: replies, as many as commands are under way, and reports.
 *
 * Reports stand in two lists, in the order in which they came: in front what has been in memory ever
 * since, and the raw bytes and events, whose order is strict; behind it the backlog, points that were
 * read back from the disk.  A message of the one and a message of the other go in turns.  Some may be
 * held, because a message with them is under way: they are then neither dropped nor replaced.  Further
 * reports may be on the disk alone (spool.h): raw bytes and events that came later wait for those.
 * Points and events wait until the clock is set (calendar.h); raw bytes do not, nor for such events.
 */
#ifndef EB_CLOUD_QUEUE_H
#define EB_CLOUD_QUEUE_H

#include "cloud/calendar.h"
#include "core/message.h"
#include "util/list.h"

struct spool;

enum waiting_place { WAITING_FRESH, WAITING_WRITTEN, WAITING_STORED, WAITING_SUPERSEDED };

/* A report that waits; places beside the links are the spool's. */
struct waiting {
	struct list link;
	struct report *report;
	struct queue *queue;
	uint64_t id; /* grows with time */
	bool returned; /* from the disk */
	/* In memory alone, under way to the disk, on the disk as well, on it until the newer one is. */
	enum waiting_place place;
	uint64_t supersedes; /* id of a row that may go as soon as this one is safe; 0: none */
	struct list fresh; /* among all that are in memory alone */
	int64_t since_us;
	struct waiting **slot; /* where the job that writes it knows it */
};

struct queue {
	struct list front, backlog, under_way, replies;
	uint32_t count, held, reply_count;
	uint32_t returned; /* of count: came back from the disk */
	uint32_t kept; /* of count: on the disk too, of what was never away */
	uint32_t sticky; /* reports put back, which go next */
	bool backlog_went; /* the last message was of the backlog */

	struct spool *spool; /* NULL: memory is all there is */
	uint32_t device; /* its number, where there is a spool */
	const struct calendar *calendar; /* NULL: all times are right */
	uint64_t last_id; /* without a spool */
	bool online; /* the cloud answers */
	/* On the disk alone: none below this id; 0: nothing. */
	uint64_t disk_from;
	uint64_t disk_points, disk_strict; /* at most so many */
	/* While the clock is not set, what need not wait for it was read back up to here, exclusive. */
	uint64_t untimed_from;
	uint64_t attributes_row; /* id of the newest that went to the disk; 0: none */
	uint32_t departures, departures_read; /* changes when disk_from may have gone back */
	bool stopped; /* a read brought more than there was room for */
};

enum queue_change {
	QUEUE_GREW,
	QUEUE_REPLACED, /* an older report of the same poll, or of attributes, made way */
	QUEUE_OVERFLOWED, /* the oldest that is not held made way */
};

void queue_init(struct queue *queue);
void queue_finish(struct queue *queue);

/*
 * Puts the report, taking a reference.  One that replaces others takes the place of an older one of
 * its kind from the same poll; raw bytes then go to the end, since their order is all that they have,
 * and events are never replaced.  Attributes join those that wait already.  *displaced gets what made
 * way, whose reference is the caller's, or NULL.
 */
enum queue_change queue_put(
	struct queue *queue, struct report *report, uint32_t limit, struct report **displaced);
/* Whether there is a report that may go now. */
bool queue_ready(const struct queue *queue);
/* The reports under way, then those that go next, at most room; returns how many. */
size_t queue_peek(const struct queue *queue, const struct report **reports, size_t room);
/* How many of the reports that queue_peek() says are under way. */
void queue_hold(struct queue *queue, uint32_t count);
/* Takes out the first of them; its reference is the caller's. */
struct report *queue_take(struct queue *queue);

void queue_put_reply(struct queue *queue, struct reply *reply);
struct reply *queue_first_reply(const struct queue *queue);
struct reply *queue_take_reply(struct queue *queue);

static inline bool queue_empty(const struct queue *queue)
{
	return !queue->count && !queue->reply_count;
}

/* ---- for the spool -------------------------------------------------------------------------- */

/* It is on the disk now: leaves memory unless it is soon to go. */
void queue_stored(struct waiting *waiting);
/* The cloud answers, or no more: then what is on the disk leaves memory. */
void queue_set_online(struct queue *queue, bool online);
bool queue_has(const struct queue *queue, uint64_t id);
/* Puts a report from the disk, taking its reference. */
void queue_return(struct queue *queue, uint64_t id, struct report *report);

#endif
