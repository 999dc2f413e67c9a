/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints over the library and a real socket; the peer is made of bytes, the time is moved by hand. */
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
#include <coap3/coap.h>

#include "cloud/clock.h"
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

static void copy(char *to, const void *from, size_t size)
{
	snprintf(to, 64, "%.*s", (int)size, from ? (const char *)from : "");
}

static bool hear_response(void *context, const struct cloud_response *response)
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

static void hear_failure(void *context, enum endpoint_failure failure, uint64_t token)
{
	struct heard *heard = context;
	heard->failures++;
	heard->failure = failure;
	heard->failed_token = token;
}

static const struct endpoint_listener listener = { hear_response, hear_failure };

static void open_peer(uint16_t port)
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

static int set_up(void **state)
{
	manual = (struct clock){ .manual = true, .mono_us = 5000 * USEC_PER_SEC };
	struct shards_setup setup = { .max_payload = 1024, .response_timeout_ms = 60000 };
	assert_int_equal(loop_create(&loop, &manual), 0);
	setup.loop = loop;
	assert_int_equal(shards_create(&shards, &setup), 0);
	open_peer(0);
	return 0;
}

static int tear_down(void **state)
{
	shards_destroy(shards);
	loop_destroy(loop);
	close(peer);
	return 0;
}

