/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame plugin through its table of functions.  The sentences of a receiver are NMEA 0183's well-known
 * examples; the check values of the CRCs, of "123456789", are those of the catalogues.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/codec.h"
#include "util/buffer.h"
#include "util/hex.h"

extern const struct eb_plugin eb_plugin;

#define NMEA "{\"start\":\"24\",\"delimiter\":\"0d0a\",\"checksum\":\"nmea\"}"
#define LINES "{\"delimiter\":\"0a\"}"
#define GGA "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
#define GLL "$GPGLL,4916.45,N,12311.12,W,225444,A,*1D\r\n"

struct session {
	struct codec codec;
	struct request *request;
	struct eb_outstanding sent;
	unsigned dropped[EB_ERROR_CLASSES];
};

static void open_bus(struct session *session, const char *options)
{
	memset(session, 0, sizeof(*session));
	if (codec_open(&session->codec, &eb_plugin, &codec_serial, options) < 0)
		fail_msg("%s: %s", options, session->codec.error);
}

static void begin(
	struct session *session, const char *options, const char *device, const char *asked)
{
	open_bus(session, options);
	session->request = codec_request(&session->codec, device, asked);
	if (!session->request)
		fail_msg("%s: %s", asked, session->codec.error);
	session->sent = (struct eb_outstanding){ .request = &session->request->wire };
}

static void end(struct session *session)
{
	request_destroy(session->request);
	codec_close(&session->codec);
}

static const struct eb_verdict *hear_bytes(
	struct session *session, const void *bytes, size_t size, size_t chunk)
{
	bool asked = session->request && !(session->request->wire.flags & EB_LISTEN);
	return codec_feed(
		&session->codec, &session->sent, asked, bytes, size, chunk, session->dropped);
}

static const struct eb_verdict *hear(struct session *session, const char *text)
{
	return hear_bytes(session, text, strlen(text), 1);
}

static const struct eb_verdict *hear_hex(struct session *session, const char *hex)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	assert_int_equal(hex_parse(&bytes, hex), 0);
	return hear_bytes(session, bytes.data, bytes.size, 1);
}

static void expect_bytes(
	const struct session *session, uint32_t kind, const char *content, size_t size)
{
	assert_int_equal(session->codec.verdict.kind, kind);
	assert_int_equal(session->codec.verdict.content_size, size);
	if (size)
		assert_memory_equal(session->codec.content, content, size);
}

static void expect_content(const struct session *session, uint32_t kind, const char *text)
{
	expect_bytes(session, kind, text, strlen(text));
}

static void expect_error(const struct eb_verdict *verdict, uint32_t error)
{
	assert_int_equal(verdict->kind, EB_ERROR);
	assert_int_equal(verdict->error, error);
}

/* Whether a declared listener gets the last unasked frame. */
static int match(struct session *session, const char *device, const char *listener)
{
	uint8_t content[EB_ANSWER_MAX];
	struct request *declared = codec_request(&session->codec, device, listener);
	if (!declared)
		fail_msg("%s: %s", listener, session->codec.error);
	int result = eb_plugin.match(
		session->codec.state, &declared->wire, &session->codec.verdict, content);
	if (result > 0)
		assert_memory_equal(content, session->codec.content, (size_t)result);
	request_destroy(declared);
	return result;
}

/* ---- checksums ---------------------------------------------------------------------------------- */

static void test_known_sums(void **state)
{
	/* "123456789" and its checksum; sums and exclusive or by hand: 1DDH, 31H. */
	static const char *const known[][2] = { { "sum8", "dd" }, { "xor8", "31" },
		{ "crc8", "f4" }, { "crc16-modbus", "374b" }, { "crc16-ccitt", "29b1" },
		{ "lrc", "23" } };
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct session session;
		char options[100], frame[64];
		size_t size = strlen(known[i][1]) / 2;
		snprintf(options, sizeof(options), "{\"length\":%zu,\"checksum\":\"%s\"}", 9 + size,
			known[i][0]);
		begin(&session, options, "{}", "{\"send_text\":\"?\"}");
		snprintf(frame, sizeof(frame), "313233343536373839%s", known[i][1]);
		hear_hex(&session, frame);
		expect_content(&session, EB_ANSWER, "123456789");
		frame[1] = '0';
		expect_error(hear_hex(&session, frame), EB_CRC);
		end(&session);
	}
}

