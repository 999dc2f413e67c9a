/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modbus plugin through its table of functions.  PDUs are the examples of the "MODBUS Application
 * Protocol Specification V1.1b3"; the frames around them are built here by other code than the
 * plugin's.
 */
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
#include "util/hex.h"

extern const struct eb_plugin eb_plugin;

struct example {
	const char *request; /* as a script or the configuration writes it */
	const char *asks, *answers; /* PDUs */
	const char *content;
};

static const struct example examples[] = {
	{ "{\"read\":\"coils\",\"address\":19,\"count\":19}", "01 0013 0013", "01 03 cd6b05",
		"cd6b05" },
	{ "{\"read\":\"discrete_inputs\",\"address\":196,\"count\":22}", "02 00c4 0016",
		"02 03 acdb35", "acdb35" },
	{ "{\"read\":\"holding_registers\",\"address\":107,\"count\":3}", "03 006b 0003",
		"03 06 022b00000064", "022b00000064" },
	{ "{\"read\":\"input_registers\",\"address\":8}", "04 0008 0001", "04 02 000a", "000a" },
	{ "{\"write\":\"coils\",\"address\":172,\"values\":[true]}", "05 00ac ff00", "05 00ac ff00",
		"" },
	{ "{\"write\":\"holding_registers\",\"address\":1,\"values\":[3]}", "06 0001 0003",
		"06 0001 0003", "" },
	{ "{\"write\":\"coils\",\"address\":19,\"values\":[1,0,1,1,0,0,1,1,1,0]}",
		"0f 0013 000a 02 cd01", "0f 0013 000a", "" },
	{ "{\"write\":\"holding_registers\",\"address\":1,\"values\":[10,258]}",
		"10 0001 0002 04 000a0102", "10 0001 0002", "" },
	{ "{\"write\":\"holding_registers\",\"address\":4,\"and_mask\":242,\"or_mask\":37}",
		"16 0004 00f2 0025", "16 0004 00f2 0025", "" },
	{ "{\"write\":\"holding_registers\",\"address\":14,\"values\":[255,255,255],"
	  "\"read\":\"holding_registers\",\"read_address\":3,\"count\":6}",
		"17 0003 0006 000e 0003 06 00ff00ff00ff", "17 0c 00fe0acd00010003000d00ff",
		"00fe0acd00010003000d00ff" },
};

#define EXAMPLES (sizeof(examples) / sizeof(*examples))
#define READ_THREE 2 /* the example that reads holding registers */

static void open_bus(struct codec *codec, int framing)
{
	static const char *const options[] = { "{}", "{\"framing\":\"ascii\"}", "{}",
		"{\"framing\":\"rtu\"}" };
	const struct eb_line *line = framing == TCP || framing == RTU_OVER_TCP ? &codec_tcp
									       : &codec_serial;
	assert_int_equal(codec_open(codec, &eb_plugin, line, options[framing]), 0);
}

/* A bus with one request sent. */
struct session {
	struct codec codec;
	struct request *request;
	struct eb_outstanding sent;
};

#define TAG 0x12345u
#define UNIT 17

static void begin(struct session *session, int framing, const char *request)
{
	open_bus(&session->codec, framing);
	session->request = codec_request(&session->codec, "{\"unit\":17}", request);
	if (!session->request)
		fail_msg("%s: %s", request, session->codec.error);
	session->sent = (struct eb_outstanding){ .request = &session->request->wire, .tag = TAG };
}

static void end(struct session *session)
{
	request_destroy(session->request);
	codec_close(&session->codec);
}

static const struct eb_verdict *hear(
	struct session *session, const struct buffer *bytes, size_t chunk, unsigned *dropped)
{
	return codec_feed(
		&session->codec, &session->sent, 1, bytes->data, bytes->size, chunk, dropped);
}

