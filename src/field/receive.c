/* SPDX-License-Identifier: Apache-2.0 */
#include "field/receive.h"

#include <string.h>

#include "field/echo.h"
#include "field/health.h"
#include "field/transaction.h"
#include "util/log.h"

/* Noise on a connection without an answer in between after which it is made anew. */
#define STRANGE_MAX 4096
/* Most that is read before others have their turn: a peer may send faster than we read. */
#define READ_AT_ONCE (8 * sizeof(((struct plane *)NULL)->received))
/* Noise in a second, beyond four times what the line carries, that is too much. */
#define FLOOD_MIN (64u << 10)
/* Our own bytes, cut short: how long the rest is waited for, on top of the gap. */
#define ECHO_REST_US 20000

/* The requests that may be answered, as the plugin sees them. */
struct asked {
	struct transaction *transactions[BUS_IN_FLIGHT_MAX];
	struct eb_outstanding outstanding[BUS_IN_FLIGHT_MAX];
	uint32_t count;
};

static bool may_be_answered(const struct transaction *transaction)
{
	return transaction->sent_us && !transaction->queued &&
		!(transaction->request->wire.flags & EB_NO_ANSWER);
}

static void gather(const struct bus *bus, struct asked *asked)
{
	asked->count = 0;
	list_for_each (link, &bus->outstanding) {
		struct transaction *transaction = container_of(link, struct transaction, link);
		if (!may_be_answered(transaction))
			continue;
		asked->transactions[asked->count] = transaction;
		asked->outstanding[asked->count++] = (struct eb_outstanding){
			.request = &transaction->request->wire,
			.tag = transaction->tag,
			.step = transaction->step,
			.so_far = transaction->so_far.data,
			.so_far_size = transaction->so_far.size,
		};
	}
}

/* Bytes cannot have come sooner than the wire carries them, at a clock 6 % fast at that. */
static bool came_too_soon(
	const struct bus *bus, const struct transaction *transaction, uint32_t consumed)
{
	if (!bus->link->paced)
		return false;
	int64_t wire_us = bus_wire_us(bus, transaction->frame_size + consumed);
	return bus->received_us < transaction->sent_us + wire_us - wire_us / 16;
}

static bool fits_poll(const struct bus *bus, const struct request *request,
	const struct eb_verdict *verdict, const uint8_t **content, size_t *size)
{
	const struct eb_plugin *plugin = bus->conf->plugin;
	if (!plugin->match) {
		*content = verdict->content;
		*size = verdict->content_size;
		return request->wire.data_size == verdict->key_size &&
			memcmp(request->wire.data, verdict->key, verdict->key_size) == 0;
	}
	int got = plugin->match(bus->state, &request->wire, verdict, bus->plane->matched);
	*content = bus->plane->matched;
	*size = got > 0 ? (size_t)got : 0;
	return got >= 0 && got <= (int)EB_ANSWER_MAX;
}

/* A frame nobody asked for becomes a reading of every declared poll that it fits. */
static void hand_out(struct bus *bus, struct device *device, const struct eb_verdict *verdict)
{
	bool used = false;
	for (uint32_t i = 0; i < device->plan->count; i++) {
		const uint8_t *content;
		size_t size;
		if (!fits_poll(bus, device->plan->polls[i].request, verdict, &content, &size))
			continue;
		struct stamp stamp = plane_stamp(bus->plane, bus->received_us);
		device->tasks[i].answers++;
		device->tasks[i].good_ms = device->stats.good_ms = stamp.wall_ms;
		bus_deliver(device, i, content, size);
		used = true;
	}
	if (used)
		health_good(device, 0);
}

static void unasked(struct bus *bus, const struct eb_verdict *verdict)
{
	bus->unasked++;
	list_for_each (link, &bus->devices) {
		struct device *device = container_of(link, struct device, turn);
		if (device->plan && device->plan->address.size == verdict->address.size &&
			memcmp(device->plan->address.bytes, verdict->address.bytes,
				verdict->address.size) == 0)
			hand_out(bus, device, verdict);
	}
}

/*
 * More noise than a line carries comes of a port that is none, or of an adapter gone mad: reading it
 * without end would cost a processor, so the port is closed and opened again with back-off.
 */
static void check_flood(struct bus *bus, size_t size)
{
	uint32_t carried = bus->char_ns ? 1000000000 / bus->char_ns : 0;
	if (bus->conf->line.transport != EB_TCP &&
		trouble_noise(bus, size) > FLOOD_MIN + 4 * carried)
		bus_link_lost(
			bus, "more noise comes than its baud rate carries: is it the right port?");
}

