/* SPDX-License-Identifier: Apache-2.0 */
#include "datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tunnel.h"
#include "util/alloc.h"
#include "util/buffer.h"
#include "util/list.h"

#define BATCH 64
#define SOCKET_BUFFER (8 << 20)
#define BEHIND_US (200 * USEC_PER_MSEC)

/* One that is held back. */
struct held {
	struct list link;
	struct timer timer;
	struct datagrams *owner;
	struct address address;
	bool incoming, behind;
	size_t size;
	uint8_t bytes[];
};

struct slot {
	struct address address;
	struct buffer bytes;
};

struct datagrams {
	struct watch watch;
	struct loop *loop;
	struct datagram_listener listener;
	struct address address;
	struct tunnels *tunnels; /* NULL: plain */
	struct list held;
	bool in_batch;
	struct slot out[BATCH];
	unsigned waiting;
	struct address from[BATCH];
	uint8_t in[BATCH][DATAGRAM_MAX + 1];
};

int address_parse(struct address *address, const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	char *end;
	unsigned long number = strtoul(port, &end, 10);
	if (*end || end == port || number > 65535)
		return -EINVAL;
	OWNED char *host = must_strdup(text);
	host[colon ? colon - text : 0] = 0;
	size_t length = strlen(host);
	*address = (struct address){ .size = 0 };
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = 0;
		address->size = sizeof(address->v6);
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons((uint16_t)number);
		return inet_pton(AF_INET6, host + 1, &address->v6.sin6_addr) == 1 ? 0 : -EINVAL;
	}
	address->size = sizeof(address->v4);
	address->v4.sin_family = AF_INET;
	address->v4.sin_port = htons((uint16_t)number);
	if (!host[0])
		return 0;
	return inet_pton(AF_INET, host, &address->v4.sin_addr) == 1 ? 0 : -EINVAL;
}

uint16_t address_port(const struct address *address)
{
	return ntohs(
		address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

/* Sends what waits. A full socket loses it, as a network would. */
static void flush(struct datagrams *datagrams)
{
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	unsigned count = datagrams->waiting;
	datagrams->waiting = 0;
	for (unsigned i = 0; i < count; i++) {
		struct slot *slot = &datagrams->out[i];
		parts[i] = (struct iovec){ slot->bytes.data, slot->bytes.size };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &slot->address.any,
							.msg_namelen = slot->address.size,
							.msg_iov = &parts[i],
							.msg_iovlen = 1 } };
	}
	for (unsigned sent = 0; sent < count;) {
		int done = sendmmsg(
			datagrams->watch.fd, messages + sent, count - sent, MSG_DONTWAIT);
		/* An error is the first one's: an old ICMP refusal, say.  The rest still goes out. */
		sent += done > 0 ? (unsigned)done : 1;
	}
}

static void put_plain(
	struct datagrams *datagrams, const struct address *to, const void *bytes, size_t size)
{
	if (datagrams->waiting == BATCH)
		flush(datagrams);
	struct slot *slot = &datagrams->out[datagrams->waiting++];
	slot->address = *to;
	buffer_clear(&slot->bytes);
	buffer_put(&slot->bytes, bytes, size);
}

static void put(
	struct datagrams *datagrams, const struct address *to, const void *bytes, size_t size)
{
	if (datagrams->tunnels)
		tunnels_send(datagrams->tunnels, to, bytes, size);
	else
		put_plain(datagrams, to, bytes, size);
}

void datagrams_emit(
	struct datagrams *datagrams, const struct address *to, const void *bytes, size_t size)
{
	put_plain(datagrams, to, bytes, size);
	if (!datagrams->in_batch)
		flush(datagrams);
}

static void held_destroy(struct held *held)
{
	list_remove(&held->link);
	loop_disarm(held->owner->loop, &held->timer);
	free(held);
}

/* Those that wait to be overtaken follow now. */
static void put_those_behind(struct datagrams *datagrams)
{
	list_for_each (link, &datagrams->held) {
		struct held *held = container_of(link, struct held, link);
		if (!held->behind)
			continue;
		put(datagrams, &held->address, held->bytes, held->size);
		held_destroy(held);
	}
}

void datagrams_send(
	struct datagrams *datagrams, const struct address *to, const void *bytes, size_t size)
{
	put(datagrams, to, bytes, size);
	if (!list_empty(&datagrams->held))
		put_those_behind(datagrams);
	if (!datagrams->in_batch)
		flush(datagrams);
}

static void receive(struct datagrams *datagrams, const struct address *from, const uint8_t *bytes,
	size_t size, bool held)
{
	datagrams->listener.received(datagrams->listener.context, from, bytes, size, held);
}

