/* SPDX-License-Identifier: Apache-2.0 */
#include "local/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/json.h"
#include "util/list.h"

#define CLIENTS_MAX 8
#define LINE_MAX_BYTES 65536
/* The longest answer; a reader that does not take it holds no more memory than this. */
#define ANSWER_MAX_BYTES (4u << 20)
#define IDLE_US (60 * USEC_PER_SEC)
#define ACCEPT_PAUSE_US USEC_PER_SEC
/* Most requests of one client in a turn of the loop. */
#define BURST 8

struct client {
	struct control *control;
	struct watch watch;
	struct timer idle; /* nothing was said, or nothing taken, for too long */
	uint32_t generation; /* tells the users of this place apart */
	bool used, privileged;
	bool asking; /* a request waits for its answer: nothing more is read until it came */
	bool handling; /* the request is being handed over */
	bool ended; /* the client says no more: closes when all is answered */
	struct buffer in, out; /* out: from sent on is still to be written */
	size_t sent;
};

struct control {
	struct control_setup setup;
	char *path;
	dev_t device; /* of the socket in the file system: another's is not ours to remove */
	ino_t inode;
	struct watch listening;
	struct timer pause; /* no descriptors left: nobody is let in for a while */
	int spare; /* given up for a client where no descriptors are left; -1 */
	struct client clients[CLIENTS_MAX];
};

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void drop(struct client *client)
{
	loop_remove(client->control->setup.loop, &client->watch);
	loop_disarm(client->control->setup.loop, &client->idle);
	close(client->watch.fd);
	if (client->control->spare < 0)
		client->control->spare = open_spare();
	buffer_finish(&client->in);
	buffer_finish(&client->out);
	client->used = false;
	client->generation++;
	/* There is room for one more. */
	loop_change(client->control->setup.loop, &client->control->listening, EPOLLIN);
}

static void stay(struct client *client)
{
	struct loop *loop = client->control->setup.loop;
	loop_arm(loop, &client->idle, loop_now(loop) + IDLE_US);
}

static void idle_expired(struct timer *timer, int64_t now_us)
{
	struct client *client = container_of(timer, struct client, idle);
	if (client->asking)
		stay(client); /* it waits for us */
	else
		drop(client);
}

