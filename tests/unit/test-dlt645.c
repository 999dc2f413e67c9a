/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dlt645 plugin through its table of functions.  The frames that are written out whole were published
 * as taken from meters; the others are put together here, by other code than the plugin's.
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

#define METER "{\"address\":\"652022122003\"}"
#define READ_TOTAL "{\"read\":\"00000000\"}"
#define WHOLE "68 03 20 12 22 20 65 68 91 08 33 33 33 33 33 33 33 33 DD 16"

struct session {
	struct codec codec;
	struct request *request;
	struct eb_outstanding sent;
	struct buffer so_far;
	unsigned dropped[EB_ERROR_CLASSES];
};

static void begin(struct session *session, const char *device, const char *request)
{
	memset(session, 0, sizeof(*session));
	assert_int_equal(codec_open(&session->codec, &eb_plugin, &codec_serial, "{}"), 0);
	session->request = codec_request(&session->codec, device, request);
	if (!session->request)
		fail_msg("%s: %s", request, session->codec.error);
	session->sent = (struct eb_outstanding){ .request = &session->request->wire };
}

static void end(struct session *session)
{
	buffer_finish(&session->so_far);
	request_destroy(session->request);
	codec_close(&session->codec);
}

/* A meter's frame: its address as on the wire, control code, and data without the 33H. */
static void put_frame(struct buffer *to, const char *address, unsigned control, const char *data)
{
	OWNED_BUFFER frame = BUFFER_EMPTY, body = BUFFER_EMPTY;
	uint8_t sum = 0;
	assert_int_equal(hex_parse(&body, data), 0);
	buffer_put_byte(&frame, 0x68);
	assert_int_equal(hex_parse(&frame, address), 0);
	buffer_put_byte(&frame, 0x68);
	buffer_put_byte(&frame, (uint8_t)control);
	buffer_put_byte(&frame, (uint8_t)body.size);
	for (size_t i = 0; i < body.size; i++)
		buffer_put_byte(&frame, (uint8_t)(body.data[i] + 0x33));
	for (size_t i = 0; i < frame.size; i++)
		sum = (uint8_t)(sum + frame.data[i]);
	buffer_put_byte(&frame, sum);
	buffer_put_byte(&frame, 0x16);
	buffer_put(to, frame.data, frame.size);
}

static const struct eb_verdict *hear(
	struct session *session, const struct buffer *bytes, bool asked)
{
	memset(session->dropped, 0, sizeof(session->dropped));
	return codec_feed(&session->codec, &session->sent, asked, bytes->data, bytes->size, 1,
		session->dropped);
}

static const struct eb_verdict *hear_hex(struct session *session, const char *hex)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	assert_int_equal(hex_parse(&bytes, hex), 0);
	return hear(session, &bytes, true);
}

/* The meter of METER says this. */
static const struct eb_verdict *hear_meter(
	struct session *session, unsigned control, const char *data)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	put_frame(&bytes, "032012222065", control, data);
	return hear(session, &bytes, true);
}

static void expect_hex(const void *bytes, size_t size, const char *hex)
{
	OWNED_BUFFER expected = BUFFER_EMPTY;
	assert_int_equal(hex_parse(&expected, hex), 0);
	assert_int_equal(size, expected.size);
	if (size)
		assert_memory_equal(bytes, expected.data, size);
}

static void expect_content(const struct session *session, const char *hex)
{
	assert_int_equal(session->codec.verdict.kind, EB_ANSWER);
	expect_hex(session->codec.content, session->codec.verdict.content_size, hex);
}

static void expect_error(const struct eb_verdict *verdict, uint32_t error)
{
	assert_int_equal(verdict->kind, EB_ERROR);
	assert_int_equal(verdict->error, error);
}

static void expect_sent(struct session *session, const char *hex)
{
	size_t size = codec_encode(&session->codec, &session->sent);
	expect_hex(session->codec.frame, size, hex);
}

/* ---- reading ------------------------------------------------------------------------------------ */

static void test_published_frames(void **state)
{
	struct session session;
	begin(&session, METER, READ_TOTAL);
	assert_string_equal(session.request->text, "meter 652022122003: read 00000000");
	assert_int_equal(session.request->wire.flags, 0);
	expect_sent(&session, "FE FE FE FE 68 03 20 12 22 20 65 68 11 04 33 33 33 33 8D 16");
	hear_hex(&session, WHOLE);
	expect_content(&session, "00000000");
	end(&session);
	begin(&session, "{\"address\":\"652022122018\"}", "{\"read\":33685248}");
	expect_sent(&session, "FE FE FE FE 68 18 20 12 22 20 65 68 11 04 33 32 34 35 A4 16");
	hear_hex(&session,
		"FE FE FE FE 68 18 20 12 22 20 65 68 91 0A 33 32 34 35 33 33 33 33 C7 56 13 16");
	/* Voltages of three phases, 0.1 V, BCD. */
	expect_content(&session, "000000009423");
	assert_int_equal(session.dropped[EB_FOREIGN], 0);
	end(&session);
}

