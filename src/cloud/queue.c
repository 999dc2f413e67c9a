/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/queue.h"

#include <assert.h>
#include <string.h>

#include "cloud/spool.h"
#include "util/alloc.h"
#include "util/value.h"

/* Reports of a device that stay in memory though they are on the disk, while the cloud answers. */
#define KEEP_MAX 32
/* With a disk a queue may be this long at least: what comes during a commit is no reason to drop any. */
#define ROOM_MIN 1000

struct waiting_reply {
	struct list link;
	struct reply *reply;
};

void queue_init(struct queue *queue)
{
	*queue = (struct queue){ .count = 0 };
	list_init(&queue->front);
	list_init(&queue->backlog);
	list_init(&queue->under_way);
	list_init(&queue->replies);
}

static struct waiting *waiting_of(const struct list *link)
{
	return container_of(link, struct waiting, link);
}

static bool is_strict(const struct waiting *waiting)
{
	return waiting->report->kind == REPORT_RAW || waiting->report->kind == REPORT_EVENT;
}

/* Out of the queue and its counts; the report's reference is the caller's. */
static struct report *extract(struct waiting *waiting)
{
	struct queue *queue = waiting->queue;
	struct report *report = waiting->report;
	list_remove(&waiting->link);
	queue->count--;
	queue->returned -= waiting->returned;
	queue->kept -= waiting->place == WAITING_STORED && !waiting->returned;
	free(waiting);
	return report;
}

/* For good: acknowledged, refused or dropped. */
static struct report *take(struct waiting *waiting)
{
	struct queue *queue = waiting->queue;
	if (queue->spool)
		spool_gone(queue->spool, waiting);
	bool returned = waiting->returned;
	struct report *report = extract(waiting);
	if (returned && queue->spool)
		spool_hungry(queue->spool);
	return report;
}

void queue_finish(struct queue *queue)
{
	struct list *lists[] = { &queue->front, &queue->backlog, &queue->under_way };
	if (queue->spool)
		spool_detach(queue->spool, queue);
	for (int i = 0; i < 3; i++) {
		while (!list_empty(lists[i]))
			report_release(extract(waiting_of(lists[i]->next)));
	}
	queue->held = 0;
	while (queue->reply_count)
		reply_destroy(queue_take_reply(queue));
}

static void insert_by_id(struct list *list, struct waiting *waiting)
{
	struct list *place = list;
	while (place->prev != list && waiting_of(place->prev)->id > waiting->id)
		place = place->prev;
	list_insert(place, &waiting->link);
}

/* ---- the disk ------------------------------------------------------------------------------- */

/* From now on it is on the disk alone. */
static void leave(struct waiting *waiting)
{
	struct queue *queue = waiting->queue;
	if (!queue->disk_from || waiting->id < queue->disk_from)
		queue->disk_from = waiting->id;
	queue->untimed_from = 0;
	if (is_strict(waiting))
		queue->disk_strict++;
	else
		queue->disk_points++;
	queue->departures++;
	report_release(extract(waiting));
}

/* What is stored and not held, and may be read back: of attributes only the newest are of use. */
static bool may_leave(const struct waiting *waiting)
{
	return waiting->place == WAITING_STORED && waiting->report->kind != REPORT_ATTRIBUTES;
}

/* Behind raw bytes or events that are on the disk alone. */
static bool is_parked(const struct waiting *waiting)
{
	const struct queue *queue = waiting->queue;
	return is_strict(waiting) && queue->disk_strict && queue->disk_from &&
		waiting->id > queue->disk_from;
}

static bool is_held(const struct waiting *waiting)
{
	list_for_each (link, &waiting->queue->under_way) {
		if (link == &waiting->link)
			return true;
	}
	return false;
}

/* The oldest go first, so that the backlog keeps its order. */
static void leave_oldest(struct queue *queue)
{
	list_for_each (link, &queue->front) {
		struct waiting *waiting = waiting_of(link);
		if (may_leave(waiting) && !waiting->returned) {
			leave(waiting);
			return;
		}
	}
}

void queue_stored(struct waiting *waiting)
{
	struct queue *queue = waiting->queue;
	waiting->place = WAITING_STORED;
	queue->kept++;
	if (!may_leave(waiting) || is_held(waiting))
		return;
	if (!queue->online || is_parked(waiting))
		leave(waiting);
	else if (queue->kept > KEEP_MAX)
		leave_oldest(queue);
}

void queue_set_online(struct queue *queue, bool online)
{
	struct list *lists[] = { &queue->front, &queue->backlog };
	if (queue->online == online)
		return;
	queue->online = online;
	if (online) {
		if (queue->spool && queue->disk_from)
			spool_hungry(queue->spool);
		return;
	}
	for (int i = 0; i < 2; i++) {
		list_for_each (link, lists[i]) {
			if (may_leave(waiting_of(link)))
				leave(waiting_of(link));
		}
	}
}