/* Writes what it can.  False where the client went away and was dropped. */
static bool flush(struct client *client)
{
	while (client->sent < client->out.size) {
		ssize_t count = send(client->watch.fd, client->out.data + client->sent,
			client->out.size - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return true;
		if (count < 0) {
			drop(client);
			return false;
		}
		client->sent += (size_t)count;
		stay(client);
	}
	buffer_finish(&client->out);
	client->sent = 0;
	return true;
}

static void say_error(struct client *client, const char *text)
{
	buffer_put_text(&client->out, "{\"ok\":false,\"error\":");
	json_put_text(&client->out, text);
	buffer_put_text(&client->out, "}\n");
}

static uint64_t token_of(const struct client *client)
{
	size_t place = (size_t)(client - client->control->clients);
	return (uint64_t)client->generation << 32 | place;
}

/* Hands a request line over, or answers it with what is wrong with it. */
static void handle(struct client *client, const char *line, size_t size)
{
	char error[160];
	OWNED_BUFFER request = BUFFER_EMPTY;
	struct value command;
	if (json_parse(&request, line, size, error, sizeof(error)) < 0) {
		say_error(client, error);
		return;
	}
	if (!value_find(request.data, request.size, "command", &command, NULL) ||
		command.type != VALUE_STRING || memchr(command.text, 0, command.size)) {
		say_error(client, "a request is an object with a text \"command\"");
		return;
	}
	struct control_request asked = { .command = command.text,
		.arguments = request.data,
		.size = request.size,
		.privileged = client->privileged,
		.token = token_of(client) };
	client->asking = client->handling = true;
	client->control->setup.request(client->control->setup.context, &asked);
	client->handling = false;
}

/* Answers the lines that are there, one at a time.  False where the client was dropped. */
static bool serve(struct client *client)
{
	for (int i = 0; i < BURST; i++) {
		if (client->asking || client->out.size || !client->in.size)
			break;
		char *line = (char *)client->in.data;
		char *end = memchr(line, '\n', client->in.size);
		if (!end && client->in.size >= LINE_MAX_BYTES) {
			say_error(client, "request too long: a line has at most 65535 bytes");
			buffer_clear(&client->in);
			client->ended = true;
		} else if (!end && client->ended) {
			say_error(client, "request cut off: a line ends with a newline");
			buffer_clear(&client->in);
		} else if (!end) {
			break;
		} else {
			size_t size = (size_t)(end - line);
			handle(client, line, size);
			buffer_drop(&client->in, size + 1);
		}
		if (!flush(client))
			return false;
	}
	if (client->ended && !client->asking && !client->out.size && !client->in.size) {
		drop(client);
		return false;
	}
	return true;
}

/* Reads only what there is room and need for: a client cannot make us keep more. */
static void watch_more(struct client *client)
{
	bool free = !client->asking && !client->out.size;
	bool line = client->ended
		? client->in.size > 0
		: client->in.size && memchr(client->in.data, '\n', client->in.size);
	uint32_t events = 0;
	if (free && !line && !client->ended)
		events |= EPOLLIN;
	/* A line that is here already is served as soon as its answer could be written. */
	if (client->out.size || (free && line))
		events |= EPOLLOUT;
	loop_change(client->control->setup.loop, &client->watch, events);
}

/* False where the client was dropped. */
static bool take_bytes(struct client *client)
{
	size_t room = LINE_MAX_BYTES - client->in.size;
	uint8_t *to = buffer_reserve(&client->in, room);
	ssize_t count = recv(client->watch.fd, to, room, MSG_DONTWAIT);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (count < 0) {
		drop(client);
		return false;
	}
	client->ended = count == 0;
	client->in.size += (size_t)count;
	client->in.data[client->in.size] = 0;
	stay(client);
	return true;
}

static void client_ready(struct watch *watch, uint32_t events)
{
	struct client *client = container_of(watch, struct client, watch);
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN)) {
		drop(client);
		return;
	}
	if ((events & EPOLLOUT) && !flush(client))
		return;
	if ((events & EPOLLIN) && !take_bytes(client))
		return;
	if (serve(client))
		watch_more(client);
}

static bool is_privileged(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
		(peer.uid == 0 || peer.uid == geteuid());
}

static struct client *free_place(struct control *control)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (!control->clients[i].used)
			return &control->clients[i];
	}
	return NULL;
}

static void pause_expired(struct timer *timer, int64_t now_us)
{
	struct control *control = container_of(timer, struct control, pause);
	loop_change(control->setup.loop, &control->listening, EPOLLIN);
}

