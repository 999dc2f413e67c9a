/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/serial.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sim/field/pty.h"
#include "sim/field/sim.h"
#include "sim/field/wire.h"
#include "util/alloc.h"
#include "util/json.h"

/* Without a pace there is no silence to tell an unfinished frame by. */
#define STALE_US (20 * USEC_PER_MSEC)
#define HEARD_MAX 4096
#define WAITING_MAX 1000

struct serial {
	struct line line;
	char *path; /* owned */
	uint32_t baud, char_bits;
	bool strict;
	struct pty pty;
	struct watch watch;
	struct wire wire;

	struct buffer heard;
	int64_t heard_from_us; /* when its first byte came */
	bool dropping; /* what comes belongs to a frame that began too early */
	struct timer whole; /* what was heard is over */

	struct list waiting; /* struct job, by rising due_us; the first one may be on the wire */
	size_t waiting_count;
	struct timer next; /* the first job: begin, or go on */
};

/* An answer that waits for its time, and then for its bytes to be through. */
struct job {
	struct list link;
	int64_t due_us;
	bool started;
	struct sending sending;
	size_t sent;
	size_t request_size;
	struct answer answer;
};

static struct serial *of_line(struct line *line)
{
	return container_of(line, struct serial, line);
}

static struct job *first_job(struct serial *serial)
{
	return list_empty(&serial->waiting) ? NULL
					    : container_of(serial->waiting.next, struct job, link);
}

static void drop_job(struct serial *serial, struct job *job)
{
	list_remove(&job->link);
	serial->waiting_count--;
	free(job);
}

static void arm_next(struct serial *serial)
{
	struct job *job = first_job(serial);
	struct loop *loop = serial->line.sim->loop;
	if (!job)
		loop_disarm(loop, &serial->next);
	else if (job->started)
		loop_arm(
			loop, &serial->next, wire_next_us(&serial->wire, &job->sending, job->sent));
	else
		loop_arm(loop, &serial->next, job->due_us);
}

static void finish_job(struct serial *serial, struct job *job)
{
	struct line *line = &serial->line;
	int64_t began_us = job->sending.start_ns / 1000;
	int64_t ended_us = wire_sent_us(&serial->wire, &job->sending);
	line->total.busy_ns += (int64_t)job->answer.size * serial->wire.char_ns;
	if (job->answer.kind < 0)
		line->total.least_ns += wire_least_ns(
			&serial->wire, job->request_size + job->answer.size);
	line_answered(line, &job->answer, began_us, ended_us);
	/* The silence behind the answer is part of what the transaction takes. */
	line->last_us += serial->wire.gap_ns / 1000;
	drop_job(serial, job);
}

/* A byte that the other side has no room for is lost, as in a UART. */
static void put_through(struct serial *serial, struct job *job, int64_t now_us)
{
	size_t through = wire_through(&serial->wire, &job->sending, now_us);
	if (through <= job->sent)
		return;
	ssize_t count = write(
		serial->pty.master, job->answer.bytes + job->sent, through - job->sent);
	serial->line.total.bytes_out += count > 0 ? (uint64_t)count : 0;
	job->sent = through;
}

static void go_on(struct timer *timer, int64_t now_us)
{
	struct serial *serial = container_of(timer, struct serial, next);
	for (struct job *job = first_job(serial); job; job = first_job(serial)) {
		if (!job->started) {
			if (job->due_us > now_us)
				break;
			job->started = true;
			wire_send(&serial->wire, &job->sending, job->due_us, job->answer.drip_us);
		}
		put_through(serial, job, now_us);
		if (job->sent < job->answer.size)
			break;
		finish_job(serial, job);
	}
	arm_next(serial);
}

/* Behind all that are due sooner, and behind what is on the wire. */
static void queue(struct serial *serial, struct job *job)
{
	struct list *place = &serial->waiting;
	while (place->prev != &serial->waiting) {
		struct job *before = container_of(place->prev, struct job, link);
		if (before->started || before->due_us <= job->due_us)
			break;
		place = place->prev;
	}
	list_insert(place, &job->link);
	serial->waiting_count++;
}

static void serve(struct serial *serial, const struct adu *adu, const uint8_t *frame, size_t size,
	int64_t ended_us)
{
	struct job *job = must_alloc(sizeof(*job));
	list_init(&job->link);
	line_serve(&serial->line, adu, frame, size, serial->heard_from_us, ended_us, &job->answer);
	if (!job->answer.size || serial->waiting_count >= WAITING_MAX) {
		free(job);
		return;
	}
	job->due_us = ended_us + job->answer.delay_us;
	job->request_size = size;
	job->sending.size = job->answer.size;
	job->sending.pause_at = job->answer.pause_at;
	queue(serial, job);
}

