/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/serial.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sim/field/outbox.h"
#include "sim/field/pty.h"
#include "sim/field/sim.h"
#include "sim/field/wire.h"
#include "util/alloc.h"
#include "util/json.h"

/* Without a pace there is no silence to tell an unfinished frame by. */
#define STALE_US (20 * USEC_PER_MSEC)
#define HEARD_MAX 4096

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

	struct outbox outbox;
};

static struct serial *of_line(struct line *line)
{
	return container_of(line, struct serial, line);
}

static struct serial *of_outbox(struct outbox *outbox)
{
	return container_of(outbox, struct serial, outbox);
}

/* A byte that the other side has no room for is lost, as in a UART. */
static void put(struct outbox *outbox, const uint8_t *bytes, size_t size)
{
	struct serial *serial = of_outbox(outbox);
	ssize_t count = write(serial->pty.master, bytes, size);
	serial->line.total.bytes_out += count > 0 ? (uint64_t)count : 0;
}

static void sent(struct outbox *outbox, const struct departure *departure)
{
	struct serial *serial = of_outbox(outbox);
	struct line *line = &serial->line;
	size_t size = departure->answer.size;
	line->total.busy_ns += (int64_t)size * serial->wire.char_ns;
	if (departure->answer.kind < 0)
		line->total.least_ns += wire_least_ns(
			&serial->wire, departure->request_size + size);
	line_answered(line, &departure->answer, departure->sending.start_ns / 1000,
		wire_sent_us(&serial->wire, &departure->sending));
	/* The silence behind the answer is part of what the transaction takes. */
	line->last_us += serial->wire.gap_ns / 1000;
}

static void serve(struct serial *serial, const struct adu *adu, const uint8_t *frame, size_t size,
	int64_t ended_us)
{
	struct answer answer;
	line_serve(&serial->line, adu, frame, size, serial->heard_from_us, ended_us, &answer);
	if (answer.size)
		outbox_add(&serial->outbox, &answer, ended_us + answer.delay_us, size);
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
	outbox_clear(&serial->outbox);
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
	serial->outbox.put = put;
	serial->outbox.sent = sent;
	outbox_init(&serial->outbox, sim->loop, &serial->wire);
	wire_init(&serial->wire, setup->baud, setup->char_bits, setup->framing);
	return &serial->line;
}
