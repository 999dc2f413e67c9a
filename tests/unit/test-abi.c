/* SPDX-License-Identifier: Apache-2.0 */
/* Each feature of the plugin interface, by a plugin that uses all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/plugins/abi.c"

#include "tests/codec.h"
#include "util/alloc.h"

static void open_bus(struct codec *codec)
{
	assert_int_equal(codec_open(codec, &eb_plugin, &codec_tcp, "{\"gap\":700}"), 0);
	assert_int_equal(codec->timing.gap_us, 700);
	assert_int_equal(codec->timing.max_in_flight, IN_FLIGHT);
}

static struct request *read_of(struct codec *codec, int begin, int count)
{
	char text[64];
	snprintf(text, sizeof(text), "{\"begin\":%d,\"count\":%d}", begin, count);
	struct request *request = codec_request(codec, "{\"unit\":5}", text);
	assert_non_null(request);
	return request;
}

/* Four are out; they are answered in another order, and one that is not theirs is foreign. */
static void test_in_flight(void **state)
{
	struct codec codec;
	struct request *requests[IN_FLIGHT];
	struct eb_outstanding sent[IN_FLIGHT];
	open_bus(&codec);
	for (uint32_t i = 0; i < IN_FLIGHT; i++) {
		requests[i] = read_of(&codec, (int)i, 1);
		sent[i] = (struct eb_outstanding){ .request = &requests[i]->wire,
			.tag = 0x1fe + i };
		assert_int_equal(codec_encode(&codec, &sent[i]), HEAD + 2);
	}
	static const uint32_t order[IN_FLIGHT] = { 2, 0, 3, 1 };
	for (uint32_t i = 0; i < IN_FLIGHT; i++) {
		uint8_t answer[] = { STX, 'A', 5, (uint8_t)(0x1fe + order[i]), 1,
			(uint8_t)order[i] };
		const struct eb_verdict *verdict = codec_receive(
			&codec, sent, IN_FLIGHT, answer, sizeof(answer), 0);
		assert_int_equal(verdict->kind, EB_ANSWER);
		assert_int_equal(verdict->index, order[i]);
		assert_int_equal(codec.content[0], order[i]);
	}
	static const uint8_t stray[] = { STX, 'A', 5, 99, 1, 0 };
	const struct eb_verdict *verdict = codec_receive(
		&codec, sent, IN_FLIGHT, stray, sizeof(stray), 0);
	assert_int_equal(verdict->kind, EB_NOISE);
	assert_int_equal(verdict->error, EB_FOREIGN);
	assert_int_equal(((struct abi *)codec.state)->frames, IN_FLIGHT);
	eb_plugin.reset(codec.state);
	assert_int_equal(((struct abi *)codec.state)->frames, 0);
	for (uint32_t i = 0; i < IN_FLIGHT; i++)
		request_destroy(requests[i]);
	codec_close(&codec);
}

/* The plugin names the gap that it wants to hear of; what came until then is the answer. */
static void test_silence(void **state)
{
	struct codec codec;
	static const uint8_t bytes[] = { STX, 'S', 5, 7, 0, 'a', 'b', 'c' };
	open_bus(&codec);
	struct request *request = read_of(&codec, 0, 3);
	struct eb_outstanding sent = { .request = &request->wire, .tag = 7 };
	const struct eb_verdict *verdict = codec_receive(&codec, &sent, 1, bytes, sizeof(bytes), 0);
	assert_int_equal(verdict->kind, EB_MORE);
	assert_int_equal(verdict->gap_us, SILENCE_US);
	verdict = codec_receive(&codec, &sent, 1, bytes, sizeof(bytes), verdict->gap_us);
	assert_int_equal(verdict->kind, EB_ANSWER);
	assert_int_equal(verdict->content_size, 3);
	assert_memory_equal(codec.content, "abc", 3);
	request_destroy(request);
	codec_close(&codec);
}

/* Contents in parts: each is appended, and the next is asked for, until the answer ends it. */
static void test_continue(void **state)
{
	struct codec codec;
	OWNED_BUFFER so_far = BUFFER_EMPTY;
	open_bus(&codec);
	struct request *request = read_of(&codec, 0, 5);
	struct eb_outstanding sent = { .request = &request->wire, .tag = 9 };
	for (uint32_t step = 0; step < 2; step++) {
		uint8_t part[] = { STX, 'C', 5, 9, 2, (uint8_t)('a' + 2 * step),
			(uint8_t)('b' + 2 * step) };
		const struct eb_verdict *verdict = codec_receive(
			&codec, &sent, 1, part, sizeof(part), 0);
		assert_int_equal(verdict->kind, EB_CONTINUE);
		assert_int_equal(verdict->frame_size, HEAD + 1);
		uint8_t next[] = { STX, 'N', 5, 9, 1, (uint8_t)(step + 1) };
		assert_memory_equal(codec.frame, next, sizeof(next));
		buffer_put(&so_far, codec.content, verdict->content_size);
		sent.step++;
		sent.so_far = so_far.data;
		sent.so_far_size = so_far.size;
	}
	static const uint8_t last[] = { STX, 'A', 5, 9, 1, 'e' };
	const struct eb_verdict *verdict = codec_receive(&codec, &sent, 1, last, sizeof(last), 0);
	assert_int_equal(verdict->kind, EB_ANSWER);
	buffer_put(&so_far, codec.content, verdict->content_size);
	assert_string_equal(buffer_text(&so_far), "abcde");
	/* The same without the parts before it is short. */
	sent.so_far_size = 0;
	verdict = codec_receive(&codec, &sent, 1, last, sizeof(last), 0);
	assert_int_equal(verdict->kind, EB_ERROR);
	assert_int_equal(verdict->error, EB_SHORT);
	request_destroy(request);
	codec_close(&codec);
}

