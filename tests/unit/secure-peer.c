/* SPDX-License-Identifier: Apache-2.0 */
#include "secure-peer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../sim/cloud/tunnel.h"

struct peer peer;

static struct loop *loop;
static struct watch watch;
static struct tunnels *tunnels;
static struct address client;

static size_t find_key(void *context, const char *identity, uint8_t key[TUNNEL_KEY_MAX])
{
	static const uint8_t known[16] = PEER_KEY;
	if (strcmp(identity, "pk,dk,2,300") != 0)
		return 0;
	memcpy(key, known, sizeof(known));
	return sizeof(known);
}

static void send_datagram(void *context, const struct address *to, const void *bytes, size_t size)
{
	sendto(watch.fd, bytes, size, 0, &to->any, to->size);
}

static void take_message(
	void *context, const struct address *from, const uint8_t *bytes, size_t size)
{
	client = *from;
	peer.count++;
	peer.size = (int)size;
	memcpy(peer.got, bytes, size < sizeof(peer.got) ? size : sizeof(peer.got));
}

static void readable(struct watch *self, uint32_t events)
{
	uint8_t bytes[4096];
	struct address from = { .size = sizeof(from.v6) };
	ssize_t size = recvfrom(self->fd, bytes, sizeof(bytes), 0, &from.any, &from.size);
	peer.datagrams++;
	if (size >= 0 && tunnels)
		tunnels_take(tunnels, &from, bytes, (size_t)size);
}

uint16_t peer_create(struct loop *on)
{
	struct address address;
	address_parse(&address, "127.0.0.1:0");
	loop = on;
	peer = (struct peer){ .count = 0 };
	watch = (struct watch){ .events = EPOLLIN, .ready = readable };
	watch.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(watch.fd, &address.any, address.size) < 0 ||
		getsockname(watch.fd, &address.any, &address.size) < 0 ||
		loop_add(loop, &watch) < 0)
		return 0;
	return address_port(&address);
}

void peer_end(void)
{
	tunnels_destroy(tunnels);
	tunnels = NULL;
}

void peer_begin(bool foreign)
{
	struct tunnel_listener listener = { NULL, find_key, send_datagram, take_message };
	peer_end();
	tunnels = tunnels_create(loop, foreign ? CIPHERS_FOREIGN : CIPHERS_BOTH, &listener);
}

void peer_destroy(void)
{
	peer_end();
	loop_remove(loop, &watch);
	close(watch.fd);
}

int peer_forget(void)
{
	return (int)tunnels_forget(tunnels, NULL, NULL);
}

void peer_send(const void *bytes, size_t size)
{
	tunnels_send(tunnels, &client, bytes, size);
}

void peer_send_datagram(const void *bytes, size_t size)
{
	sendto(watch.fd, bytes, size, 0, &client.any, client.size);
}