static void test_sum_covers_its_range(void **state)
{
	struct session session;
	/* STX, two bytes of address, text, sum over the text alone, ETX, CR. */
	begin(&session,
		"{\"start\":\"02\",\"delimiter\":\"03 0d\",\"checksum\":\"sum8\",\"checksum_from\":3}",
		"{}", "{\"send_text\":\"?\"}");
	hear_hex(&session, "02 30 31 41 42 83 03 0d");
	expect_content(&session, EB_ANSWER, "01AB");
	/* Too short to have one. */
	expect_error(hear_hex(&session, "02 30 03 0d"), EB_CRC);
	end(&session);
}

static void test_sum_behind_the_delimiter(void **state)
{
	struct session session;
	/* STX ... ETX BCC, the BCC over all behind STX: 31^32^03 = 00, which ends no text. */
	begin(&session,
		"{\"start\":\"02\",\"delimiter\":\"03\",\"checksum\":\"xor8\",\"checksum_from\":1,"
		"\"checksum_end\":0}",
		"{}", "{\"send\":\"05\"}");
	hear_hex(&session, "02 31 32 03 00");
	expect_content(&session, EB_ANSWER, "12");
	expect_error(hear_hex(&session, "02 31 32 03 01"), EB_CRC);
	end(&session);
}

static void test_sum_that_looks_like_the_delimiter(void **state)
{
	struct session session;
	begin(&session, "{\"delimiter\":\"0a\",\"checksum\":\"sum8\"}", "{}",
		"{\"send_text\":\"?\"}");
	/* 04 + 06 = 0A: the sum is taken for the delimiter, unless what follows is looked at. */
	hear_hex(&session, "04 06 0a 0a");
	expect_bytes(&session, EB_ANSWER, "\4\6", 2);
	expect_error(hear_hex(&session, "05 06 0a 0a"), EB_CRC);
	end(&session);
}

/* ---- who talks ---------------------------------------------------------------------------------- */

static void test_sentences(void **state)
{
	struct session session;
	open_bus(&session, NMEA);
	for (size_t chunk = 1; chunk < 20; chunk += 6) {
		memset(session.dropped, 0, sizeof(session.dropped));
		hear_bytes(&session, "45*33\r\n" GGA, 7 + strlen(GGA), chunk);
		expect_content(&session, EB_UNASKED,
			"GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,");
		assert_int_equal(session.codec.verdict.address.size, 0);
		assert_true(session.dropped[EB_FOREIGN] > 0);
	}
	assert_true(match(&session, "{}", "{\"expect_text\":\"$GPGGA\"}") > 0);
	assert_true(match(&session, "{}", "{}") > 0);
	assert_int_equal(match(&session, "{}", "{\"expect_text\":\"$GPGLL\"}"), -ENOENT);
	/* What is asked for is not answered by what somebody says on his own. */
	assert_int_equal(match(&session, "{}", "{\"send_text\":\"?\"}"), -ENOENT);
	hear(&session, GLL);
	expect_content(&session, EB_UNASKED, "GPGLL,4916.45,N,12311.12,W,225444,A,");
	hear(&session, "$GPGLL,4916.45,N,12311.12,W,225444,A,*1d\r\n");
	expect_content(&session, EB_UNASKED, "GPGLL,4916.45,N,12311.12,W,225444,A,");
	end(&session);
}

static void test_spoilt_sentences(void **state)
{
	struct session session;
	open_bus(&session, NMEA);
	assert_int_equal(
		hear(&session, "$GPGLL,5916.45,N,12311.12,W,225444,A,*1D\r\n")->kind, EB_NOISE);
	assert_int_equal(session.dropped[EB_CRC], 1);
	/* Half a sentence, and at once the next: only the half is lost. */
	hear(&session, "$GPGGA,1235" GLL);
	expect_content(&session, EB_UNASKED, "GPGLL,4916.45,N,12311.12,W,225444,A,");
	assert_int_equal(session.dropped[EB_CRC], 2);
	/* And half a one that silence ends. */
	assert_int_equal(hear(&session, "$GPGGA,1235")->error, EB_SHORT);
	end(&session);
}

static void test_contents_as_they_are(void **state)
{
	struct session session;
	open_bus(&session,
		"{\"start\":\"24\",\"delimiter\":\"0d0a\",\"checksum\":\"nmea\",\"strip\":false}");
	hear(&session, GLL);
	expect_content(&session, EB_UNASKED, GLL);
	end(&session);
}

