/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulated cloud does with clients that keep to the protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud-sim-rig.h"
#include "util/buffer.h"

#define POST "thing/measurepoint/post"
#define OK_7 "{\"id\":\"7\",\"code\":200,\"data\":\"\"}"

static void start(struct rig *rig)
{
	rig_start(rig, NULL);
	assert_int_equal(rig_authenticate(rig, 300).code, CODE_CHANGED);
}

static void start_piggyback(struct rig *rig)
{
	struct sim_settings settings;
	rig_settings(&settings);
	settings.piggyback = true;
	rig_start(rig, &settings);
	assert_int_equal(rig_authenticate(rig, 300).code, CODE_CHANGED);
}

static struct stats *stats(struct rig *rig)
{
	return journal_stats(rig->sim->journal);
}

static struct device *device(struct rig *rig)
{
	return devices_named(rig->sim->devices, RIG_DEVICE);
}

static void strike(struct rig *rig, enum fault fault, int64_t count)
{
	rig->sim->faults.rates[fault] = (struct fault_rate){ 1, count };
}

/* The vectors of the protocol's document, made with the openssl command line. */
static void test_vectors(void **state)
{
	static const uint8_t iv[16],
		key[16] = { 0x8d, 0x95, 0x83, 0x18, 0x1a, 0xf8, 0x07, 0x66, 0x55, 0xfe, 0x00, 0x75,
			0x6b, 0xf7, 0x28, 0x59 };
	static const struct {
		bool ecb;
		const char *hex, *text;
	} rows[] = {
		{ false,
			"F0DB7EEAE0FECEB19E79C3B83486DAE4F97BD5107CDAA81EDA538AFA7C69431A0944E79B58BCBD961245FCBA9654ED5E",
			"token4270dccfa5b341b0846434a8sequence1" },
		{ false,
			"F0DB7EEAE0FECEB19E79C3B83486DAE4F97BD5107CDAA81EDA538AFA7C69431A53DC8F90A3AA4696E659FA7F124925B0",
			"token4270dccfa5b341b0846434a8sequence4294967296" },
		{ true, "F0DB7EEAE0FECEB19E79C3B83486DAE427E7CAFA70344870868B072AD3552B0DC2DC34BB8F63E8906B883EFC824588CC",
			"token4270dccfa5b341b0846434a8sequence1" },
		{ false, "B51685F33E4F02CF51C170CE607A5AFC3944412A503083019AEB2B06B8F04C7E",
			"tokenABsequence1" },
	};
	uint8_t made[16];
	char sign[AUTH_SIGN_SIZE + 1], text[SIGNATURE_HEX_MAX];
	signature_key(made, RIG_SECRET);
	assert_memory_equal(made, key, sizeof(key));
	auth_sign(sign, "pk1", "dk1", 300, RIG_SECRET);
	assert_string_equal(
		sign, "37A632FEFDB8584E42D75216032E2A8FB3129376D01C327852A698AC630BD510");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct opener *opener = opener_create(rows[i].ecb, iv);
		ssize_t size = opener_open(opener, made, rows[i].hex, strlen(rows[i].hex), text);
		assert_int_equal(size, strlen(rows[i].text));
		assert_string_equal(text, rows[i].text);
		opener_destroy(opener);
	}
}

/* What comes by resume is history; by post it may set a value back, which is counted. */
static void test_late_reports(void **state)
{
	struct rig rig;
	start(&rig);
	rig_post(&rig, POST,
		"{\"id\":\"1\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.post\","
		"\"params\":{\"measurepoints\":{\"voltage\":5},\"time\":1700000000100}}");
	struct got got = rig_post(&rig, "thing/measurepoint/resume/batch",
		"{\"id\":\"2\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.resume.batch\","
		"\"params\":[{\"measurepoints\":{\"voltage\":1},\"time\":1700000000001},"
		"{\"measurepoints\":{\"voltage\":2},\"time\":1700000000002}]}");
	assert_int_equal(got.code, CODE_CHANGED);
	assert_int_equal(stats(&rig)->late_readings, 2);
	assert_int_equal(stats(&rig)->batches, 1);
	assert_int_equal(stats(&rig)->set_back, 0);
	assert_int_equal(device_find_point(device(&rig), "voltage")->time_ms, 1700000000100);
	assert_int_equal(device_find_point(device(&rig), "voltage")->count, 3);
	rig_post(&rig, POST,
		"{\"id\":\"3\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.post\","
		"\"params\":{\"measurepoints\":{\"voltage\":3},\"time\":1700000000003}}");
	assert_int_equal(stats(&rig)->set_back, 1);
	assert_int_equal(rig_all_violations(&rig), 0);
	rig_stop(&rig);
}

