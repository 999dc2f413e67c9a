/* SPDX-License-Identifier: Apache-2.0 */
#include "field/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/alloc.h"

struct link_tcp {
	struct link link;
	struct loop *loop;
	struct resolver_client *resolver;
	const struct conf_link *conf;
	struct lookup lookup;
	struct watch watch;
	union address *addresses; /* still to be tried; NULL once connected */
	uint8_t count, next;
	uint8_t turn; /* which address is tried first, the next time */
	bool connecting;
};

static struct link_tcp *tcp_of(struct link *link)
{
	return container_of(link, struct link_tcp, link);
}

static void set_option(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

/* A peer that vanished without a word is noticed within a minute, sent to or not. */
static void set_options(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
}

static void forget_socket(struct link_tcp *tcp)
{
	loop_remove(tcp->loop, &tcp->watch);
	if (tcp->watch.fd >= 0)
		close(tcp->watch.fd);
	tcp->watch.fd = -1;
	tcp->connecting = false;
}

static void forget_addresses(struct link_tcp *tcp)
{
	free(TAKE(tcp->addresses));
	tcp->count = tcp->next = 0;
}

static void tcp_ready(struct watch *watch, uint32_t events);

/* Begins to connect to one address.  0, or -errno. */
static int connect_to(struct link_tcp *tcp, const union address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	set_options(fd);
	socklen_t size = address->any.sa_family == AF_INET ? sizeof(address->v4)
							   : sizeof(address->v6);
	int result = connect(fd, &address->any, size) < 0 && errno != EINPROGRESS ? -errno : 0;
	if (result == 0) {
		tcp->watch = (struct watch){ .fd = fd, .events = EPOLLOUT, .ready = tcp_ready };
		result = loop_add(tcp->loop, &tcp->watch);
	}
	if (result < 0) {
		close(fd);
		tcp->watch.fd = -1;
		return result;
	}
	tcp->connecting = true;
	return 0;
}

/* Goes on to the next address; after the last one the owner hears of the last error. */
static void try_next(struct link_tcp *tcp, int error)
{
	char at[64] = "";
	while (tcp->next < tcp->count) {
		const union address
			*address = &tcp->addresses[(tcp->next + tcp->turn) % tcp->count];
		tcp->next++;
		address_print(address, at, sizeof(at));
		int result = connect_to(tcp, address);
		if (result == 0)
			return;
		error = -result;
	}
	if (!at[0] && tcp->count)
		address_print(
			&tcp->addresses[(tcp->next - 1u + tcp->turn) % tcp->count], at, sizeof(at));
	forget_addresses(tcp);
	char why[LINK_WHY_MAX];
	snprintf(why, sizeof(why), "cannot connect to %.80s: %s", at, strerror(error));
	tcp->link.events->failed(tcp->link.owner, why);
}

static void connected(struct link_tcp *tcp)
{
	int error = 0;
	socklen_t size = sizeof(error);
	if (getsockopt(tcp->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error) {
		forget_socket(tcp);
		try_next(tcp, error);
		return;
	}
	tcp->connecting = false;
	forget_addresses(tcp);
	loop_change(tcp->loop, &tcp->watch, EPOLLIN);
	tcp->link.events->opened(tcp->link.owner);
}

static void tcp_ready(struct watch *watch, uint32_t events)
{
	struct link_tcp *tcp = container_of(watch, struct link_tcp, watch);
	if (tcp->connecting) {
		connected(tcp);
		return;
	}
	if ((events & EPOLLOUT) && !(events & (EPOLLHUP | EPOLLERR))) {
		loop_change(tcp->loop, watch, EPOLLIN);
		tcp->link.events->writable(tcp->link.owner);
	}
	if (watch->added && (events & ~(uint32_t)EPOLLOUT))
		tcp->link.events->readable(tcp->link.owner);
}

static void resolved(struct lookup *lookup, int error, const union address *addresses, size_t count)
{
	struct link_tcp *tcp = container_of(lookup, struct link_tcp, lookup);
	if (error || !count) {
		char why[LINK_WHY_MAX];
		snprintf(why, sizeof(why), "cannot resolve %.80s: %s", tcp->conf->host,
			error ? gai_strerror(error) : "no address");
		tcp->link.events->failed(tcp->link.owner, why);
		return;
	}
	tcp->addresses = must_memdup(addresses, count * sizeof(*addresses));
	tcp->count = (uint8_t)count;
	tcp->next = 0;
	try_next(tcp, EHOSTUNREACH);
}

static int tcp_open(struct link *link, char *why)
{
	struct link_tcp *tcp = tcp_of(link);
	tcp->lookup.done = resolved;
	lookup_start(tcp->resolver, &tcp->lookup, tcp->conf->host, tcp->conf->port);
	return -EINPROGRESS;
}

static ssize_t tcp_read(struct link *link, void *bytes, size_t room)
{
	ssize_t size = recv(tcp_of(link)->watch.fd, bytes, room, 0);
	if (size > 0)
		return size;
	if (size == 0)
		return -EPIPE;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static ssize_t tcp_write(struct link *link, const void *bytes, size_t size)
{
	struct link_tcp *tcp = tcp_of(link);
	ssize_t taken = send(tcp->watch.fd, bytes, size, MSG_NOSIGNAL);
	if (taken < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		taken = 0;
	}
	if ((size_t)taken < size)
		loop_change(tcp->loop, &tcp->watch, EPOLLIN | EPOLLOUT);
	return taken;
}

static void tcp_close(struct link *link)
{
	struct link_tcp *tcp = tcp_of(link);
	lookup_cancel(&tcp->lookup);
	/* The address that did not answer in time is not the first to be tried again. */
	if (tcp->connecting)
		tcp->turn++;
	forget_socket(tcp);
	forget_addresses(tcp);
}

static void tcp_destroy(struct link *link)
{
	tcp_close(link);
	free(tcp_of(link));
}

static void tcp_explain(const struct link *link, int error, char *why)
{
	const struct link_tcp *tcp = container_of(link, const struct link_tcp, link);
	if (error == EPIPE)
		snprintf(why, LINK_WHY_MAX, "%.80s port %u closed the connection", tcp->conf->host,
			tcp->conf->port);
	else
		snprintf(why, LINK_WHY_MAX, "connection to %.80s port %u: %s", tcp->conf->host,
			tcp->conf->port, strerror(error));
}

static const struct link_ops tcp_ops = {
	.open = tcp_open,
	.read = tcp_read,
	.write = tcp_write,
	.close = tcp_close,
	.destroy = tcp_destroy,
	.explain = tcp_explain,
};

struct link *link_tcp_create(
	struct loop *loop, struct resolver_client *resolver, const struct conf_link *conf)
{
	struct link_tcp *tcp = must_alloc(sizeof(*tcp));
	tcp->link.ops = &tcp_ops;
	tcp->loop = loop;
	tcp->resolver = resolver;
	tcp->conf = conf;
	tcp->watch.fd = -1;
	return &tcp->link;
}