/* Takes the requests out of what was heard. ended: the line is silent behind it. */
static void take_requests(struct serial *serial, bool ended)
{
	int64_t ended_us = wire_heard_us(&serial->wire);
	size_t at = 0;
	while (at < serial->heard.size) {
		struct adu adu;
		size_t used = 0;
		enum frame_result result = frame_take(serial->line.framing, serial->heard.data + at,
			serial->heard.size - at, ended, &adu, &used);
		if (result == FRAME_MORE)
			break;
		if (result == FRAME_BAD)
			line_bad(&serial->line, serial->heard.data + at, used);
		else
			serve(serial, &adu, serial->heard.data + at, used, ended_us);
		at += used;
	}
	buffer_drop(&serial->heard, at);
	if (serial->line.plugged)
		go_on(&serial->next, loop_now(serial->line.sim->loop));
}

static void is_whole(struct timer *timer, int64_t now_us)
{
	struct serial *serial = container_of(timer, struct serial, whole);
	serial->dropping = false;
	take_requests(serial, serial->line.framing == FRAMING_RTU);
}

/* When the frame that may end here is to be looked at. */
static int64_t look_at(const struct serial *serial, int64_t now_us)
{
	return serial->wire.char_ns ? wire_heard_us(&serial->wire) : now_us + STALE_US;
}

static void hear(struct serial *serial, const uint8_t *bytes, size_t size, int64_t now_us)
{
	struct line *line = &serial->line;
	struct wire *wire = &serial->wire;
	int64_t silence_us = wire_silence_us(wire, now_us);
	line->total.bytes_in += size;
	line->total.busy_ns += (int64_t)size * wire->char_ns;
	bool begins = !timer_armed(&serial->whole);
	if (begins) {
		serial->heard_from_us = now_us;
		if (silence_us * 1000 < wire->gap_ns) {
			line_violated(line, silence_us, serial->strict);
			serial->dropping = serial->strict;
		}
	}
	wire_hear(wire, now_us, size);
	if (!serial->dropping && serial->heard.size + size <= HEARD_MAX)
		buffer_put(&serial->heard, bytes, size);
	loop_arm(line->sim->loop, &serial->whole, look_at(serial, now_us));
	if (!wire->char_ns)
		take_requests(serial, false);
}

static void readable(struct watch *watch, uint32_t events)
{
	struct serial *serial = container_of(watch, struct serial, watch);
	uint8_t bytes[HEARD_MAX];
	ssize_t count = read(watch->fd, bytes, sizeof(bytes));
	if (count > 0)
		hear(serial, bytes, (size_t)count, loop_now_exact(serial->line.sim->loop));
}

static int plug(struct line *line)
{
	struct serial *serial = of_line(line);
	int result = pty_open(&serial->pty, serial->path);
	if (result < 0)
		return result;
	serial->watch.fd = serial->pty.master;
	serial->watch.events = EPOLLIN;
	result = loop_add(line->sim->loop, &serial->watch);
	if (result < 0)
		pty_close(&serial->pty, serial->path);
	return result;
}

static void unplug(struct line *line)
{
	struct serial *serial = of_line(line);
	struct loop *loop = line->sim->loop;
	loop_remove(loop, &serial->watch);
	loop_disarm(loop, &serial->whole);
	loop_disarm(loop, &serial->next);
	while (first_job(serial))
		drop_job(serial, first_job(serial));
	buffer_clear(&serial->heard);
	serial->dropping = false;
	wire_init(&serial->wire, serial->baud, serial->char_bits, line->framing);
	pty_close(&serial->pty, serial->path);
}

static void describe(struct line *line, struct buffer *json)
{
	struct serial *serial = of_line(line);
	buffer_put_text(json, ",\"path\":");
	json_put_text(json, serial->path);
	buffer_printf(json, ",\"baud\":%u,\"strict\":%s", serial->baud,
		serial->strict ? "true" : "false");
}

static void destroy(struct line *line)
{
	struct serial *serial = of_line(line);
	buffer_finish(&serial->heard);
	free(serial->path);
}

static const struct line_kind serial_kind = {
	.plug = plug, .unplug = unplug, .describe = describe, .destroy = destroy
};

struct line *serial_create(struct sim *sim, const struct serial_setup *setup)
{
	struct serial *serial = must_alloc(sizeof(*serial));
	line_init(&serial->line, sim, &serial_kind, setup->name, setup->framing);
	serial->path = must_strdup(setup->path);
	serial->baud = setup->baud;
	serial->char_bits = setup->char_bits;
	serial->strict = setup->strict;
	serial->pty.master = serial->pty.slave = -1;
	serial->watch.ready = readable;
	serial->whole.expired = is_whole;
	serial->next.expired = go_on;
	list_init(&serial->waiting);
	wire_init(&serial->wire, setup->baud, setup->char_bits, setup->framing);
	return &serial->line;
}
