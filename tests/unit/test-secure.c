/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints over DTLS and a real socket, against the tunnels of the simulated cloud; time is moved by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/secure.h"
#include "secure-peer.h"
#include "util/alloc.h"
#include "util/list.h"

#define TOKEN UINT64_C(0x1122334455667788)
#define ACK 2
#define CON 0
#define NON 1
#define RST 3

static const uint8_t right_key[16] = PEER_KEY;

struct heard {
	int responses, failures, connects;
	struct cloud_response last;
	char payload[64];
	enum endpoint_failure failure;
	uint64_t failed_token;
	bool known;
	struct endpoint *destroy, *reconnect; /* within the next call */
};

static struct clock manual;
static struct loop *loop;
static struct secure *secure;
static struct heard heard;

static union address cloud_address;

static bool hear_response(void *context, const struct cloud_response *response)
{
	heard.responses++;
	heard.last = *response;
	snprintf(heard.payload, sizeof(heard.payload), "%.*s", (int)response->size,
		response->payload ? (const char *)response->payload : "");
	if (heard.destroy)
		heard.destroy->class->destroy(TAKE(heard.destroy));
	return heard.known;
}

static void connect_with(struct endpoint *endpoint, const char *identity, const uint8_t *key)
{
	const struct endpoint_secret secret = { identity, key, sizeof(right_key) };
	assert_int_equal(endpoint->class->connect(endpoint, &cloud_address, &secret), 0);
}

static void hear_failure(void *context, enum endpoint_failure failure, uint64_t token)
{
	heard.failures++;
	heard.failure = failure;
	heard.failed_token = token;
	if (heard.reconnect)
		connect_with(TAKE(heard.reconnect), "pk,dk,2,300", right_key);
}

static void hear_connected(void *context)
{
	heard.connects++;
	if (heard.destroy)
		heard.destroy->class->destroy(TAKE(heard.destroy));
}

static const struct endpoint_listener listener = { hear_response, hear_failure, hear_connected };

static int set_up(void **state)
{
	manual = (struct clock){ .manual = true, .mono_us = 5000 * USEC_PER_SEC };
	heard = (struct heard){ .known = true };
	assert_int_equal(loop_create(&loop, &manual), 0);
	assert_int_equal(secure_create(&secure, loop, 30000), 0);
	cloud_address.v4 = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(peer_create(loop)) };
	peer_begin(false);
	return 0;
}

static int tear_down(void **state)
{
	peer_destroy();
	secure_destroy(secure);
	loop_destroy(loop);
	return 0;
}

static void turn(void)
{
	while (loop_step(loop, 0) > 0)
		;
}

static void pass(int64_t ms)
{
	loop_advance(loop, manual.mono_us + ms * USEC_PER_MSEC);
}

static struct endpoint *open_endpoint(void)
{
	struct endpoint *endpoint = secure_open(secure, &listener, NULL);
	assert_non_null(endpoint);
	return endpoint;
}

static struct endpoint *connected(void)
{
	struct endpoint *endpoint = open_endpoint();
	int before = heard.connects;
	connect_with(endpoint, "pk,dk,2,300", right_key);
	turn();
	assert_int_equal(heard.connects, before + 1);
	assert_int_equal(heard.failures, 0);
	return endpoint;
}

static void destroy(struct endpoint *endpoint)
{
	endpoint->class->destroy(endpoint);
}

static int send_request(struct endpoint *endpoint, uint64_t token)
{
	struct cloud_request request = { .method = REQUEST_POST,
		.token = token,
		.path = "topic/sys/pk",
		.content_format = CONTENT_JSON,
		.payload = "{}",
		.size = 2 };
	int result = endpoint->class->send(endpoint, &request);
	turn();
	return result;
}

/* A message to the endpoint: type, code, id, 8 bytes of token, then the rest. */
static void send_message(int type, int code, uint16_t id, uint64_t token, const char *rest)
{
	uint8_t bytes[256] = { (uint8_t)(0x48 | type << 4), (uint8_t)code, (uint8_t)(id >> 8),
		(uint8_t)id };
	memcpy(bytes + 4, &token, 8);
	memcpy(bytes + 12, rest, strlen(rest));
	peer_send(bytes, 12 + strlen(rest));
	turn();
}

static void send_empty(int type, uint16_t id)
{
	uint8_t bytes[] = { (uint8_t)(0x40 | type << 4), 0, (uint8_t)(id >> 8), (uint8_t)id };
	peer_send(bytes, sizeof(bytes));
	turn();
}