static void test_two_devices_on_one_stream(void **state)
{
	struct session session;
	static const char one[] = "{\"match_text\":\"P1\"}", two[] = "{\"match\":\"5032\"}";
	begin(&session, "{\"delimiter\":\"0a\",\"match_size\":2,\"match_offset\":1}", one,
		"{\"send_text\":\":P1?\",\"terminator\":\"0a\"}");
	assert_int_equal(session.request->wire.address.size, 2);
	/* Too short to tell whose it is. */
	assert_int_equal(hear(&session, "?\n")->kind, EB_NOISE);
	assert_int_equal(session.dropped[EB_FOREIGN], 1);
	/* The other one talks in between: a reading of his, and no answer. */
	hear(&session, ":P2 21.5\n:P1 3\n");
	expect_content(&session, EB_UNASKED, ":P2 21.5");
	assert_memory_equal(session.codec.verdict.address.bytes, "P2", 2);
	assert_true(match(&session, two, "{}") > 0);
	hear(&session, ":P1 3\n");
	expect_content(&session, EB_ANSWER, ":P1 3");
	/* Cut off before it says whose it is: it may have been the answer, but not the other's. */
	expect_error(hear(&session, ":"), EB_SHORT);
	assert_int_equal(hear(&session, ":P2 4")->kind, EB_NOISE);
	end(&session);
}

static void test_the_end_of_a_line_is_no_line(void **state)
{
	struct session session;
	open_bus(&session, LINES);
	/* We came in the middle of 123.5. */
	hear(&session, "3.5\n17.0\n");
	expect_content(&session, EB_UNASKED, "17.0");
	assert_int_equal(session.dropped[EB_SHORT], 1);
	eb_plugin.reset(session.codec.state);
	hear(&session, "0\n18.0\n");
	expect_content(&session, EB_UNASKED, "18.0");
	assert_int_equal(session.dropped[EB_SHORT], 2);
	end(&session);
}

static void test_counted_frames_begin_behind_a_pause(void **state)
{
	struct session session;
	open_bus(&session, "{\"length\":4}");
	/* Half a frame and a whole one: they are 6 bytes of which nobody knows where one begins. */
	assert_int_equal(hear(&session, "CDABCD")->kind, EB_NOISE);
	assert_int_equal(session.dropped[EB_SHORT], 1);
	hear(&session, "EFGH");
	expect_content(&session, EB_UNASKED, "EFGH");
	end(&session);
}

/* ---- who answers -------------------------------------------------------------------------------- */

static void test_ask_and_answer(void **state)
{
	struct session session;
	begin(&session, "{\"delimiter\":\"0d0a\"}", "{}",
		"{\"send_text\":\"MEAS:VOLT?\",\"terminator\":\"0d0a\",\"expect_text\":\"+\"}");
	assert_int_equal(codec_encode(&session.codec, &session.sent), 12);
	assert_memory_equal(session.codec.frame, "MEAS:VOLT?\r\n", 12);
	assert_string_equal(session.request->text, "send \"MEAS:VOLT?\"");
	assert_int_equal(session.request->wire.flags, 0);
	hear(&session, "+1.25E+01\r\n");
	expect_content(&session, EB_ANSWER, "+1.25E+01");
	hear(&session, "!\r\n");
	assert_int_equal(session.codec.verdict.kind, EB_UNASKED);
	expect_error(hear(&session, "+1.2"), EB_SHORT);
	end(&session);
}

static void test_flags(void **state)
{
	static const struct {
		const char *request;
		uint32_t flags;
		const char *text;
	} requests[] = {
		{ "{\"send\":\"1b40ff\"}", 0, "send 1b40ff" },
		{ "{\"send\":\"0d\",\"write\":true}", EB_WRITE, "send 0d" },
		{ "{\"send_text\":\"RST\",\"answer\":false,\"write\":true}",
			EB_WRITE | EB_NO_ANSWER, "send \"RST\"" },
		{ "{\"send_text\":\"X\",\"answer\":true,\"write\":false}", 0, "send \"X\"" },
		{ "{}", EB_LISTEN, "listen" },
		{ "{\"expect_text\":\"$GPGGA\"}", EB_LISTEN, "listen for \"$GPGGA\"" },
		{ "{\"send_text\":\"abcdefghijklmnopqrstuvwxyz\"}", 0,
			"send \"abcdefghijklmnopqrstuvwx\"..." },
	};
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		struct session session;
		begin(&session, LINES, "{}", requests[i].request);
		assert_int_equal(session.request->wire.flags, requests[i].flags);
		assert_string_equal(session.request->text, requests[i].text);
		/* What listens has no frame. */
		int size = eb_plugin.encode(
			session.codec.state, &session.sent, session.codec.frame);
		assert_true((requests[i].flags & EB_LISTEN) ? size == -EINVAL : size > 0);
		end(&session);
	}
}

