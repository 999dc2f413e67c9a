/* SPDX-License-Identifier: Apache-2.0 */
#include "field/transaction.h"

#include "field/health.h"
#include "field/order.h"
#include "field/task.h"
#include "util/alloc.h"
#include "util/log.h"

#define STEPS_MAX 64
/* What an answer of unknown size may take on the wire. */
#define UNKNOWN_ANSWER 256
/* Time-outs in a row without one byte after which a connection is made anew. */
#define MUTE_MAX 3
/* Where frames are told apart by what they carry, half a one puts all that follow out of step. */
#define CUT_TAGGED_US (50 * USEC_PER_MSEC)
/* A frame that comes so long after a time-out is held for its late answer. */
#define LATE_TAGGED_US (60 * USEC_PER_SEC)

static void transaction_free(struct transaction *transaction)
{
	plan_release(transaction->plan);
	buffer_finish(&transaction->so_far);
	free(transaction->frame);
	free(transaction);
}

bool transaction_room(const struct bus *bus)
{
	return bus->in_flight < bus->in_flight_max;
}

/* A frame that the plugin cannot make is its fault, not the device's: the poll is slowed down. */
static void refuse(struct bus *bus, struct transaction *transaction)
{
	if (!bus->blamed)
		log_error("%s: plugin %s cannot make the frame of \"%s\"", bus_name(bus),
			bus->conf->plugin->name,
			transaction->request->text ? transaction->request->text : "?");
	bus->blamed = true;
	transaction_end(bus, transaction, &(struct ending){ .error = EB_EXCEPTION });
}

static void begin(struct bus *bus, struct transaction *transaction, const struct request *request)
{
	struct plane *plane = bus->plane;
	transaction->request = request;
	transaction->tag = ++bus->tag;
	if (bus->in_flight++ == 0)
		bus->busy_from_us = bus_now(bus);
	transaction->device->outstanding++;
	list_append(&bus->outstanding, &transaction->link);
	const struct eb_outstanding outstanding = {
		.request = &request->wire,
		.tag = transaction->tag,
	};
	int size = bus->conf->plugin->encode(bus->state, &outstanding, plane->frame);
	if (size <= 0 || size > (int)EB_FRAME_MAX) {
		refuse(bus, transaction);
		return;
	}
	transaction->frame = must_memdup(plane->frame, (size_t)size);
	transaction->frame_size = (uint16_t)size;
	transaction->queued = true;
}

static uint32_t timeout_of(const struct bus *bus, const struct request *request)
{
	int64_t timeout_us = request->timeout_us ? request->timeout_us
						 : bus->conf->timeout_ms * USEC_PER_MSEC;
	return timeout_us < UINT32_MAX ? (uint32_t)timeout_us : UINT32_MAX;
}

void transaction_begin_poll(struct bus *bus, const struct choice *choice)
{
	struct transaction *transaction = must_alloc(sizeof(*transaction));
	const struct request *request = choice_request(choice);
	struct device *device = choice->device;
	transaction->device = device;
	transaction->plan = plan_reference(device->plan);
	transaction->first = choice->first;
	transaction->count = choice->count;
	transaction->probe = choice->probe;
	transaction->setup = choice->setup;
	transaction->timeout_us = timeout_of(bus, request);
	if (choice->probe)
		transaction->timeout_us = health_probe_wait_us(device, transaction->timeout_us);
	begin(bus, transaction, request);
}

void transaction_begin_step(struct bus *bus, struct device *device, const struct request *request)
{
	struct transaction *transaction = must_alloc(sizeof(*transaction));
	transaction->device = device;
	transaction->timeout_us = timeout_of(bus, request);
	begin(bus, transaction, request);
}

struct transaction *transaction_queued(const struct bus *bus)
{
	for (struct list *link = bus->outstanding.next; link != &bus->outstanding;
		link = link->next) {
		struct transaction *transaction = container_of(link, struct transaction, link);
		if (transaction->queued)
			return transaction;
	}
	return NULL;
}

/* The whole frame is with the kernel: on a serial line it takes its time from there. */
static void sent(struct bus *bus, struct transaction *transaction)
{
	const struct request *request = transaction->request;
	transaction->queued = false;
	if (bus->sent_us < transaction->sent_us)
		bus->sent_us = transaction->sent_us;
	bus->sent_us += bus_wire_us(bus, transaction->frame_size);
	transaction->deadline_us = bus->sent_us;
	if (request->wire.flags & EB_NO_ANSWER)
		transaction->deadline_us += bus->conf->turnaround_us;
	else
		transaction->deadline_us += transaction->timeout_us;
	bus->late_noise = 0;
	bus->stats.requests++;
	transaction->device->stats.requests++;
	bus_trace(bus, TRACE_SENT, transaction->device, EB_NONE, transaction->frame,
		transaction->frame_size);
	if (bus->conf->link.echo == ANSWER_NO || bus_matches_tags(bus)) {
		free(TAKE(transaction->frame));
		transaction->echo = ECHO_ABSENT;
	}
}