static void test_reports(void **state)
{
	struct rig rig;
	start(&rig);
	struct got got = rig_post(&rig, POST, rig_report());
	assert_int_equal(got.type, PACKET_ACK);
	assert_int_equal(got.code, CODE_CHANGED);
	assert_int_equal(got.message_id, rig.message_id);
	assert_true(got.token_fits);
	assert_string_equal(got.payload, OK_7);
	assert_false(got.has_notice);
	got = rig_post(&rig, "thing/measurepoint/post/batch",
		"{\"id\":\"8\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.post.batch\",\"params\":["
		"{\"measurepoints\":{\"voltage\":1,\"current\":{\"value\":2.5,\"quality\":9}},\"time\":1700000000001},"
		"{\"measurepoints\":{\"voltage\":3},\"time\":1700000000002}]}");
	assert_int_equal(got.code, CODE_CHANGED);
	got = rig_post(&rig, "thing/measurepoint/resume",
		"{\"id\":\"9\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.resume\",\"params\":"
		"{\"measurepoints\":{\"voltage\":3},\"time\":1700000000002}}");
	assert_int_equal(got.code, CODE_CHANGED);
	assert_int_equal(rig_post(&rig, "thing/model/up_raw", "\x01\x02").code, CODE_CHANGED);
	got = rig_post(&rig, "thing/event/hot/post",
		"{\"id\":\"10\",\"version\":\"1.0\",\"method\":\"thing.event.hot.post\",\"params\":"
		"{\"events\":{\"degrees\":90},\"time\":1700000000002}}");
	assert_int_equal(got.code, CODE_CHANGED);
	got = rig_post(&rig, "thing/tag/query",
		"{\"id\":\"11\",\"version\":\"1.0\",\"method\":\"thing.tag.query\",\"params\":{}}");
	assert_string_equal(got.payload, "{\"id\":\"11\",\"code\":200,\"data\":\"\"}");
	assert_int_equal(stats(&rig)->messages, 6);
	assert_int_equal(stats(&rig)->readings, 4);
	assert_int_equal(stats(&rig)->points, 5);
	assert_int_equal(stats(&rig)->late_readings, 1);
	assert_int_equal(stats(&rig)->duplicate_points, 1);
	assert_int_equal(stats(&rig)->signatures, 6);
	assert_int_equal(stats(&rig)->raw + stats(&rig)->events + stats(&rig)->queries, 3);
	assert_int_equal(rig_all_violations(&rig), 0);
	const struct point *point = device_find_point(device(&rig), "current");
	OWNED_BUFFER wanted = BUFFER_EMPTY;
	value_put_real(&wanted, 2.5);
	assert_int_equal(point->quality, 9);
	assert_int_equal(point->value.size, wanted.size);
	assert_memory_equal(point->value.data, wanted.data, wanted.size);
	rig_stop(&rig);
}

static void test_repeated_message(void **state)
{
	struct rig rig;
	start(&rig);
	struct got first = rig_post(&rig, POST, rig_report());
	rig_send_again(&rig);
	struct got second = rig_receive(&rig);
	assert_int_equal(second.size, first.size);
	assert_memory_equal(second.bytes, first.bytes, first.size);
	assert_int_equal(stats(&rig)->readings, 1);
	assert_int_equal(exchanges_counts(rig.sim->exchanges)->repeated, 1);
	assert_int_equal(rig_all_violations(&rig), 0);
	rig_stop(&rig);
}

static void test_tokens(void **state)
{
	struct rig rig;
	start(&rig);
	/* Whatever is exchanged keeps the token alive. */
	for (int i = 0; i < 3; i++) {
		rig_advance(&rig, 299 * 1000);
		assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	}
	rig_advance(&rig, 301 * 1000);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_UNAUTHORIZED);
	assert_int_equal(stats(&rig)->tokens_expired, 1);
	assert_int_equal(rig_authenticate(&rig, 300).code, CODE_CHANGED);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	assert_int_equal(sim_forget_tokens(rig.sim, NULL), 1);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_UNAUTHORIZED);
	assert_int_equal(rig_authenticate(&rig, 300).code, CODE_CHANGED);
	sim_restart(rig.sim);
	assert_int_equal(exchanges_peers(rig.sim->exchanges), 0);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_UNAUTHORIZED);
	assert_int_equal(stats(&rig)->unauthorized, 3);
	assert_int_equal(rig_all_violations(&rig), 0);
	rig_stop(&rig);
}

