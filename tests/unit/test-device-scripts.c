/* SPDX-License-Identifier: Apache-2.0 */
/* The scripts that are shipped, with bytes and values from the documents that they name. */
#include "script-fixture.h"

#include "util/hex.h"

static void start(struct fixture *fixture, const char *file, const char *parameters)
{
	*fixture = (struct fixture){ 0 };
	const char *top = getenv("srcdir");
	char *path OWNED = must_printf("%s/scripts/%s", top ? top : ".", file);
	if (script_load(&fixture->script, path, &usual_limits, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	fixture_device(fixture, parameters);
}

static void check_polls(struct fixture *fixture, const char *expected)
{
	struct buffer polls = BUFFER_EMPTY;
	if (script_polls(fixture->device, &polls, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	assert_string_equal(fixture_json(fixture, polls.data, polls.size), expected);
	buffer_finish(&polls);
}

/* What comes out of the hexadecimal bytes of a poll: the report, or NULL for none. */
static void check_decode(
	struct fixture *fixture, const char *poll, const char *hex, const char *report)
{
	struct buffer bytes = BUFFER_EMPTY;
	assert_int_equal(hex_parse(&bytes, hex), 0);
	free(fixture->plan->polls[0].request->name);
	fixture->plan->polls[0].request->name = must_strdup(poll);
	if (fixture_decode(fixture, bytes.data, bytes.size) < 0)
		fail_msg("%s", fixture->error.text);
	assert_int_equal(fixture->reports.count, report ? 1 : 0);
	if (report)
		assert_string_equal(fixture_report(fixture, 0), report);
	buffer_finish(&bytes);
}

static struct command *make_command(bool raw, const void *payload, size_t size)
{
	struct command *command;
	char error[100] = "";
	const char *topic = raw ? "thing/model/down_raw" : "thing/service/x";
	if (command_create(&command, 7, ORIGIN_CLOUD, topic, payload, size, error, sizeof(error)) <
		0)
		fail_msg("%s", error);
	return command;
}

/* Gives the command, a JSON text, and gets the requests with their bytes in hexadecimal digits. */
static void check_encode(struct fixture *fixture, const char *json, const char *requests)
{
	struct command *command = make_command(false, json, strlen(json));
	struct buffer list = BUFFER_EMPTY, text = BUFFER_EMPTY;
	int answer = script_encode(fixture->device, command, NULL, 0, &list, &fixture->error);
	if (answer != ENCODE_REQUESTS) {
		assert_int_equal(answer, ENCODE_REFUSED);
		buffer_put_text(&text, fixture->error.text);
	}
	struct value_reader reader = value_reader(list.data, list.size);
	struct value value;
	while (value_next(&reader, &value)) {
		if (value.type == VALUE_STRING && strcmp(value.text, "bytes") == 0 &&
			value_next(&reader, &value))
			hex_put(&text, value.text, value.size);
		else if (value.type == VALUE_STRING)
			buffer_printf(&text, "%s ", value.text);
		else if (value.type == VALUE_INTEGER)
			buffer_printf(&text, "%lld ", (long long)value.integer);
	}
	assert_string_equal(buffer_text(&text), requests);
	buffer_finish(&text);
	buffer_finish(&list);
	command_destroy(command);
}

static void check_reply(struct fixture *fixture, struct command *command, struct outcome *outcome,
	const char *answer, int code, const char *data)
{
	struct script_reply reply;
	const struct outcome *results[] = { outcome };
	struct buffer bytes = BUFFER_EMPTY;
	if (answer) {
		struct step_outcome *last = &outcome->steps[outcome->count - 1];
		assert_int_equal(hex_parse(&bytes, answer), 0);
		buffer_put(&last->bytes, bytes.data, bytes.size);
	}
	if (script_reply(fixture->device, command, results, 1, &reply, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	assert_int_equal(reply.given, data != NULL);
	if (data && reply.raw) {
		buffer_clear(&bytes);
		hex_put(&bytes, reply.data.data, reply.data.size);
		assert_string_equal(buffer_text(&bytes), data);
	} else if (data) {
		assert_string_equal(fixture_json(fixture, reply.data.data, reply.data.size), data);
		assert_int_equal(reply.code, code);
	}
	buffer_finish(&reply.data);
	buffer_finish(&bytes);
	command_destroy(command);
	message_destroy(&outcome->mail);
}

static struct outcome *make_outcome(size_t count, enum outcome_status status)
{
	struct outcome *outcome = outcome_create(7, 1, count);
	for (size_t i = 0; i < count; i++)
		outcome->steps[i].status = status;
	return outcome;
}

static void test_eastron_sdm630(void **state)
{
	struct fixture fixture;
	start(&fixture, "eastron-sdm630.lua", NULL);
	check_polls(&fixture,
		"[{\"address\":0,\"count\":18,\"name\":\"live\",\"period\":5,"
		"\"read\":\"input_registers\"},"
		"{\"address\":52,\"count\":2,\"name\":\"power\",\"period\":5,"
		"\"read\":\"input_registers\"},"
		"{\"address\":70,\"count\":6,\"name\":\"energy\",\"period\":60,"
		"\"read\":\"input_registers\"}]");
	/* IEEE 754: 230.1, 229.8, 231.25; 10.5, 0, -0.25; 2416.05, 0, -57.8 */
	check_decode(&fixture, "live",
		"4366199a 4365cccd 43674000 41280000 00000000 be800000 451700cd 00000000 c2673333",
		"points {\"current_l1\":10.5,\"current_l2\":0.0,\"current_l3\":-0.25,"
		"\"power_l1\":2416.05,\"power_l2\":0.0,\"power_l3\":-57.8,"
		"\"voltage_l1\":230.1,\"voltage_l2\":229.8,\"voltage_l3\":231.25}");
	check_decode(&fixture, "power", "c3fa2000", "points {\"power\":-500.25}");
	/* 49.98, 1234.5, 0.007 */
	check_decode(&fixture, "energy", "4247eb85 449a5000 3be56042",
		"points {\"energy_export\":0.007,\"energy_import\":1234.5,\"frequency\":49.98}");
	fixture.plan->polls[0].request->name[0] = 'E';
	assert_int_equal(fixture_decode(&fixture, "", 0), -EINVAL);
	fixture_finish(&fixture);
	start(&fixture, "eastron-sdm630.lua", "{\"period\":1,\"energy_period\":900}");
	struct buffer polls = BUFFER_EMPTY;
	assert_int_equal(script_polls(fixture.device, &polls, &fixture.error), 0);
	assert_non_null(strstr(fixture_json(&fixture, polls.data, polls.size), "\"period\":900"));
	buffer_finish(&polls);
	check_decode(&fixture, "power", "00000000", "points {\"power\":0.0}");
	/* Cut off: the error says which register of which poll. */
	assert_int_equal(fixture_decode(&fixture, "\0\0", 2), -EINVAL);
	fixture_expect(&fixture,
		"f32 needs register 52 and 1 behind it; there are 52 to 52 in poll "
		"'power'");
	fixture_finish(&fixture);
}

static void test_raw(void **state)
{
	struct fixture fixture;
	start(&fixture, "raw.lua", NULL);
	check_polls(&fixture, "[]");
	check_decode(&fixture, "any", "4142", "raw AB");
	check_encode(&fixture, "{\"id\":\"1\"}", "this device takes only raw bytes");
	struct buffer list = BUFFER_EMPTY;
	struct command *command = make_command(true,
		"\x01\x02"
		"abcd",
		6);
	assert_int_equal(script_encode(fixture.device, command, NULL, 0, &list, &fixture.error),
		ENCODE_REQUESTS);
	assert_string_equal(fixture_json(&fixture, list.data, list.size),
		"[{\"address\":258,\"bytes\":\"abcd\",\"write\":\"holding_registers\"}]");
	command_destroy(command);
	buffer_clear(&list);
	command = make_command(true,
		"\x01\x02"
		"a",
		3);
	assert_int_equal(script_encode(fixture.device, command, NULL, 0, &list, &fixture.error),
		ENCODE_REFUSED);
	command_destroy(command);
	buffer_finish(&list);
	static const struct {
		enum outcome_status status;
		const char *bytes;
	} replies[] = {
		{ OUTCOME_DONE, "00" },
		{ OUTCOME_EXCEPTION, "0102" },
		{ OUTCOME_TIMEOUT, "02" },
		{ OUTCOME_ECHO, "02" },
		{ OUTCOME_EXPIRED, "03" },
		{ OUTCOME_LINK, "03" },
		{ OUTCOME_BUSY, "03" },
	};
	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
		struct outcome *outcome = make_outcome(1, replies[i].status);
		outcome->steps[0].code = 2;
		check_reply(
			&fixture, make_command(true, "x", 1), outcome, NULL, 200, replies[i].bytes);
	}
	fixture_finish(&fixture);
}

#define SET_JSON                                                                            \
	"{\"id\":\"20\",\"method\":\"thing.service.measurepoint.set\",\"version\":\"1.0\"," \
	"\"params\":{\"mp_int\":9717,\"mp_string\":\"abcdefghij\",\"mp_double\":1.14,"      \
	"\"mp_array\":[1,3,5,7,9],\"mp_int_quality\":{\"value\":423,\"quality\":3}}}"
#define SERVICE_JSON                                                                  \
	"{\"method\":\"thing.service.service1\",\"id\":\"1234\",\"version\":\"1.0\"," \
	"\"params\":{\"input_int\":12}}"

/* The bytes and texts are those of the EnOS documentation. */
static void test_enos_example(void **state)
{
	static const char post[] =
		"0100000014010004000025f502000a6162636465666768696a0300083ff23d70a3d70a3d04001400"
		"00000100000003000000050000000700000009050005000001a703";
	static const char points[] =
		"points {\"mp_array\":[1,3,5,7,9],\"mp_double\":1.14,\"mp_int\":9717,"
		"\"mp_int_quality\":{\"quality\":3,\"value\":423},\"mp_string\":\"abcdefghij\"}";
	struct fixture fixture;
	char filled[sizeof(post) + 8];
	start(&fixture, "enos-example.lua", "{\"down\":300}");
	check_decode(&fixture, "message", post, points);
	snprintf(filled, sizeof(filled), "%s000000", post);
	check_decode(&fixture, "message", filled, points);
	check_decode(&fixture, "message", "00000000000000", NULL);
	/* The documented bytes, filled up to whole registers. */
	check_encode(&fixture, SET_JSON,
		"address 300 "
		"020000001401000025f502000a6162636465666768696a033ff23d70a3d70a3d0400140000000100"
		"0000030000000500000007000000090500"
		"0001a703"
		"00"
		"write holding_registers address 200 count 4 read holding_registers ");
	check_encode(&fixture, SERVICE_JSON,
		"address 300 11000004d20000000c00write holding_registers "
		"address 200 count 5 read holding_registers ");
	check_encode(&fixture,
		"{\"id\":\"1\",\"method\":\"thing.service.measurepoint.set\",\"params\":{\"x\":1}}",
		"there is no point 'x'");
	check_encode(&fixture, "{\"id\":\"1\",\"method\":\"thing.service.other\"}",
		"there is no service 'thing.service.other'");
	check_encode(&fixture, "{\"id\":\"x\",\"method\":\"thing.service.other\"}",
		"a command with a number for its id is needed");
	check_reply(&fixture, make_command(false, SET_JSON, strlen(SET_JSON)),
		make_outcome(2, OUTCOME_DONE), "020000001400c800", 200, "{}");
	check_reply(&fixture, make_command(false, SERVICE_JSON, strlen(SERVICE_JSON)),
		make_outcome(2, OUTCOME_DONE), "11000004d2c80000000e", 200, "{\"output_int\":14}");
	check_reply(&fixture, make_command(false, SERVICE_JSON, strlen(SERVICE_JSON)),
		make_outcome(2, OUTCOME_DONE), "11000004d3c80000000e", 500,
		"{\"reason\":\"the device answered another command\"}");
	check_reply(&fixture, make_command(false, SERVICE_JSON, strlen(SERVICE_JSON)),
		make_outcome(2, OUTCOME_TIMEOUT), NULL, 0, NULL);
	fixture_finish(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eastron_sdm630),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_enos_example),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
