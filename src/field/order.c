/* SPDX-License-Identifier: Apache-2.0 */
#include "field/order.h"

#include <string.h>

#include "field/health.h"

static struct order *order_of(struct list *link)
{
	return container_of(container_of(link, struct mail, link), struct order, mail);
}

static void put(struct bus *bus, struct order *order, struct outcome *outcome)
{
	mailbox_put_reserved(bus->plane->outbox, &outcome->mail);
	message_destroy(&order->mail);
}

/* From that step on nothing is sent. */
static void mark_rest(struct outcome *outcome, size_t from, enum outcome_status first)
{
	for (size_t i = from; i < outcome->count; i++)
		outcome->steps[i].status = i == from ? first : OUTCOME_SKIPPED;
}

/* Answers an order of which nothing was sent. */
static void refuse(struct bus *bus, struct order *order, enum outcome_status status)
{
	struct outcome *outcome = outcome_create(order->device, order->serial, order->count);
	mark_rest(outcome, 0, status);
	put(bus, order, outcome);
}

static bool same_places(const struct order *a, const struct order *b)
{
	return a->device == b->device && a->places.size && a->places.size == b->places.size &&
		memcmp(a->places.data, b->places.data, a->places.size) == 0;
}

/* What waits and would only be written over at once need not be written at all. */
static void supersede(struct bus *bus, const struct order *newer)
{
	list_for_each (link, &bus->orders) {
		struct order *older = order_of(link);
		if (!same_places(older, newer))
			continue;
		list_remove(link);
		bus->order_count--;
		refuse(bus, older, OUTCOME_SUPERSEDED);
	}
}

void order_take(struct bus *bus, struct order *order)
{
	supersede(bus, order);

	if (bus->stopping || bus->why)
		refuse(bus, order, OUTCOME_LINK);
	else if (order->deadline_us <= bus_now(bus))
		refuse(bus, order, OUTCOME_EXPIRED);
	else if (bus->order_count >= BUS_ORDERS_MAX)
		refuse(bus, order, OUTCOME_BUSY);
	else {
		list_append(&bus->orders, &order->mail.link);
		bus->order_count++;
	}
}

static struct device *find_device(const struct bus *bus, uint32_t number)
{
	list_for_each (link, &bus->devices) {
		struct device *device = container_of(link, struct device, turn);
		if (device->number == number)
			return device;
	}
	return NULL;
}

/* The first order that waits for nothing but the bus. */
static struct order *first_ready(const struct bus *bus, int64_t *next_us)
{
	int64_t now = bus_now(bus);
	list_for_each (link, &bus->orders) {
		struct order *order = order_of(link);
		struct device *device = find_device(bus, order->device);
		int64_t free_us = device && order->count
			? device_free_us(device, order->requests[0])
			: 0;
		if (free_us <= now)
			return order;
		if (free_us < *next_us)
			*next_us = free_us;
	}
	return NULL;
}

bool order_waits(const struct bus *bus)
{
	int64_t next_us;
	return bus->running.order || (bus->order_count && first_ready(bus, &next_us));
}

static void finish(struct bus *bus)
{
	struct running_order running = bus->running;
	bus->running = (struct running_order){ .order = NULL };
	put(bus, running.order, running.outcome);
}

static void start(struct bus *bus, struct order *order)
{
	list_remove(&order->mail.link);
	bus->order_count--;
	bus->running = (struct running_order){
		.order = order,
		.outcome = outcome_create(order->device, order->serial, order->count),
	};
	mark_rest(bus->running.outcome, 0, OUTCOME_SKIPPED);
}

bool order_begin(struct bus *bus, int64_t *next_us)
{
	*next_us = INT64_MAX;
	if (bus->in_flight)
		return false;
	if (!bus->running.order) {
		struct order *order = first_ready(bus, next_us);
		if (!order)
			return false;
		start(bus, order);
	}
	struct running_order *running = &bus->running;
	struct device *device = find_device(bus, running->order->device);
	if (!device || running->step == running->order->count) {
		finish(bus);
		return true;
	}
	const struct request *request = running->order->requests[running->step];
	int64_t free_us = device_free_us(device, request);
	if (free_us > bus_now(bus)) {
		*next_us = free_us;
		return false;
	}
	transaction_begin_step(bus, device, request);
	return true;
}

static bool is_tried_again(
	const struct bus *bus, const struct transaction *transaction, const struct ending *ending)
{
	const struct request *request = transaction->request;
	bool repeatable = !(request->wire.flags & EB_WRITE) || request->retry_safe;
	return repeatable && transaction->begun_us && ending->error != EB_EXCEPTION &&
		ending->error != EB_LINK && bus->running.tries < bus->conf->retries &&
		!bus->stopping;
}

static enum outcome_status status_of(
	const struct transaction *transaction, const struct ending *ending)
{
	if (!transaction->begun_us)
		return ending->error == EB_LINK ? OUTCOME_LINK : OUTCOME_SKIPPED;
	switch (ending->error) {
	case EB_EXCEPTION:
		return OUTCOME_EXCEPTION;
	case EB_ECHO:
		return OUTCOME_ECHO;
	case EB_LINK:
		/* What was sent before the link broke may have been executed. */
		return transaction->request->wire.flags & EB_WRITE ? OUTCOME_TIMEOUT : OUTCOME_LINK;
	default:
		return OUTCOME_TIMEOUT;
	}
}

void order_step_ended(
	struct bus *bus, const struct transaction *transaction, const struct ending *ending)
{
	struct running_order *running = &bus->running;
	struct step_outcome *step = &running->outcome->steps[running->step];
	if (ending->error == EB_NONE) {
		step->status = OUTCOME_DONE;
		step->error = EB_NONE;
		buffer_put(&step->bytes, ending->content, ending->size);
		running->tries = 0;
		if (++running->step == running->order->count)
			finish(bus);
		return;
	}
	step->error = ending->error;
	if (is_tried_again(bus, transaction, ending)) {
		running->tries++;
		return;
	}
	if (ending->error != EB_EXCEPTION && ending->error != EB_LINK)
		health_bad(transaction->device, ending);
	step->status = status_of(transaction, ending);
	step->code = ending->code;
	finish(bus);
}

int64_t order_expire(struct bus *bus)
{
	int64_t now = bus_now(bus), next_us = INT64_MAX;
	list_for_each (link, &bus->orders) {
		struct order *order = order_of(link);
		if (order->deadline_us > now) {
			next_us = order->deadline_us < next_us ? order->deadline_us : next_us;
			continue;
		}
		list_remove(link);
		bus->order_count--;
		refuse(bus, order, OUTCOME_EXPIRED);
	}
	return next_us;
}

/* Of a step that is not on the wire: an earlier try of it may have been executed. */
static enum outcome_status unsent_status(const struct running_order *running)
{
	const struct request *request = running->order->requests[running->step];
	return running->tries && request->wire.flags & EB_WRITE ? OUTCOME_TIMEOUT : OUTCOME_LINK;
}

void order_fail_all(struct bus *bus)
{
	if (bus->running.order) {
		mark_rest(bus->running.outcome, bus->running.step, unsent_status(&bus->running));
		finish(bus);
	}
	while (!list_empty(&bus->orders)) {
		struct order *order = order_of(list_take_first(&bus->orders));
		bus->order_count--;
		refuse(bus, order, OUTCOME_LINK);
	}
}