/* A session from before the simulator was started is no fault of the device. */
static void test_unknown_session(void **state)
{
	struct rig rig;
	rig_start(&rig, NULL);
	strcpy(rig.token, "0123456789abcdef01234567");
	rig.n = 41;
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_UNAUTHORIZED);
	assert_int_equal(rig_all_violations(&rig), 0);
	rig_stop(&rig);
}

static void test_commands_fetched(void **state)
{
	static const char notice[] = "/topic/sys/pk1/dk1/thing/service/measurepoint/set";
	struct rig rig;
	start(&rig);
	struct command *set = commands_queue_params(rig.sim->commands, device(&rig),
		"thing/service/measurepoint/set", "{\"setpoint\":42}");
	struct command *raw = commands_queue(
		rig.sim->commands, device(&rig), "thing/model/down_raw", NULL, "\x01\x02", 2);
	struct got got = rig_post(&rig, POST, rig_report());
	assert_string_equal(got.notice, notice);
	assert_false(got.has_command);
	/* It is announced until it is fetched, in refusals too. */
	assert_string_equal(rig_post(&rig, "thing/model/up_raw", "").notice, notice);
	assert_int_equal(set->state, COMMAND_WAITING);
	got = rig_get(&rig, "thing/service/measurepoint/set");
	assert_int_equal(got.code, CODE_CONTENT);
	assert_string_equal(got.payload,
		"{\"id\":\"1\",\"version\":\"1.0\",\"method\":\"thing.service.measurepoint.set\",\"params\":{\"setpoint\":42}}");
	assert_string_equal(got.notice, "/topic/sys/pk1/dk1/thing/model/down_raw");
	got = rig_get(&rig, "thing/model/down_raw");
	assert_string_equal(got.payload, "\x01\x02");
	assert_false(got.has_notice);
	got = rig_get(&rig, "thing/model/down_raw");
	assert_int_equal(got.code, CODE_CONTENT);
	assert_string_equal(got.payload, "");
	rig_post(&rig, "thing/model/down_raw_reply", "\x03");
	rig_post(&rig, "thing/service/measurepoint/set_reply",
		"{\"id\":\"1\",\"code\":4711,\"data\":{}}");
	assert_int_equal(set->state, COMMAND_DONE);
	assert_int_equal(set->code, 4711);
	assert_int_equal(raw->state, COMMAND_DONE);
	assert_memory_equal(raw->reply.data, "\x03", 1);
	assert_int_equal(stats(&rig)->replies, 2);
	assert_int_equal(rig_all_violations(&rig), 1); /* the empty up_raw */
	rig_stop(&rig);
}

static void test_commands_piggybacked(void **state)
{
	struct rig rig;
	start_piggyback(&rig);
	commands_queue(rig.sim->commands, device(&rig), "thing/model/down_raw", NULL, "abc", 3);
	commands_queue(rig.sim->commands, device(&rig), "thing/model/down_raw", NULL, "def", 3);
	struct got got = rig_post(&rig, POST, rig_report());
	assert_string_equal(got.payload, OK_7);
	assert_string_equal(got.notice, "/topic/sys/pk1/dk1/thing/model/down_raw");
	assert_string_equal(got.command, "abc");
	/* The reply's answer brings the next one. */
	got = rig_post(&rig, "thing/model/down_raw_reply", "x");
	assert_string_equal(got.command, "def");
	got = rig_post(&rig, "thing/model/down_raw_reply", "y");
	assert_false(got.has_notice);
	assert_memory_equal(commands_find(rig.sim->commands, 2)->reply.data, "y", 1);
	/* There is no GET in this dialect. */
	assert_int_equal(rig_get(&rig, "thing/model/down_raw").code, CODE_NOT_ALLOWED);
	assert_int_equal(rig_violations(&rig, VIOLATION_METHOD), 1);
	assert_int_equal(rig_all_violations(&rig), 1);
	rig_stop(&rig);
}

