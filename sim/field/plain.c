/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/plain.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/field/pty.h"
#include "sim/field/sim.h"
#include "sim/field/spoil.h"
#include "sim/field/transcript.h"
#include "util/alloc.h"
#include "util/json.h"

#define HEARD_MAX 4096

struct plain {
	struct line line;
	const struct plain_talk *talk;
	void *context;
	char *path; /* owned; NULL: TCP */
	struct sockaddr_storage address;
	socklen_t address_size;
	struct pty pty;
	struct watch port; /* the listening socket */
	struct watch wire; /* the terminal, or the master's connection; fd -1: nobody */
	struct buffer heard;
	struct spoilt spoilt;
};

static struct plain *of_line(const struct line *line)
{
	return container_of((struct line *)(uintptr_t)line, struct plain, line);
}

static void record(struct line *line, const char *event, const void *bytes, size_t size)
{
	struct transcript *transcript = line->sim->transcript;
	struct buffer *json = transcript_begin(
		transcript, loop_now(line->sim->loop), line->name, event);
	if (!json)
		return;
	transcript_put_bytes(json, "frame", bytes, size);
	transcript_end(transcript);
}

void plain_put(struct line *line, const void *bytes, size_t size)
{
	spoilt_put(&of_line(line)->spoilt, bytes, size);
}

/* A byte that the other side has no room for is lost, as in a UART. */
static void put(struct line *line, const void *bytes, size_t size)
{
	struct plain *plain = of_line(line);
	ssize_t count = -1;
	if (plain->wire.fd < 0)
		return;
	if (plain->path)
		count = write(plain->wire.fd, bytes, size);
	else
		count = send(plain->wire.fd, bytes, size, MSG_NOSIGNAL);
	line->total.bytes_out += count > 0 ? (uint64_t)count : 0;
	line->total.answers++;
	record(line, "answer", bytes, size);
}

void plain_asked(struct line *line, const uint8_t *bytes, size_t size)
{
	line->total.requests++;
	record(line, "request", bytes, size);
}

static void hang_up(struct plain *plain)
{
	if (plain->wire.fd < 0)
		return;
	loop_remove(plain->line.sim->loop, &plain->wire);
	if (!plain->path)
		close(plain->wire.fd);
	plain->wire.fd = -1;
	buffer_clear(&plain->heard);
}

static void hear(struct plain *plain, const uint8_t *bytes, size_t size)
{
	struct buffer *heard = &plain->heard;
	plain->line.total.bytes_in += size;
	buffer_put(heard, bytes, size);
	buffer_drop(heard, plain->talk->hear(plain->context, heard->data, heard->size));
	if (heard->size <= HEARD_MAX)
		return;
	line_bad(&plain->line, heard->data, heard->size);
	buffer_clear(heard);
}

static void readable(struct watch *watch, uint32_t events)
{
	struct plain *plain = container_of(watch, struct plain, wire);
	uint8_t bytes[HEARD_MAX];
	ssize_t count = read(watch->fd, bytes, sizeof(bytes));
	if (count > 0)
		hear(plain, bytes, (size_t)count);
	else if (!plain->path && (count == 0 || (errno != EAGAIN && errno != EINTR)))
		hang_up(plain);
}

static int attach(struct plain *plain, int fd)
{
	plain->wire.fd = fd;
	plain->wire.events = EPOLLIN;
	return loop_add(plain->line.sim->loop, &plain->wire);
}

/* The last master that comes has the line. */
static void acceptable(struct watch *watch, uint32_t events)
{
	struct plain *plain = container_of(watch, struct plain, port);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	hang_up(plain);
	if (attach(plain, fd) < 0) {
		close(fd);
		plain->wire.fd = -1;
	} else if (plain->talk->attached) {
		plain->talk->attached(plain->context);
	}
}

static int plug_terminal(struct plain *plain)
{
	int result = pty_open(&plain->pty, plain->path);
	if (result < 0)
		return result;
	result = attach(plain, plain->pty.master);
	if (result < 0)
		pty_close(&plain->pty, plain->path);
	else if (plain->talk->attached)
		plain->talk->attached(plain->context);
	return result;
}

static int plug_port(struct plain *plain)
{
	struct sockaddr *address = (struct sockaddr *)(void *)&plain->address;
	int on = 1;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	plain->port.fd = fd;
	plain->port.events = EPOLLIN;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	int result = 0;
	if (bind(fd, address, plain->address_size) < 0 || listen(fd, 1) < 0 ||
		getsockname(fd, address, &plain->address_size) < 0)
		result = -errno;
	if (result == 0)
		result = loop_add(plain->line.sim->loop, &plain->port);
	if (result < 0)
		close(fd);
	return result;
}

static int plug(struct line *line)
{
	struct plain *plain = of_line(line);
	int result = plain->path ? plug_terminal(plain) : plug_port(plain);
	if (result == 0 && plain->talk->plugged)
		plain->talk->plugged(plain->context);
	return result;
}

static void unplug(struct line *line)
{
	struct plain *plain = of_line(line);
	if (plain->talk->unplugged)
		plain->talk->unplugged(plain->context);
	spoilt_clear(&plain->spoilt);
	hang_up(plain);
	if (plain->path) {
		pty_close(&plain->pty, plain->path);
	} else {
		loop_remove(line->sim->loop, &plain->port);
		close(plain->port.fd);
	}
}

static uint16_t port_of(const struct line *line)
{
	const struct plain *plain = of_line(line);
	if (plain->path)
		return 0;
	if (plain->address.ss_family == AF_INET6)
		return ntohs(
			((const struct sockaddr_in6 *)(const void *)&plain->address)->sin6_port);
	return ntohs(((const struct sockaddr_in *)(const void *)&plain->address)->sin_port);
}

static void describe(struct line *line, struct buffer *json)
{
	struct plain *plain = of_line(line);
	if (!plain->path) {
		buffer_printf(json, ",\"port\":%u", port_of(line));
		return;
	}
	buffer_put_text(json, ",\"path\":");
	json_put_text(json, plain->path);
}

static const char *protocol_of(const struct line *line)
{
	return of_line(line)->talk->protocol;
}

static void destroy(struct line *line)
{
	struct plain *plain = of_line(line);
	plain->talk->destroy(plain->context);
	buffer_finish(&plain->heard);
	free(plain->path);
}

static const struct line_kind plain_kind = { .plug = plug,
	.unplug = unplug,
	.describe = describe,
	.port = port_of,
	.protocol = protocol_of,
	.destroy = destroy };

static bool resolve(struct plain *plain, const struct plain_setup *setup)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	char port[8];
	snprintf(port, sizeof(port), "%u", setup->port);
	if (getaddrinfo(setup->host, port, &hints, &found) != 0)
		return false;
	memcpy(&plain->address, found->ai_addr, found->ai_addrlen);
	plain->address_size = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

struct line *plain_create(struct sim *sim, const struct plain_setup *setup,
	const struct plain_talk *talk, void *context)
{
	struct plain *plain = must_alloc(sizeof(*plain));
	if (!setup->path && !resolve(plain, setup)) {
		free(plain);
		return NULL;
	}
	line_init(&plain->line, sim, &plain_kind, setup->name, FRAMING_RTU);
	spoilt_init(&plain->spoilt, &plain->line, put);
	plain->talk = talk;
	plain->context = context;
	plain->path = setup->path ? must_strdup(setup->path) : NULL;
	plain->pty.master = plain->pty.slave = -1;
	plain->wire = (struct watch){ .fd = -1, .ready = readable };
	plain->port = (struct watch){ .fd = -1, .ready = acceptable };
	return &plain->line;
}