static void test_a_length_in_the_frame(void **state)
{
	struct session session;
	/* AA, the length of what stands between it and the CRC, low byte first. */
	begin(&session,
		"{\"start\":\"aa\",\"length_field\":1,\"length_size\":2,\"length_order\":\"little\","
		"\"length_adjust\":5,\"checksum\":\"crc16-modbus\"}",
		"{}", "{\"send\":\"aa0000\"}");
	hear_hex(&session, "00 ff aa ff ff aa 0300 010203 61 01");
	assert_true(session.dropped[EB_FOREIGN] >= 2);
	expect_error(&session.codec.verdict, EB_CRC);
	/* CRC-16 of AA 03 00 01 02 03, computed bit by bit: see test_known_sums for the kind. */
	OWNED_BUFFER frame = BUFFER_EMPTY;
	hex_parse(&frame, "aa0300010203");
	uint16_t crc = 0xffff;
	for (size_t i = 0; i < 48; i++)
		crc = (uint16_t)((crc >> 1) ^
			(((crc ^ frame.data[i / 8] >> i % 8) & 1) ? 0xa001 : 0));
	buffer_put_byte(&frame, (uint8_t)crc);
	buffer_put_byte(&frame, (uint8_t)(crc >> 8));
	hear_bytes(&session, frame.data, frame.size, 1);
	expect_bytes(&session, EB_ANSWER, "\3\0\1\2\3", 5);
	expect_error(hear_hex(&session, "aa 0300 0102"), EB_SHORT);
	expect_error(hear_hex(&session, "aa 03"), EB_SHORT);
	end(&session);
}

static void test_the_length_counts_what_follows(void **state)
{
	struct session session;
	begin(&session, "{\"length_field\":0}", "{}", "{\"send\":\"01\"}");
	hear_hex(&session, "03 61 62 63");
	expect_bytes(&session, EB_ANSWER, "\3abc", 4);
	end(&session);
}

static void test_silence_ends_a_frame(void **state)
{
	struct session session;
	begin(&session, "{\"silence_ms\":20,\"max_length\":16}", "{}", "{\"send\":\"01\"}");
	assert_int_equal(session.codec.timing.gap_us, 20000);
	hear(&session, "12.5 kg");
	expect_content(&session, EB_ANSWER, "12.5 kg");
	/* Too long: what follows until the silence is no frame either. */
	expect_error(hear(&session, "0123456789abcdef!"), EB_SHORT);
	assert_int_equal(hear(&session, "the rest of it")->kind, EB_NOISE);
	hear(&session, "12.6 kg");
	expect_content(&session, EB_ANSWER, "12.6 kg");
	end(&session);
}

static void test_lines_without_end(void **state)
{
	struct session session;
	begin(&session, "{\"delimiter\":\"0d0a\",\"max_length\":16}", "{}", "{\"send\":\"01\"}");
	expect_error(hear(&session, "0123456789abcdef"), EB_SHORT);
	/* What is left of it is not taken for a line. */
	hear(&session, "and more and more and more\r\n5\r\n");
	expect_content(&session, EB_ANSWER, "5");
	/* The silence ends it as well. */
	expect_error(hear(&session, "0123456789abcdef"), EB_SHORT);
	assert_int_equal(hear(&session, "xyz")->kind, EB_NOISE);
	hear(&session, "6\r\n");
	expect_content(&session, EB_ANSWER, "6");
	expect_error(hear_bytes(&session, "0123456789abcdef\r\n", 18, 18), EB_SHORT);
	end(&session);
}

/* ---- what is refused ---------------------------------------------------------------------------- */