/* Without match() a poll gets the frame whose key is the poll's data. */
static void test_unasked(void **state)
{
	struct codec codec;
	static const uint8_t bytes[] = { STX, 'U', 5, 0, 4, 16, 2, 'h', 'i' };
	open_bus(&codec);
	assert_null(eb_plugin.match);
	struct request *poll = codec_request(
		&codec, "{\"unit\":5}", "{\"begin\":16,\"count\":2,\"listen\":true}");
	struct request *other = codec_request(
		&codec, "{\"unit\":5}", "{\"begin\":17,\"count\":2,\"listen\":true}");
	assert_int_equal(poll->wire.flags, EB_LISTEN);
	const struct eb_verdict *verdict = codec_receive(&codec, NULL, 0, bytes, sizeof(bytes), 0);
	assert_int_equal(verdict->kind, EB_UNASKED);
	assert_int_equal(verdict->address.size, poll->wire.address.size);
	assert_memory_equal(verdict->address.bytes, poll->wire.address.bytes, 1);
	assert_int_equal(verdict->key_size, poll->wire.data_size);
	assert_memory_equal(verdict->key, poll->wire.data, verdict->key_size);
	assert_memory_not_equal(verdict->key, other->wire.data, verdict->key_size);
	assert_memory_equal(codec.content, "hi", 2);
	/* It is heard as well while something else is asked. */
	struct request *request = read_of(&codec, 0, 1);
	struct eb_outstanding sent = { .request = &request->wire };
	assert_int_equal(
		codec_receive(&codec, &sent, 1, bytes, sizeof(bytes), 0)->kind, EB_UNASKED);
	request_destroy(request);
	request_destroy(poll);
	request_destroy(other);
	codec_close(&codec);
}

static void test_merge_and_cut(void **state)
{
	struct codec codec;
	uint8_t data[EB_REQUEST_MAX], out[EB_ANSWER_MAX];
	struct eb_request merged = { .data = data };
	open_bus(&codec);
	struct request *a = read_of(&codec, 10, 4), *b = read_of(&codec, 16, 2);
	assert_int_equal(eb_plugin.merge(codec.state, &a->wire, &b->wire, 1, &merged), -ENOENT);
	assert_int_equal(eb_plugin.merge(codec.state, &b->wire, &a->wire, 2, &merged), 0);
	assert_int_equal(merged.content_size, 8);
	const uint8_t *content = (const uint8_t *)"abcdefgh";
	assert_int_equal(eb_plugin.cut(codec.state, &merged, &a->wire, content, 8, out), 4);
	assert_memory_equal(out, "abcd", 4);
	assert_int_equal(eb_plugin.cut(codec.state, &merged, &b->wire, content, 8, out), 2);
	assert_memory_equal(out, "gh", 2);
	assert_true(eb_plugin.cut(codec.state, &merged, &b->wire, content, 7, out) < 0);
	request_destroy(a);
	request_destroy(b);
	codec_close(&codec);
}

static void test_write_and_errors(void **state)
{
	struct codec codec;
	unsigned dropped[EB_ERROR_CLASSES] = { 0 };
	open_bus(&codec);
	struct request *request = codec_request(
		&codec, "{\"unit\":5}", "{\"begin\":3,\"bytes\":\"0a0b\"}");
	struct eb_outstanding sent = { .request = &request->wire, .tag = 1 };
	assert_int_equal(request->wire.flags, EB_WRITE);
	static const uint8_t frame[] = { STX, 'W', 5, 1, 3, 3, 0x0a, 0x0b };
	assert_int_equal(codec_encode(&codec, &sent), sizeof(frame));
	assert_memory_equal(codec.frame, frame, sizeof(frame));
	static const uint8_t refused[] = { 'x', 'y', STX, 'X', 5, 1, 1, 42 };
	const struct eb_verdict *verdict = codec_feed(
		&codec, &sent, 1, refused, sizeof(refused), 1, dropped);
	assert_int_equal(verdict->kind, EB_ERROR);
	assert_int_equal(verdict->error, EB_EXCEPTION);
	assert_int_equal(verdict->code, 42);
	assert_true(dropped[EB_CRC] > 0);
	static const uint8_t done[] = { STX, 'K', 5, 1, 0 };
	assert_int_equal(codec_receive(&codec, &sent, 1, done, sizeof(done), 0)->kind, EB_ANSWER);
	assert_null(codec_request(&codec, "{\"unit\":5}", "{\"begin\":250,\"count\":7}"));
	request_destroy(request);
	codec_close(&codec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_continue),
		cmocka_unit_test(test_unasked),
		cmocka_unit_test(test_merge_and_cut),
		cmocka_unit_test(test_write_and_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
