/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of violation is provoked here, alone, and answered as it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cloud-sim-rig.h"
#include "util/buffer.h"

#define POST "thing/measurepoint/post"
#define HEAD "{\"id\":\"1\",\"version\":\"1.0\",\"method\":\"thing."
#define VOLTAGE "\"measurepoints\":{\"voltage\":1}"

static bool provoked[VIOLATION_COUNT];

/* Exactly this violation was recorded, and nothing else. */
static void expect(struct rig *rig, enum violation violation)
{
	if (rig_all_violations(rig) != 1 || rig_violations(rig, violation) != 1) {
		OWNED_BUFFER list = BUFFER_EMPTY;
		journal_print_violations(rig->sim->journal, &list);
		fail_msg("one violation %s wanted, got %s", violation_name(violation),
			buffer_text(&list));
	}
	provoked[violation] = true;
}

static void start(struct rig *rig)
{
	rig_start(rig, NULL);
	assert_int_equal(rig_authenticate(rig, 300).code, CODE_CHANGED);
}

static const struct {
	enum violation violation;
	const char *topic, *payload;
} payloads[] = {
	{ VIOLATION_JSON, POST, "{\"id\":" },
	{ VIOLATION_JSON, POST, "{\"id\":\"1\",\"id\":\"1\"}" },
	{ VIOLATION_SHAPE, POST, "[]" },
	{ VIOLATION_SHAPE, POST, HEAD "measurepoint.post\",\"params\":{}}" },
	{ VIOLATION_SHAPE, POST, HEAD "measurepoint.post\"}" },
	{ VIOLATION_SHAPE, POST, HEAD "measurepoint.post\",\"x\":1,\"params\":{" VOLTAGE "}}" },
	{ VIOLATION_SHAPE, POST, HEAD "measurepoint.post\",\"params\":{" VOLTAGE ",\"x\":1}}" },
	{ VIOLATION_SHAPE, POST, HEAD "measurepoint.post\",\"params\":[{" VOLTAGE "}]}" },
	{ VIOLATION_SHAPE, POST,
		"{\"id\":1,\"version\":\"1.0\",\"method\":\"thing.measurepoint.post\",\"params\":{" VOLTAGE
		"}}" },
	{ VIOLATION_SHAPE, POST,
		"{\"id\":\"1\",\"version\":1.0,\"method\":\"thing.measurepoint.post\",\"params\":{" VOLTAGE
		"}}" },
	{ VIOLATION_METHOD_NAME, POST, HEAD "measurepoint.resume\",\"params\":{" VOLTAGE "}}" },
	{ VIOLATION_TIME, POST,
		HEAD "measurepoint.post\",\"params\":{" VOLTAGE ",\"time\":1700000000}}" },
	{ VIOLATION_TIME, POST,
		HEAD "measurepoint.post\",\"params\":{" VOLTAGE ",\"time\":\"now\"}}" },
	{ VIOLATION_TIME, "thing/measurepoint/post/batch",
		HEAD "measurepoint.post.batch\",\"params\":[{" VOLTAGE
		     ",\"time\":1700000000000},{" VOLTAGE "}]}" },
	{ VIOLATION_QUALITY, POST,
		HEAD
		"measurepoint.post\",\"params\":{\"measurepoints\":{\"a\":{\"value\":1,\"quality\":10}}}}" },
	{ VIOLATION_POINTS, POST, HEAD "measurepoint.post\",\"params\":{\"measurepoints\":{}}}" },
	{ VIOLATION_POINTS, POST,
		HEAD "measurepoint.post\",\"params\":{\"measurepoints\":{\"a\":null}}}" },
	{ VIOLATION_POINTS, POST,
		HEAD
		"measurepoint.post\",\"params\":{\"measurepoints\":{\"a\":{\"quality\":1}}}}" },
	{ VIOLATION_POINTS, POST,
		HEAD
		"measurepoint.post\",\"params\":{\"measurepoints\":{\"a\":{\"value\":1,\"x\":1}}}}" },
	{ VIOLATION_BATCH, "thing/measurepoint/post/batch",
		HEAD "measurepoint.post.batch\",\"params\":{" VOLTAGE "}}" },
	{ VIOLATION_BATCH, "thing/measurepoint/post/batch",
		HEAD "measurepoint.post.batch\",\"params\":[]}" },
	{ VIOLATION_BATCH, "thing/measurepoint/post/batch",
		HEAD "measurepoint.post.batch\",\"params\":[1]}" },
	{ VIOLATION_ATTRIBUTES, "thing/attribute/update",
		HEAD "attribute.update\",\"params\":{\"attributes\":{}}}" },
	{ VIOLATION_SHAPE, "thing/attribute/update",
		HEAD "attribute.update\",\"params\":{\"a\":1}}" },
	{ VIOLATION_SHAPE, "thing/event/hot/post",
		HEAD "event.hot.post\",\"params\":{\"events\":1}}" },
	{ VIOLATION_METHOD_NAME, "thing/event/hot/post",
		HEAD "event.cold.post\",\"params\":{\"events\":{}}}" },
	{ VIOLATION_PAYLOAD_EMPTY, POST, "" },
	{ VIOLATION_PAYLOAD_EMPTY, "thing/model/up_raw", "" },
	{ VIOLATION_REPLY_SHAPE, "thing/service/reset_reply",
		"{\"id\":\"1\",\"code\":\"200\",\"data\":{}}" },
	{ VIOLATION_REPLY_SHAPE, "thing/service/reset_reply", "{\"id\":\"1\",\"code\":200}" },
	{ VIOLATION_REPLY_SHAPE, "thing/service/reset_reply",
		"{\"id\":\"1\",\"code\":200,\"data\":{},\"params\":1}" },
	{ VIOLATION_REPLY_UNKNOWN, "thing/service/reset_reply",
		"{\"id\":\"1\",\"code\":200,\"data\":{}}" },
	{ VIOLATION_REPLY_UNKNOWN, "thing/model/down_raw_reply", "x" },
};