static uint16_t got_id(void)
{
	return (uint16_t)(peer.got[2] << 8 | peer.got[3]);
}

static void sends_a_whole_message(void **state)
{
	struct endpoint *endpoint = connected();
	assert_int_equal(send_request(endpoint, TOKEN), 0);
	/* Uri-Path topic, sys, pk; Content-Format 50; the payload. */
	static const char rest[] = "\xb5topic\x03sys\x02pk\x11\x32\xff{}";
	assert_int_equal(peer.size, 12 + sizeof(rest) - 1);
	assert_int_equal(peer.got[0], 0x48);
	assert_int_equal(peer.got[1], REQUEST_POST);
	uint64_t token = TOKEN;
	assert_memory_equal(peer.got + 4, &token, 8);
	assert_memory_equal(peer.got + 12, rest, sizeof(rest) - 1);
	send_message(ACK, 0x44, got_id(), TOKEN, "\xffgood");
	assert_int_equal(heard.responses, 1);
	assert_string_equal(heard.payload, "good");
	/* Nothing more comes of it. */
	pass(100000);
	assert_int_equal(peer.count, 1);
	assert_int_equal(heard.failures, 0);
	assert_int_equal(send_request(endpoint, TOKEN + 1), 0);
	assert_int_equal(peer.count, 2);
	destroy(endpoint);
}

static void retransmits_and_gives_up(void **state)
{
	struct endpoint *endpoint = connected();
	assert_int_equal(send_request(endpoint, TOKEN), 0);
	uint16_t id = got_id();
	pass(1990);
	assert_int_equal(peer.count, 1);
	pass(1020);
	assert_int_equal(peer.count, 2);
	assert_int_equal(got_id(), id);
	pass(6000);
	assert_int_equal(peer.count, 3);
	assert_int_equal(heard.failures, 0);
	pass(12000);
	assert_int_equal(peer.count, 3);
	assert_int_equal(heard.failures, 1);
	assert_int_equal(heard.failure, ENDPOINT_SILENT);
	assert_true(heard.failed_token == TOKEN);
	/* The association is still there, if anybody wants it. */
	assert_int_equal(send_request(endpoint, TOKEN + 1), 0);
	endpoint->class->cancel(endpoint);
	pass(100000);
	assert_int_equal(peer.count, 4);
	assert_int_equal(heard.failures, 1);
	destroy(endpoint);
}

static void hears_a_separate_response(void **state)
{
	struct endpoint *endpoint = connected();
	send_request(endpoint, TOKEN);
	send_empty(ACK, got_id());
	pass(100000);
	assert_int_equal(peer.count, 1);
	assert_int_equal(heard.responses + heard.failures, 0);
	for (int i = 0; i < 2; i++) {
		/* Repeated, it is acknowledged again. */
		send_message(CON, 0x45, 0x7777, TOKEN, "\xffyes");
		assert_int_equal(peer.count, 2 + i);
		assert_int_equal(peer.size, 4);
		assert_memory_equal(peer.got, "\x60\x00\x77\x77", 4);
	}
	assert_string_equal(heard.payload, "yes");
	heard.known = false;
	send_message(CON, 0x45, 0x7778, TOKEN + 9, "");
	assert_memory_equal(peer.got, "\x70\x00\x77\x78", 4);
	send_message(NON, 0x45, 0x7779, TOKEN + 9, "");
	assert_int_equal(peer.count, 4);
	/* A ping, a request, and what is no message. */
	send_empty(CON, 0x1111);
	assert_memory_equal(peer.got, "\x70\x00\x11\x11", 4);
	send_message(CON, 1, 0x1112, TOKEN, "");
	assert_memory_equal(peer.got, "\x70\x00\x11\x12", 4);
	peer_send("junk", 4);
	turn();
	assert_int_equal(peer.count, 6);
	destroy(endpoint);
}

static void a_reset_ends_the_request(void **state)
{
	struct endpoint *endpoint = connected();
	send_request(endpoint, TOKEN);
	send_empty(RST, got_id() ^ 1);
	assert_int_equal(heard.failures, 0);
	send_empty(RST, got_id());
	assert_int_equal(heard.failure, ENDPOINT_RESET);
	assert_true(heard.failed_token == TOKEN);
	pass(100000);
	assert_int_equal(peer.count, 1);
	destroy(endpoint);
}