static void test_commands_given_out_again(void **state)
{
	static const char reply[] = "{\"id\":\"1\",\"code\":200,\"data\":{}}";
	struct sim_settings settings;
	struct rig rig;
	rig_settings(&settings);
	settings.bare_topics = true;
	settings.empty_get = CODE_NOT_FOUND;
	settings.command_resends = 1;
	rig_start(&rig, &settings);
	rig_authenticate(&rig, 300);
	struct command *command = commands_queue_params(
		rig.sim->commands, device(&rig), "thing/service/reset", "{}");
	assert_string_equal(
		rig_post(&rig, POST, rig_report()).notice, "/sys/pk1/dk1/thing/service/reset");
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(rig_get(&rig, "thing/service/reset").code, CODE_CONTENT);
		assert_int_equal(rig_get(&rig, "thing/service/reset").code, CODE_NOT_FOUND);
		assert_int_equal(command->deliveries, i);
		rig_advance(&rig, 30 * 1000);
	}
	assert_int_equal(command->state, COMMAND_EXPIRED);
	assert_int_equal(stats(&rig)->commands_resent, 1);
	assert_int_equal(stats(&rig)->commands_expired, 1);
	/* Two replies, since it was given out twice; a third is one too many. */
	assert_int_equal(rig_post(&rig, "thing/service/reset_reply", reply).code, CODE_CHANGED);
	assert_true(command->late);
	assert_int_equal(rig_post(&rig, "thing/service/reset_reply", reply).code, CODE_CHANGED);
	assert_int_equal(stats(&rig)->replies_repeated, 1);
	assert_int_equal(rig_all_violations(&rig), 0);
	assert_int_equal(rig_post(&rig, "thing/service/reset_reply", reply).code, CODE_BAD_REQUEST);
	assert_int_equal(rig_violations(&rig, VIOLATION_REPLY_SECOND), 1);
	rig_stop(&rig);
}

/* Where we lost the answer to a reply, the same reply may come in a new message. */
static void test_reply_after_loss(void **state)
{
	static const char reply[] = "{\"id\":\"1\",\"code\":200,\"data\":{}}";
	struct rig rig;
	start(&rig);
	commands_queue_params(rig.sim->commands, device(&rig), "thing/service/reset", "{}");
	rig_get(&rig, "thing/service/reset");
	strike(&rig, FAULT_LOSE_ANSWER, 1);
	assert_false(rig_post(&rig, "thing/service/reset_reply", reply).any);
	rig_advance(&rig, 2000);
	assert_int_equal(rig_post(&rig, "thing/service/reset_reply", reply).code, CODE_CHANGED);
	assert_int_equal(stats(&rig)->replies, 1);
	assert_int_equal(stats(&rig)->replies_repeated, 1);
	assert_int_equal(rig_all_violations(&rig), 0);
	rig_stop(&rig);
}

static void test_ipv6(void **state)
{
	struct sim_settings settings;
	struct address any;
	struct rig rig;
	rig_settings(&settings);
	assert_int_equal(address_parse(&settings.listen, "[::1]:0"), 0);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	if (fd < 0 || bind(fd, &settings.listen.any, settings.listen.size) < 0)
		skip(); /* a machine without IPv6 */
	close(fd);
	rig_start(&rig, &settings);
	assert_int_equal(rig_authenticate(&rig, 30).code, CODE_CHANGED);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	rig_stop(&rig);
	assert_int_equal(address_parse(&any, ":5683"), 0);
	assert_int_equal(address_port(&any), 5683);
	assert_int_equal(address_parse(&any, "localhost:5683"), -22);
	assert_int_equal(address_parse(&any, "127.0.0.1:65536"), -22);
	assert_int_equal(address_parse(&any, "127.0.0.1"), -22);
}

static void test_ping(void **state)
{
	static const uint8_t ping[] = { 0x40, 0, 0x12, 0x34 };
	struct rig rig;
	rig_start(&rig, NULL);
	rig_send_bytes(&rig, ping, sizeof(ping));
	struct got got = rig_receive(&rig);
	assert_int_equal(got.type, PACKET_RST);
	assert_int_equal(got.message_id, 0x1234);
	/* What is no CoAP is nobody's business. */
	rig_send_bytes(&rig, "\x80hello", 6);
	assert_false(rig_receive(&rig).any);
	assert_int_equal(exchanges_counts(rig.sim->exchanges)->ignored, 1);
	assert_int_equal(rig_all_violations(&rig), 0);
	rig_stop(&rig);
}

/* A program that ended left its port to another one, which cannot know the message ids. */
static void test_port_taken_over(void **state)
{
	struct rig rig;
	start(&rig);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	rig.message_id = 7000;
	rig.next_token = 1000;
	assert_int_equal(rig_authenticate(&rig, 300).code, CODE_CHANGED);
	assert_int_equal(rig_post(&rig, POST, rig_report()).code, CODE_CHANGED);
	assert_int_equal(stats(&rig)->readings, 2);
	assert_int_equal(rig_all_violations(&rig), 0);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_late_reports),
		cmocka_unit_test(test_repeated_message),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_unknown_session),
		cmocka_unit_test(test_commands_fetched),
		cmocka_unit_test(test_commands_piggybacked),
		cmocka_unit_test(test_commands_given_out_again),
		cmocka_unit_test(test_reply_after_loss),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_port_taken_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