static void test_payloads(void **state)
{
	for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++) {
		struct rig rig;
		start(&rig);
		struct got got = rig_post(&rig, payloads[i].topic, payloads[i].payload);
		if (got.code != CODE_BAD_REQUEST)
			fail_msg("payload %zu was answered %u", i, got.code);
		expect(&rig, payloads[i].violation);
		/* It costs nothing else: the next one is taken. */
		assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
		assert_int_equal(rig_all_violations(&rig), 1);
		rig_stop(&rig);
	}
}

static void test_attributes(void **state)
{
	for (int count = 200; count <= 201; count++) {
		struct sim_settings settings;
		rig_settings(&settings);
		settings.payload_max = 4096;
		OWNED_BUFFER text = BUFFER_EMPTY;
		struct rig rig;
		rig_start(&rig, &settings);
		rig_authenticate(&rig, 300);
		buffer_put_text(&text, HEAD "attribute.update\",\"params\":{\"attributes\":{");
		for (int i = 0; i < count; i++)
			buffer_printf(&text, "%s\"a%d\":%d", i ? "," : "", i, i);
		buffer_put_text(&text, "}}}");
		struct got got = rig_post(&rig, "thing/attribute/update", buffer_text(&text));
		assert_int_equal(got.code, count == 200 ? CODE_CHANGED : CODE_BAD_REQUEST);
		if (count == 201)
			expect(&rig, VIOLATION_ATTRIBUTES);
		rig_stop(&rig);
	}
}

static void test_sizes(void **state)
{
	char payload[1100];
	struct rig rig;
	memset(payload, 'x', sizeof(payload));
	start(&rig);
	payload[1024] = 0;
	assert_int_equal(rig_post(&rig, "thing/model/up_raw", payload).code, CODE_CHANGED);
	assert_int_equal(rig_all_violations(&rig), 0);
	payload[1024] = 'x';
	payload[1025] = 0;
	assert_int_equal(rig_post(&rig, "thing/model/up_raw", payload).code, CODE_BAD_REQUEST);
	expect(&rig, VIOLATION_PAYLOAD_SIZE);
	rig_stop(&rig);
}

