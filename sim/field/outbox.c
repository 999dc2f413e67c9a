/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/outbox.h"

#include "util/alloc.h"

static struct departure *first(struct outbox *outbox)
{
	return list_empty(&outbox->waiting)
		? NULL
		: container_of(outbox->waiting.next, struct departure, link);
}

static void drop(struct outbox *outbox, struct departure *departure)
{
	list_remove(&departure->link);
	outbox->count--;
	free(departure);
}

static void arm(struct outbox *outbox)
{
	struct departure *departure = first(outbox);
	if (!departure)
		loop_disarm(outbox->loop, &outbox->next);
	else if (departure->started)
		loop_arm(outbox->loop, &outbox->next,
			wire_next_us(outbox->wire, &departure->sending, departure->sent));
	else
		loop_arm(outbox->loop, &outbox->next, departure->due_us);
}

/* Sends what is through by now.  False while there is more to come. */
static bool step(struct outbox *outbox, struct departure *departure, int64_t now_us)
{
	if (!departure->started && departure->due_us > now_us)
		return false;
	if (!departure->started) {
		departure->started = true;
		wire_send(outbox->wire, &departure->sending, departure->due_us,
			departure->answer.drip_us);
	}
	size_t through = wire_through(outbox->wire, &departure->sending, now_us);
	if (through > departure->sent)
		outbox->put(outbox, departure->answer.bytes + departure->sent,
			through - departure->sent);
	departure->sent = through;
	return through == departure->answer.size;
}

static void go_on(struct timer *timer, int64_t now_us)
{
	struct outbox *outbox = container_of(timer, struct outbox, next);
	struct departure *departure;
	while ((departure = first(outbox)) && step(outbox, departure, now_us)) {
		outbox->sent(outbox, departure);
		drop(outbox, departure);
	}
	arm(outbox);
	if (outbox->rested)
		outbox->rested(outbox);
}

void outbox_init(struct outbox *outbox, struct loop *loop, struct wire *wire)
{
	outbox->loop = loop;
	outbox->wire = wire;
	outbox->next.expired = go_on;
	list_init(&outbox->waiting);
}

void outbox_clear(struct outbox *outbox)
{
	while (first(outbox))
		drop(outbox, first(outbox));
	loop_disarm(outbox->loop, &outbox->next);
}

void outbox_add(
	struct outbox *outbox, const struct answer *answer, int64_t due_us, size_t request_size)
{
	if (outbox->count >= OUTBOX_MAX)
		return;
	struct departure *departure = must_alloc(sizeof(*departure));
	departure->answer = *answer;
	departure->due_us = due_us;
	departure->request_size = request_size;
	departure->sending.size = answer->size;
	departure->sending.pause_at = answer->pause_at;
	struct list *place = &outbox->waiting;
	while (place->prev != &outbox->waiting) {
		struct departure *before = container_of(place->prev, struct departure, link);
		if (before->started || before->due_us <= due_us)
			break;
		place = place->prev;
	}
	list_insert(place, &departure->link);
	outbox->count++;
	arm(outbox);
}
