/* SPDX-License-Identifier: Apache-2.0 */
/* The modbus plugin where it only listens: other masters' requests and answers, paired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/codec.h"
#include "tests/frames.h"
#include "util/alloc.h"

extern const struct eb_plugin eb_plugin;

static void open_bus(struct codec *codec, int framing)
{
	const char *options = framing == ASCII ? "{\"listen\":true,\"framing\":\"ascii\"}"
					       : "{\"listen\":true}";
	assert_int_equal(codec_open(codec, &eb_plugin, &codec_serial, options), 0);
}

static struct request *poll_of(
	struct codec *codec, unsigned unit, const char *table, unsigned address, unsigned count)
{
	char device[32], text[120];
	snprintf(device, sizeof(device), "{\"unit\":%u}", unit);
	snprintf(text, sizeof(text), "{\"read\":\"%s\",\"address\":%u,\"count\":%u}", table,
		address, count);
	struct request *request = codec_request(codec, device, text);
	assert_non_null(request);
	assert_int_equal(request->wire.flags, EB_LISTEN);
	return request;
}

/* What the poll gets out of the unasked frame heard last, or -ENOENT. */
static int matched(struct codec *codec, unsigned unit, const char *table, unsigned address,
	unsigned count, uint8_t *content)
{
	struct request *request = poll_of(codec, unit, table, address, count);
	int size = eb_plugin.match(codec->state, &request->wire, &codec->verdict, content);
	request_destroy(request);
	return size;
}

static void test_pairing(void **state)
{
	for (int framing = RTU; framing <= ASCII; framing++) {
		struct codec codec;
		uint8_t content[EB_ANSWER_MAX];
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		open_bus(&codec, framing);
		put_frame(&bytes, framing, 0, 9, "03 0064 0004");
		put_frame(&bytes, framing, 0, 9, "03 08 0001000200030004");
		const struct eb_verdict *verdict = codec_feed(
			&codec, NULL, 0, bytes.data, bytes.size, 1, NULL);
		assert_int_equal(verdict->kind, EB_UNASKED);
		assert_int_equal(verdict->address.bytes[0], 9);
		assert_int_equal(verdict->key_size, 5);
		assert_int_equal(verdict->content_size, 8);
		/* A poll gets its part; what reaches beyond or belongs elsewhere does not match. */
		assert_int_equal(matched(&codec, 9, "holding_registers", 101, 2, content), 4);
		assert_memory_equal(content, "\0\2\0\3", 4);
		assert_int_equal(matched(&codec, 9, "holding_registers", 100, 4, content), 8);
		assert_int_equal(matched(&codec, 9, "holding_registers", 100, 5, content), -ENOENT);
		assert_int_equal(matched(&codec, 9, "holding_registers", 99, 2, content), -ENOENT);
		assert_int_equal(matched(&codec, 9, "input_registers", 100, 2, content), -ENOENT);
		assert_int_equal(matched(&codec, 8, "holding_registers", 100, 2, content), -ENOENT);
		codec_close(&codec);
	}
}

static void test_bits(void **state)
{
	struct codec codec;
	uint8_t content[EB_ANSWER_MAX];
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	open_bus(&codec, RTU);
	put_frame(&bytes, RTU, 0, 9, "01 0013 0013");
	put_frame(&bytes, RTU, 0, 9, "01 03 cd6b05");
	assert_int_equal(
		codec_feed(&codec, NULL, 0, bytes.data, bytes.size, 3, NULL)->kind, EB_UNASKED);
	/* Of 20 to 38 from the specification: 27 to 30 are on, on, off, on. */
	assert_int_equal(matched(&codec, 9, "coils", 26, 4, content), 1);
	assert_int_equal(content[0], 0x7);
	assert_int_equal(matched(&codec, 9, "coils", 27, 4, content), 1);
	assert_int_equal(content[0], 0xb);
	codec_close(&codec);
}

