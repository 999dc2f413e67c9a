/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client of the control socket says, in pieces.  The first byte tells how long the pieces are
 * (low bits) and whether answers come at once or later (high bit); the rest is said.
 */
#include "local/control.c"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct daemon {
	struct control *control;
	bool later;
	uint64_t waiting; /* token of a request that has no answer yet; 0: none */
};

static void answer(void *context, const struct control_request *request)
{
	struct daemon *daemon = context;
	if (!value_valid(request->arguments, request->size) || !*request->command)
		control_refuse(daemon->control, request->token, "%s", request->command);
	else if (daemon->later)
		daemon->waiting = request->token;
	else
		control_answer(daemon->control, request->token, "{}");
}

/* Reads what was answered, and sees that each line is one object. */
static void hear(int fd, bool *in_line)
{
	char block[4096];
	for (ssize_t count; (count = recv(fd, block, sizeof(block), MSG_DONTWAIT)) > 0;) {
		for (ssize_t i = 0; i < count; i++) {
			if (!*in_line && block[i] != '{')
				abort();
			*in_line = block[i] != '\n';
		}
	}
}

static void settle(struct loop *loop, struct daemon *daemon, int fd, bool *in_line)
{
	do {
		while (loop_step(loop, 0) > 0)
			hear(fd, in_line);
		if (daemon->waiting) {
			uint64_t token = daemon->waiting;
			daemon->waiting = 0;
			control_answer(daemon->control, token, "[]");
		}
	} while (daemon->waiting || loop_step(loop, 0) > 0);
	hear(fd, in_line);
}

/* A control with one client on a pair of sockets, where nothing listens. */
static struct client *make_client(struct control *control, int fd)
{
	struct client *client = &control->clients[0];
	*client = (struct client){ .control = control,
		.generation = 1,
		.used = true,
		.idle.expired = idle_expired,
		.watch = { .fd = fd, .events = EPOLLIN, .ready = client_ready } };
	if (loop_add(control->setup.loop, &client->watch) < 0)
		abort();
	return client;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct clock clock = { .manual = true };
	struct loop *loop;
	int ends[2];
	if (!size || loop_create(&loop, &clock) < 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
		return 0;
	struct control *control = must_alloc(sizeof(*control));
	struct daemon daemon = { .control = control, .later = data[0] & 0x80 };
	control->setup = (struct control_setup){
		.loop = loop, .context = &daemon, .request = answer
	};
	control->listening.events = EPOLLIN;
	struct client *client = make_client(control, ends[0]);
	size_t piece = data[0] & 0x7f ? (size_t)(data[0] & 0x7f) : 65536;
	bool in_line = false;
	for (size_t at = 1; at < size && client->used; at += piece) {
		size_t count = size - at < piece ? size - at : piece;
		if (send(ends[1], data + at, count, MSG_NOSIGNAL) < 0)
			break;
		settle(loop, &daemon, ends[1], &in_line);
	}
	shutdown(ends[1], SHUT_WR);
	settle(loop, &daemon, ends[1], &in_line);
	/* All was said and answered: the client is let go. */
	if (client->used || in_line)
		abort();
	close(ends[1]);
	free(control);
	loop_destroy(loop);
	return 0;
}
