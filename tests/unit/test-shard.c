/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints: separate responses, retransmission, resets, errors, and many at a time. */
#include "shard-fixture.h"

#include <coap3/coap.h>

#include "cloud/clock.h"

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

static void a_spoofed_acknowledgement_ends_the_request(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	send_request(endpoint, TOKEN);
	receive();
	uint16_t id = got_id();
	heard.known = false;
	send_message(ACK, 0x44, id, TOKEN ^ 1, "", 0);
	assert_int_equal(heard.responses, 1);
	assert_true(heard.last.token == (TOKEN ^ 1));
	assert_int_equal(heard.failures, 1);
	assert_int_equal(heard.failure, ENDPOINT_SPOOFED);
	assert_true(heard.failed_token == TOKEN);
	/* The library takes the true one for a copy: that is why it has to be an end. */
	send_message(ACK, 0x44, id, TOKEN, "", 0);
	assert_int_equal(heard.responses, 1);
	/* Another id is nobody's, and a short token is none of ours. */
	heard.known = true;
	send_request(endpoint, TOKEN + 1);
	receive();
	id = got_id();
	send_message(ACK, 0x44, id ^ 1, TOKEN, "", 0);
	assert_int_equal(heard.failures, 1);
	uint8_t small[] = { 0x61, 0x44, (uint8_t)(id >> 8), (uint8_t)(id ^ 2), 9 };
	send_bytes(small, sizeof(small));
	assert_true(heard.last.token == 0);
	send_message(ACK, 0x44, id, TOKEN + 1, "", 0);
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
	assert_int_equal(endpoint->class->connect(endpoint, &peer_address, NULL), 0);
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

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(hears_a_separate_response),
		TEST(resets_what_it_did_not_ask_for),
		TEST(a_spoofed_acknowledgement_ends_the_request),
		TEST(retransmits_on_our_clock_alone),
		TEST(the_library_asks_our_clock),
		TEST(cancelling_ends_retransmission),
		TEST(a_reset_is_told),
		TEST(an_icmp_error_is_not_the_end),
		TEST(contexts_are_shared_by_64),
		TEST(an_endpoint_may_go_while_another_hears),
		TEST(an_endpoint_connects_anew),
		TEST(speaks_ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