/* How many pairs a listener finds in what it hears. */
static unsigned count_pairs(const struct buffer *bytes)
{
	struct codec codec;
	unsigned pairs = 0;
	size_t begin = 0;
	open_bus(&codec, RTU);
	while (begin < bytes->size) {
		const struct eb_verdict *verdict = codec_receive(
			&codec, NULL, 0, bytes->data + begin, bytes->size - begin, 0);
		if (verdict->kind == EB_MORE)
			verdict = codec_receive(
				&codec, NULL, 0, bytes->data + begin, bytes->size - begin, 25000);
		pairs += verdict->kind == EB_UNASKED;
		begin += verdict->consumed;
	}
	codec_close(&codec);
	return pairs;
}

static void test_what_does_not_pair(void **state)
{
	static const struct {
		uint8_t unit;
		const char *pdu;
	} answers[] = {
		{ 8, "03 08 0001000200030004" }, /* another unit */
		{ 9, "04 08 0001000200030004" }, /* another function */
		{ 9, "03 06 000100020003" }, /* another length */
		{ 9, "83 02" }, /* refused */
		{ 9, "06 0001 0003" }, /* a write */
	};
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		put_frame(&bytes, RTU, 0, 9, "03 0064 0004");
		put_frame(&bytes, RTU, 0, answers[i].unit, answers[i].pdu);
		/* The request has been answered, or is out of date: this one comes too late. */
		put_frame(&bytes, RTU, 0, 9, "03 08 0001000200030004");
		assert_int_equal(count_pairs(&bytes), 0);
		/* The next pair is found again. */
		put_frame(&bytes, RTU, 0, 9, "03 0064 0004");
		put_frame(&bytes, RTU, 0, 9, "03 08 0001000200030004");
		assert_int_equal(count_pairs(&bytes), 1);
	}
}

/* A request that was garbled on the line: its answer must not be paired with the one before. */
static void test_garbled_request(void **state)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	put_frame(&bytes, RTU, 0, 9, "03 0064 0004");
	put_frame(&bytes, RTU, 0, 9, "03 00c8 0004");
	bytes.data[bytes.size - 1] ^= 1;
	put_frame(&bytes, RTU, 0, 9, "03 08 0001000200030004");
	assert_int_equal(count_pairs(&bytes), 0);
	/* An odd byte between request and answer is the line's own. */
	put_frame(&bytes, RTU, 0, 9, "03 0064 0004");
	buffer_put_byte(&bytes, 0);
	put_frame(&bytes, RTU, 0, 9, "03 08 0001000200030004");
	assert_int_equal(count_pairs(&bytes), 1);
}

static void test_unanswered_request(void **state)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	put_frame(&bytes, RTU, 0, 9, "03 0064 0004");
	put_frame(&bytes, RTU, 0, 9, "03 0064 0004");
	put_frame(&bytes, RTU, 0, 9, "03 08 0001000200030004");
	put_frame(&bytes, RTU, 0, 7, "10 0001 0002 04 000a0102");
	put_frame(&bytes, RTU, 0, 7, "10 0001 0002");
	put_frame(&bytes, RTU, 0, 7, "04 0000 0001");
	put_frame(&bytes, RTU, 0, 7, "04 02 1234");
	assert_int_equal(count_pairs(&bytes), 2);
}

static void test_reset(void **state)
{
	struct codec codec;
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	open_bus(&codec, RTU);
	put_frame(&bytes, RTU, 0, 9, "03 0064 0001");
	codec_receive(&codec, NULL, 0, bytes.data, bytes.size, 0);
	eb_plugin.reset(codec.state);
	buffer_clear(&bytes);
	put_frame(&bytes, RTU, 0, 9, "03 02 0001");
	const struct eb_verdict *verdict = codec_receive(
		&codec, NULL, 0, bytes.data, bytes.size, 25000);
	assert_int_equal(verdict->kind, EB_CONTINUE);
	codec_close(&codec);
}

static void test_no_writes(void **state)
{
	struct codec codec;
	open_bus(&codec, RTU);
	assert_null(codec_request(&codec, "{\"unit\":9}",
		"{\"write\":\"holding_registers\",\"address\":1,\"values\":[1]}"));
	assert_non_null(strstr(codec.error, "only listens"));
	codec_close(&codec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairing),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_what_does_not_pair),
		cmocka_unit_test(test_garbled_request),
		cmocka_unit_test(test_unanswered_request),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_no_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
