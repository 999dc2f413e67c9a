/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/json.h"

#define ANSWER_MAX_BYTES (16u << 20)

static void say_unreachable(struct buffer *text, const char *path, int error)
{
	const char *check = error == ENOENT
		? "is enos-bridged running (systemctl status enos-bridge), "
		  "and is this its control_socket?"
		: error == ECONNREFUSED ? "enos-bridged has ended: see journalctl -u enos-bridge"
		: error == EACCES       ? "run it as root, or as a member of the group enos-bridge"
					: "see journalctl -u enos-bridge";
	buffer_printf(
		text, "cannot reach enos-bridged at %s: %s: %s", path, strerror(error), check);
}

static int open_path(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int error = errno;
	close(fd);
	return -error;
}

/* Waits until the socket can be read or written, no longer than until_us. */
static int wait_for(int fd, short events, int64_t until_us)
{
	const struct clock clock = CLOCK_SYSTEM;
	struct pollfd item = { .fd = fd, .events = events };
	for (;;) {
		int64_t left_us = until_us - clock_mono_us(&clock);
		if (left_us <= 0)
			return -ETIMEDOUT;
		int ready = poll(&item, 1, (int)((left_us + USEC_PER_MSEC - 1) / USEC_PER_MSEC));
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_all(int fd, const char *bytes, size_t size, int64_t until_us)
{
	while (size) {
		ssize_t count = send(fd, bytes, size, MSG_NOSIGNAL);
		if (count < 0 && errno == EAGAIN) {
			int error = wait_for(fd, POLLOUT, until_us);
			if (error < 0)
				return error;
			continue;
		}
		if (count < 0)
			return -errno;
		bytes += count;
		size -= (size_t)count;
	}
	return 0;
}

/* One line, without its newline. */
static int receive_line(int fd, struct buffer *line, int64_t until_us)
{
	for (;;) {
		uint8_t *to = buffer_reserve(line, 65536);
		ssize_t count = recv(fd, to, 65536, 0);
		if (count == 0)
			return -ECONNRESET;
		if (count < 0 && errno == EAGAIN) {
			int error = wait_for(fd, POLLIN, until_us);
			if (error < 0)
				return error;
			continue;
		}
		if (count < 0)
			return -errno;
		uint8_t *end = memchr(to, '\n', (size_t)count);
		line->size += end ? (size_t)(end - to) : (size_t)count;
		line->data[line->size] = 0;
		if (end)
			return 0;
		if (line->size > ANSWER_MAX_BYTES)
			return -EMSGSIZE;
	}
}

static int exchange(const char *path, const char *request, int wait_ms, struct buffer *line)
{
	const struct clock clock = CLOCK_SYSTEM;
	int64_t until_us = clock_mono_us(&clock) + wait_ms * USEC_PER_MSEC;
	int fd = open_path(path);
	if (fd < 0)
		return fd;
	OWNED_BUFFER sent = BUFFER_EMPTY;
	buffer_printf(&sent, "%s\n", request);
	int error = send_all(fd, buffer_text(&sent), sent.size, until_us);
	if (error == 0)
		error = receive_line(fd, line, until_us);
	close(fd);
	return error;
}

/* What an answer line says; -EINVAL where it is none. */
static int read_answer(const struct buffer *line, struct buffer *text)
{
	char error[160];
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct value item;
	struct value_reader inside;
	if (json_parse(&value, line->data, line->size, error, sizeof(error)) < 0 ||
		!value_find(value.data, value.size, "ok", &item, NULL))
		return -EINVAL;
	if (item.type == VALUE_TRUE) {
		struct value_reader reader = value_reader(value.data, value.size);
		struct value name;
		value_next(&reader, &item);
		for (size_t pairs = item.size; pairs > 0; pairs--) {
			if (!value_next(&reader, &name))
				return -EINVAL;
			const uint8_t *from = reader.at;
			if (!value_skip(&reader))
				return -EINVAL;
			if (strcmp(name.text, "result") == 0) {
				buffer_put(text, from, (size_t)(reader.at - from));
				return CLIENT_RESULT;
			}
		}
		return -EINVAL;
	}
	if (!value_find(value.data, value.size, "error", &item, &inside) ||
		item.type != VALUE_STRING)
		return -EINVAL;
	buffer_put(text, item.text, item.size);
	return CLIENT_REFUSED;
}

enum client_answer client_ask(
	const char *path, const char *request, int wait_ms, struct buffer *text)
{
	OWNED_BUFFER line = BUFFER_EMPTY;
	int error = exchange(path, request, wait_ms, &line);
	if (error == -ETIMEDOUT) {
		buffer_printf(text,
			"enos-bridged at %s does not answer within %d s: see journalctl -u enos-bridge",
			path, wait_ms / 1000);
		return CLIENT_UNREACHABLE;
	}
	if (error < 0) {
		say_unreachable(text, path, -error);
		return CLIENT_UNREACHABLE;
	}
	int answer = read_answer(&line, text);
	if (answer >= 0)
		return (enum client_answer)answer;
	buffer_printf(
		text, "what listens at %s does not answer as enos-bridged does: check -s", path);
	return CLIENT_UNREACHABLE;
}