static struct endpoint *connected(struct heard *heard)
{
	*heard = (struct heard){ .known = true };
	struct endpoint *endpoint = shards_open(shards, &listener, heard);
	assert_non_null(endpoint);
	assert_int_equal(endpoint->class->connect(endpoint, &peer_address), 0);
	return endpoint;
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

static void destroy(struct endpoint *endpoint)
{
	endpoint->class->destroy(endpoint);
}

static void send_request(struct endpoint *endpoint, uint64_t token)
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
static int receive(void)
{
	socklen_t size = sizeof(client);
	return (int)recvfrom(peer, got, sizeof(got), 0, (struct sockaddr *)&client, &size);
}

static int count_received(void)
{
	int count = 0;
	while (receive() >= 0)
		count++;
	return count;
}

static void send_bytes(const void *bytes, size_t size)
{
	assert_int_equal(
		sendto(peer, bytes, size, 0, (struct sockaddr *)&client, sizeof(client)), size);
	turn();
}

/* A message to the endpoint: type, code, id, 8 bytes of token, then the rest. */
static void send_message(
	int type, int code, uint16_t id, uint64_t token, const char *rest, size_t size)
{
	uint8_t bytes[256] = { (uint8_t)(0x48 | type << 4), (uint8_t)code, (uint8_t)(id >> 8),
		(uint8_t)id };
	memcpy(bytes + 4, &token, 8);
	memcpy(bytes + 12, rest, size);
	send_bytes(bytes, 12 + size);
}

static uint16_t got_id(void)
{
	return (uint16_t)(got[2] << 8 | got[3]);
}

static void writes_requests_as_they_are_meant(void **state)
{
	static const uint8_t rest[] = "\xb5topic\x03sys\x02pk" /* Uri-Path, 11 */
				      "\x11\x32" /* Content-Format, 12: 50 */
				      "\xe4\x07\x1c"
				      "ABCD" /* 2101 = 12 + 269 + 0x071c */
				      "\xff{}";
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	int size = receive();
	assert_int_equal(size, 12 + (int)sizeof(rest) - 1);
	assert_int_equal(got[0], 0x48); /* version 1, confirmable, 8 bytes of token */
	assert_int_equal(got[1], 0x02);
	uint64_t token;
	memcpy(&token, got + 4, 8);
	assert_true(token == TOKEN);
	assert_memory_equal(got + 12, rest, sizeof(rest) - 1);
	destroy(endpoint);
}

static void a_get_has_no_payload(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	struct cloud_request request = {
		.method = REQUEST_GET, .token = TOKEN, .path = "a", .content_format = CONTENT_NONE
	};
	assert_int_equal(endpoint->class->send(endpoint, &request), 0);
	assert_int_equal(receive(), 14);
	assert_int_equal(got[1], 1);
	assert_memory_equal(got + 12,
		"\xb1"
		"a",
		2);
	destroy(endpoint);
}

static void hears_a_piggybacked_response_with_options(void **state)
{
	/* 2100 = 269 + 0x0727, then 2102 two behind it. */
	static const char rest[] = "\xe3\x07\x27t/x\x22hi\xffok";
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	receive();
	send_message(ACK, 0x44, got_id(), TOKEN, rest, sizeof(rest) - 1);
	assert_int_equal(heard.responses, 1);
	assert_int_equal(heard.last.code, CODE(2, 4));
	assert_true(heard.last.token == TOKEN);
	assert_string_equal(heard.payload, "ok");
	assert_string_equal(heard.topic, "t/x");
	assert_string_equal(heard.command, "hi");
	assert_false(heard.last.partial);
	/* A copy is not told again. */
	send_message(ACK, 0x44, got_id(), TOKEN, rest, sizeof(rest) - 1);
	assert_int_equal(heard.responses, 1);
	pass(200000);
	assert_int_equal(count_received(), 0);
	destroy(endpoint);
}

static void hears_a_separate_response(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	receive();
	uint8_t empty[] = { 0x60, 0, got[2], got[3] };
	send_bytes(empty, sizeof(empty));
	pass(200000);
	assert_int_equal(count_received(), 0);
	assert_int_equal(heard.responses + heard.failures, 0);
	send_message(CON, 0x45, 0x7777, TOKEN, "\xffyes", 4);
	assert_int_equal(heard.responses, 1);
	assert_string_equal(heard.payload, "yes");
	assert_int_equal(receive(), 4);
	assert_memory_equal(got, "\x60\x00\x77\x77", 4);
	send_message(CON, 0x45, 0x7777, TOKEN, "\xffyes", 4);
	assert_int_equal(heard.responses, 1);
	/* Without the acknowledgement before it, and not confirmable. */
	send_request(endpoint, TOKEN + 1);
	receive();
	send_message(NON, 0x45, 0x7778, TOKEN + 1, "\xffno", 3);
	assert_int_equal(heard.responses, 2);
	pass(200000);
	assert_int_equal(count_received(), 0);
	destroy(endpoint);
}

static void resets_what_it_did_not_ask_for(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	receive();
	uint16_t id = got_id();
	heard.known = false;
	send_message(CON, 0x45, 0x1234, TOKEN + 1, "", 0);
	assert_int_equal(receive(), 4);
	assert_memory_equal(got, "\x70\x00\x12\x34", 4);
	/* The request goes on: it is answered as if nothing had been. */
	heard.known = true;
	send_message(ACK, 0x44, id, TOKEN, "", 0);
	assert_int_equal(heard.responses, 2);
	assert_true(heard.last.token == TOKEN);
	destroy(endpoint);
}

static void a_spoofed_acknowledgement_leaves_the_request_cancellable(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	receive();
	heard.known = false;
	send_message(ACK, 0x44, got_id(), TOKEN ^ 1, "", 0);
	assert_int_equal(heard.responses, 1);
	assert_true(heard.last.token == (TOKEN ^ 1));
	/* Shorter tokens are none of ours. */
	uint8_t small[] = { 0x61, 0x44, got[2], got[3], 9 };
	send_bytes(small, sizeof(small));
	assert_true(heard.responses == 1 || heard.last.token == 0);
	endpoint->class->cancel(endpoint);
	heard.known = true;
	send_request(endpoint, TOKEN + 1);
	receive();
	send_message(ACK, 0x44, got_id(), TOKEN + 1, "", 0);
	assert_true(heard.last.token == TOKEN + 1);
	destroy(endpoint);
}

static void retransmits_on_our_clock_alone(void **state)
{
	static const int64_t steps_ms[] = { 3600000, -3600000, 315360000000, -315360000000, 0 };
	for (size_t i = 0; i < 5; i++) {
		struct heard heard;
		struct endpoint *endpoint = connected(&heard);
		send_request(endpoint, TOKEN);
		int size = receive();
		uint8_t first[256];
		memcpy(first, got, (size_t)size);
		manual.wall_ms += steps_ms[i];
		pass(1990);
		assert_int_equal(count_received(), 0);
		pass(1020); /* ACK_TIMEOUT to ACK_TIMEOUT * ACK_RANDOM_FACTOR */
		assert_int_equal(receive(), size);
		assert_memory_equal(got, first, (size_t)size);
		assert_int_equal(receive(), -1);
		manual.wall_ms += steps_ms[i];
		pass(6000);
		assert_int_equal(count_received(), 1);
		pass(36000);
		assert_int_equal(count_received(), 2);
		assert_int_equal(heard.failures, 0);
		pass(60000);
		assert_int_equal(count_received(), 0);
		assert_int_equal(heard.failures, 1);
		assert_int_equal(heard.failure, ENDPOINT_SILENT);
		assert_true(heard.failed_token == TOKEN);
		destroy(endpoint);
	}
}

static void the_library_asks_our_clock(void **state)
{
	coap_tick_t before, after;
	coap_ticks(&before);
	pass(123456);
	coap_ticks(&after);
	assert_int_equal(after - before, 123456);
	assert_true(cloud_clock_bound());
	/* Found as the library finds it, it is the same function. */
	assert_int_equal(coap_ticks_from_rt_us(coap_ticks_to_rt_us(4711)), 4711);
}

static void cancelling_ends_retransmission(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	for (uint64_t i = 0; i < 3; i++) {
		send_request(endpoint, TOKEN + i);
		assert_int_equal(count_received(), 1);
		endpoint->class->cancel(endpoint);
		pass(100000);
		assert_int_equal(count_received(), 0);
	}
	assert_int_equal(heard.failures, 0);
	/* What was cancelled may be answered still. */
	send_request(endpoint, TOKEN + 9);
	receive();
	uint16_t id = got_id();
	endpoint->class->cancel(endpoint);
	send_message(ACK, 0x44, id, TOKEN + 9, "", 0);
	assert_int_equal(heard.responses, 1);
	destroy(endpoint);
}

static void a_reset_is_told(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	receive();
	uint8_t reset[] = { 0x70, 0, got[2], got[3] };
	send_bytes(reset, sizeof(reset));
	assert_int_equal(heard.failures, 1);
	assert_int_equal(heard.failure, ENDPOINT_RESET);
	send_request(endpoint, TOKEN + 1);
	assert_int_equal(count_received(), 1);
	destroy(endpoint);
}

static void an_icmp_error_is_not_the_end(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	in_port_t port = peer_address.v4.sin_port;
	close(peer);
	send_request(endpoint, TOKEN);
	turn();
	assert_int_equal(heard.failures, 1);
	assert_int_equal(heard.failure, ENDPOINT_UNREACHABLE);
	assert_true(heard.failed_token == TOKEN);
	/* The cloud comes back, and hears the retransmission. */
	open_peer(port);
	pass(3010);
	assert_true(receive() > 0);
	send_message(ACK, 0x44, got_id(), TOKEN, "", 0);
	assert_int_equal(heard.responses, 1);
	/* With an error waiting in the socket the next request goes out all the same. */
	close(peer);
	send_request(endpoint, TOKEN + 1);
	endpoint->class->cancel(endpoint);
	open_peer(port);
	send_request(endpoint, TOKEN + 2);
	assert_int_equal(count_received(), 1);
	destroy(endpoint);
}

static void unknown_critical_options_hide_a_response(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	receive();
	/* 2103 is odd, so critical, and nobody's: the session's deadline has to end this. */
	send_message(ACK, 0x44, got_id(), TOKEN, "\xe0\x07\x2a", 3);
	assert_int_equal(heard.responses, 0);
	endpoint->class->cancel(endpoint);
	/* 2101 is known. */
	send_request(endpoint, TOKEN + 1);
	receive();
	send_message(ACK, 0x44, got_id(), TOKEN + 1, "\xe0\x07\x28", 3);
	assert_int_equal(heard.responses, 1);
	destroy(endpoint);
}

static void a_block_of_more_is_partial(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	static const struct {
		const char *rest;
		size_t size;
		bool partial;
	} blocks[] = {
		{ "\xd1\x0a\x0e\xffx", 5, true }, /* Block2 (23): 0, more, 1024 */
		{ "\xd1\x0a\x06\xffx", 5, false }, /* 0, no more */
		{ "\xd1\x0a\x16\xffx", 5, true }, /* the second one */
		{ "\xd0\x0a\xffx", 4, false }, /* empty: 0, no more */
	};
	for (size_t i = 0; i < 4; i++) {
		send_request(endpoint, TOKEN + i);
		receive();
		send_message(ACK, 0x45, got_id(), TOKEN + i, blocks[i].rest, blocks[i].size);
		assert_int_equal(heard.responses, i + 1);
		assert_int_equal(heard.last.partial, blocks[i].partial);
	}
	destroy(endpoint);
}

static void rubbish_does_no_harm(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	receive();
	uint16_t id = got_id();
	uint32_t seed = 12345;
	for (int i = 0; i < 2000; i++) {
		uint8_t bytes[64];
		size_t size = i % sizeof(bytes);
		for (size_t b = 0; b < size; b++) {
			seed = seed * 1103515245 + 12345;
			bytes[b] = (uint8_t)(seed >> 16);
		}
		if (size > 4 && i % 2)
			bytes[0] = (uint8_t)(0x40 | (bytes[0] & 0x38));
		send_bytes(bytes, size);
	}
	/* Requests too: there is nothing that they could reach. */
	send_message(CON, 0x02, 1, TOKEN, "\xb1x\xd1\x03\x0e\xffpayload", 13);
	send_message(CON, 0x01, 2, TOKEN, "\xbb.well-known\x04core", 17);
	count_received();
	if (heard.failures == 0)
		send_message(ACK, 0x44, id, TOKEN, "", 0);
	assert_true(heard.responses + heard.failures >= 1);
	destroy(endpoint);
}

static void contexts_are_shared_by_64(void **state)
{
	struct endpoint *endpoints[65];
	struct heard heard[65];
	for (int i = 0; i < 65; i++) {
		endpoints[i] = connected(&heard[i]);
		send_request(endpoints[i], TOKEN + (uint64_t)i);
		assert_true(receive() > 0);
		send_message(ACK, 0x44, got_id(), TOKEN + (uint64_t)i, "", 0);
		assert_int_equal(heard[i].responses, 1);
	}
	assert_int_equal(shards_count(shards), 2);
	for (int i = 0; i < 65; i++)
		destroy(endpoints[i]);
	/* Their places are taken again. */
	for (int i = 0; i < 65; i++)
		endpoints[i] = connected(&heard[i]);
	assert_int_equal(shards_count(shards), 2);
	for (int i = 0; i < 65; i++)
		destroy(endpoints[i]);
}

static void an_endpoint_may_go_while_another_hears(void **state)
{
	struct heard heard[2];
	struct endpoint *first = connected(&heard[0]), *second = connected(&heard[1]);
	struct sockaddr_in clients[2];
	uint16_t ids[2];
	struct endpoint *both[] = { first, second };
	for (int i = 0; i < 2; i++) {
		send_request(both[i], TOKEN + (uint64_t)i);
		receive();
		clients[i] = client;
		ids[i] = got_id();
	}
	/* Both answers wait when the library looks; the first ends both endpoints. */
	for (int i = 0; i < 2; i++) {
		uint8_t bytes[12] = { 0x68, 0x44, (uint8_t)(ids[i] >> 8), (uint8_t)ids[i] };
		uint64_t token = TOKEN + (uint64_t)i;
		memcpy(bytes + 4, &token, 8);
		sendto(peer, bytes, 12, 0, (struct sockaddr *)&clients[i], sizeof(clients[i]));
		heard[i].destroy = both[1 - i];
	}
	turn();
	assert_int_equal(heard[0].responses + heard[1].responses, 1);
	destroy(heard[0].responses ? first : second);
}

static void an_endpoint_connects_anew(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	receive();
	in_port_t before = client.sin_port;
	assert_int_equal(endpoint->class->connect(endpoint, &peer_address), 0);
	assert_int_equal(heard.failures, 0);
	send_request(endpoint, TOKEN + 1);
	receive();
	assert_int_not_equal(client.sin_port, before);
	pass(3010);
	assert_int_equal(count_received(), 1);
	destroy(endpoint);
}

static void speaks_ipv6(void **state)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	socklen_t size = sizeof(address);
	struct heard heard;
	int six = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (six < 0 || bind(six, (struct sockaddr *)&address, size) < 0)
		skip(); /* a machine without IPv6 */
	getsockname(six, (struct sockaddr *)&address, &size);
	peer_address.v6 = address;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	assert_true(recv(six, got, sizeof(got), 0) > 0);
	destroy(endpoint);
	close(six);
}