/* A daemon that has run out of descriptors is one that somebody wants to ask why. */
static int let_in(struct control *control)
{
	int fd = accept4(control->listening.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || control->spare < 0)
		return fd;
	close(control->spare);
	control->spare = -1;
	return accept4(control->listening.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void somebody_comes(struct watch *watch, uint32_t events)
{
	struct control *control = container_of(watch, struct control, listening);
	struct client *client = free_place(control);
	if (!client) {
		/* Who comes now waits in the backlog until one of the others has gone. */
		loop_change(control->setup.loop, &control->listening, 0);
		return;
	}
	int fd = let_in(control);
	if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
		loop_change(control->setup.loop, &control->listening, 0);
		loop_arm(control->setup.loop, &control->pause,
			loop_now(control->setup.loop) + ACCEPT_PAUSE_US);
	}
	if (fd < 0)
		return;
	*client = (struct client){ .control = control,
		.generation = client->generation,
		.used = true,
		.privileged = is_privileged(fd),
		.idle.expired = idle_expired,
		.watch = { .fd = fd, .events = EPOLLIN, .ready = client_ready } };
	if (loop_add(control->setup.loop, &client->watch) < 0) {
		close(fd);
		client->used = false;
		return;
	}
	stay(client);
}

/* ---- the socket ---------------------------------------------------------------------------------- */

/* Removes a socket that nobody listens on any more.  0, or why the path cannot be had. */
static int clear_path(const struct sockaddr_un *address)
{
	struct stat old;
	if (lstat(address->sun_path, &old) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(old.st_mode))
		return -ENOTSOCK;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int error = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	if (error == 0 || error == EAGAIN)
		return -EADDRINUSE;
	if (error != ECONNREFUSED)
		return -error;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

/* The mode is narrow from the first moment on, whatever the umask is. */
static int bind_path(int fd, const struct sockaddr_un *address)
{
	if (fchmod(fd, 0660) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -errno;
	if (chmod(address->sun_path, 0660) < 0 || listen(fd, CLIENTS_MAX) < 0) {
		int error = errno;
		unlink(address->sun_path);
		return -error;
	}
	return 0;
}

static int open_socket(struct control *control)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(control->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, control->path);
	int error = clear_path(&address);
	if (error < 0)
		return error;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	error = bind_path(fd, &address);
	struct stat own;
	if (error == 0 && lstat(control->path, &own) == 0) {
		control->device = own.st_dev;
		control->inode = own.st_ino;
	}
	control->listening = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = somebody_comes };
	if (error == 0)
		error = loop_add(control->setup.loop, &control->listening);
	if (error < 0)
		close(fd);
	return error;
}

int control_create(struct control **result, const struct control_setup *setup)
{
	struct control *control = must_alloc(sizeof(*control));
	control->setup = *setup;
	control->path = must_strdup(setup->path);
	control->pause.expired = pause_expired;
	int error = open_socket(control);
	if (error < 0) {
		free(control->path);
		free(control);
		return error;
	}
	control->spare = open_spare();
	*result = control;
	return 0;
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (control->clients[i].used)
			drop(&control->clients[i]);
	}
	loop_disarm(control->setup.loop, &control->pause);
	loop_remove(control->setup.loop, &control->listening);
	close(control->listening.fd);
	if (control->spare >= 0)
		close(control->spare);
	struct stat now;
	if (lstat(control->path, &now) == 0 && now.st_dev == control->device &&
		now.st_ino == control->inode)
		unlink(control->path);
	free(control->path);
	free(control);
}

/* ---- answers --------------------------------------------------------------------------------------- */

/* Who waits for the answer, or NULL where the client has gone. */
static struct client *find(struct control *control, uint64_t token)
{
	size_t place = token & UINT32_MAX;
	if (place >= CLIENTS_MAX)
		return NULL;
	struct client *client = &control->clients[place];
	bool waits = client->used && client->asking && client->generation == token >> 32;
	return waits ? client : NULL;
}

/* The answer is in out.  Within the request's own call the caller goes on; else what waits is served. */
static void finish_answer(struct client *client)
{
	client->asking = false;
	stay(client);
	if (client->handling)
		return;
	if (flush(client) && serve(client))
		watch_more(client);
}

void control_answer(struct control *control, uint64_t token, const char *json)
{
	struct client *client = find(control, token);
	if (!client)
		return;
	size_t size = strlen(json);
	if (size > ANSWER_MAX_BYTES) {
		control_refuse(control, token, "the answer is too long: %zu bytes", size);
		return;
	}
	buffer_put_text(&client->out, "{\"ok\":true,\"result\":");
	buffer_put(&client->out, json, size);
	buffer_put_text(&client->out, "}\n");
	finish_answer(client);
}

void control_refuse(struct control *control, uint64_t token, const char *format, ...)
{
	struct client *client = find(control, token);
	if (!client)
		return;
	OWNED_BUFFER text = BUFFER_EMPTY;
	va_list arguments;
	va_start(arguments, format);
	buffer_vprintf(&text, format, arguments);
	va_end(arguments);
	say_error(client, buffer_text(&text));
	finish_answer(client);
}
