/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim/field/command.h"
#include "sim/field/wait.h"
#include "util/alloc.h"
#include "util/json.h"

#define REQUEST_MAX 65536

struct control {
	struct sim *sim;
	struct watch watch;
	char *path; /* owned */
	struct list clients;
};

struct client {
	struct list link;
	struct control *control;
	struct watch watch;
	struct buffer heard, unsent;
	struct wait *wait; /* what the answer waits for */
	bool running; /* run_lines() is at it */
};

static void drop_client(struct client *client)
{
	if (client->wait)
		wait_cancel(client->wait);
	list_remove(&client->link);
	loop_remove(client->control->sim->loop, &client->watch);
	close(client->watch.fd);
	buffer_finish(&client->heard);
	buffer_finish(&client->unsent);
	free(client);
}

static void put_answer(struct client *client, int result, const struct buffer *answer)
{
	struct buffer *unsent = &client->unsent;
	if (result < 0) {
		buffer_put_text(unsent, "{\"ok\":false,\"error\":");
		json_put_text(unsent, buffer_text(answer));
	} else {
		buffer_put_text(unsent, "{\"ok\":true,\"result\":");
		buffer_put(unsent, answer->data, answer->size);
	}
	buffer_put_text(unsent, "}\n");
}

/* False when the client is gone. */
static bool flush(struct client *client)
{
	if (client->unsent.size) {
		ssize_t count = send(client->watch.fd, client->unsent.data, client->unsent.size,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (count < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (count > 0)
			buffer_drop(&client->unsent, (size_t)count);
	}
	uint32_t events = EPOLLIN | (client->unsent.size ? EPOLLOUT : 0);
	return loop_change(client->control->sim->loop, &client->watch, events) == 0;
}

static void run_lines(struct client *client);

static void waited(void *context, bool met)
{
	struct client *client = context;
	OWNED_BUFFER answer = BUFFER_EMPTY;
	client->wait = NULL;
	buffer_put_text(&answer, met ? "{\"met\":true}" : "it did not happen in time");
	put_answer(client, met ? 0 : -ETIMEDOUT, &answer);
	run_lines(client);
	/* A client that went away is noticed by its watch: here it may be in use further up. */
	flush(client);
}

static void run_line(struct client *client, const char *line, size_t size)
{
	OWNED_BUFFER request = BUFFER_EMPTY;
	OWNED_BUFFER answer = BUFFER_EMPTY;
	struct value command;
	struct wait *wait = NULL;
	char error[160];
	int result = json_parse(&request, line, size, error, sizeof(error));
	if (result < 0) {
		buffer_put_text(&answer, error);
	} else if (!value_find(request.data, request.size, "command", &command, NULL) ||
		command.type != VALUE_STRING) {
		result = -EINVAL;
		buffer_put_text(&answer, "a request is {\"command\":\"...\"}");
	} else {
		result = command_run(client->control->sim, command.text, &answer, &wait);
	}
	if (!wait) {
		put_answer(client, result, &answer);
		return;
	}
	wait->done = waited;
	wait->context = client;
	client->wait = wait;
	wait_begin(client->control->sim, wait);
}

/* Runs what stands in whole lines, one after another. */
static void run_lines(struct client *client)
{
	if (client->running)
		return; /* a wait that was met at once */
	client->running = true;
	while (!client->wait) {
		struct buffer *heard = &client->heard;
		uint8_t *end = heard->size ? memchr(heard->data, '\n', heard->size) : NULL;
		if (!end)
			break;
		size_t size = (size_t)(end - heard->data);
		OWNED char *line = must_memdup(heard->data, size + 1);
		buffer_drop(heard, size + 1);
		run_line(client, line, size);
	}
	client->running = false;
}

static void client_ready(struct watch *watch, uint32_t events)
{
	struct client *client = container_of(watch, struct client, watch);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		uint8_t *end = buffer_reserve(&client->heard, 4096);
		ssize_t count = read(watch->fd, end, 4096);
		bool again = count < 0 && (errno == EAGAIN || errno == EINTR);
		if ((count <= 0 && !again) || client->heard.size > REQUEST_MAX) {
			drop_client(client);
			return;
		}
		client->heard.size += count > 0 ? (size_t)count : 0;
		run_lines(client);
	}
	if (!flush(client))
		drop_client(client);
}

static void connected(struct watch *watch, uint32_t events)
{
	struct control *control = container_of(watch, struct control, watch);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct client *client = must_alloc(sizeof(*client));
	client->control = control;
	client->watch = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = client_ready };
	list_append(&control->clients, &client->link);
	if (loop_add(control->sim->loop, &client->watch) < 0)
		drop_client(client);
}

static int make_address(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	return 0;
}

/* Whether somebody answers at the address. */
static bool in_use(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool used = fd >= 0 &&
		connect(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) == 0;
	if (fd >= 0)
		close(fd);
	return used;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address;
	int result = make_address(path, &address);
	if (result < 0)
		return result;
	if (in_use(&address))
		return -EADDRINUSE;
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)) < 0 ||
		listen(fd, 64) < 0) {
		result = -errno;
		close(fd);
		return result;
	}
	return fd;
}

int control_open(struct control **result, struct sim *sim, const char *path)
{
	int fd = listen_at(path);
	if (fd < 0)
		return fd;
	struct control *control = must_alloc(sizeof(*control));
	control->sim = sim;
	control->path = must_strdup(path);
	list_init(&control->clients);
	control->watch = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = connected };
	int status = loop_add(sim->loop, &control->watch);
	if (status < 0) {
		control_close(control);
		return status;
	}
	*result = control;
	return 0;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	list_for_each (link, &control->clients)
		drop_client(container_of(link, struct client, link));
	loop_remove(control->sim->loop, &control->watch);
	close(control->watch.fd);
	unlink(control->path);
	free(control->path);
	free(control);
}