static char log_text[65536];

static void keep_log(enum log_level level, const char *line, void *context)
{
	strncat(log_text, line, sizeof(log_text) - strlen(log_text) - 2);
	strcat(log_text, "\n");
}

static void the_librarys_log_keeps_secrets(void **state)
{
	struct heard heard;
	tear_down(state);
	log_set_level(LOG_LEVEL_DEBUG);
	log_set_sink(keep_log, NULL);
	set_up(state);
	struct endpoint *endpoint = connected(&heard);
	struct cloud_request request = { .method = REQUEST_POST,
		.token = TOKEN,
		.path = "auth/pk/dk",
		.signature = "SIGNATURE",
		.content_format = CONTENT_JSON,
		.payload = "SECRET",
		.size = 6 };
	assert_int_equal(endpoint->class->send(endpoint, &request), 0);
	receive();
	send_message(ACK, 0x44, got_id(), TOKEN, "\xffTOKEN\x01\x02", 8);
	log_set_sink(NULL, NULL);
	log_set_level(LOG_LEVEL_ERROR);
	assert_non_null(strstr(log_text, "libcoap: v:1 t:CON c:POST"));
	assert_null(strstr(log_text, "SIGNATURE"));
	assert_null(strstr(log_text, "SECRET"));
	assert_null(strstr(log_text, "TOKEN"));
	assert_null(strstr(log_text, "544f4b454e"));
	assert_null(strstr(log_text, "T O K E N"));
	assert_null(strstr(log_text, "8877"));
	destroy(endpoint);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(writes_requests_as_they_are_meant),
		TEST(a_get_has_no_payload),
		TEST(hears_a_piggybacked_response_with_options),
		TEST(hears_a_separate_response),
		TEST(resets_what_it_did_not_ask_for),
		TEST(a_spoofed_acknowledgement_leaves_the_request_cancellable),
		TEST(retransmits_on_our_clock_alone),
		TEST(the_library_asks_our_clock),
		TEST(cancelling_ends_retransmission),
		TEST(a_reset_is_told),
		TEST(an_icmp_error_is_not_the_end),
		TEST(unknown_critical_options_hide_a_response),
		TEST(a_block_of_more_is_partial),
		TEST(rubbish_does_no_harm),
		TEST(contexts_are_shared_by_64),
		TEST(an_endpoint_may_go_while_another_hears),
		TEST(an_endpoint_connects_anew),
		TEST(speaks_ipv6),
		TEST(the_librarys_log_keeps_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