void transaction_send(struct bus *bus, struct transaction *transaction)
{
	int64_t now = loop_now_exact(bus->plane->loop);
	if (!transaction->sent_us) {
		transaction->sent_us = now;
		bus->noisy_us = 0;
		if (!transaction->begun_us)
			transaction->begun_us = now;
	}
	ssize_t taken = bus->link->ops->write(bus->link,
		transaction->frame + transaction->frame_sent,
		(size_t)(transaction->frame_size - transaction->frame_sent));
	if (taken < 0) {
		bus_link_error(bus, (int)-taken);
		return;
	}
	transaction->frame_sent += (uint16_t)taken;
	transaction->deadline_us = now + transaction->timeout_us;
	if (transaction->frame_sent == transaction->frame_size)
		sent(bus, transaction);
}

int64_t transaction_next_us(const struct bus *bus)
{
	int64_t next_us = INT64_MAX;
	list_for_each (link, &bus->outstanding) {
		const struct transaction *transaction = container_of(
			link, struct transaction, link);
		if (transaction->deadline_us && transaction->deadline_us < next_us)
			next_us = transaction->deadline_us;
	}
	return next_us;
}

void transaction_answering(struct bus *bus, struct transaction *transaction)
{
	if (transaction->answering)
		return;
	size_t size = transaction->request->wire.answer_size;
	transaction->answering = true;
	transaction->deadline_us += bus_wire_us(bus, size ? size : UNKNOWN_ANSWER);
}

static bool is_write(const struct transaction *transaction)
{
	return transaction->request->wire.flags & EB_WRITE;
}

static uint32_t silence_means(const struct bus *bus, const struct transaction *transaction)
{
	bool echoed = transaction->echo == ECHO_HELD ||
		(transaction->echo == ECHO_STRIPPED && is_write(transaction) &&
			bus->conf->link.echo == ANSWER_AUTO);
	if (echoed)
		return EB_ECHO;
	return bus->pending.size ? EB_SHORT : EB_TIMEOUT;
}

/* Nothing is asked of the device before that, nor for longer what could be mistaken. */
static void keep_quiet(struct bus *bus, struct transaction *transaction)
{
	struct device *device = transaction->device;
	bool tagged = bus_matches_tags(bus);
	int64_t timeout_us = timeout_of(bus, transaction->request);
	int64_t until_us = bus->sent_us + 2 * timeout_us;
	if (!tagged && device->quiet_us < until_us)
		device->quiet_us = until_us;
	if (!tagged)
		owed_note(&device->owed, transaction->request, transaction->sent_us, timeout_us);
	int64_t late_us = tagged ? bus_now(bus) + LATE_TAGGED_US : device->owed.until_us;
	if (bus->late_until_us < late_us)
		bus->late_until_us = late_us;
}

static void expire(struct bus *bus, struct transaction *transaction)
{
	if (transaction->queued && !transaction->sent_us) {
		transaction_fail(bus, transaction, &(struct ending){ .error = EB_FOREIGN });
		return;
	}
	if (transaction->queued) {
		bus_link_lost(bus, "it takes no more bytes");
		return;
	}
	if (transaction->request->wire.flags & EB_NO_ANSWER) {
		transaction_end(bus, transaction, &(struct ending){ .error = EB_NONE });
		return;
	}
	bool answering = transaction->answering || transaction->echo == ECHO_HELD;
	struct ending ending = { .error = silence_means(bus, transaction) };
	keep_quiet(bus, transaction);
	bus_trace(bus, TRACE_FAILED, transaction->device, ending.error, NULL, 0);
	transaction_end(bus, transaction, &ending);
	bool cut = bus->pending.size && bus_now(bus) - bus->received_us > CUT_TAGGED_US;
	if (answering && !bus_matches_tags(bus))
		bus_drain(bus);
	else if (cut && bus_matches_tags(bus))
		bus_link_lost(bus, "it stopped in the middle of a frame");
	if (bus->mute++ >= MUTE_MAX - 1 && !bus->in_flight)
		bus_renew(bus);
}

static struct transaction *first_expired(const struct bus *bus, int64_t now)
{
	list_for_each (link, &bus->outstanding) {
		struct transaction *transaction = container_of(link, struct transaction, link);
		if (transaction->deadline_us && transaction->deadline_us <= now)
			return transaction;
	}
	return NULL;
}