static void noise(struct bus *bus, const uint8_t *bytes, const struct eb_verdict *verdict)
{
	uint32_t error = verdict->error;
	/* The plugin knows no time: a whole frame after a time-out is most likely the answer to that. */
	if (error == EB_FOREIGN && bus_now(bus) < bus->late_until_us)
		error = EB_LATE;
	bus->noise_bytes += verdict->consumed;
	stats_error(&bus->stats, error, verdict->code);
	bus_trace(bus, TRACE_NOISE, NULL, error, bytes, verdict->consumed);
	if (bus->conf->line.transport != EB_TCP) {
		check_flood(bus, verdict->consumed);
		return;
	}
	/* What was asked may be answered late, but not without end and without being asked again. */
	uint32_t *total = error == EB_LATE ? &bus->late_noise : &bus->unknown_noise;
	*total += verdict->consumed;
	if (*total > STRANGE_MAX)
		bus_link_lost(bus, "what comes there is no answer: is it the right port?");
}

/* What the verdict means for the request that it names. */
static void conclude(struct bus *bus, struct transaction *transaction, const uint8_t *bytes,
	const struct eb_verdict *verdict)
{
	struct ending ending = { .content = verdict->content, .size = verdict->content_size };
	if (verdict->consumed && came_too_soon(bus, transaction, verdict->consumed)) {
		bus->early++;
		stats_error(&bus->stats, EB_LATE, 0);
		bus_trace(bus, TRACE_NOISE, transaction->device, EB_LATE, bytes, verdict->consumed);
		return;
	}
	if (verdict->kind == EB_ERROR) {
		ending.error = verdict->error && verdict->error < EB_ERROR_CLASSES ? verdict->error
										   : EB_SHORT;
		ending.code = verdict->code;
		ending.range_refused = verdict->flags & EB_REFUSES_RANGE;
	}
	bus_trace(bus,
		ending.error == EB_NONE || ending.error == EB_EXCEPTION ? TRACE_ANSWER
									: TRACE_NOISE,
		transaction->device, ending.error, bytes, verdict->consumed);
	if (verdict->kind == EB_CONTINUE) {
		transaction_continue(bus, transaction, verdict->content, verdict->content_size,
			verdict->frame_size);
	} else if (ending.error != EB_NONE) {
		transaction_fail(bus, transaction, &ending);
	} else {
		echo_answered(bus, transaction);
		transaction_end(bus, transaction, &ending);
	}
}

static void obey(struct bus *bus, const struct asked *asked, const uint8_t *bytes,
	const struct eb_verdict *verdict)
{
	bool of_request = verdict->kind == EB_ANSWER || verdict->kind == EB_ERROR ||
		verdict->kind == EB_CONTINUE;
	if (of_request && verdict->index < asked->count) {
		conclude(bus, asked->transactions[verdict->index], bytes, verdict);
	} else if (verdict->kind == EB_UNASKED) {
		bus_trace(bus, TRACE_UNASKED, NULL, EB_NONE, bytes, verdict->consumed);
		unasked(bus, verdict);
	} else if (verdict->kind == EB_CONTINUE) {
		/* Half of what others say to each other, which the plugin remembers. */
		bus_trace(bus, TRACE_UNASKED, NULL, EB_NONE, bytes, verdict->consumed);
	} else {
		noise(bus, bytes, verdict);
	}
}

/* A plugin that would be asked for ever, or reads past the end, costs the bytes, not the bus. */
static void mend(struct bus *bus, struct eb_verdict *verdict, size_t size, uint32_t silent_us)
{
	bool stuck = verdict->kind != EB_MORE && !verdict->consumed && !silent_us;
	if (verdict->consumed <= size && verdict->kind <= EB_CONTINUE && !stuck)
		return;
	if (!bus->blamed)
		log_error("%s: plugin %s gives a verdict that cannot be: the bytes are dropped",
			bus_name(bus), bus->conf->plugin->name);
	bus->blamed = true;
	*verdict = (struct eb_verdict){
		.kind = EB_NOISE, .consumed = (uint32_t)size, .error = EB_FOREIGN
	};
}

/* Asks the plugin once.  Returns how many bytes are done with; *more: whether it can say more. */
static size_t judge(
	struct bus *bus, const uint8_t *bytes, size_t size, uint32_t silent_us, bool *more)
{
	struct asked asked;
	gather(bus, &asked);
	const struct eb_input input = {
		.bytes = bytes,
		.size = size,
		.silent_us = silent_us,
		.count = asked.count,
		.outstanding = asked.outstanding,
		.content = bus->plane->content,
		.frame = bus->plane->frame,
	};
	struct eb_verdict verdict = { .kind = EB_MORE };
	bus->conf->plugin->receive(bus->state, &input, &verdict);
	mend(bus, &verdict, size, silent_us);
	*more = verdict.kind != EB_MORE && verdict.consumed;
	if (verdict.kind == EB_MORE) {
		/* Silence that it was told of already is not told again. */
		bus->silence_us = verdict.gap_us > silent_us ? verdict.gap_us : 0;
		return 0;
	}
	obey(bus, &asked, bytes, &verdict);
	return verdict.consumed;
}