void datagrams_secure(struct datagrams *datagrams, struct tunnels *tunnels)
{
	datagrams->tunnels = tunnels;
}

void datagrams_deliver(
	struct datagrams *datagrams, const struct address *from, const uint8_t *bytes, size_t size)
{
	receive(datagrams, from, bytes, size, false);
}

static void held_long_enough(struct timer *timer, int64_t now_us)
{
	struct held *held = container_of(timer, struct held, timer);
	struct datagrams *datagrams = held->owner;
	list_remove(&held->link);
	if (held->incoming) {
		receive(datagrams, &held->address, held->bytes, held->size, true);
		datagrams->listener.drained(datagrams->listener.context);
	} else {
		put(datagrams, &held->address, held->bytes, held->size);
		flush(datagrams);
	}
	free(held);
}

static struct held *hold(struct datagrams *datagrams, const struct address *address,
	const void *bytes, size_t size, int64_t delay_us)
{
	struct held *held = must_alloc(sizeof(*held) + size);
	held->owner = datagrams;
	held->address = *address;
	held->size = size;
	memcpy(held->bytes, bytes, size);
	held->timer.expired = held_long_enough;
	list_append(&datagrams->held, &held->link);
	loop_arm(datagrams->loop, &held->timer, loop_now(datagrams->loop) + delay_us);
	return held;
}

void datagrams_send_later(struct datagrams *datagrams, const struct address *to, const void *bytes,
	size_t size, int64_t delay_us)
{
	hold(datagrams, to, bytes, size, delay_us);
}

void datagrams_send_behind(
	struct datagrams *datagrams, const struct address *to, const void *bytes, size_t size)
{
	hold(datagrams, to, bytes, size, BEHIND_US)->behind = true;
}

void datagrams_receive_later(struct datagrams *datagrams, const struct address *from,
	const void *bytes, size_t size, int64_t delay_us)
{
	hold(datagrams, from, bytes, size, delay_us)->incoming = true;
}

void datagrams_forget(struct datagrams *datagrams)
{
	list_for_each (link, &datagrams->held)
		held_destroy(container_of(link, struct held, link));
}

static void readable(struct watch *watch, uint32_t events)
{
	struct datagrams *datagrams = container_of(watch, struct datagrams, watch);
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ datagrams->in[i], sizeof(datagrams->in[i]) };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &datagrams->from[i].any,
							.msg_namelen = sizeof(struct sockaddr_in6),
							.msg_iov = &parts[i],
							.msg_iovlen = 1 } };
	}
	int count = recvmmsg(watch->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	datagrams->in_batch = true;
	for (int i = 0; i < count; i++) {
		datagrams->from[i].size = messages[i].msg_hdr.msg_namelen;
		if (datagrams->tunnels)
			tunnels_take(datagrams->tunnels, &datagrams->from[i], datagrams->in[i],
				messages[i].msg_len);
		else
			receive(datagrams, &datagrams->from[i], datagrams->in[i],
				messages[i].msg_len, false);
	}
	datagrams->in_batch = false;
	flush(datagrams);
	datagrams->listener.drained(datagrams->listener.context);
}

static int open_socket(struct datagrams *datagrams, const struct address *address)
{
	int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	datagrams->watch.fd = fd;
	int size = SOCKET_BUFFER, on = 1;
	/* Beyond the machine's limit only as root; otherwise as much as it gives. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (address->any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &address->any, address->size) < 0)
		return -errno;
	datagrams->address.size = sizeof(struct sockaddr_in6);
	if (getsockname(fd, &datagrams->address.any, &datagrams->address.size) < 0)
		return -errno;
	return loop_add(datagrams->loop, &datagrams->watch);
}

int datagrams_create(struct datagrams **result, struct loop *loop, const struct address *address,
	const struct datagram_listener *listener)
{
	struct datagrams *datagrams = must_alloc(sizeof(*datagrams));
	datagrams->loop = loop;
	datagrams->listener = *listener;
	datagrams->watch = (struct watch){ .fd = -1, .events = EPOLLIN, .ready = readable };
	list_init(&datagrams->held);
	int error = open_socket(datagrams, address);
	if (error < 0) {
		datagrams_destroy(datagrams);
		return error;
	}
	*result = datagrams;
	return 0;
}

void datagrams_destroy(struct datagrams *datagrams)
{
	if (!datagrams)
		return;
	datagrams_forget(datagrams);
	loop_remove(datagrams->loop, &datagrams->watch);
	if (datagrams->watch.fd >= 0)
		close(datagrams->watch.fd);
	for (int i = 0; i < BATCH; i++)
		buffer_finish(&datagrams->out[i].bytes);
	free(datagrams);
}

const struct address *datagrams_address(const struct datagrams *datagrams)
{
	return &datagrams->address;
}
