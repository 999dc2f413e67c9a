/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/field/sim.h"
#include "sim/field/wire.h"
#include "util/alloc.h"

#define READ_MAX 16384
/* A master that does not read its answers is not read from any more. */
#define UNSENT_MAX 65536
#define WAITING_MAX 1000

struct connection {
	struct list link;
	struct line *line;
	struct watch watch;
	void (*gone)(void *context, struct connection *connection);
	void *context;
	struct buffer heard; /* the beginning of a request */
	struct buffer unsent;
	struct wire wire; /* not paced; its order is what counts */
	struct list waiting; /* struct job, by rising due_us; the first may be dripping */
	size_t waiting_count;
	struct timer next;
	bool closing; /* as soon as all is sent */
};

/* An answer for later. */
struct job {
	struct list link;
	int64_t due_us;
	bool started;
	struct sending sending;
	size_t sent;
	struct answer answer;
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

static struct job *first_job(struct connection *connection)
{
	return list_empty(&connection->waiting)
		? NULL
		: container_of(connection->waiting.next, struct job, link);
}

void connection_destroy(struct connection *connection)
{
	if (!connection)
		return;
	line_event(connection->line, "disconnect");
	list_remove(&connection->link);
	loop_remove(loop_of(connection), &connection->watch);
	loop_disarm(loop_of(connection), &connection->next);
	struct list *link;
	while ((link = list_take_first(&connection->waiting)))
		free(container_of(link, struct job, link));
	buffer_finish(&connection->heard);
	buffer_finish(&connection->unsent);
	close(connection->watch.fd);
	free(connection);
}

static int choose_events(struct connection *connection)
{
	uint32_t events = connection->unsent.size ? EPOLLOUT : 0;
	if (connection->unsent.size < UNSENT_MAX && connection->waiting_count < WAITING_MAX &&
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
	if (connection->closing && !unsent->size && !connection->waiting_count)
		return false;
	return choose_events(connection) == 0;
}

static void put(struct connection *connection, const uint8_t *bytes, size_t size)
{
	connection->line->total.bytes_out += size;
	buffer_put(&connection->unsent, bytes, size);
}

static void queue(struct connection *connection, const struct answer *answer, int64_t now_us)
{
	struct job *job = must_alloc(sizeof(*job));
	job->answer = *answer;
	job->due_us = now_us + answer->delay_us;
	job->sending.size = answer->size;
	struct list *place = &connection->waiting;
	while (place->prev != &connection->waiting) {
		struct job *before = container_of(place->prev, struct job, link);
		if (before->started || before->due_us <= job->due_us)
			break;
		place = place->prev;
	}
	list_insert(place, &job->link);
	connection->waiting_count++;
	struct job *first = first_job(connection);
	if (!first->started)
		loop_arm(loop_of(connection), &connection->next, first->due_us);
}

/* Sends at once, or keeps for later, what line_serve() put together. */
static void answer_with(struct connection *connection, struct answer *answer, int64_t now_us)
{
	connection->closing |= answer->close;
	if (!answer->size)
		return;
	if (answer->delay_us > 0 || answer->drip_us > 0) {
		queue(connection, answer, now_us);
		return;
	}
	put(connection, answer->bytes, answer->size);
	line_answered(connection->line, answer, now_us, now_us);
}

/* Moves the first job on.  False while there is nothing to do yet. */
static bool step(struct connection *connection, struct job *job, int64_t now_us)
{
	if (!job->started && job->due_us > now_us) {
		loop_arm(loop_of(connection), &connection->next, job->due_us);
		return false;
	}
	if (!job->started) {
		job->started = true;
		wire_send(&connection->wire, &job->sending, job->due_us, job->answer.drip_us);
	}
	size_t through = wire_through(&connection->wire, &job->sending, now_us);
	if (through > job->sent)
		put(connection, job->answer.bytes + job->sent, through - job->sent);
	job->sent = through;
	if (through < job->answer.size) {
		loop_arm(loop_of(connection), &connection->next,
			wire_next_us(&connection->wire, &job->sending, through));
		return false;
	}
	line_answered(connection->line, &job->answer, job->sending.start_ns / 1000, now_us);
	list_remove(&job->link);
	connection->waiting_count--;
	free(job);
	return true;
}

static void go_on(struct timer *timer, int64_t now_us)
{
	struct connection *connection = container_of(timer, struct connection, next);
	struct job *job;
	while ((job = first_job(connection)) && step(connection, job, now_us))
		;
	if (!flush(connection))
		connection->gone(connection->context, connection);
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
	list_init(&connection->waiting);
	connection->line = line;
	connection->gone = gone;
	connection->context = context;
	connection->next.expired = go_on;
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
