/* SPDX-License-Identifier: Apache-2.0 */
#include "fake-broker.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/list.h"

static void free_messages(struct fake_broker *fake)
{
	for (size_t i = 0; i < fake->count; i++) {
		free(fake->messages[i].topic);
		free(fake->messages[i].payload);
	}
	free(fake->messages);
	fake->messages = NULL;
	fake->count = 0;
}

static void free_greeting(struct fake_broker *fake)
{
	free(fake->client_id);
	free(fake->will_topic);
	free(fake->will_payload);
	free(fake->user);
	free(fake->password);
	fake->client_id = fake->will_topic = fake->will_payload = NULL;
	fake->user = fake->password = NULL;
}

void fake_broker_hang_up(struct fake_broker *fake)
{
	if (!fake->connected)
		return;
	loop_remove(fake->loop, &fake->client);
	close(fake->client.fd);
	fake->connected = false;
	buffer_clear(&fake->in);
}

void fake_broker_send(struct fake_broker *fake, const void *bytes, size_t size)
{
	ssize_t sent = send(fake->client.fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)sent; /* a client that has gone or takes no more is what some tests want */
}

/* A string with its 16-bit length at *at, moved behind it. */
static char *take_string(const uint8_t **at, const uint8_t *end)
{
	assert(end - *at >= 2);
	size_t size = (size_t)((*at)[0] << 8 | (*at)[1]);
	assert((size_t)(end - *at) >= 2 + size);
	char *text = must_alloc(size + 1);
	memcpy(text, *at + 2, size);
	*at += 2 + size;
	return text;
}

static void greet(struct fake_broker *fake, const uint8_t *at, const uint8_t *end)
{
	free_greeting(fake);
	fake->greetings++;
	free(take_string(&at, end));
	uint8_t flags = at[1];
	at += 4; /* level, flags, keepalive */
	fake->client_id = take_string(&at, end);
	fake->will_qos = flags >> 3 & 3;
	fake->will_retained = flags & 0x20;
	if (flags & 0x04) {
		fake->will_topic = take_string(&at, end);
		fake->will_payload = take_string(&at, end);
	}
	if (flags & 0x80)
		fake->user = take_string(&at, end);
	if (flags & 0x40)
		fake->password = take_string(&at, end);
	if (!fake->silent)
		fake_broker_send(fake, (uint8_t[]){ 0x20, 2, 0, (uint8_t)fake->greeting }, 4);
}

void fake_broker_acknowledge(struct fake_broker *fake, int number)
{
	fake_broker_send(fake, (uint8_t[]){ 0x40, 2, (uint8_t)(number >> 8), (uint8_t)number }, 4);
}

static void keep(struct fake_broker *fake, uint8_t head, const uint8_t *at, const uint8_t *end)
{
	struct fake_message message = {
		.qos = head >> 1 & 3, .retain = head & 1, .repeated = head & 8
	};
	message.topic = take_string(&at, end);
	if (message.qos) {
		message.number = at[0] << 8 | at[1];
		at += 2;
	}
	message.payload = must_alloc((size_t)(end - at) + 1);
	memcpy(message.payload, at, (size_t)(end - at));
	if ((fake->count & (fake->count - 1)) == 0)
		fake->messages = must_realloc(
			fake->messages, (fake->count ? 2 * fake->count : 1) * sizeof(message));
	fake->messages[fake->count++] = message;
	if (message.qos && !fake->keeps_acks)
		fake_broker_acknowledge(fake, message.number);
}

/* Takes one packet from what came.  False where it is not all there yet. */
static bool take_packet(struct fake_broker *fake)
{
	size_t size = 0, at = 1;
	for (unsigned shift = 0;; shift += 7) {
		if (at >= fake->in.size)
			return false;
		size |= (size_t)(fake->in.data[at] & 0x7f) << shift;
		if (!(fake->in.data[at++] & 0x80))
			break;
	}
	if (fake->in.size - at < size)
		return false;
	const uint8_t *body = fake->in.data + at;
	switch (fake->in.data[0] >> 4) {
	case 1:
		greet(fake, body, body + size);
		break;
	case 3:
		keep(fake, fake->in.data[0], body, body + size);
		break;
	case 12:
		fake->pings++;
		if (!fake->silent)
			fake_broker_send(fake, (uint8_t[]){ 0xd0, 0 }, 2);
		break;
	case 14:
		fake->goodbyes++;
		break;
	default:
		assert(!"a packet that no publisher sends");
	}
	buffer_drop(&fake->in, at + size);
	return true;
}

static void client_ready(struct watch *watch, uint32_t events)
{
	struct fake_broker *fake = container_of(watch, struct fake_broker, client);
	uint8_t *to = buffer_reserve(&fake->in, 4096);
	ssize_t count = recv(watch->fd, to, 4096, MSG_DONTWAIT);
	if (count < 0 && errno == EAGAIN)
		return;
	if (count <= 0) {
		fake_broker_hang_up(fake);
		return;
	}
	fake->in.size += (size_t)count;
	while (fake->connected && take_packet(fake))
		;
}

static void somebody_comes(struct watch *watch, uint32_t events)
{
	struct fake_broker *fake = container_of(watch, struct fake_broker, listening);
	fake_broker_hang_up(fake);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	fake->connections++;
	fake->connected = true;
	fake->client = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = client_ready };
	loop_add(fake->loop, &fake->client);
}

void fake_broker_stall(struct fake_broker *fake, bool stalled)
{
	loop_change(fake->loop, &fake->client, stalled ? 0 : EPOLLIN);
}

void fake_broker_return(struct fake_broker *fake)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(fake->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	int bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
	assert(bound == 0);
	listen(fd, 4);
	getsockname(fd, (struct sockaddr *)&address, &size);
	fake->port = ntohs(address.sin_port);
	fake->listening = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = somebody_comes };
	loop_add(fake->loop, &fake->listening);
}

void fake_broker_leave(struct fake_broker *fake)
{
	if (!fake->listening.added)
		return;
	loop_remove(fake->loop, &fake->listening);
	close(fake->listening.fd);
}

void fake_broker_start(struct fake_broker *fake, struct loop *loop)
{
	*fake = (struct fake_broker){ .loop = loop };
	fake_broker_return(fake);
}

void fake_broker_stop(struct fake_broker *fake)
{
	fake_broker_hang_up(fake);
	fake_broker_leave(fake);
	free_messages(fake);
	free_greeting(fake);
	buffer_finish(&fake->in);
}

void fake_broker_forget(struct fake_broker *fake)
{
	free_messages(fake);
}

const struct fake_message *fake_broker_last(const struct fake_broker *fake, const char *end)
{
	for (size_t i = fake->count; i > 0; i--) {
		const char *topic = fake->messages[i - 1].topic;
		size_t size = strlen(topic), end_size = strlen(end);
		if (size >= end_size && strcmp(topic + size - end_size, end) == 0)
			return &fake->messages[i - 1];
	}
	return NULL;
}