bool queue_has(const struct queue *queue, uint64_t id)
{
	const struct list *lists[] = { &queue->front, &queue->backlog, &queue->under_way };
	for (int i = 0; i < 3; i++) {
		for (const struct list *link = lists[i]->next; link != lists[i];
			link = link->next) {
			if (waiting_of(link)->id == id)
				return true;
		}
	}
	return false;
}

static struct waiting *create(struct queue *queue, struct report *report)
{
	struct waiting *waiting = must_alloc(sizeof(*waiting));
	list_init(&waiting->link);
	list_init(&waiting->fresh);
	waiting->report = report;
	waiting->queue = queue;
	queue->count++;
	return waiting;
}

void queue_return(struct queue *queue, uint64_t id, struct report *report)
{
	struct waiting *waiting = create(queue, report);
	waiting->id = id;
	waiting->returned = true;
	waiting->place = WAITING_STORED;
	queue->returned++;
	if (report->kind == REPORT_ATTRIBUTES && id > queue->attributes_row)
		queue->attributes_row = id;
	uint64_t *away = is_strict(waiting) ? &queue->disk_strict : &queue->disk_points;
	*away -= *away ? 1 : 0;
	insert_by_id(report->kind == REPORT_POINTS ? &queue->backlog : &queue->front, waiting);
}

/* ---- putting -------------------------------------------------------------------------------- */

/* Two reports of one reading stand beside each other; neither replaces the other. */
static bool outdates(const struct report *newer, const struct report *older)
{
	return older->replaces == newer->replaces && older->kind == newer->kind &&
		older->stamp.mono_us != newer->stamp.mono_us;
}

/* What is on the disk is history, and stays. */
static struct waiting *find_outdated(struct queue *queue, const struct report *report)
{
	list_for_each (link, &queue->front) {
		struct waiting *waiting = waiting_of(link);
		if (waiting->place == WAITING_FRESH && outdates(report, waiting->report))
			return waiting;
	}
	return NULL;
}

/*
 * The newest: what an older one says of the same attribute must not come behind it.  One under way to the
 * disk is left to itself.
 */
static struct waiting *find_attributes(struct queue *queue)
{
	for (struct list *link = queue->front.prev; link != &queue->front; link = link->prev) {
		struct waiting *waiting = waiting_of(link);
		if (waiting->report->kind == REPORT_ATTRIBUTES)
			return waiting->place == WAITING_WRITTEN ? NULL : waiting;
	}
	return NULL;
}

/* A report with the newer attributes, and those of the older that the newer has not. */
static struct report *join_attributes(const struct report *newer, const struct report *older)
{
	OWNED_BUFFER joined = BUFFER_EMPTY;
	struct value_reader reader = value_reader(newer->data, newer->size);
	struct value map, key, value;
	if (!value_next(&reader, &map) || map.type != VALUE_MAP)
		return NULL;
	uint32_t count = (uint32_t)map.size;
	size_t place = value_begin_map(&joined);
	buffer_put(&joined, reader.at, (size_t)(reader.end - reader.at));
	reader = value_reader(older->data, older->size);
	if (!value_next(&reader, &map) || map.type != VALUE_MAP)
		return NULL;
	for (size_t i = 0; i < map.size && value_next(&reader, &key); i++) {
		const uint8_t *begin = reader.at;
		value_skip(&reader);
		if (value_find(newer->data, newer->size, key.text, &value, NULL))
			continue;
		value_put_string(&joined, key.text, key.size);
		buffer_put(&joined, begin, (size_t)(reader.at - begin));
		count++;
	}
	value_end(&joined, place, count);
	struct report *report = report_create(
		newer->device, newer->kind, &newer->stamp, joined.data, joined.size);
	report->replaces = newer->replaces;
	return report;
}

static struct waiting *first_free(const struct queue *queue, bool stored)
{
	struct waiting *oldest = NULL;
	const struct list *lists[] = { &queue->front, &queue->backlog };
	for (int i = 0; i < 2; i++) {
		for (const struct list *link = lists[i]->next; link != lists[i];
			link = link->next) {
			struct waiting *waiting = waiting_of(link);
			if (stored && !may_leave(waiting))
				continue;
			if (!oldest || waiting->id < oldest->id)
				oldest = waiting;
			break;
		}
	}
	return oldest;
}

/* Makes room; returns the report that is lost by it, or NULL. */
static struct report *make_room(struct queue *queue, uint32_t limit)
{
	if (queue->spool && spool_works(queue->spool) && limit < ROOM_MIN)
		limit = ROOM_MIN;
	if (queue->count < limit || queue->count <= queue->held)
		return NULL;
	struct waiting *stored = first_free(queue, true);
	if (stored) {
		leave(stored);
		return NULL;
	}
	return take(first_free(queue, false));
}

/*
 * Where newer ones keep coming, the disk gets one of them in the time of the first; and what is on the
 * disk already stays there until the newer one is.
 */