void transaction_expire(struct bus *bus)
{
	struct transaction *transaction;
	while ((transaction = first_expired(bus, bus_now(bus))))
		expire(bus, transaction);
}

void transaction_fail(struct bus *bus, struct transaction *transaction, const struct ending *ending)
{
	/* An exception, and a gateway's word that its unit is silent, are answers: none will follow. */
	bool answered = ending->error == EB_EXCEPTION || ending->error == EB_TIMEOUT;
	if (!answered)
		keep_quiet(bus, transaction);
	transaction_end(bus, transaction, ending);
	if (!answered && !bus_matches_tags(bus))
		bus_drain(bus);
}

static void answered(struct bus *bus, struct transaction *transaction)
{
	struct device *device = transaction->device;
	if (transaction->request->wire.flags & EB_NO_ANSWER) {
		device->stats.answers++;
		bus->stats.answers++;
		return;
	}
	int64_t took_us = bus->received_us - bus->sent_us;
	uint32_t round_us = (uint32_t)(bus->received_us - transaction->begun_us);
	int64_t wall_ms = plane_stamp(bus->plane, bus->received_us).wall_ms;
	if (bus_matches_tags(bus))
		took_us = bus->received_us - transaction->sent_us;
	took_us = took_us > 0 ? took_us : 1;
	stats_answer(&device->stats, round_us, wall_ms);
	stats_answer(&bus->stats, round_us, wall_ms);
	owed_answered(&device->owed, transaction->request, transaction->sent_us,
		timeout_of(bus, transaction->request));
	bus->unknown_noise = 0;
	bus->reopen_ms = 0;
	bus->lost_us = 0;
	health_good(device, (uint32_t)took_us);
}

static void failed(struct bus *bus, struct transaction *transaction, const struct ending *ending)
{
	struct device *device = transaction->device;
	if (ending->error == EB_LINK)
		return;
	stats_error(&device->stats, ending->error, ending->code);
	stats_error(&bus->stats, ending->error, ending->code);
	if (ending->error == EB_EXCEPTION)
		owed_answered(&device->owed, transaction->request, transaction->sent_us,
			timeout_of(bus, transaction->request));
	if (ending->error == EB_EXCEPTION && transaction->begun_us)
		health_good(device, 0);
	else if (transaction->probe)
		health_probe_failed(device, bus_now(bus) - transaction->begun_us);
}

void transaction_end(struct bus *bus, struct transaction *transaction, const struct ending *ending)
{
	struct device *device = transaction->device;
	struct ending whole = *ending;
	list_remove(&transaction->link);
	if (--bus->in_flight == 0)
		bus->busy_us += (uint64_t)(bus_now(bus) - bus->busy_from_us);
	device->outstanding--;
	if (whole.error == EB_NONE && transaction->so_far.size) {
		buffer_put(&transaction->so_far, whole.content, whole.size);
		whole.content = transaction->so_far.data;
		whole.size = transaction->so_far.size;
	}
	if (whole.error == EB_NONE)
		answered(bus, transaction);
	else
		failed(bus, transaction, &whole);
	if (transaction->setup)
		setup_ended(bus, transaction, &whole);
	else if (transaction->plan)
		task_ended(bus, transaction, &whole);
	else
		order_step_ended(bus, transaction, &whole);
	device_settle(device);
	transaction_free(transaction);
}

void transaction_abandon(struct bus *bus)
{
	while (!list_empty(&bus->outstanding)) {
		struct transaction *transaction = container_of(
			bus->outstanding.next, struct transaction, link);
		transaction_end(bus, transaction, &(struct ending){ .error = EB_LINK });
	}
}

void transaction_continue(struct bus *bus, struct transaction *transaction, const uint8_t *content,
	size_t content_size, size_t frame_size)
{
	if (++transaction->step > STEPS_MAX || frame_size > EB_FRAME_MAX ||
		transaction->so_far.size + content_size > EB_ANSWER_MAX) {
		transaction_fail(bus, transaction, &(struct ending){ .error = EB_SHORT });
		return;
	}
	buffer_put(&transaction->so_far, content, content_size);
	if (!frame_size)
		return;
	free(transaction->frame);
	transaction->frame = must_memdup(bus->plane->frame, frame_size);
	transaction->frame_size = (uint16_t)frame_size;
	transaction->frame_sent = 0;
	transaction->sent_us = 0;
	/* On a line that is never silent it may not get its turn. */
	transaction->deadline_us = bus_now(bus) + timeout_of(bus, transaction->request);
	transaction->queued = true;
	transaction->answering = false;
	transaction->echo = ECHO_AWAITED;
}
