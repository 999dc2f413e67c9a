/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/field/connection.h"
#include "sim/field/sim.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

#define BACKLOG 4096
#define RETRY_US (100 * USEC_PER_MSEC)

struct tcp {
	struct line line;
	struct sockaddr_storage address;
	socklen_t address_size;
	struct watch watch; /* the listening socket */
	struct timer resume; /* accepts again */
	bool waited; /* a slow accept has taken its time */
	struct list connections;
	uint64_t accepted, open;
};

static struct tcp *of_line(const struct line *line)
{
	return container_of((struct line *)(uintptr_t)line, struct tcp, line);
}

static void gone(void *context, struct connection *connection)
{
	struct tcp *tcp = context;
	list_remove(connection_link(connection));
	tcp->open--;
	connection_destroy(connection);
}

static void pause_accepting(struct tcp *tcp, int64_t us)
{
	struct loop *loop = tcp->line.sim->loop;
	loop_remove(loop, &tcp->watch);
	loop_arm(loop, &tcp->resume, loop_now(loop) + us);
}

static void resume_accepting(struct timer *timer, int64_t now_us)
{
	struct tcp *tcp = container_of(timer, struct tcp, resume);
	int result = loop_add(tcp->line.sim->loop, &tcp->watch);
	if (result < 0)
		log_error("line %s: cannot accept any more: %s", tcp->line.name, strerror(-result));
}

static struct fault *choose_fault(struct tcp *tcp)
{
	struct sim *sim = tcp->line.sim;
	struct victim victim = { .line = tcp->line.name,
		.framing = tcp->line.framing,
		.stream = true,
		.accepting = true };
	return list_empty(&sim->faults) ? NULL : fault_choose(&sim->faults, &sim->dice, &victim);
}

static void take_in(struct tcp *tcp, int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	struct connection *connection = NULL;
	int result = connection_create(&connection, &tcp->line, fd, gone, tcp);
	if (result < 0) {
		log_error("line %s: connection dropped: %s", tcp->line.name, strerror(-result));
		close(fd);
		return;
	}
	list_append(&tcp->connections, connection_link(connection));
	tcp->accepted++;
	tcp->open++;
	line_event(&tcp->line, "connect");
}

static void run_out(struct tcp *tcp)
{
	static struct log_limit limit = { .window_us = 10 * USEC_PER_SEC, .burst = 1 };
	uint64_t held;
	if (log_limit_pass(&limit, loop_now(tcp->line.sim->loop), &held))
		log_error("line %s: no descriptor for another connection: raise the limit (ulimit "
			  "-n); %llu times more",
			tcp->line.name, (unsigned long long)held);
	pause_accepting(tcp, RETRY_US);
}

static void accept_one(struct tcp *tcp)
{
	struct fault *fault = tcp->waited ? NULL : choose_fault(tcp);
	tcp->line.total.faults += fault != NULL;
	if (fault && fault->kind == FAULT_SLOW_ACCEPT) {
		tcp->waited = true;
		pause_accepting(tcp, (int64_t)fault->ms * USEC_PER_MSEC);
		return;
	}
	tcp->waited = false;
	int fd = accept4(tcp->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			run_out(tcp);
		return;
	}
	if (fault) {
		close(fd);
		line_event(&tcp->line, "hang-up");
	} else {
		take_in(tcp, fd);
	}
}

static void acceptable(struct watch *watch, uint32_t events)
{
	accept_one(container_of(watch, struct tcp, watch));
}

static int listen_at(struct tcp *tcp)
{
	int fd = socket(tcp->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	struct sockaddr *address = (struct sockaddr *)(void *)&tcp->address;
	if (bind(fd, address, tcp->address_size) < 0 || listen(fd, BACKLOG) < 0 ||
		getsockname(fd, address, &tcp->address_size) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static int plug(struct line *line)
{
	struct tcp *tcp = of_line(line);
	int fd = listen_at(tcp);
	if (fd < 0)
		return fd;
	tcp->watch.fd = fd;
	tcp->watch.events = EPOLLIN;
	int result = loop_add(line->sim->loop, &tcp->watch);
	if (result < 0)
		close(fd);
	return result;
}

static void unplug(struct line *line)
{
	struct tcp *tcp = of_line(line);
	loop_remove(line->sim->loop, &tcp->watch);
	loop_disarm(line->sim->loop, &tcp->resume);
	close(tcp->watch.fd);
	tcp->waited = false;
	struct list *link;
	while ((link = list_take_first(&tcp->connections)))
		connection_destroy(connection_of(link));
	tcp->open = 0;
}

static in_port_t *port_of(struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return &((struct sockaddr_in6 *)(void *)address)->sin6_port;
	return &((struct sockaddr_in *)(void *)address)->sin_port;
}

static uint16_t tcp_port(const struct line *line)
{
	return ntohs(*port_of(&of_line(line)->address));
}

static void describe(struct line *line, struct buffer *json)
{
	struct tcp *tcp = of_line(line);
	buffer_printf(json, ",\"port\":%u,\"accepted\":%llu,\"open\":%llu", tcp_port(line),
		(unsigned long long)tcp->accepted, (unsigned long long)tcp->open);
}

static void destroy(struct line *line)
{
}

static const struct line_kind tcp_kind = { .stream = true,
	.plug = plug,
	.unplug = unplug,
	.describe = describe,
	.port = tcp_port,
	.destroy = destroy };

static socklen_t parse_host(const char *host, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)address;
	*address = (struct sockaddr_storage){ .ss_family = AF_INET };
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1)
		return sizeof(*four);
	address->ss_family = AF_INET6;
	return inet_pton(AF_INET6, host, &six->sin6_addr) == 1 ? sizeof(*six) : 0;
}

struct line *tcp_create(struct sim *sim, const struct tcp_setup *setup)
{
	struct sockaddr_storage address;
	socklen_t size = parse_host(setup->host, &address);
	if (!size)
		return NULL;
	struct tcp *tcp = must_alloc(sizeof(*tcp));
	line_init(&tcp->line, sim, &tcp_kind, setup->name, setup->framing);
	tcp->address = address;
	tcp->address_size = size;
	*port_of(&tcp->address) = htons(setup->port);
	tcp->watch.ready = acceptable;
	tcp->resume.expired = resume_accepting;
	list_init(&tcp->connections);
	return &tcp->line;
}