static void supersede(struct waiting *waiting, struct waiting *outdated)
{
	switch (outdated->place) {
	case WAITING_FRESH:
		waiting->since_us = outdated->since_us;
		list_remove(&waiting->fresh);
		list_insert(&outdated->fresh, &waiting->fresh);
		waiting->supersedes = outdated->supersedes;
		outdated->supersedes = 0;
		break;
	case WAITING_STORED:
		waiting->supersedes = outdated->id;
		outdated->place = WAITING_SUPERSEDED;
		break;
	case WAITING_WRITTEN:
	case WAITING_SUPERSEDED:
		break;
	}
}

enum queue_change queue_put(
	struct queue *queue, struct report *report, uint32_t limit, struct report **displaced)
{
	struct list *place = &queue->front;
	struct waiting *outdated = NULL;
	enum queue_change change = QUEUE_GREW;
	struct report *joined = NULL;
	*displaced = NULL;
	if (report->kind == REPORT_ATTRIBUTES) {
		outdated = find_attributes(queue);
		joined = outdated ? join_attributes(report, outdated->report) : NULL;
		outdated = joined ? outdated : NULL;
	} else if (report->replaces && report->kind != REPORT_EVENT) {
		outdated = find_outdated(queue, report);
		if (outdated && report->kind != REPORT_RAW)
			place = outdated->link.next;
	}
	if (outdated) {
		change = QUEUE_REPLACED;
	} else {
		*displaced = make_room(queue, limit);
		change = *displaced ? QUEUE_OVERFLOWED : QUEUE_GREW;
	}
	struct waiting *waiting = create(queue, joined ? joined : report_reference(report));
	waiting->id = ++queue->last_id;
	list_insert(place, &waiting->link);
	if (queue->spool)
		spool_came(queue->spool, waiting);
	if (outdated && queue->spool)
		supersede(waiting, outdated);
	if (outdated)
		*displaced = take(outdated);
	return change;
}

/* ---- taking --------------------------------------------------------------------------------- */

static bool may_go(const struct waiting *waiting)
{
	const struct spool *spool = waiting->queue->spool;
	if (calendar_holds(waiting->queue->calendar, waiting->report))
		return false;
	return !spool || (!is_parked(waiting) && spool_may_send(spool, waiting));
}

/* The first at or behind that may go, or NULL. */
static struct waiting *next_of(const struct list *list, const struct list *link)
{
	for (; link != list; link = link->next) {
		if (may_go(waiting_of(link)))
			return waiting_of(link);
	}
	return NULL;
}

/* The list that the next message is taken from: they take turns. */
static const struct list *source_of(const struct queue *queue)
{
	if (!next_of(&queue->backlog, queue->backlog.next))
		return &queue->front;
	if (!next_of(&queue->front, queue->front.next))
		return &queue->backlog;
	bool backlog = queue->sticky ? queue->backlog_went : !queue->backlog_went;
	return backlog ? &queue->backlog : &queue->front;
}

bool queue_ready(const struct queue *queue)
{
	return queue->held || next_of(&queue->backlog, queue->backlog.next) ||
		next_of(&queue->front, queue->front.next);
}

size_t queue_peek(const struct queue *queue, const struct report **reports, size_t room)
{
	const struct list *held = &queue->under_way, *list = source_of(queue);
	size_t count = 0;
	for (const struct list *link = held->next; count < room && link != held; link = link->next)
		reports[count++] = waiting_of(link)->report;
	for (const struct list *link = list->next; count < room && link != list;
		link = link->next) {
		if (may_go(waiting_of(link)))
			reports[count++] = waiting_of(link)->report;
	}
	return count;
}

static void put_back(struct queue *queue, struct waiting *waiting)
{
	bool backlog = waiting->returned && waiting->report->kind == REPORT_POINTS;
	list_remove(&waiting->link);
	insert_by_id(backlog ? &queue->backlog : &queue->front, waiting);
	queue->held--;
	if (queue->spool && !queue->online && may_leave(waiting))
		leave(waiting);
}

static void hold_next(struct queue *queue, const struct list *source)
{
	struct waiting *waiting = next_of(source, source->next);
	assert(waiting);
	list_remove(&waiting->link);
	list_append(&queue->under_way, &waiting->link);
	queue->held++;
}

void queue_hold(struct queue *queue, uint32_t count)
{
	if (queue->held > count)
		queue->sticky = queue->held - count;
	while (queue->held > count)
		put_back(queue, waiting_of(queue->under_way.prev));
	if (queue->held == count)
		return;
	const struct list *source = source_of(queue);
	while (queue->held < count)
		hold_next(queue, source);
	/* What was put back goes first, and alone, before the other list has its turn. */
	if (queue->sticky)
		queue->sticky--;
	else
		queue->backlog_went = source == &queue->backlog;
}

struct report *queue_take(struct queue *queue)
{
	assert(queue->count);
	if (!queue->held)
		return take(next_of(source_of(queue), source_of(queue)->next));
	queue->held--;
	return take(waiting_of(queue->under_way.next));
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
