/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/field/outbox.h"
#include "sim/field/sim.h"
#include "sim/field/wire.h"
#include "util/alloc.h"

#define READ_MAX 16384
/* A master that does not read its answers is not read from any more. */
#define UNSENT_MAX 65536

struct connection {
	struct list link;
	struct line *line;
	struct watch watch;
	void (*gone)(void *context, struct connection *connection);
	void *context;
	struct buffer heard; /* the beginning of a request */
	struct buffer unsent;
	struct wire wire; /* not paced; its order is what counts */
	struct outbox outbox;
	bool closing; /* as soon as all is sent */
};

struct list *connection_link(struct connection *connection)
{
	return &connection->link;
}

struct connection *connection_of(struct list *link)
{
	return container_of(link, struct connection, link);
}

static struct loop *loop_of(struct connection *connection)
{
	return connection->line->sim->loop;
}

void connection_destroy(struct connection *connection)
{
	if (!connection)
		return;
	line_event(connection->line, "disconnect");
	list_remove(&connection->link);
	loop_remove(loop_of(connection), &connection->watch);
	outbox_clear(&connection->outbox);
	buffer_finish(&connection->heard);
	buffer_finish(&connection->unsent);
	close(connection->watch.fd);
	free(connection);
}

static int choose_events(struct connection *connection)
{
	uint32_t events = connection->unsent.size ? EPOLLOUT : 0;
	if (connection->unsent.size < UNSENT_MAX && connection->outbox.count < OUTBOX_MAX &&
		!connection->closing)
		events |= EPOLLIN;
	return loop_change(loop_of(connection), &connection->watch, events);
}

/* Sends what the socket takes.  False when the connection is over. */
static bool flush(struct connection *connection)
{
	struct buffer *unsent = &connection->unsent;
	if (unsent->size) {
		ssize_t count = send(
			connection->watch.fd, unsent->data, unsent->size, MSG_NOSIGNAL);
		if (count < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (count > 0)
			buffer_drop(unsent, (size_t)count);
	}
	if (connection->closing && !unsent->size && !connection->outbox.count)
		return false;
	return choose_events(connection) == 0;
}

static void put(struct connection *connection, const uint8_t *bytes, size_t size)
{
	connection->line->total.bytes_out += size;
	buffer_put(&connection->unsent, bytes, size);
}

static void put_later(struct outbox *outbox, const uint8_t *bytes, size_t size)
{
	put(container_of(outbox, struct connection, outbox), bytes, size);
}

static void sent(struct outbox *outbox, const struct departure *departure)
{
	struct connection *connection = container_of(outbox, struct connection, outbox);
	line_answered(connection->line, &departure->answer, departure->sending.start_ns / 1000,
		loop_now(outbox->loop));
}

static void rested(struct outbox *outbox)
{
	struct connection *connection = container_of(outbox, struct connection, outbox);
	if (!flush(connection))
		connection->gone(connection->context, connection);
}

/* Sends at once, or keeps for later, what line_serve() put together. */
static void answer_with(struct connection *connection, struct answer *answer, int64_t now_us)
{
	connection->closing |= answer->close;
	if (!answer->size)
		return;
	if (answer->delay_us > 0 || answer->drip_us > 0) {
		outbox_add(&connection->outbox, answer, now_us + answer->delay_us, 0);
		return;
	}
	put(connection, answer->bytes, answer->size);
	line_answered(connection->line, answer, now_us, now_us);
}

/* Serves the requests among the bytes; returns how many bytes are done with. */
static size_t serve(struct connection *connection, const uint8_t *bytes, size_t size)
{
	struct line *line = connection->line;
	int64_t now_us = loop_now(loop_of(connection));
	struct answer answer;
	size_t at = 0;
	while (at < size && !connection->closing) {
		struct adu adu;
		size_t used = 0;
		enum frame_result result = frame_take(
			line->framing, bytes + at, size - at, false, &adu, &used);
		if (result == FRAME_MORE)
			break;
		if (result == FRAME_GOOD) {
			line_serve(line, &adu, bytes + at, used, now_us, now_us, &answer);
			answer_with(connection, &answer, now_us);
		} else {
			line_bad(line, bytes + at, used);
			/* Where the next request would begin is not known. */
			connection->closing |= line->framing == FRAMING_TCP;
		}
		at += used;
	}
	return at;
}

/* False when the connection is over. */
static bool hear(struct connection *connection)
{
	uint8_t bytes[READ_MAX];
	ssize_t count = recv(connection->watch.fd, bytes, sizeof(bytes), 0);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR;
	if (count == 0)
		return false;
	connection->line->total.bytes_in += (uint64_t)count;
	struct buffer *heard = &connection->heard;
	if (heard->size) {
		buffer_put(heard, bytes, (size_t)count);
		buffer_drop(heard, serve(connection, heard->data, heard->size));
		return true;
	}
	size_t used = serve(connection, bytes, (size_t)count);
	if (used < (size_t)count)
		buffer_put(heard, bytes + used, (size_t)count - used);
	return true;
}

static void ready(struct watch *watch, uint32_t events)
{
	struct connection *connection = container_of(watch, struct connection, watch);
	bool alive = !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || hear(connection);
	if (!alive || !flush(connection))
		connection->gone(connection->context, connection);
}

int connection_create(struct connection **result, struct line *line, int fd,
	void (*gone)(void *context, struct connection *connection), void *context)
{
	struct connection *connection = must_alloc(sizeof(*connection));
	list_init(&connection->link);
	connection->line = line;
	connection->gone = gone;
	connection->context = context;
	connection->outbox.put = put_later;
	connection->outbox.sent = sent;
	connection->outbox.rested = rested;
	outbox_init(&connection->outbox, line->sim->loop, &connection->wire);
	connection->watch = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = ready };
	wire_init(&connection->wire, 0, 0, line->framing);
	int status = loop_add(line->sim->loop, &connection->watch);
	if (status < 0) {
		free(connection);
		return status;
	}
	*result = connection;
	return 0;
}
