/* SPDX-License-Identifier: Apache-2.0 */
/* What goes over the wire, byte for byte, and what is heard of what comes. */
#include "shard-fixture.h"

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
	assert_false(heard.last.block2.there);
	/* A copy is not told again. */
	send_message(ACK, 0x44, got_id(), TOKEN, rest, sizeof(rest) - 1);
	assert_int_equal(heard.responses, 1);
	pass(200000);
	assert_int_equal(count_received(), 0);
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

static void reads_which_block_it_is(void **state)
{
	struct heard heard;
	struct endpoint *endpoint = connected(&heard);
	static const struct {
		const char *rest;
		size_t size;
		uint32_t number, size_of_each;
		bool more;
	} blocks[] = {
		{ "\xd1\x0a\x0e\xffx", 5, 0, 1024, true }, /* Block2 (23) */
		{ "\xd1\x0a\x06\xffx", 5, 0, 1024, false },
		{ "\xd1\x0a\x16\xffx", 5, 1, 1024, false },
		{ "\xd0\x0a\xffx", 4, 0, 16, false }, /* empty means 0 */
		{ "\xd3\x0a\x12\x34\x5a\xffx", 7, 0x12345, 64, true },
		{ "\xd1\x0a\x0f\xffx", 5, 0, 1024, true }, /* a size that is reserved */
	};
	for (size_t i = 0; i < 6; i++) {
		send_request(endpoint, TOKEN + i);
		receive();
		send_message(ACK, 0x45, got_id(), TOKEN + i, blocks[i].rest, blocks[i].size);
		assert_int_equal(heard.responses, i + 1);
		assert_true(heard.last.block2.there);
		assert_int_equal(heard.last.block2.number, blocks[i].number);
		assert_int_equal(block_size(&heard.last.block2), blocks[i].size_of_each);
		assert_int_equal(heard.last.block2.more, blocks[i].more);
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
		TEST(unknown_critical_options_hide_a_response),
		TEST(reads_which_block_it_is),
		TEST(rubbish_does_no_harm),
		TEST(the_librarys_log_keeps_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