/* Whatever the wall clock does, the deadline is on ours. */
static void an_unanswered_handshake_ends(void **state)
{
	struct endpoint *endpoint = open_endpoint();
	peer_end();
	connect_with(endpoint, "pk,dk,2,300", right_key);
	turn();
	assert_int_equal(send_request(endpoint, TOKEN), -ENOTCONN);
	pass(29000);
	assert_int_equal(heard.failures, 0);
	pass(1000);
	assert_int_equal(heard.failures, 1);
	assert_int_equal(heard.failure, ENDPOINT_MUTE);
	assert_true(heard.failed_token == 0);
	int before = peer.datagrams;
	pass(600000);
	assert_int_equal(peer.datagrams, before);
	peer_begin(false);
	connect_with(endpoint, "pk,dk,2,300", right_key);
	turn();
	assert_int_equal(heard.connects, 1);
	destroy(endpoint);
}

static void says_how_a_handshake_failed(void **state)
{
	static const uint8_t wrong_key[16] = { 9 };
	struct endpoint *endpoint = open_endpoint();
	connect_with(endpoint, "pk,dk,2,300", wrong_key);
	turn();
	pass(31000);
	assert_int_equal(heard.failures, 1);
	assert_int_equal(heard.failure, ENDPOINT_KEY_DOUBTED);
	connect_with(endpoint, "pk,other,2,300", right_key);
	turn();
	assert_int_equal(heard.failures, 2);
	assert_int_equal(heard.failure, ENDPOINT_IDENTITY_REFUSED);
	peer_begin(true);
	connect_with(endpoint, "pk,dk,2,300", right_key);
	turn();
	assert_int_equal(heard.failures, 3);
	assert_int_equal(heard.failure, ENDPOINT_CIPHER_REFUSED);
	assert_int_equal(heard.connects, 0);
	destroy(endpoint);
}

static void the_cloud_may_forget(void **state)
{
	struct endpoint *endpoint = connected();
	assert_int_equal(peer_forget(), 1);
	send_request(endpoint, TOKEN);
	pass(30000);
	assert_int_equal(peer.count, 0);
	assert_int_equal(heard.failure, ENDPOINT_SILENT);
	connect_with(endpoint, "pk,dk,2,300", right_key);
	turn();
	assert_int_equal(heard.connects, 2);
	send_request(endpoint, TOKEN + 1);
	assert_int_equal(peer.count, 1);
	destroy(endpoint);
}

/* Garbage from the cloud's own address costs nothing once the handshake is over. */
static void garbage_is_dropped(void **state)
{
	struct endpoint *endpoint = connected();
	send_request(endpoint, TOKEN);
	uint16_t id = got_id();
	for (int i = 0; i < 500; i++) {
		uint8_t bytes[300];
		size_t size = (size_t)rand() % sizeof(bytes);
		for (size_t at = 0; at < size; at++)
			bytes[at] = (uint8_t)rand();
		if (i % 3 == 0 && size > 13)
			memcpy(bytes, "\x17\xfe\xfd\x00\x01\x00\x00\x00\x00\x00\x09\x00\x20", 13);
		if (i % 3 == 1 &&
			size > 13) /* an alert, unprotected: close_notify, or a fatal one */
			memcpy(bytes,
				"\x15\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x09\x00\x02\x02\x28", 15);
		peer_send_datagram(bytes, size);
		turn();
	}
	assert_int_equal(heard.failures, 0);
	send_message(ACK, 0x44, id, TOKEN, "\xffgood");
	assert_int_equal(heard.responses, 1);
	destroy(endpoint);
}

static void may_go_from_within_its_upcalls(void **state)
{
	struct endpoint *endpoint = connected();
	send_request(endpoint, TOKEN);
	heard.destroy = endpoint;
	send_message(CON, 0x45, 0x1234, TOKEN, "");
	assert_int_equal(heard.responses, 1);
	endpoint = open_endpoint();
	heard.destroy = endpoint;
	connect_with(endpoint, "pk,dk,2,300", right_key);
	turn();
	assert_int_equal(heard.connects, 2);
	/* And connect anew. */
	endpoint = connected();
	heard.failures = 0;
	heard.reconnect = endpoint;
	send_request(endpoint, TOKEN);
	send_empty(RST, got_id());
	turn();
	assert_int_equal(heard.failures, 1);
	assert_int_equal(heard.connects, 4);
	destroy(endpoint);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sends_a_whole_message),
		TEST(retransmits_and_gives_up),
		TEST(hears_a_separate_response),
		TEST(a_reset_ends_the_request),
		TEST(an_unanswered_handshake_ends),
		TEST(says_how_a_handshake_failed),
		TEST(the_cloud_may_forget),
		TEST(garbage_is_dropped),
		TEST(may_go_from_within_its_upcalls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
