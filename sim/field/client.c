/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "util/json.h"

/* A simulator that was started in the line before may not listen yet. */
#define TRIES 20
#define TRY_NS 100000000

static int open_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int error = 0;
	for (int tries = 0; tries < TRIES; tries++) {
		if (connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)) == 0)
			return fd;
		error = errno;
		if (error != ENOENT && error != ECONNREFUSED)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = TRY_NS }, NULL);
	}
	close(fd);
	return -error;
}

static int send_command(int fd, const char *command)
{
	OWNED_BUFFER request = BUFFER_EMPTY;
	buffer_put_text(&request, "{\"command\":");
	json_put_text(&request, command);
	buffer_put_text(&request, "}\n");
	for (size_t at = 0; at < request.size;) {
		ssize_t count = send(fd, request.data + at, request.size - at, MSG_NOSIGNAL);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		at += (size_t)count;
	}
	return 0;
}

/* Reads one line; there is one answer to one command. */
static int receive(int fd, struct buffer *answer)
{
	buffer_clear(answer);
	for (;;) {
		uint8_t *end = buffer_reserve(answer, 65536);
		ssize_t count = read(fd, end, 65536);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count < 0 ? -errno : -EPIPE;
		answer->size += (size_t)count;
		if (answer->data[answer->size - 1] != '\n')
			continue;
		buffer_put(answer, "", 0); /* the NUL behind */
		return 0;
	}
}

/* The exit status that the answer stands for. */
static int show(const struct buffer *answer)
{
	static const char good[] = "{\"ok\":true,\"result\":";
	size_t skip = sizeof(good) - 1;
	if (answer->size > skip + 2 && memcmp(answer->data, good, skip) == 0) {
		printf("%.*s\n", (int)(answer->size - skip - 2), buffer_text(answer) + skip);
		return 0;
	}
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct value error;
	char problem[160];
	if (json_parse(&value, answer->data, answer->size, problem, sizeof(problem)) < 0 ||
		!value_find(value.data, value.size, "error", &error, NULL) ||
		error.type != VALUE_STRING) {
		fprintf(stderr, "enos-field-sim: what answers there is no simulator\n");
		return 2;
	}
	fprintf(stderr, "enos-field-sim: %s\n", error.text);
	return 1;
}

int client_ask(const char *path, char *const *commands, int count)
{
	int status = 0;
	int fd = open_socket(path);
	if (fd < 0) {
		fprintf(stderr, "enos-field-sim: %s: %s; is the simulator running with --socket?\n",
			path, strerror(-fd));
		return 2;
	}
	OWNED_BUFFER answer = BUFFER_EMPTY;
	for (int i = 0; i < count && status == 0; i++) {
		int result = send_command(fd, commands[i]);
		if (result == 0)
			result = receive(fd, &answer);
		if (result < 0)
			fprintf(stderr, "enos-field-sim: %s: %s\n", path, strerror(-result));
		status = result < 0 ? 2 : show(&answer);
	}
	close(fd);
	return status;
}
