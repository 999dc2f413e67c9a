/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits to be sent for one device: replies, as many as commands are under way, and reports, at
 * most a given number.  The first reports may be held, because a message with them is under way:
 * they are then neither dropped nor replaced.
 */
#ifndef EB_CLOUD_QUEUE_H
#define EB_CLOUD_QUEUE_H

#include "core/message.h"
#include "util/list.h"

struct queue {
	struct list reports, replies;
	uint32_t count, held, reply_count;
};

enum queue_change {
	QUEUE_GREW,
	QUEUE_REPLACED, /* an older report of the same poll made way */
	QUEUE_OVERFLOWED, /* the oldest that is not held made way */
};

void queue_init(struct queue *queue);
void queue_finish(struct queue *queue);

/*
 * Puts the report, taking a reference.  One that replaces others takes the place of an older one of
 * its kind from the same poll; raw bytes then go to the end, since their order is all that they have,
 * and events are never replaced.  *displaced gets what made way, whose reference is the caller's, or
 * NULL.
 */
enum queue_change queue_put(
	struct queue *queue, struct report *report, uint32_t limit, struct report **displaced);
/* The first reports, at most room; returns how many. */
size_t queue_peek(const struct queue *queue, const struct report **reports, size_t room);
/* How many of the first are under way. */
void queue_hold(struct queue *queue, uint32_t count);
/* Takes out the first; its reference is the caller's. */
struct report *queue_take(struct queue *queue);

void queue_put_reply(struct queue *queue, struct reply *reply);
struct reply *queue_first_reply(const struct queue *queue);
struct reply *queue_take_reply(struct queue *queue);

static inline bool queue_empty(const struct queue *queue)
{
	return !queue->count && !queue->reply_count;
}

#endif