static void test_wake_up_bytes(void **state)
{
	struct codec codec;
	assert_int_equal(codec_open(&codec, &eb_plugin, &codec_serial, "{\"wake_up\":0}"), 0);
	assert_int_equal(codec.timing.gap_us, 20000);
	struct request *request = codec_request(&codec, METER, READ_TOTAL);
	assert_non_null(request);
	struct eb_outstanding sent = { .request = &request->wire };
	assert_int_equal(codec_encode(&codec, &sent), 16);
	assert_int_equal(codec.frame[0], 0x68);
	request_destroy(request);
	codec_close(&codec);
	assert_int_equal(
		codec_open(&codec, &eb_plugin, &codec_serial, "{\"wake_up\":17}"), -EINVAL);
	codec_close(&codec);
}

static void test_read_with_parameters(void **state)
{
	struct session session;
	begin(&session, METER, "{\"read\":\"06000001\",\"parameters\":\"03\"}");
	expect_sent(&session, "FE FE FE FE 68 03 20 12 22 20 65 68 11 05 34 33 33 39 36 CB 16");
	end(&session);
}

/* What the host does with a verdict of more to come. */
static void go_on(struct session *session)
{
	const struct eb_verdict *verdict = &session->codec.verdict;
	assert_int_equal(verdict->kind, EB_CONTINUE);
	buffer_put(&session->so_far, session->codec.content, verdict->content_size);
	session->sent.step++;
	session->sent.so_far = session->so_far.data;
	session->sent.so_far_size = session->so_far.size;
}

static void test_read_on(void **state)
{
	struct session session;
	begin(&session, METER, "{\"read\":\"0001FF00\"}");
	hear_meter(&session, 0xb1, "00ff0100 0102030405");
	expect_hex(session.codec.frame, session.codec.verdict.frame_size,
		"FE FE FE FE 68 03 20 12 22 20 65 68 12 05 33 32 34 33 34 C3 16");
	go_on(&session);
	/* The first answer again, and one with another number, belong to nothing any more. */
	assert_int_equal(hear_meter(&session, 0xb1, "00ff0100 0102030405")->kind, EB_NOISE);
	assert_int_equal(hear_meter(&session, 0xb2, "00ff0100 0607 02")->kind, EB_NOISE);
	assert_int_equal(session.dropped[EB_FOREIGN], 1);
	hear_meter(&session, 0xb2, "00ff0100 0607 01");
	expect_hex(session.codec.content, session.codec.verdict.content_size, "0607");
	assert_int_equal(session.codec.frame[18], 2 + 0x33);
	go_on(&session);
	hear_meter(&session, 0x92, "00ff0100 08 02");
	expect_content(&session, "08");
	expect_hex(session.so_far.data, session.so_far.size, "01020304050607");
	expect_error(hear_meter(&session, 0xd2, "02"), EB_EXCEPTION);
	expect_error(hear_meter(&session, 0x92, "00ff0100"), EB_SHORT);
	end(&session);
}

static void test_more_than_an_answer_holds(void **state)
{
	struct session session;
	uint8_t so_far[EB_ANSWER_MAX] = { 0 };
	begin(&session, METER, READ_TOTAL);
	session.sent.step = 2;
	session.sent.so_far = so_far;
	session.sent.so_far_size = EB_ANSWER_MAX - 1;
	expect_error(hear_meter(&session, 0x92, "00000000 0102 02"), EB_SHORT);
	hear_meter(&session, 0x92, "00000000 01 02");
	expect_content(&session, "01");
	end(&session);
}

static void test_any_meter(void **state)
{
	struct session session;
	begin(&session, "{\"address\":\"AAAAAAAAAAAA\"}", "{\"read_address\":true}");
	assert_string_equal(session.request->text, "meter AAAAAAAAAAAA: read its address");
	expect_sent(&session, "FE FE FE FE 68 AA AA AA AA AA AA 68 13 00 DF 16");
	hear_meter(&session, 0x93, "032012222065");
	expect_content(&session, "032012222065");
	expect_error(hear_meter(&session, 0x93, "042012222065"), EB_SHORT);
	expect_error(hear_meter(&session, 0x93, "0320122220"), EB_SHORT);
	end(&session);
	/* The first digits are any. */
	begin(&session, "{\"address\":\"aaaaaa122003\"}", READ_TOTAL);
	hear_hex(&session, WHOLE);
	expect_content(&session, "00000000");
	OWNED_BUFFER other = BUFFER_EMPTY;
	put_frame(&other, "042012222065", 0x91, "00000000 01");
	assert_int_equal(hear(&session, &other, true)->kind, EB_NOISE);
	end(&session);
}