static void test_options_that_are_refused(void **state)
{
	static const char *const refused[][2] = {
		{ "{}", "how does a frame end" },
		{ "{\"start\":\"\",\"delimiter\":\"0a\"}", "start has 0 bytes" },
		{ "{\"delimiter\":\"010203040506070809\"}", "delimiter has 9 bytes" },
		{ "{\"delimiter\":\"0a\",\"length\":4}", "delimiter and length" },
		{ "{\"delimiter\":\"0a\",\"length_size\":2}", "belong to length_field" },
		{ "{\"length_field\":0,\"length_size\":3}", "1, 2 or 4" },
		{ "{\"length_field\":1023,\"length_size\":2}", "at most 1024 bytes" },
		{ "{\"length\":40,\"max_length\":20}", "at most max_length" },
		{ "{\"length\":4,\"checksum_from\":1}", "need checksum" },
		{ "{\"length\":4,\"checksum\":\"crc32\"}", "one of sum8|" },
		{ "{\"length\":2,\"checksum\":\"lrc\",\"checksum_from\":2}", "long enough" },
		{ "{\"delimiter\":\"0d0a\",\"checksum\":\"lrc\",\"checksum_end\":1}",
			"in front of the delimiter" },
		{ "{\"length\":4,\"match_offset\":1}", "needs match_size" },
		{ "{\"length\":4,\"match_offset\":3,\"match_size\":2}", "passes the end" },
	};
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct codec codec;
		assert_int_equal(
			codec_open(&codec, &eb_plugin, &codec_tcp, refused[i][0]), -EINVAL);
		if (!strstr(codec.error, refused[i][1]))
			fail_msg("%s: %s", refused[i][0], codec.error);
		codec_close(&codec);
	}
}

static void expect_refusal(
	struct codec *codec, const char *device, const char *request, const char *why)
{
	assert_null(codec_request(codec, device, request));
	if (!strstr(codec->error, why))
		fail_msg("%s %s: %s", device, request, codec->error);
}

static void test_requests_that_are_refused(void **state)
{
	static const char *const refused[][2] = {
		{ "{\"send\":\"01\",\"send_text\":\"a\"}", "say the same" },
		{ "{\"expect\":\"01\",\"expect_text\":\"a\"}", "say the same" },
		{ "{\"send\":\"\"}", "send is empty" },
		{ "{\"expect\":\"\"}", "1 to 31" },
		{ "{\"expect_text\":\"0123456789012345678901234567890123456789\"}", "1 to 31" },
		{ "{\"send\":\"01\",\"terminator\":\"\"}", "terminator has 0" },
		{ "{\"terminator\":\"0a\"}", "only listens" },
		{ "{\"answer\":false}", "only listens" },
		{ "{\"write\":true}", "only listens" },
		{ "{\"send\":\"01\",\"answer\":false,\"expect\":\"01\"}", "cannot begin" },
	};
	struct codec codec;
	char *long_send = NULL;
	assert_int_equal(codec_open(&codec, &eb_plugin, &codec_tcp, LINES), 0);
	assert_int_equal(codec.timing.gap_us, 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		expect_refusal(&codec, "{}", refused[i][0], refused[i][1]);
	expect_refusal(&codec, "{\"match\":\"01\"}", "{}", "match_size = 1");
	assert_true(asprintf(&long_send, "{\"send_text\":\"%0*d\"}", 4065, 0) > 0);
	expect_refusal(&codec, "{}", long_send, "at most 4064");
	free(long_send);
	codec_close(&codec);
	assert_int_equal(codec_open(&codec, &eb_plugin, &codec_tcp,
				 "{\"delimiter\":\"0a\",\"match_size\":2}"),
		0);
	expect_refusal(&codec, "{}", "{}", "match is missing");
	expect_refusal(&codec, "{\"match\":\"01\"}", "{}", "match has 1 bytes");
	expect_refusal(&codec, "{\"match\":\"0102\",\"match_text\":\"ab\"}", "{}", "say the same");
	codec_close(&codec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_sums),
		cmocka_unit_test(test_sum_covers_its_range),
		cmocka_unit_test(test_sum_behind_the_delimiter),
		cmocka_unit_test(test_sum_that_looks_like_the_delimiter),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_spoilt_sentences),
		cmocka_unit_test(test_contents_as_they_are),
		cmocka_unit_test(test_two_devices_on_one_stream),
		cmocka_unit_test(test_the_end_of_a_line_is_no_line),
		cmocka_unit_test(test_counted_frames_begin_behind_a_pause),
		cmocka_unit_test(test_ask_and_answer),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_a_length_in_the_frame),
		cmocka_unit_test(test_the_length_counts_what_follows),
		cmocka_unit_test(test_silence_ends_a_frame),
		cmocka_unit_test(test_lines_without_end),
		cmocka_unit_test(test_options_that_are_refused),
		cmocka_unit_test(test_requests_that_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
