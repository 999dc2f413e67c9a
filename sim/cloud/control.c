/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "operation.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

#define LINE_MOST 262144
#define UNREAD_MOST (16 << 20)
#define WAIT_DEFAULT_S 60

struct client {
	struct list link;
	struct watch watch;
	struct timer timer; /* when a request that waits is given up */
	struct sim_control *control;
	struct buffer in, out;
	bool closing, waiting;
	struct buffer request; /* value; of the one at hand */
	struct operation operation;
	struct follower follower;
	bool following, everything;
	const struct device *only;
};

struct sim_control {
	struct sim *sim;
	struct watch watch;
	struct list clients;
	char *path;
};

static void client_destroy(struct client *client)
{
	struct loop *loop = client->control->sim->loop;
	if (client->following)
		journal_unfollow(&client->follower);
	list_remove(&client->link);
	loop_disarm(loop, &client->timer);
	loop_remove(loop, &client->watch);
	close(client->watch.fd);
	buffer_finish(&client->in);
	buffer_finish(&client->out);
	buffer_finish(&client->request);
	free(client);
}

/* Writes what the socket takes; the loop goes on with the rest, and ends a client that is through. */
static void push(struct client *client)
{
	ssize_t size = client->out.size ? send(client->watch.fd, client->out.data, client->out.size,
						  MSG_DONTWAIT | MSG_NOSIGNAL)
					: 0;
	if (size > 0)
		buffer_drop(&client->out, (size_t)size);
	else if (size < 0 && errno != EAGAIN && errno != EINTR)
		client->closing = true;
	if (client->out.size > UNREAD_MOST)
		client->closing = true; /* it does not read: nobody keeps its lines for it */
	if (client->closing)
		buffer_clear(&client->out);
	loop_change(client->control->sim->loop, &client->watch,
		EPOLLIN | (client->out.size || client->closing ? EPOLLOUT : 0));
}

static void follow_line(struct follower *follower, const char *event, const struct device *device,
	const struct buffer *line)
{
	static const char *const readings[] = { "report", "raw", "event", "attributes" };
	struct client *client = container_of(follower, struct client, follower);
	bool wanted = client->everything;
	for (size_t i = 0; i < sizeof(readings) / sizeof(*readings); i++)
		wanted |= strcmp(event, readings[i]) == 0;
	if (client->closing || !wanted || (client->only && client->only != device))
		return;
	buffer_put(&client->out, line->data, line->size);
	push(client);
}

static void start_following(struct client *client)
{
	const char *name = operation_text(&client->operation, "device");
	client->only = name ? devices_named(client->control->sim->devices, name) : NULL;
	client->everything = operation_flag(&client->operation, "all");
	client->follower.line = follow_line;
	if (!client->following)
		journal_follow(client->control->sim->journal, &client->follower);
	client->following = true;
}

static void answer(struct client *client, bool ok, const char *text)
{
	buffer_put_text(&client->out, ok ? "{\"ok\":true,\"result\":" : "{\"ok\":false,\"error\":");
	if (ok)
		buffer_put_text(&client->out, text);
	else
		json_put_text(&client->out, text);
	buffer_put_text(&client->out, "}\n");
	client->waiting = false;
	loop_disarm(client->control->sim->loop, &client->timer);
	push(client);
}

static void attempt(struct client *client)
{
	struct loop *loop = client->control->sim->loop;
	OWNED_BUFFER result = BUFFER_EMPTY;
	client->operation.result = &result;
	switch (operate(&client->operation)) {
	case OPERATED_REFUSED:
		answer(client, false, client->operation.error);
		return;
	case OPERATED_WAITING:
		if (!client->waiting) {
			double wait = operation_number(
				&client->operation, "timeout", WAIT_DEFAULT_S);
			loop_arm(loop, &client->timer,
				loop_now(loop) + (int64_t)(wait * (double)USEC_PER_SEC));
		}
		client->waiting = true;
		return;
	case OPERATED_FOLLOWING:
		answer(client, true, buffer_text(&result));
		start_following(client);
		return;
	case OPERATED_QUITTING:
		answer(client, true, buffer_text(&result));
		loop_stop(loop);
		return;
	case OPERATED_DONE:
		answer(client, true, buffer_text(&result));
	}
}

