/* SPDX-License-Identifier: Apache-2.0 */
/* The template speaks the protocol that its comment describes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plugins/template.c"

#include "tests/codec.h"

struct session {
	struct codec codec;
	struct request *request;
	struct eb_outstanding sent;
};

static void begin(struct session *session, const char *request)
{
	assert_int_equal(codec_open(&session->codec, &eb_plugin, &codec_serial, "{\"gap\":5}"), 0);
	assert_int_equal(session->codec.timing.gap_us, 5000);
	session->request = codec_request(&session->codec, "{\"unit\":7}", request);
	assert_non_null(session->request);
	session->sent = (struct eb_outstanding){ .request = &session->request->wire };
}

static void end(struct session *session)
{
	request_destroy(session->request);
	codec_close(&session->codec);
}

static const struct eb_verdict *hear(struct session *session, const char *text, unsigned *dropped)
{
	return codec_feed(&session->codec, &session->sent, 1, text, strlen(text), 1, dropped);
}

static void test_read(void **state)
{
	struct session session;
	unsigned dropped[EB_ERROR_CLASSES] = { 0 };
	begin(&session, "{\"point\":\"temp\"}");
	assert_string_equal(session.request->text, "unit 7: read temp");
	assert_int_equal(codec_encode(&session.codec, &session.sent), 7);
	assert_memory_equal(session.codec.frame, "7?temp\n", 7);
	const struct eb_verdict *verdict = hear(
		&session, "\n8=temp:3\n7=tempo:3\n7=tem:3\n7=\n=\n7\n7=temp:21.5\n", dropped);
	assert_int_equal(verdict->kind, EB_ANSWER);
	assert_int_equal(verdict->content_size, 4);
	assert_memory_equal(session.codec.content, "21.5", 4);
	assert_int_equal(dropped[EB_FOREIGN], 7);
	end(&session);
}

static void test_write(void **state)
{
	struct session session;
	begin(&session, "{\"point\":\"temp\",\"value\":\"18\"}");
	assert_int_equal(session.request->wire.flags, EB_WRITE);
	assert_int_equal(codec_encode(&session.codec, &session.sent), 10);
	assert_memory_equal(session.codec.frame, "7<temp:18\n", 10);
	assert_int_equal(hear(&session, "7=temp:18\n", NULL)->kind, EB_ANSWER);
	end(&session);
}

static void test_errors(void **state)
{
	struct session session;
	begin(&session, "{\"point\":\"temp\"}");
	const struct eb_verdict *verdict = hear(&session, "7!temp:3\n", NULL);
	assert_int_equal(verdict->kind, EB_ERROR);
	assert_int_equal(verdict->error, EB_EXCEPTION);
	assert_int_equal(verdict->code, 3);
	assert_int_equal(hear(&session, "7=te", NULL)->error, EB_SHORT);
	assert_int_equal(
		hear(&session, "7=temp:0123456789012345678901234567890123456789\n", NULL)->error,
		EB_SHORT);
	char endless[200];
	memset(endless, 'x', sizeof(endless));
	endless[sizeof(endless) - 1] = 0;
	assert_int_equal(hear(&session, endless, NULL)->error, EB_SHORT);
	end(&session);
}

static void test_refusals(void **state)
{
	struct codec codec;
	assert_int_equal(codec_open(&codec, &eb_plugin, &codec_tcp, "{}"), 0);
	assert_int_equal(codec.timing.gap_us, 20000);
	assert_null(codec_request(&codec, "{\"unit\":0}", "{\"point\":\"temp\"}"));
	assert_null(codec_request(&codec, "{\"unit\":7}", "{}"));
	assert_null(codec_request(&codec, "{\"unit\":7}", "{\"point\":\"two words\"}"));
	assert_non_null(strstr(codec.error, "1 to 16 letters"));
	assert_null(codec_request(&codec, "{\"unit\":7}", "{\"point\":\"t\",\"value\":\"a\\nb\"}"));
	codec_close(&codec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