static bool listens(const struct bus *bus)
{
	return bus->machine == BUS_READY || bus->machine == BUS_PAUSE;
}

/* What we sent ourselves is not for the plugin.  Returns how many bytes are done with. */
static size_t sift(struct bus *bus, const uint8_t *bytes, size_t size, bool silent, bool *wait)
{
	struct transaction *transaction = bus->in_flight == 1
		? container_of(bus->outstanding.next, struct transaction, link)
		: NULL;
	*wait = false;
	if (!transaction || !transaction->sent_us || transaction->queued || !size)
		return 0;
	enum echo_finding finding = transaction->frame
		? echo_examine(bus, transaction, bytes, size, silent)
		: ECHO_PASS;
	switch (finding) {
	case ECHO_WAIT:
		*wait = true;
		if (transaction->echo == ECHO_AWAITED)
			bus->silence_us = bus->gap_us + ECHO_REST_US;
		return 0;
	case ECHO_STRIP:
		bus_trace(bus, TRACE_ECHO, transaction->device, EB_NONE, bytes,
			transaction->frame_size);
		return transaction->frame_size;
	case ECHO_PASS:
		break;
	}
	transaction_answering(bus, transaction);
	return 0;
}

/* Hands the bytes to the plugin until it wants more.  Returns how many are done with. */
static size_t feed(struct bus *bus, const uint8_t *bytes, size_t size, uint32_t silent_us)
{
	size_t used = 0;
	bool more = true;
	bus->silence_us = 0;
	while (more && listens(bus)) {
		bool wait;
		used += sift(bus, bytes + used, size - used, silent_us > 0, &wait);
		if (wait || (used == size && !silent_us))
			return used;
		used += judge(bus, bytes + used, size - used, silent_us, &more);
		if (used == size)
			break;
	}
	return listens(bus) ? used : size;
}

static void drained(struct bus *bus, const uint8_t *bytes, size_t size)
{
	bus->noise_bytes += (uint32_t)size;
	bus_trace(bus, TRACE_DRAINED, NULL, EB_NONE, bytes, size);
	check_flood(bus, size);
}

/* What was received stays with the bus only while it is not a whole frame. */
static void keep_rest(struct bus *bus, const uint8_t *bytes, size_t size, size_t used)
{
	if (bytes != bus->pending.data) {
		if (used < size)
			buffer_put(&bus->pending, bytes + used, size - used);
	} else if (used < size) {
		buffer_drop(&bus->pending, used);
	} else {
		buffer_finish(&bus->pending);
	}
	if (bus->pending.size <= EB_FRAME_MAX)
		return;
	struct eb_verdict verdict = { .consumed = (uint32_t)bus->pending.size,
		.error = EB_FOREIGN };
	noise(bus, bus->pending.data, &verdict);
	buffer_finish(&bus->pending);
}

static void came(struct bus *bus, uint8_t *bytes, size_t size)
{
	int64_t now = loop_now_exact(bus->plane->loop);
	if (!bus->in_flight && (!bus->noisy_us || now - bus->received_us >= bus->gap_us))
		bus->noisy_us = now;
	bus->received_us = now;
	bus->mute = 0;
	if (!listens(bus)) {
		drained(bus, bytes, size);
		return;
	}
	if (bus->pending.size) {
		buffer_put(&bus->pending, bytes, size);
		bytes = bus->pending.data;
		size = bus->pending.size;
	}
	keep_rest(bus, bytes, size, feed(bus, bytes, size, 0));
}

size_t receive_read(struct bus *bus)
{
	struct plane *plane = bus->plane;
	size_t total = 0;
	while (listens(bus) || bus->machine == BUS_DRAIN) {
		ssize_t size = bus->link->ops->read(
			bus->link, plane->received, sizeof(plane->received));
		if (size < 0)
			bus_link_error(bus, (int)-size);
		if (size <= 0)
			break;
		total += (size_t)size;
		came(bus, plane->received, (size_t)size);
		if ((size_t)size < sizeof(plane->received) || total >= READ_AT_ONCE)
			break;
	}
	return total;
}

int64_t receive_silence(struct bus *bus)
{
	if (!bus->silence_us)
		return INT64_MAX;
	int64_t silent_us = bus_now(bus) - bus->received_us;
	if (silent_us < bus->silence_us)
		return bus->received_us + bus->silence_us;
	uint8_t *bytes = bus->pending.data;
	size_t size = bus->pending.size;
	keep_rest(bus, bytes, size, feed(bus, bytes, size, (uint32_t)silent_us));
	return bus->silence_us ? bus->received_us + bus->silence_us : INT64_MAX;
}