static void expect_content(const struct session *session, const char *hex)
{
	OWNED_BUFFER content = BUFFER_EMPTY;
	hex_parse(&content, hex);
	assert_int_equal(session->codec.verdict.kind, EB_ANSWER);
	assert_int_equal(session->codec.verdict.content_size, content.size);
	if (content.size)
		assert_memory_equal(session->codec.content, content.data, content.size);
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void test_known_sums(void **state)
{
	OWNED_BUFFER frame = BUFFER_EMPTY, bytes = BUFFER_EMPTY;
	/* "Serial Line" V1.02, 6.2.2 prints the CRC of 02 07 as 41 12. */
	put_frame(&frame, RTU, 0, 2, "07");
	hex_parse(&bytes, "02 07 41 12");
	assert_memory_equal(frame.data, bytes.data, 4);
	buffer_clear(&frame);
	put_frame(&frame, ASCII, 0, 1, "03 0000 0001");
	assert_string_equal(buffer_text(&frame), ":010300000001FB\r\n");
}

static void test_examples_encode(void **state)
{
	for (int framing = 0; framing < FRAMINGS; framing++) {
		for (size_t i = 0; i < EXAMPLES; i++) {
			struct session session;
			OWNED_BUFFER frame = BUFFER_EMPTY;
			begin(&session, framing, examples[i].request);
			put_frame(&frame, framing, TAG & 0xffff, UNIT, examples[i].asks);
			size_t size = codec_encode(&session.codec, &session.sent);
			assert_int_equal(size, frame.size);
			assert_memory_equal(session.codec.frame, frame.data, size);
			assert_int_equal(session.sent.request->frame_size, size);
			end(&session);
		}
	}
}

static void test_examples_answered(void **state)
{
	for (int framing = 0; framing < FRAMINGS; framing++) {
		for (size_t i = 0; i < EXAMPLES; i++) {
			OWNED_BUFFER frame = BUFFER_EMPTY;
			put_frame(&frame, framing, TAG & 0xffff, UNIT, examples[i].answers);
			for (size_t chunk = 1; chunk <= frame.size; chunk++) {
				struct session session;
				unsigned dropped[EB_ERROR_CLASSES] = { 0 };
				begin(&session, framing, examples[i].request);
				assert_int_equal(session.sent.request->answer_size, frame.size);
				hear(&session, &frame, chunk, dropped);
				expect_content(&session, examples[i].content);
				for (int class = 0; class < EB_ERROR_CLASSES; class ++)
					assert_int_equal(dropped[class], 0);
				end(&session);
			}
		}
	}
}

static void test_exceptions(void **state)
{
	for (int framing = 0; framing < FRAMINGS; framing++) {
		for (size_t i = 0; i < EXAMPLES; i++) {
			for (unsigned code = 1; code <= 11; code++) {
				struct session session;
				OWNED_BUFFER frame = BUFFER_EMPTY;
				char pdu[16];
				unsigned function;
				sscanf(examples[i].asks, "%2x", &function);
				snprintf(pdu, sizeof(pdu), "%02x %02x", function | 0x80, code);
				put_frame(&frame, framing, TAG & 0xffff, UNIT, pdu);
				begin(&session, framing, examples[i].request);
				const struct eb_verdict *verdict = hear(&session, &frame, 1, NULL);
				assert_int_equal(verdict->kind, EB_ERROR);
				assert_int_equal(verdict->code, code);
				assert_int_equal(
					verdict->error, code >= 10 ? EB_TIMEOUT : EB_EXCEPTION);
				/* Only of a read's range can less be asked. */
				bool range = function <= 4 && (code == 2 || code == 3);
				assert_int_equal(verdict->flags, range ? EB_REFUSES_RANGE : 0);
				end(&session);
			}
		}
	}
}

/* Noise before the answer, and more bytes behind it that stay where they are. */
static void test_noise(void **state)
{
	static const char *const noises[] = { "00", "ff", "11", "1103", "110306", "0011", "111111",
		"0d0a", "110306022b", "aa55aa55aa55aa55aa55aa55", "1183", "118302" };
	for (size_t n = 0; n < sizeof(noises) / sizeof(*noises); n++) {
		for (size_t i = 0; i < EXAMPLES; i++) {
			for (size_t chunk = 1; chunk < 40; chunk += 2) {
				struct session session;
				OWNED_BUFFER bytes = BUFFER_EMPTY;
				hex_parse(&bytes, noises[n]);
				put_frame(&bytes, RTU, 0, UNIT, examples[i].answers);
				size_t whole = bytes.size;
				hex_parse(&bytes, noises[n]);
				begin(&session, RTU, examples[i].request);
				hear(&session, &bytes, chunk, NULL);
				expect_content(&session, examples[i].content);
				assert_true(session.codec.verdict.consumed <= whole);
				end(&session);
			}
		}
	}
}

static void test_ascii_noise(void **state)
{
	struct session session;
	unsigned dropped[EB_ERROR_CLASSES] = { 0 };
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	begin(&session, ASCII, examples[READ_THREE].request);
	buffer_put_text(&bytes, "\r\nxx:1103");
	put_frame(&bytes, ASCII, 0, UNIT, examples[READ_THREE].answers);
	hear(&session, &bytes, 1, dropped);
	expect_content(&session, examples[READ_THREE].content);
	assert_int_equal(dropped[EB_SHORT], 1);
	assert_true(dropped[EB_CRC] > 0);
	end(&session);
}

/* Whole frames that are not the answer are dropped as what they are; the answer behind is found. */
static void expect_foreign(
	int framing, uint16_t transaction, uint8_t unit, const char *pdu, uint32_t class)
{
	struct session session;
	unsigned dropped[EB_ERROR_CLASSES] = { 0 };
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	begin(&session, framing, examples[READ_THREE].request);
	put_frame(&bytes, framing, transaction, unit, pdu);
	put_frame(&bytes, framing, TAG & 0xffff, UNIT, examples[READ_THREE].answers);
	hear(&session, &bytes, 1, dropped);
	expect_content(&session, examples[READ_THREE].content);
	assert_int_equal(dropped[class], 1);
	for (uint32_t other = 0; other < EB_ERROR_CLASSES; other++)
		assert_true(other == class || !dropped[other]);
	end(&session);
}

static void test_foreign(void **state)
{
	static const int lines[] = { RTU, ASCII, RTU_OVER_TCP };
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		/* Another unit's answer; another function of this unit; a write's answer. */
		expect_foreign(lines[i], 0, 18, "03 06 999999999999", EB_FOREIGN);
		expect_foreign(lines[i], 0, UNIT, "04 06 999999999999", EB_FOREIGN);
		expect_foreign(lines[i], 0, UNIT, "10 0001 0002", EB_FOREIGN);
		expect_foreign(lines[i], 0, 18, "83 02", EB_FOREIGN);
		/* A late answer of this unit and function, of another length. */
		expect_foreign(lines[i], 0, UNIT, "03 04 99999999", EB_SHORT);
		/* Our own request. */
		expect_foreign(lines[i], 0, UNIT, examples[READ_THREE].asks, EB_ECHO);
	}
	expect_foreign(TCP, 0x2344, UNIT, examples[READ_THREE].answers, EB_FOREIGN);
	expect_foreign(TCP, 0x2346, UNIT, "03 06 999999999999", EB_FOREIGN);
}

