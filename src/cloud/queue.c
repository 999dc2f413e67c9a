/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/queue.h"

#include <assert.h>
#include <string.h>

#include "util/alloc.h"

struct waiting_report {
	struct list link;
	struct report *report;
};

struct waiting_reply {
	struct list link;
	struct reply *reply;
};

void queue_init(struct queue *queue)
{
	*queue = (struct queue){ .count = 0 };
	list_init(&queue->reports);
	list_init(&queue->replies);
}

void queue_finish(struct queue *queue)
{
	while (queue->count)
		report_release(queue_take(queue));
	while (queue->reply_count)
		reply_destroy(queue_take_reply(queue));
}

static struct report *take(struct queue *queue, struct list *link)
{
	struct waiting_report *waiting = container_of(link, struct waiting_report, link);
	struct report *report = waiting->report;
	list_remove(link);
	queue->count--;
	free(waiting);
	return report;
}

/* Two reports of one reading stand beside each other; neither replaces the other. */
static bool outdates(const struct report *newer, const struct report *older)
{
	return older->replaces == newer->replaces && older->kind == newer->kind &&
		older->stamp.mono_us != newer->stamp.mono_us;
}

static struct list *find_outdated(struct queue *queue, const struct report *report)
{
	uint32_t place = 0;
	list_for_each (link, &queue->reports) {
		struct waiting_report *waiting = container_of(link, struct waiting_report, link);
		if (place++ >= queue->held && outdates(report, waiting->report))
			return link;
	}
	return NULL;
}

static struct list *oldest_free(struct queue *queue)
{
	struct list *link = queue->reports.next;
	for (uint32_t place = 0; place < queue->held; place++)
		link = link->next;
	return link;
}

enum queue_change queue_put(
	struct queue *queue, struct report *report, uint32_t limit, struct report **displaced)
{
	struct waiting_report *waiting = must_alloc(sizeof(*waiting));
	waiting->report = report_reference(report);
	struct list *place = &queue->reports, *outdated = NULL;
	enum queue_change change = QUEUE_GREW;
	*displaced = NULL;
	if (report->replaces && report->kind != REPORT_EVENT)
		outdated = find_outdated(queue, report);
	if (outdated) {
		if (report->kind != REPORT_RAW)
			place = outdated->next;
		*displaced = take(queue, outdated);
		change = QUEUE_REPLACED;
	} else if (queue->count >= limit && queue->count > queue->held) {
		*displaced = take(queue, oldest_free(queue));
		change = QUEUE_OVERFLOWED;
	}
	list_insert(place, &waiting->link);
	queue->count++;
	return change;
}

size_t queue_peek(const struct queue *queue, const struct report **reports, size_t room)
{
	size_t count = 0;
	list_for_each (link, &queue->reports) {
		if (count == room)
			break;
		reports[count++] = container_of(link, struct waiting_report, link)->report;
	}
	return count;
}

void queue_hold(struct queue *queue, uint32_t count)
{
	assert(count <= queue->count);
	queue->held = count;
}

struct report *queue_take(struct queue *queue)
{
	assert(queue->count);
	if (queue->held)
		queue->held--;
	return take(queue, queue->reports.next);
}

void queue_put_reply(struct queue *queue, struct reply *reply)
{
	struct waiting_reply *waiting = must_alloc(sizeof(*waiting));
	waiting->reply = reply;
	list_append(&queue->replies, &waiting->link);
	queue->reply_count++;
}

struct reply *queue_first_reply(const struct queue *queue)
{
	if (!queue->reply_count)
		return NULL;
	return container_of(queue->replies.next, struct waiting_reply, link)->reply;
}

struct reply *queue_take_reply(struct queue *queue)
{
	assert(queue->reply_count);
	struct list *link = list_take_first(&queue->replies);
	struct waiting_reply *waiting = container_of(link, struct waiting_reply, link);
	struct reply *reply = waiting->reply;
	free(waiting);
	queue->reply_count--;
	return reply;
}