/* ---- writing ------------------------------------------------------------------------------------ */

static void test_write(void **state)
{
	struct session session;
	begin(&session, METER,
		"{\"write\":\"04000C01\",\"bytes\":\"0a\",\"password\":\"02010203\","
		"\"operator\":\"11121314\"}");
	assert_int_equal(session.request->wire.flags, EB_WRITE);
	/* Neither what is written nor the password is in any log. */
	assert_string_equal(session.request->text, "meter 652022122003: write 04000c01");
	expect_sent(&session,
		"FE FE FE FE 68 03 20 12 22 20 65 68 14 0D 34 3F 33 37 35 34 35 36 44 45 46 47 3D "
		"D1 16");
	hear_meter(&session, 0x94, "");
	expect_content(&session, "");
	expect_error(hear_meter(&session, 0x94, "00"), EB_SHORT);
	const struct eb_verdict *verdict = hear_meter(&session, 0xd4, "04");
	expect_error(verdict, EB_EXCEPTION);
	assert_int_equal(verdict->code, 4);
	end(&session);
	/* Without an operator it is nobody. */
	begin(&session, METER,
		"{\"write\":\"04000C01\",\"bytes\":\"0a\",\"password\":\"02010203\"}");
	expect_sent(&session,
		"FE FE FE FE 68 03 20 12 22 20 65 68 14 0D 34 3F 33 37 35 34 35 36 33 33 33 33 3D "
		"87 16");
	end(&session);
}

static void test_set_clocks(void **state)
{
	struct session session;
	begin(&session, METER, "{\"set_clocks\":\"261120175609\"}");
	assert_int_equal(session.request->wire.flags, EB_WRITE | EB_NO_ANSWER);
	assert_string_equal(
		session.request->text, "all meters: set the clock to 26-11-20 17:56:09");
	expect_sent(&session, "FE FE FE FE 68 99 99 99 99 99 99 68 08 06 3C 89 4A 53 44 59 73 16");
	end(&session);
}

/* ---- what is no answer -------------------------------------------------------------------------- */

static void test_refusals_of_the_meter(void **state)
{
	struct session session;
	begin(&session, METER, READ_TOTAL);
	const struct eb_verdict *verdict = hear_meter(&session, 0xd1, "02");
	expect_error(verdict, EB_EXCEPTION);
	assert_int_equal(verdict->code, 2);
	expect_error(hear_meter(&session, 0xd1, ""), EB_SHORT);
	expect_error(hear_meter(&session, 0x91, "000000"), EB_SHORT);
	end(&session);
}

static void test_frames_of_others(void **state)
{
	struct session session;
	begin(&session, METER, READ_TOTAL);
	OWNED_BUFFER line = BUFFER_EMPTY;
	put_frame(&line, "042012222065", 0x91, "00000000 01020304"); /* another meter */
	put_frame(&line, "032012222065", 0x11, "00000000"); /* another master */
	put_frame(&line, "032012222065", 0x93, "032012222065"); /* not what was asked */
	put_frame(&line, "032012222065", 0x91, "00000100 01020304"); /* another data id */
	assert_int_equal(hear(&session, &line, true)->kind, EB_NOISE);
	assert_int_equal(session.dropped[EB_FOREIGN], 4);
	put_frame(&line, "032012222065", 0x91, "00000000 05060708");
	hear(&session, &line, true);
	expect_content(&session, "05060708");
	/* Nobody asked. */
	assert_int_equal(hear(&session, &line, false)->kind, EB_NOISE);
	assert_int_equal(session.dropped[EB_FOREIGN], 5);
	end(&session);
}

static void test_noise(void **state)
{
	static const char *const fronts[] = { "00", "FE 00 68", "68", "68 68", "16 FE FE",
		"68 00 00 00 00 00 00 67", "68 03 20 12 22 20 65 68 91 C9",
		"68 99 20 12 22 20 65 68 91 C8 00 00",
		"FE FE FE FE FE FE FE FE FE FE FE FE FE FE FE FE FE FE" };
	for (size_t i = 0; i < sizeof(fronts) / sizeof(*fronts); i++) {
		struct session session;
		char line[200];
		begin(&session, METER, READ_TOTAL);
		snprintf(line, sizeof(line), "%s %s", fronts[i], WHOLE);
		hear_hex(&session, line);
		expect_content(&session, "00000000");
		assert_true(session.dropped[EB_FOREIGN] > 0);
		end(&session);
	}
}