/* With the right transaction id nothing else will come: the wrong answer ends it. */
static void test_tcp_wrong_answer(void **state)
{
	static const struct {
		uint8_t unit;
		const char *pdu;
		uint32_t error;
	} wrong[] = {
		{ 18, "03 06 022b00000064", EB_FOREIGN },
		{ UNIT, "04 06 022b00000064", EB_FOREIGN },
		{ UNIT, "03 04 022b0000", EB_SHORT },
		{ UNIT, "03 06 022b0000", EB_SHORT },
		{ UNIT, "83", EB_SHORT },
		{ UNIT, "83 060000000000", EB_SHORT },
		{ UNIT, "03 006b 0003", EB_ECHO },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct session session;
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		begin(&session, TCP, examples[READ_THREE].request);
		put_frame(&bytes, TCP, TAG & 0xffff, wrong[i].unit, wrong[i].pdu);
		const struct eb_verdict *verdict = hear(&session, &bytes, 1, NULL);
		assert_int_equal(verdict->kind, EB_ERROR);
		assert_int_equal(verdict->error, wrong[i].error);
		end(&session);
	}
}

/* What follows no header is passed over up to the next one. */
static void test_tcp_garbage(void **state)
{
	struct session session;
	unsigned dropped[EB_ERROR_CLASSES] = { 0 };
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	begin(&session, TCP, examples[READ_THREE].request);
	buffer_put_text(&bytes, "HTTP/1.1 400 Bad Request\r\n");
	put_frame(&bytes, TCP, TAG & 0xffff, UNIT, examples[READ_THREE].answers);
	hear(&session, &bytes, bytes.size, dropped);
	expect_content(&session, examples[READ_THREE].content);
	assert_true(dropped[EB_CRC] > 0);
	end(&session);
}

/* Sixteen at once, answered in reverse. */
static void test_tcp_in_flight(void **state)
{
	struct codec codec;
	struct eb_outstanding sent[16];
	struct request *requests[16];
	open_bus(&codec, TCP);
	assert_int_equal(codec.timing.max_in_flight, 16);
	for (uint32_t i = 0; i < 16; i++) {
		char text[80];
		snprintf(text, sizeof(text),
			"{\"read\":\"input_registers\",\"address\":%u,\"count\":1}", i);
		requests[i] = codec_request(&codec, "{\"unit\":255}", text);
		sent[i] = (struct eb_outstanding){ .request = &requests[i]->wire,
			.tag = 0x1fff8 + i };
	}
	for (uint32_t i = 16; i-- > 0;) {
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		char pdu[16];
		snprintf(pdu, sizeof(pdu), "04 02 %04x", i);
		put_frame(&bytes, TCP, (uint16_t)(0x1fff8 + i), 255, pdu);
		const struct eb_verdict *verdict = codec_receive(
			&codec, sent, 16, bytes.data, bytes.size, 0);
		assert_int_equal(verdict->kind, EB_ANSWER);
		assert_int_equal(verdict->index, i);
		assert_int_equal(codec.content[1], i);
	}
	for (uint32_t i = 0; i < 16; i++)
		request_destroy(requests[i]);
	codec_close(&codec);
}