static void waited_enough(struct timer *timer, int64_t now_us)
{
	struct client *client = container_of(timer, struct client, timer);
	answer(client, false, client->operation.error);
}

/* The next request, once the one before has its answer. */
static void take_lines(struct client *client)
{
	char error[160];
	while (!client->waiting && client->in.size) {
		const uint8_t *end = memchr(client->in.data, '\n', client->in.size);
		if (!end)
			break;
		size_t size = (size_t)(end - client->in.data);
		buffer_clear(&client->request);
		int result = json_parse(
			&client->request, client->in.data, size, error, sizeof(error));
		buffer_drop(&client->in, size + 1);
		if (result < 0) {
			answer(client, false, error);
			continue;
		}
		client->operation = (struct operation){ .sim = client->control->sim,
			.request = client->request.data,
			.size = client->request.size };
		attempt(client);
	}
	if (client->in.size > LINE_MOST)
		client->closing = true;
}

/* Those that wait look again. */
static void changed(void *context)
{
	struct sim_control *control = context;
	list_for_each (link, &control->clients) {
		struct client *client = container_of(link, struct client, link);
		if (!client->waiting)
			continue;
		attempt(client);
		take_lines(client);
	}
}

static void client_ready(struct watch *watch, uint32_t events)
{
	struct client *client = container_of(watch, struct client, watch);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		uint8_t *room = buffer_reserve(&client->in, 4096);
		ssize_t size = recv(watch->fd, room, 4096, MSG_DONTWAIT);
		if (size > 0) {
			client->in.size += (size_t)size;
			take_lines(client);
			changed(client->control);
		} else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
			client->closing = true;
		}
	}
	if (!client->closing && client->out.size)
		push(client);
	if (client->closing) {
		client_destroy(client);
		return;
	}
	loop_change(client->control->sim->loop, watch, EPOLLIN | (client->out.size ? EPOLLOUT : 0));
}

static void accept_client(struct watch *watch, uint32_t events)
{
	struct sim_control *control = container_of(watch, struct sim_control, watch);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct client *client = must_alloc(sizeof(*client));
	client->control = control;
	client->watch = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = client_ready };
	client->timer.expired = waited_enough;
	list_append(&control->clients, &client->link);
	if (loop_add(control->sim->loop, &client->watch) < 0)
		client_destroy(client);
}

static int listen_at(struct sim_control *control, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	control->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->watch.fd < 0)
		return -errno;
	struct stat old;
	if (stat(path, &old) == 0 && S_ISSOCK(old.st_mode))
		unlink(path);
	if (bind(control->watch.fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(control->watch.fd, 64) < 0)
		return -errno;
	control->path = must_strdup(path);
	return loop_add(control->sim->loop, &control->watch);
}

int sim_control_create(struct sim_control **result, struct sim *sim, const char *path)
{
	struct sim_control *control = must_alloc(sizeof(*control));
	control->sim = sim;
	control->watch = (struct watch){ .fd = -1, .events = EPOLLIN, .ready = accept_client };
	list_init(&control->clients);
	int error = listen_at(control, path);
	if (error < 0) {
		sim_control_destroy(control);
		return error;
	}
	sim->changed = changed;
	sim->changed_context = control;
	*result = control;
	return 0;
}

void sim_control_destroy(struct sim_control *control)
{
	if (!control)
		return;
	control->sim->changed = NULL;
	list_for_each (link, &control->clients)
		client_destroy(container_of(link, struct client, link));
	loop_remove(control->sim->loop, &control->watch);
	if (control->watch.fd >= 0)
		close(control->watch.fd);
	if (control->path)
		unlink(control->path);
	free(control->path);
	free(control);
}
