/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints over the library and a real socket; the peer is made of bytes, the time is moved by hand.
 * Helpers are static inline: a test uses the ones that it needs.
 */
#ifndef EB_TESTS_SHARD_FIXTURE_H
#define EB_TESTS_SHARD_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include "cloud/shard.h"
#include "util/log.h"

#define TOKEN UINT64_C(0x1122334455667788)
#define ACK 2
#define CON 0
#define NON 1
#define RST 3

struct heard {
	int responses, failures;
	struct cloud_response last;
	char payload[64], topic[64], command[64];
	enum endpoint_failure failure;
	uint64_t failed_token;
	bool known; /* what the listener says of responses */
	struct endpoint *destroy; /* within the next call */
};

static struct clock manual;
static struct loop *loop;
static struct shards *shards;
static int peer;
static union address peer_address;
static struct sockaddr_in client; /* where the last datagram came from */
static uint8_t got[2048];

static inline void copy(char *to, const void *from, size_t size)
{
	snprintf(to, 64, "%.*s", (int)size, from ? (const char *)from : "");
}

static inline bool hear_response(void *context, const struct cloud_response *response)
{
	struct heard *heard = context;
	heard->responses++;
	heard->last = *response;
	copy(heard->payload, response->payload, response->size);
	copy(heard->topic, response->topic, response->topic_size);
	copy(heard->command, response->command, response->command_size);
	if (heard->destroy)
		heard->destroy->class->destroy(heard->destroy);
	heard->destroy = NULL;
	return heard->known;
}

static inline void hear_failure(void *context, enum endpoint_failure failure, uint64_t token)
{
	struct heard *heard = context;
	heard->failures++;
	heard->failure = failure;
	heard->failed_token = token;
}

static const struct endpoint_listener listener = { hear_response, hear_failure };

static inline void open_peer(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	socklen_t size = sizeof(address);
	peer = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(peer, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(peer, (struct sockaddr *)&address, &size), 0);
	peer_address.v4 = address;
}

static inline int set_up(void **state)
{
	manual = (struct clock){ .manual = true, .mono_us = 5000 * USEC_PER_SEC };
	struct shards_setup setup = { .max_payload = 1024, .response_timeout_ms = 60000 };
	assert_int_equal(loop_create(&loop, &manual), 0);
	setup.loop = loop;
	assert_int_equal(shards_create(&shards, &setup), 0);
	open_peer(0);
	return 0;
}

static inline int tear_down(void **state)
{
	shards_destroy(shards);
	loop_destroy(loop);
	close(peer);
	return 0;
}

static inline struct endpoint *connected(struct heard *heard)
{
	*heard = (struct heard){ .known = true };
	struct endpoint *endpoint = shards_open(shards, &listener, heard);
	assert_non_null(endpoint);
	assert_int_equal(endpoint->class->connect(endpoint, &peer_address, NULL), 0);
	return endpoint;
}

static inline void turn(void)
{
	while (loop_step(loop, 0) > 0)
		;
}

static inline void pass(int64_t ms)
{
	loop_advance(loop, manual.mono_us + ms * USEC_PER_MSEC);
}

static inline void destroy(struct endpoint *endpoint)
{
	endpoint->class->destroy(endpoint);
}

static inline void send_request(struct endpoint *endpoint, uint64_t token)
{
	struct cloud_request request = { .method = REQUEST_POST,
		.token = token,
		.path = "topic/sys/pk",
		.signature = "ABCD",
		.content_format = CONTENT_JSON,
		.payload = "{}",
		.size = 2 };
	assert_int_equal(endpoint->class->send(endpoint, &request), 0);
}

/* The next datagram that the peer has, in got; -1: none. */
static inline int receive(void)
{
	socklen_t size = sizeof(client);
	return (int)recvfrom(peer, got, sizeof(got), 0, (struct sockaddr *)&client, &size);
}

static inline int count_received(void)
{
	int count = 0;
	while (receive() >= 0)
		count++;
	return count;
}

static inline void send_bytes(const void *bytes, size_t size)
{
	assert_int_equal(
		sendto(peer, bytes, size, 0, (struct sockaddr *)&client, sizeof(client)), size);
	turn();
}

/* A message to the endpoint: type, code, id, 8 bytes of token, then the rest. */
static inline void send_message(
	int type, int code, uint16_t id, uint64_t token, const char *rest, size_t size)
{
	uint8_t bytes[256] = { (uint8_t)(0x48 | type << 4), (uint8_t)code, (uint8_t)(id >> 8),
		(uint8_t)id };
	memcpy(bytes + 4, &token, 8);
	memcpy(bytes + 12, rest, size);
	send_bytes(bytes, 12 + size);
}

static inline uint16_t got_id(void)
{
	return (uint16_t)(got[2] << 8 | got[3]);
}

#endif