/* No bit of an answer can be wrong, and no part of it missing, without being noticed. */
static void test_corruption(void **state)
{
	for (size_t i = 0; i < EXAMPLES; i++) {
		OWNED_BUFFER frame = BUFFER_EMPTY;
		put_frame(&frame, RTU, 0, UNIT, examples[i].answers);
		for (size_t bit = 0; bit < 8 * frame.size; bit++) {
			struct session session;
			begin(&session, RTU, examples[i].request);
			frame.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			const struct eb_verdict *verdict = hear(&session, &frame, 3, NULL);
			frame.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(verdict->kind, EB_ERROR);
			assert_true(verdict->error == EB_CRC || verdict->error == EB_SHORT);
			end(&session);
		}
	}
}

static void test_cut_off(void **state)
{
	for (size_t i = 0; i < EXAMPLES; i++) {
		OWNED_BUFFER frame = BUFFER_EMPTY;
		put_frame(&frame, RTU, 0, UNIT, examples[i].answers);
		for (size_t size = 1; size < frame.size; size++) {
			struct session session;
			unsigned dropped[EB_ERROR_CLASSES] = { 0 };
			begin(&session, RTU, examples[i].request);
			const struct eb_verdict *verdict = codec_feed(
				&session.codec, &session.sent, 1, frame.data, size, 2, dropped);
			/* One byte may be the line's own; from the function on it was an answer. */
			assert_int_equal(verdict->kind, size == 1 ? EB_NOISE : EB_ERROR);
			assert_int_equal(verdict->error, EB_SHORT);
			assert_int_equal(verdict->consumed, size);
			end(&session);
		}
	}
}

static void test_ascii_errors(void **state)
{
	static const struct {
		const char *line;
		uint32_t error;
	} lines[] = {
		{ ":1103\r\n", EB_CRC },
		{ ":110306022B00000064XX\r\n", EB_CRC },
		{ ":110306022B0000006456\r\n", EB_CRC },
		{ ":110306022B000000645\r\n", EB_CRC },
		{ ":\r\n", EB_CRC },
		{ ":\n", EB_CRC },
		{ ":110306022B000", EB_SHORT },
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct session session;
		begin(&session, ASCII, examples[READ_THREE].request);
		const struct eb_verdict *verdict = codec_feed(&session.codec, &session.sent, 1,
			lines[i].line, strlen(lines[i].line), 1, NULL);
		assert_int_equal(verdict->kind, EB_ERROR);
		assert_int_equal(verdict->error, lines[i].error);
		end(&session);
	}
}

/* An answer to a write must repeat what was written where. */
static void test_write_answers(void **state)
{
	static const struct {
		size_t example;
		const char *answer;
	} wrong[] = {
		{ 4, "05 00ad ff00" },
		{ 4, "05 00ac 0000" },
		{ 5, "06 0002 0003" },
		{ 5, "06 0001 0004" },
		{ 6, "0f 0013 0009" },
		{ 6, "0f 0014 000a" },
		{ 7, "10 0001 0001" },
		{ 7, "10 0002 0002" },
		{ 8, "16 0004 00f2 0024" },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const struct example *example = &examples[wrong[i].example];
		struct session session;
		unsigned dropped[EB_ERROR_CLASSES] = { 0 };
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		begin(&session, RTU, example->request);
		put_frame(&bytes, RTU, 0, UNIT, wrong[i].answer);
		put_frame(&bytes, RTU, 0, UNIT, example->answers);
		hear(&session, &bytes, 1, dropped);
		expect_content(&session, "");
		assert_int_equal(dropped[EB_FOREIGN], 1);
		end(&session);
	}
}

/*
 * The request for coils from 0x300 on, 20 of them, is byte for byte a possible answer to itself; and
 * an adapter may echo any request.
 */
