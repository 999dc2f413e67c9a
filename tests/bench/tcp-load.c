/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As many Modbus TCP connections as wanted, each always with so many requests in flight: what a
 * simulator, or any server, answers per second.  Checks each answer's transaction, unit and values.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REGISTERS 10
#define REQUEST 12
#define ANSWER (9 + 2 * REGISTERS)

struct peer {
	int fd;
	uint16_t sent, expected;
	size_t have;
	uint8_t bytes[4096];
};

static unsigned long long answers, wrong;

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void ask(struct peer *peer, int count)
{
	uint8_t frames[64 * REQUEST];
	for (int i = 0; i < count; i++) {
		uint16_t id = peer->sent++;
		uint8_t unit = (uint8_t)(1 + id % 10);
		const uint8_t frame[REQUEST] = { (uint8_t)(id >> 8), (uint8_t)id, 0, 0, 0, 6, unit,
			3, 0, 0, 0, REGISTERS };
		memcpy(frames + i * REQUEST, frame, REQUEST);
	}
	ssize_t size = count * REQUEST;
	if (send(peer->fd, frames, (size_t)size, MSG_NOSIGNAL) != size)
		fail("send");
}

static void check(struct peer *peer, const uint8_t *frame)
{
	uint16_t id = peer->expected++;
	uint8_t unit = (uint8_t)(1 + id % 10);
	const uint8_t head[9] = { (uint8_t)(id >> 8), (uint8_t)id, 0, 0, 0, 3 + 2 * REGISTERS, unit,
		3, 2 * REGISTERS };
	answers++;
	wrong += memcmp(frame, head, sizeof(head)) != 0 || frame[9] != unit || frame[10] != 0;
}

static void hear(struct peer *peer)
{
	ssize_t count = recv(
		peer->fd, peer->bytes + peer->have, sizeof(peer->bytes) - peer->have, MSG_DONTWAIT);
	if (count == 0 || (count < 0 && errno != EAGAIN))
		fail("recv");
	if (count < 0)
		return;
	peer->have += (size_t)count;
	size_t at = 0;
	int whole = 0;
	for (; peer->have - at >= ANSWER; at += ANSWER, whole++)
		check(peer, peer->bytes + at);
	memmove(peer->bytes, peer->bytes + at, peer->have - at);
	peer->have -= at;
	if (whole)
		ask(peer, whole);
}

/* PORTS is a file of "NAME PORT"; connections go round the ports in it. */
static int read_ports(const char *path, uint16_t *ports, int room)
{
	FILE *file = fopen(path, "re");
	unsigned port;
	int count = 0;
	if (!file)
		fail(path);
	while (count < room && fscanf(file, "%*s %u", &port) == 1)
		ports[count++] = (uint16_t)port;
	fclose(file);
	return count;
}

static void open_peer(struct peer *peer, int epoll, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = peer };
	int on = 1;
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (peer->fd < 0 ||
		connect(peer->fd, (struct sockaddr *)(void *)&address, sizeof(address)) < 0)
		fail("connect");
	setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd, &event) < 0)
		fail("epoll_ctl");
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: tcp-load PORTS CONNECTIONS IN_FLIGHT SECONDS\n");
		return 64;
	}
	static uint16_t ports[65536];
	int port_count = read_ports(argv[1], ports, 65536);
	int connections = atoi(argv[2]), in_flight = atoi(argv[3]);
	double seconds = atof(argv[4]);
	if (port_count < 1 || connections < 1 || in_flight < 1 || in_flight > 64) {
		fprintf(stderr, "tcp-load: a port, a connection, and 1 to 64 requests in flight\n");
		return 64;
	}
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct peer *peers = calloc((size_t)connections, sizeof(*peers));
	if (epoll < 0 || !peers)
		fail("setting up");
	for (int i = 0; i < connections; i++)
		open_peer(&peers[i], epoll, ports[i % port_count]);
	double start = now();
	for (int i = 0; i < connections; i++)
		ask(&peers[i], in_flight);
	while (now() - start < seconds) {
		struct epoll_event events[256];
		int count = epoll_wait(epoll, events, 256, 1000);
		for (int i = 0; i < count; i++)
			hear(events[i].data.ptr);
	}
	double took = now() - start;
	printf("{\"answers\":%llu,\"wrong\":%llu,\"seconds\":%.3f,\"per_second\":%.0f}\n", answers,
		wrong, took, (double)answers / took);
	free(peers);
	return wrong != 0;
}