static void test_spoilt_frames(void **state)
{
	struct session session;
	begin(&session, METER, READ_TOTAL);
	expect_error(
		hear_hex(&session, "68 03 20 12 22 20 65 68 91 08 33 33 33 33 33 33 33 34 DD 16"),
		EB_CRC);
	expect_error(
		hear_hex(&session, "68 03 20 12 22 20 65 68 91 08 33 33 33 33 33 33 33 33 DD 17"),
		EB_CRC);
	/* Its address may be what was spoilt: it ends nothing. */
	assert_int_equal(
		hear_hex(&session, "68 04 20 12 22 20 65 68 91 08 33 33 33 33 33 33 33 33 DD 16")
			->kind,
		EB_NOISE);
	assert_int_equal(session.dropped[EB_CRC], 1);
	expect_error(hear_hex(&session, "FE FE 68 03 20 12 22 20 65 68 91 08 33"), EB_SHORT);
	expect_error(hear_hex(&session, "FE FE"), EB_SHORT);
	assert_int_equal(hear_hex(&session, "68 04 20 12")->error, EB_SHORT);
	assert_int_equal(session.codec.verdict.kind, EB_NOISE);
	/* A good frame begins inside of a spoilt one. */
	hear_hex(&session, "68 99 20 12 22 20 65 68 91 06 33 33 " WHOLE);
	expect_content(&session, "00000000");
	end(&session);
}

/* ---- what is refused ---------------------------------------------------------------------------- */

static void test_settings_that_are_refused(void **state)
{
	static const char *const refused[][3] = {
		{ "{\"address\":\"12345678901\"}", "{}", "12 digits" },
		{ "{\"address\":\"12345678901x\"}", "{}", "12 digits" },
		{ "{\"address\":\"1234567890AA\"}", "{}", "12 digits" },
		{ "{\"address\":\"999999999999\"}", "{}", "set_clocks" },
		{ METER, "{}", "one of read, write" },
		{ METER, "{\"read\":\"00000000\",\"read_address\":true}", "two requests" },
		{ METER, "{\"read\":\"00000000\",\"bytes\":\"01\"}",
			"bytes does not belong to read" },
		{ METER, "{\"read_address\":true,\"parameters\":\"01\"}", "does not belong" },
		{ METER, "{\"read\":\"0000000\"}", "8 hexadecimal digits" },
		{ METER, "{\"read\":\"0000000g\"}", "8 hexadecimal digits" },
		{ METER, "{\"read\":4294967296}", "0 to 4294967295" },
		{ METER, "{\"read_address\":false}", "leave it out" },
		{ METER, "{\"write\":\"00000000\",\"password\":\"00000000\"}", "needs bytes" },
		{ METER, "{\"write\":\"00000000\",\"bytes\":\"01\"}", "password is missing" },
		{ METER, "{\"write\":\"00000000\",\"bytes\":\"01\",\"password\":\"01\"}",
			"another length" },
		{ METER, "{\"set_clocks\":\"261320175609\"}", "YYMMDDhhmmss" },
		{ METER, "{\"set_clocks\":\"2611201756\"}", "YYMMDDhhmmss" },
	};
	struct codec codec;
	assert_int_equal(codec_open(&codec, &eb_plugin, &codec_tcp, "{}"), 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		assert_null(codec_request(&codec, refused[i][0], refused[i][1]));
		if (!strstr(codec.error, refused[i][2]))
			fail_msg("%s %s: %s", refused[i][0], refused[i][1], codec.error);
	}
	codec_close(&codec);
}

static void test_requests_that_are_too_long(void **state)
{
	struct codec codec;
	char *text = NULL;
	assert_int_equal(codec_open(&codec, &eb_plugin, &codec_tcp, "{}"), 0);
	assert_true(asprintf(&text,
			    "{\"write\":\"00000000\",\"password\":\"00000000\",\"bytes\":\"%0*d\"}",
			    2 * 39, 0) > 0);
	assert_null(codec_request(&codec, METER, text));
	assert_non_null(strstr(codec.error, "at most 38"));
	free(text);
	assert_true(
		asprintf(&text, "{\"read\":\"00000000\",\"parameters\":\"%0*d\"}", 2 * 197, 0) > 0);
	assert_null(codec_request(&codec, METER, text));
	assert_non_null(strstr(codec.error, "at most 196"));
	free(text);
	codec_close(&codec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_frames),
		cmocka_unit_test(test_wake_up_bytes),
		cmocka_unit_test(test_read_with_parameters),
		cmocka_unit_test(test_read_on),
		cmocka_unit_test(test_more_than_an_answer_holds),
		cmocka_unit_test(test_any_meter),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_set_clocks),
		cmocka_unit_test(test_refusals_of_the_meter),
		cmocka_unit_test(test_frames_of_others),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_spoilt_frames),
		cmocka_unit_test(test_settings_that_are_refused),
		cmocka_unit_test(test_requests_that_are_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