static void test_echo_is_no_answer(void **state)
{
	static const char *const requests[] = {
		"{\"read\":\"coils\",\"address\":768,\"count\":20}",
		"{\"read\":\"holding_registers\",\"address\":512,\"count\":1}",
		"{\"read\":\"holding_registers\",\"address\":0,\"count\":125}",
		"{\"write\":\"holding_registers\",\"address\":1,\"values\":[10,258]}",
	};
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		for (int framing = 0; framing < TCP; framing++) {
			struct session session;
			unsigned dropped[EB_ERROR_CLASSES] = { 0 };
			begin(&session, framing, requests[i]);
			OWNED_BUFFER echo = BUFFER_EMPTY;
			size_t size = codec_encode(&session.codec, &session.sent);
			buffer_put(&echo, session.codec.frame, size);
			const struct eb_verdict *verdict = hear(&session, &echo, 1, dropped);
			assert_int_not_equal(verdict->kind, EB_ANSWER);
			assert_int_equal(dropped[EB_ECHO], 1);
			end(&session);
		}
	}
}

/* Every address and unit whose echo could pass for a short answer when it comes byte by byte. */
static void test_echo_prefix(void **state)
{
	unsigned tried = 0;
	for (unsigned unit = 1; unit <= 247; unit += 3) {
		for (unsigned low = 0; low < 256; low += 5) {
			struct codec codec;
			char device[32], text[80];
			open_bus(&codec, RTU);
			snprintf(device, sizeof(device), "{\"unit\":%u}", unit);
			snprintf(text, sizeof(text),
				"{\"read\":\"holding_registers\",\"address\":%u,\"count\":1}",
				0x200 + low);
			struct request *request = codec_request(&codec, device, text);
			struct eb_outstanding sent = { .request = &request->wire };
			uint8_t echo[8];
			assert_int_equal(codec_encode(&codec, &sent), sizeof(echo));
			memcpy(echo, codec.frame, sizeof(echo));
			for (size_t size = 0; size < sizeof(echo); size++)
				assert_int_equal(
					codec_receive(&codec, &sent, 1, echo, size, 0)->kind,
					EB_MORE);
			assert_int_equal(
				codec_receive(&codec, &sent, 1, echo, 8, 0)->error, EB_ECHO);
			tried++;
			request_destroy(request);
			codec_close(&codec);
		}
	}
	assert_true(tried > 1000);
}

static void test_nobody_asked(void **state)
{
	for (int framing = 0; framing < FRAMINGS; framing++) {
		struct codec codec;
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		open_bus(&codec, framing);
		put_frame(&bytes, framing, 1, 5, examples[READ_THREE].answers);
		const struct eb_verdict *verdict = codec_receive(
			&codec, NULL, 0, bytes.data, bytes.size, 0);
		assert_int_equal(verdict->kind, EB_NOISE);
		assert_int_equal(verdict->error, EB_FOREIGN);
		assert_int_equal(verdict->consumed, bytes.size);
		assert_int_equal(codec_receive(&codec, NULL, 0, "", 0, 0)->kind, EB_MORE);
		codec_close(&codec);
	}
}

/* A frame of a function that is not ours is whole when the line falls silent behind it. */
static void test_unknown_function(void **state)
{
	struct session session;
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	begin(&session, RTU, examples[READ_THREE].request);
	put_frame(&bytes, RTU, 0, 9, "2b 0e 01 01 00 00");
	assert_int_equal(
		codec_receive(&session.codec, &session.sent, 1, bytes.data, bytes.size, 0)->kind,
		EB_MORE);
	const struct eb_verdict *verdict = codec_receive(
		&session.codec, &session.sent, 1, bytes.data, bytes.size, 25000);
	assert_int_equal(verdict->kind, EB_NOISE);
	assert_int_equal(verdict->error, EB_FOREIGN);
	end(&session);
}

/* Bits behind the last one that was asked for are not the device's to report. */
static void test_trimmed_bits(void **state)
{
	struct session session;
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	begin(&session, RTU, "{\"read\":\"coils\",\"address\":0,\"count\":3}");
	put_frame(&bytes, RTU, 0, UNIT, "01 01 fd");
	hear(&session, &bytes, 1, NULL);
	expect_content(&session, "05");
	end(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_sums),
		cmocka_unit_test(test_examples_encode),
		cmocka_unit_test(test_examples_answered),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_ascii_noise),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_tcp_wrong_answer),
		cmocka_unit_test(test_tcp_garbage),
		cmocka_unit_test(test_tcp_in_flight),
		cmocka_unit_test(test_corruption),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_ascii_errors),
		cmocka_unit_test(test_write_answers),
		cmocka_unit_test(test_echo_is_no_answer),
		cmocka_unit_test(test_echo_prefix),
		cmocka_unit_test(test_nobody_asked),
		cmocka_unit_test(test_unknown_function),
		cmocka_unit_test(test_trimmed_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