static void test_paths_and_methods(void **state)
{
	static const struct {
		enum violation violation;
		uint8_t method, code;
		const char *path, *payload;
	} rows[] = {
		{ VIOLATION_PATH, CODE_GET, CODE_NOT_FOUND, ".well-known/core", "" },
		{ VIOLATION_PATH, CODE_POST, CODE_NOT_FOUND, "topic/sys/pk1", "x" },
		{ VIOLATION_PATH, CODE_POST, CODE_NOT_FOUND, "topic/sys/pk1/dk1/thing/nothing",
			"x" },
		{ VIOLATION_PATH, CODE_POST, CODE_NOT_FOUND, "topic/sys/pk1/dk1/thing/event//post",
			"x" },
		{ VIOLATION_DEVICE, CODE_POST, CODE_FORBIDDEN,
			"topic/sys/pk1/dk2/thing/model/up_raw", "x" },
		{ VIOLATION_DEVICE, CODE_POST, CODE_FORBIDDEN, "auth/pk2/dk1", "{}" },
		{ VIOLATION_METHOD, CODE_GET, CODE_NOT_ALLOWED, "auth/pk1/dk1", "" },
		{ VIOLATION_METHOD, CODE_GET, CODE_NOT_ALLOWED, "topic/sys/pk1/dk1/" POST, "" },
		{ VIOLATION_METHOD, PACKET_CODE(0, 3), CODE_NOT_ALLOWED,
			"topic/sys/pk1/dk1/thing/model/up_raw", "x" },
		{ VIOLATION_METHOD, CODE_POST, CODE_NOT_ALLOWED,
			"topic/sys/pk1/dk1/thing/model/down_raw", "x" },
		{ VIOLATION_PAYLOAD_UNWANTED, CODE_GET, CODE_BAD_REQUEST,
			"topic/sys/pk1/dk1/thing/model/down_raw", "x" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rig rig;
		start(&rig);
		struct got got = rig_exchange(&rig,
			&(struct draft){ .code = rows[i].method,
				.path = rows[i].path,
				.signature = strncmp(rows[i].path, "topic", 5) == 0 ? rig_sign(&rig)
										    : NULL,
				.payload = rows[i].payload,
				.size = strlen(rows[i].payload),
				.message_id = -1,
				.token = -1 });
		if (got.code != rows[i].code)
			fail_msg("row %zu was answered %u", i, got.code);
		expect(&rig, rows[i].violation);
		rig_stop(&rig);
	}
}

static void test_authentication(void **state)
{
	static const struct {
		enum violation violation;
		uint8_t code;
		const char *payload;
	} rows[] = {
		{ VIOLATION_AUTH_PAYLOAD, CODE_BAD_REQUEST, "" },
		{ VIOLATION_AUTH_PAYLOAD, CODE_BAD_REQUEST, "{\"secureMode\":2,\"lifetime\":300}" },
		{ VIOLATION_AUTH_PAYLOAD, CODE_BAD_REQUEST,
			"{\"secureMode\":3,\"lifetime\":300,\"sign\":\"AA\"}" },
		{ VIOLATION_AUTH_PAYLOAD, CODE_BAD_REQUEST,
			"{\"secureMode\":2,\"lifetime\":\"300\",\"sign\":\"AA\"}" },
		{ VIOLATION_AUTH_LIFETIME, CODE_BAD_REQUEST,
			"{\"secureMode\":2,\"lifetime\":29,\"sign\":\"AA\"}" },
		{ VIOLATION_AUTH_LIFETIME, CODE_BAD_REQUEST,
			"{\"secureMode\":2,\"lifetime\":86401,\"sign\":\"AA\"}" },
		{ VIOLATION_AUTH_SIGN, CODE_UNAUTHORIZED,
			"{\"secureMode\":2,\"lifetime\":300,\"sign\":\"37A632FEFDB8584E42D75216032E2A8FB3129376D01C327852A698AC630BD511\"}" },
		{ VIOLATION_AUTH_SIGN, CODE_UNAUTHORIZED,
			"{\"secureMode\":2,\"lifetime\":300,\"sign\":\"37a632fefdb8584e42d75216032e2a8fb3129376d01c327852a698ac630bd510\"}" },
		{ VIOLATION_NONE, CODE_CHANGED,
			"{\"secureMode\":2,\"lifetime\":300,\"sign\":\"37A632FEFDB8584E42D75216032E2A8FB3129376D01C327852A698AC630BD510\"}" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rig rig;
		rig_start(&rig, NULL);
		struct got got = rig_exchange(&rig,
			&(struct draft){ .code = CODE_POST,
				.path = "auth/pk1/dk1",
				.payload = rows[i].payload,
				.size = strlen(rows[i].payload),
				.message_id = -1,
				.token = -1 });
		if (got.code != rows[i].code)
			fail_msg("row %zu was answered %u", i, got.code);
		if (rows[i].violation)
			expect(&rig, rows[i].violation);
		else
			assert_int_equal(rig_all_violations(&rig), 0);
		rig_stop(&rig);
	}
}

/* A report with this for its option 2101. */
static struct got post_signed(struct rig *rig, const char *signature, int signatures)
{
	return rig_exchange(rig,
		&(struct draft){ .code = CODE_POST,
			.path = "topic/sys/pk1/dk1/" POST,
			.signature = signature,
			.signatures = signatures,
			.payload = rig_report(),
			.size = strlen(rig_report()),
			.message_id = -1,
			.token = -1 });
}

static struct got post_text(struct rig *rig, const char *secret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static struct got post_text(struct rig *rig, const char *secret, const char *format, ...)
{
	char text[200], hex[600];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	rig_sign_text(secret, text, hex);
	return post_signed(rig, hex, 1);
}

static struct got no_signature(struct rig *rig)
{
	return post_signed(rig, NULL, 0);
}

static struct got two_signatures(struct rig *rig)
{
	return post_signed(rig, rig_sign(rig), 2);
}

static struct got lower_case(struct rig *rig)
{
	char hex[600];
	snprintf(hex, sizeof(hex), "%s", rig_sign(rig));
	for (char *c = hex; *c; c++)
		*c = *c >= 'A' && *c <= 'F' ? (char)(*c + 32) : *c;
	return post_signed(rig, hex, 1);
}

static struct got part_block(struct rig *rig)
{
	return post_signed(rig, "00112233", 1);
}

static struct got empty_signature(struct rig *rig)
{
	return post_signed(rig, "", 1);
}

static struct got wrong_padding(struct rig *rig)
{
	/* The first block of a signature alone. */
	return post_signed(rig, "F0DB7EEAE0FECEB19E79C3B83486DAE4", 1);
}

static struct got damaged(struct rig *rig)
{
	char hex[600];
	snprintf(hex, sizeof(hex), "%s", rig_sign(rig));
	hex[0] = hex[0] == '0' ? '1' : '0';
	return post_signed(rig, hex, 1);
}

static struct got not_the_text(struct rig *rig)
{
	return post_text(rig, RIG_SECRET, " token%ssequence1", rig->token);
}

static struct got leading_zero(struct rig *rig)
{
	return post_text(rig, RIG_SECRET, "token%ssequence01", rig->token);
}

static struct got unknown_token(struct rig *rig)
{
	return post_text(rig, RIG_SECRET, "token%ssequence1", "feedfeedfeedfeedfeedfeed");
}

static struct got zero_sequence(struct rig *rig)
{
	return post_text(rig, RIG_SECRET, "token%ssequence0", rig->token);
}

static struct got large_sequence(struct rig *rig)
{
	return post_text(rig, RIG_SECRET, "token%ssequence2147483648", rig->token);
}

static struct got not_one(struct rig *rig)
{
	return post_text(rig, RIG_SECRET, "token%ssequence2", rig->token);
}

static struct got same_sequence(struct rig *rig)
{
	assert_int_equal(rig_post(rig, POST, rig_report()).code, CODE_CHANGED);
	return post_text(rig, RIG_SECRET, "token%ssequence1", rig->token);
}

static struct got old_token(struct rig *rig)
{
	char old[64];
	snprintf(old, sizeof(old), "%s", rig->token);
	rig_authenticate(rig, 300);
	/* Before the new one was used an old one is no fault. */
	assert_int_equal(
		post_text(rig, RIG_SECRET, "token%ssequence1", old).code, CODE_UNAUTHORIZED);
	assert_int_equal(rig_all_violations(rig), 0);
	assert_int_equal(rig_post(rig, POST, rig_report()).code, CODE_CHANGED);
	return post_text(rig, RIG_SECRET, "token%ssequence2", old);
}

static void test_signatures(void **state)
{
	static const struct {
		enum violation violation;
		struct got (*provoke)(struct rig *rig);
	} rows[] = {
		{ VIOLATION_SIGNATURE_MISSING, no_signature },
		{ VIOLATION_SIGNATURE_REPEATED, two_signatures },
		{ VIOLATION_SIGNATURE_HEX, lower_case },
		{ VIOLATION_SIGNATURE_HEX, part_block },
		{ VIOLATION_SIGNATURE_HEX, empty_signature },
		{ VIOLATION_SIGNATURE_CIPHER, wrong_padding },
		{ VIOLATION_SIGNATURE_TEXT, damaged },
		{ VIOLATION_SIGNATURE_TEXT, not_the_text },
		{ VIOLATION_SIGNATURE_TEXT, leading_zero },
		{ VIOLATION_SIGNATURE_TOKEN, unknown_token },
		{ VIOLATION_SEQUENCE_RANGE, zero_sequence },
		{ VIOLATION_SEQUENCE_RANGE, large_sequence },
		{ VIOLATION_SEQUENCE_START, not_one },
		{ VIOLATION_SEQUENCE_ORDER, same_sequence },
		{ VIOLATION_OLD_TOKEN, old_token },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rig rig;
		start(&rig);
		uint8_t code = rows[i].provoke(&rig).code;
		assert_int_equal(code,
			rows[i].violation == VIOLATION_SIGNATURE_REPEATED ? CODE_BAD_OPTION
									  : CODE_UNAUTHORIZED);
		expect(&rig, rows[i].violation);
		rig_stop(&rig);
	}
}

/* A device that takes another IV than we do is told so. */
static void test_other_iv(void **state)
{
	struct sim_settings settings;
	struct rig rig;
	rig_settings(&settings);
	settings.signature_iv[3] = 1;
	rig_start(&rig, &settings);
	rig_authenticate(&rig, 300);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_UNAUTHORIZED);
	expect(&rig, VIOLATION_SIGNATURE_TEXT);
	rig_stop(&rig);
}

static void test_unwanted_signature(void **state)
{
	struct sim_settings settings;
	struct rig rig;
	rig_settings(&settings);
	settings.piggyback = true;
	rig_start(&rig, &settings);
	rig_authenticate(&rig, 300);
	assert_int_equal(post_signed(&rig, rig_sign(&rig), 1).code, CODE_CHANGED);
	expect(&rig, VIOLATION_SIGNATURE_UNWANTED);
	rig_stop(&rig);
}

static void test_messages(void **state)
{
	struct rig rig;
	struct draft draft = { .code = CODE_POST,
		.path = "topic/sys/pk1/dk1/thing/model/up_raw",
		.payload = "x",
		.size = 1,
		.message_id = -1,
		.token = -1 };

	start(&rig);
	draft.type = PACKET_NON;
	draft.signature = rig_sign(&rig);
	struct got got = rig_exchange(&rig, &draft);
	assert_int_equal(got.type, PACKET_NON);
	assert_int_equal(got.code, CODE_CHANGED);
	expect(&rig, VIOLATION_CONFIRMABLE);
	rig_stop(&rig);

	start(&rig);
	draft.type = PACKET_CON;
	draft.signature = rig_sign(&rig);
	draft.odd_option = 2053;
	assert_int_equal(rig_exchange(&rig, &draft).code, CODE_BAD_OPTION);
	expect(&rig, VIOLATION_OPTION);
	rig_stop(&rig);

	start(&rig);
	draft.odd_option = 0;
	draft.signature = rig_sign(&rig);
	draft.message_id = 5;
	assert_int_equal(rig_exchange(&rig, &draft).code, CODE_CHANGED);
	draft.signature = rig_sign(&rig);
	assert_int_equal(rig_exchange(&rig, &draft).code, CODE_CHANGED);
	expect(&rig, VIOLATION_MESSAGE_ID);
	/* Once it is forgotten everywhere it may be used again. */
	rig_advance(&rig, 248 * 1000);
	draft.signature = rig_sign(&rig);
	assert_int_equal(rig_exchange(&rig, &draft).code, CODE_CHANGED);
	assert_int_equal(rig_all_violations(&rig), 1);
	rig_stop(&rig);

	start(&rig);
	draft.message_id = -1;
	draft.token = 77;
	draft.signature = rig_sign(&rig);
	assert_int_equal(rig_exchange(&rig, &draft).code, CODE_CHANGED);
	draft.signature = rig_sign(&rig);
	assert_int_equal(rig_exchange(&rig, &draft).code, CODE_CHANGED);
	expect(&rig, VIOLATION_REQUEST_TOKEN);
	rig_stop(&rig);
}

static void test_in_flight(void **state)
{
	struct rig rig;
	start(&rig);
	rig.sim->faults.rates[FAULT_SILENCE] = (struct fault_rate){ 1, 1 };
	assert_false(rig_post(&rig, POST, rig_report()).any);
	rig_advance(&rig, 900);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	expect(&rig, VIOLATION_IN_FLIGHT);
	/* Whoever waited may go on with the next one. */
	rig.sim->faults.rates[FAULT_SILENCE] = (struct fault_rate){ 1, 1 };
	assert_false(rig_post(&rig, POST, rig_report()).any);
	rig_advance(&rig, 1100);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	assert_int_equal(rig_all_violations(&rig), 1);
	rig_stop(&rig);
}

static void test_malformed(void **state)
{
	static const struct {
		uint8_t bytes[12];
		size_t size;
		bool reset;
	} rows[] = {
		{ { 0x49, 2, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8 }, 12, true }, /* token of 9 bytes */
		{ { 0x44, 2, 0, 1, 1, 2 }, 6, true }, /* cut within the token */
		{ { 0x40, 2, 0, 1, 0xb5, 'a' }, 6, true }, /* cut within an option */
		{ { 0x40, 2, 0, 1, 0xf0 }, 5, true }, /* delta 15 */
		{ { 0x40, 2, 0, 1, 0xff }, 5, true }, /* a marker with nothing behind it */
		{ { 0x40, 0, 0, 1, 0xff, 1 }, 6, true }, /* an empty message with contents */
		{ { 0x50, 2, 0, 1, 0xff }, 5, false }, /* NON is not rejected */
		{ { 0x40, 0x45, 0, 1 }, 4, true }, /* a response */
		{ { 0x60, 2, 0, 1 }, 4, false }, /* a request in an ACK */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rig rig;
		rig_start(&rig, NULL);
		rig_send_bytes(&rig, rows[i].bytes, rows[i].size);
		struct got got = rig_receive(&rig);
		assert_int_equal(got.any, rows[i].reset);
		if (got.any) {
			assert_int_equal(got.type, PACKET_RST);
			assert_int_equal(got.message_id, 1);
			assert_int_equal(got.size, 4);
		}
		expect(&rig, VIOLATION_PACKET);
		rig_stop(&rig);
	}
}

static void test_second_reply(void **state)
{
	struct rig rig;
	start(&rig);
	struct device *device = devices_named(rig.sim->devices, RIG_DEVICE);
	struct command *command = commands_queue_params(
		rig.sim->commands, device, "thing/service/reset", "{\"delay\":5}");
	assert_int_equal(rig_get(&rig, "thing/service/reset").code, CODE_CONTENT);
	const char *reply = "{\"id\":\"1\",\"code\":200,\"data\":{}}";
	assert_int_equal(rig_post(&rig, "thing/service/reset_reply", reply).code, CODE_CHANGED);
	assert_int_equal(command->state, COMMAND_DONE);
	assert_int_equal(rig_post(&rig, "thing/service/reset_reply", reply).code, CODE_BAD_REQUEST);
	expect(&rig, VIOLATION_REPLY_SECOND);
	rig_stop(&rig);
}

static void test_identities(void **state)
{
	static const char *const bad[] = { "", "pk1", "pk1,dk1,2", "pk1,dk1,2,300,",
		"pk1,dk1,1,300", "pk1,dk1,2,", "pk1,,2,300", ",dk1,2,300", "pk1,dk2,2,300",
		"pk1,dk1,2x,300" };
	uint8_t key[TUNNEL_KEY_MAX], known[SIGNATURE_KEY_SIZE];
	struct rig rig;
	signature_key(known, RIG_SECRET);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		rig_start(&rig, NULL);
		assert_int_equal(session_key(rig.sim, bad[i], key), 0);
		expect(&rig, VIOLATION_IDENTITY);
		rig_stop(&rig);
	}
	rig_start(&rig, NULL);
	assert_int_equal(session_key(rig.sim, "pk1,dk1,2,300", key), sizeof(known));
	assert_memory_equal(key, known, sizeof(known));
	assert_int_equal(session_key(rig.sim, "pk1,dk1,3,300", key), 0);
	devices_set_product(rig.sim->devices, "pk1", RIG_SECRET);
	assert_int_equal(session_key(rig.sim, "pk1,dk1,3,300", key), sizeof(known));
	assert_int_equal(rig_all_violations(&rig), 0);
	rig_stop(&rig);
}

static void test_all_were_provoked(void **state)
{
	for (int i = 1; i < VIOLATION_COUNT; i++) {
		if (!provoked[i])
			fail_msg(
				"violation %s was not provoked", violation_name((enum violation)i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_paths_and_methods),
		cmocka_unit_test(test_authentication),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_other_iv),
		cmocka_unit_test(test_unwanted_signature),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_second_reply),
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_all_were_provoked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
