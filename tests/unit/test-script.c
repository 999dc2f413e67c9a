/* SPDX-License-Identifier: Apache-2.0 */
/* Polls, decode, encode, reply, and what a device keeps. */
#include "script-fixture.h"

/* Checks what decode makes of `return <expression>`. */
static void check_result(const char *expression, const char *report, const char *error)
{
	struct buffer source = BUFFER_EMPTY;
	buffer_printf(&source, "return {\ndecode = function(reading, device)\nreturn %s\nend }",
		expression);
	fixture_check(buffer_text(&source), report, error);
	buffer_finish(&source);
}

static void test_points(void **state)
{
	fixture_check("return { decode = function(r, d)\n"
		      "local v, a = string.unpack('>I2I2', r.bytes)\n"
		      "return { points = { voltage = v / 10, current = a, ok = true, text = 'x',\n"
		      "list = { 1, 2.5 }, q = { value = 3, quality = 9 } } } end }",
		"points {\"current\":32,\"list\":[1,2.5],\"ok\":true,\"q\":{\"quality\":9,"
		"\"value\":3},\"text\":\"x\",\"voltage\":1.6}",
		NULL);
	check_result("{ points = { big = math.maxinteger, real = 3.0, small = 1e-300 } }",
		"points {\"big\":9223372036854775807,\"real\":3.0,\"small\":1e-300}", NULL);
	check_result("{ points = { s = { a = 1, quality = 12, value = 2 } } }",
		"points {\"s\":{\"a\":1,\"quality\":12,\"value\":2}}", NULL);
	check_result("{ points = { e = {}, n = { null, 1 } } }", "points {\"e\":[],\"n\":[null,1]}",
		NULL);
	check_result("{ points = {} }", NULL, NULL);
	check_result("{ points = nil }", NULL, NULL);
	check_result("{}", NULL, NULL);
	check_result("nil", NULL, NULL);
	check_result("", NULL, NULL);
}

static void test_bad_points(void **state)
{
	check_result("{ points = { v = 0/0 } }", NULL,
		"test.lua:2: decode: points.v is not a number (NaN): JSON has none; leave it out");
	check_result("{ points = { v = { 1, { x = -1/0 } } } }", NULL,
		"test.lua:2: decode: points.v[2].x is infinite: JSON cannot say so");
	check_result("{ points = { v = print_ } }", NULL, "test.lua:3: 'print_' is not defined");
	check_result("{ points = { v = tostring } }", NULL,
		"decode: points.v is a function: only plain data can leave a script");
	check_result("{ points = { v = device } }", NULL, "points.v is a userdata");
	check_result("{ points = { v = null } }", NULL, "points.v is null: leave it out");
	check_result(
		"{ points = { 1, 2 } }", NULL, "points is a list: it must have names for keys");
	check_result("{ points = 5 }", NULL, "points is a number: it must be a table");
	check_result("{ points = { [5] = 1 } }", NULL, "points mixes named keys with others");
	check_result(
		"{ points = { v = { 1, nil, 3, x = 1 } } }", NULL, "points.v has holes or mixes");
	check_result("{ points = { ['a b'] = 1 } }", NULL,
		"decode: points name 'a b' has a character at place 2 that no identifier may have");
	check_result("{ points = { [''] = 1 } }", NULL, "points name '' has 0 bytes");
	check_result("{ points = { [rep('n', 129)] = 1 } }", NULL, "has 129 bytes: an identifier");
	check_result("{ points = { v = { value = 1, quality = 10 } } }", NULL,
		"points.v.quality is to be a whole number from 0 to 9");
	check_result("{ points = { v = { value = 1, quality = 1.5 } } }", NULL, "points.v.quality");
	check_result("{ points = { v = { quality = 1 } } }", NULL,
		"points.v has a quality but no value");
	check_result("{ points = { v = rep('x', 32768) } }", NULL,
		"points is more than 32768 bytes of data");
}

static void test_other_reports(void **state)
{
	check_result("{ raw = reading.bytes:sub(1, 1) .. 'ab' }", "raw ", NULL);
	check_result("{ raw = 'ab' }", "raw ab", NULL);
	check_result(
		"{ event = 'alarm', values = { code = 7 } }", "event alarm {\"code\":7}", NULL);
	check_result("{ event = 'alarm' }", "event alarm {}", NULL);
	check_result("{ attributes = { serial = 'A1' } }", "attributes {\"serial\":\"A1\"}", NULL);
	check_result("{ raw = 5 }", NULL, "raw is a number: it is to be a string of bytes");
	check_result("{ event = 5 }", NULL, "event is a number");
	check_result("{ event = 'a/b' }", NULL, "event name 'a/b' has a character at place 2");
	check_result("{ event = rep('e', 64) }", NULL, "has 64 bytes: an identifier has 1 to 63");
	check_result("{ values = { a = 1 } }", NULL, "a result has one of points, raw, event");
	check_result(
		"{ points = { a = 1 }, raw = 'x' }", NULL, "return a list of results for more");
	check_result("{ pionts = { a = 1 } }", NULL,
		"test.lua:2: decode: unknown 'pionts' in a result: it has points, raw, event with");
	check_result("{ { points = { a = 1 } }, raw = 'x' }", NULL,
		"mixes a list of results with named keys");
	check_result("{ { points = { a = 1 } }, 5 }", NULL, "result 2 is a number");
	check_result("5", NULL, "decode: gives a number: it is to give a table or nil");
	check_result("(function() local t = {} for i = 1, 201 do t['a' .. i] = i end\n"
		     "return { attributes = t } end)()",
		NULL, "201 attributes: a message takes at most 200");
	check_result("(function() local t = {} for i = 1, 257 do t[i] = { raw = '' } end\n"
		     "return t end)()",
		NULL, "gives more than 256 results for one reading");
	check_result(
		"(function() local t = {} for i = 1, 3 do t[i] = { raw = rep('x', 30000) } end\n"
		"return t end)()",
		NULL, "gives more than 65536 bytes of results for one reading");
}

static void test_many_reports(void **state)
{
	struct fixture fixture;
	fixture_start(&fixture,
		"return { decode = function() return {\n"
		"{ points = { a = 1 } }, { event = 'e' }, {}, { raw = 'x' } } end }");
	fixture.plan->polls[0].period_us = 0;
	assert_int_equal(fixture_decode(&fixture, "", 0), 0);
	assert_int_equal(fixture.reports.count, 3);
	assert_string_equal(fixture_report(&fixture, 0), "points {\"a\":1}");
	assert_string_equal(fixture_report(&fixture, 1), "event e {}");
	assert_string_equal(fixture_report(&fixture, 2), "raw x");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(fixture.reports.items[i]->device, 7);
		assert_int_equal(fixture.reports.items[i]->stamp.wall_ms, 1700000000123);
		/* Of a poll as fast as can be: the next one replaces it. */
		assert_int_equal(fixture.reports.items[i]->replaces, 1);
	}
	fixture.plan->polls[0].period_us = 1;
	assert_int_equal(fixture_decode(&fixture, "", 0), 0);
	assert_int_equal(fixture.reports.items[0]->replaces, 0);
	fixture_finish(&fixture);
}

static void test_no_decode(void **state)
{
	struct fixture fixture;
	fixture_start(&fixture, "return {}");
	assert_int_equal(fixture_decode(&fixture, "bytes", 5), 0);
	assert_string_equal(fixture_report(&fixture, 0), "raw bytes");
	assert_false(script_has(fixture.script, "decode"));
	assert_false(script_has(fixture.script, "nothing"));
	fixture_finish(&fixture);
}

static void test_what_decode_gets(void **state)
{
	fixture_check("return { decode = function(r, d) return { points = { poll = r.poll,\n"
		      "size = #r.bytes, time = r.time, name = d.name, ct = d.parameters.ct_ratio,\n"
		      "n = #d.parameters.limits, x = d.parameters.limits[3].x } } end }",
		"points {\"ct\":40,\"n\":3,\"name\":\"meter-1\",\"poll\":\"live\",\"size\":4,"
		"\"time\":1700000000123,\"x\":3}",
		NULL);
}

/* ---- state ---------------------------------------------------------------------------------- */

static void check_calls(struct fixture *fixture, const char *bytes, int64_t calls)
{
	char report[64];
	snprintf(report, sizeof(report), "points {\"calls\":%lld}", (long long)calls);
	if (fixture_decode(fixture, bytes, strlen(bytes)) < 0)
		fail_msg("%s", fixture->error.text);
	assert_string_equal(fixture_report(fixture, 0), report);
}

static const char counter[] =
	"local leaked\n"
	"return { decode = function(reading, device)\n"
	"	local state = device.state\n"
	"	state.calls = (state.calls or 0) + 1\n"
	"	if reading.bytes == 'raise' then error('raised') end\n"
	"	if reading.bytes == 'nan' then return { points = { x = 0/0 } } end\n"
	"	if reading.bytes == 'function' then state.f = error end\n"
	"	if reading.bytes == 'big' then for i = 1, 20 do state[i .. ''] = rep('x', 1000) end end\n"
	"	if reading.bytes == 'loop' then while true do end end\n"
	"	if reading.bytes == 'replace' then device.state = { calls = 100 } end\n"
	"	if reading.bytes == 'number' then device.state = 5 end\n"
	"	if reading.bytes == 'leak' then leaked = state end\n"
	"	if reading.bytes == 'alias' then leaked.calls = -1 end\n"
	"	if reading.bytes == 'keep' then leaked = device end\n"
	"	if reading.bytes == 'other' then return { points = { x = leaked.state.calls } } end\n"
	"	return { points = { calls = device.state.calls } }\n"
	"end }";

static void test_state(void **state)
{
	struct fixture fixture;
	fixture_start(&fixture, counter);
	check_calls(&fixture, "", 1);
	check_calls(&fixture, "", 2);
	/* A failed call leaves it as it was. */
	static const struct {
		const char *bytes, *error;
	} failures[] = {
		{ "raise", "test.lua:5: raised" },
		{ "nan", "points.x is not a number" },
		{ "function", "test.lua:2: decode: device.state.f is a function" },
		{ "big", "test.lua:2: decode: device.state is more than 16384 bytes of data" },
		{ "loop", "test.lua:9: stopped after" },
		{ "number", "test.lua:11: device.state is to be a table, not a number" },
	};
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		const char *bytes = failures[i].bytes;
		assert_int_equal(fixture_decode(&fixture, bytes, strlen(bytes)), -EINVAL);
		assert_int_equal(fixture.reports.count, 0);
		fixture_expect(&fixture, failures[i].error);
		check_calls(&fixture, "", 3 + (int64_t)i);
	}
	check_calls(&fixture, "replace", 100);
	check_calls(&fixture, "", 101);
	/* What a script kept of it elsewhere is no alias. */
	check_calls(&fixture, "leak", 102);
	check_calls(&fixture, "alias", 103);
	check_calls(&fixture, "", 104);
	fixture_finish(&fixture);
}

static void test_state_of_devices(void **state)
{
	struct fixture fixture;
	fixture_start(&fixture, counter);
	struct conf_device other_conf = { .name = (char *)"meter-2" };
	struct script_device *first = fixture.device;
	struct script_device *second = script_device_create(fixture.script, &other_conf);
	check_calls(&fixture, "", 1);
	check_calls(&fixture, "keep", 2);
	fixture.device = second;
	check_calls(&fixture, "", 1);
	assert_int_equal(fixture_decode(&fixture, "other", 5), -EINVAL);
	fixture_expect(&fixture, "test.lua:15: this device is not the one of this call");
	/* Nor may it be used when it is gone. */
	script_device_destroy(first);
	assert_int_equal(fixture_decode(&fixture, "other", 5), -EINVAL);
	fixture_expect(&fixture, "this device is not the one of this call");
	check_calls(&fixture, "", 2);
	fixture_finish(&fixture);
}

/* The largest state that is allowed comes back whole. */
static void test_state_at_its_limit(void **state)
{
	struct fixture fixture;
	fixture_start(&fixture,
		"return { decode = function(reading, device)\n"
		"	if not device.state.text then device.state.text = rep('x', 16364 +\n"
		"		#reading.bytes) end\n"
		"	return { points = { calls = #device.state.text } } end }");
	/* map 5, key 1 + 4 + 4 + 1, string 1 + 4 + 1: 21 bytes beside the text */
	assert_int_equal(fixture_decode(&fixture, "", 0), -EINVAL);
	fixture_finish(&fixture);
	fixture_start(&fixture,
		"return { decode = function(reading, device)\n"
		"	if not device.state.text then device.state.text = rep('x', 16363) end\n"
		"	return { points = { calls = #device.state.text } } end }");
	check_calls(&fixture, "", 16363);
	check_calls(&fixture, "", 16363);
	fixture_finish(&fixture);
}

/* ---- polls ---------------------------------------------------------------------------------- */

static void check_polls(const char *source, const char *list, const char *error)
{
	struct fixture fixture;
	if (fixture_load(&fixture, source, strlen(source), &usual_limits) < 0)
		fail_msg("%s", fixture.error.text);
	fixture_device(&fixture, "{\"extra\":true}");
	struct buffer polls = BUFFER_EMPTY;
	int result = script_polls(fixture.device, &polls, &fixture.error);
	if (error) {
		assert_int_equal(result, -EINVAL);
		assert_int_equal(polls.size, 0);
		fixture_expect(&fixture, error);
	} else {
		if (result < 0)
			fail_msg("%s", fixture.error.text);
		assert_string_equal(fixture_json(&fixture, polls.data, polls.size), list);
	}
	buffer_finish(&polls);
	fixture_finish(&fixture);
}

static void test_polls(void **state)
{
	check_polls("return { polls = { { name = 'live', period = 5, read = 'coils',\n"
		    "address = 0x10, count = 2 }, { name = 'slow', period = 0.5 } } }",
		"[{\"address\":16,\"count\":2,\"name\":\"live\",\"period\":5,\"read\":\"coils\"},"
		"{\"name\":\"slow\",\"period\":0.5}]",
		NULL);
	check_polls("return {}", "[]", NULL);
	check_polls("return { polls = {} }", "[]", NULL);
	check_polls("return { polls = function(device)\n"
		    "return { device.parameters.extra and { name = device.name } } end }",
		"[{\"name\":\"meter-1\"}]", NULL);
	check_polls("return { polls = { name = 'live' } }", NULL,
		"polls: gives one request with 'name': put it into a list, '{ { name = ... } }'");
	check_polls("return { polls = { { name = 'a' }, more = true } }", NULL,
		"polls: unknown 'more' beside the list");
	check_polls("return { polls = { { name = error } } }", NULL,
		"polls: poll 1.name is a function");
	check_polls("return { polls = { 5 } }", NULL, "polls: poll 1 is a number");
	check_polls("\nreturn { polls = function() return 5 end }", NULL,
		"test.lua:2: polls: gives a number: it is to give a list");
	check_polls("\nreturn { polls = function() return nothing end }", NULL,
		"test.lua:2: 'nothing' is not defined");
	check_polls("local t = {} for i = 1, 257 do t[i] = { name = 'p' } end\n"
		    "return { polls = t }",
		NULL, "gives a list of 257: at most 256");
	check_polls("local t = {} for i = 1, 3 do t[i] = { name = rep('x', 30000) } end\n"
		    "return { polls = t }",
		NULL, "gives a list of more than 65536 bytes");
}

/* ---- commands ------------------------------------------------------------------------------- */

static struct command *make_command(bool raw, const char *params)
{
	struct command *command;
	char error[100];
	struct buffer payload = BUFFER_EMPTY;
	const char *topic = raw ? "thing/model/down_raw" : "thing/service/measurepoint/set";
	if (raw)
		buffer_put_text(&payload, params);
	else
		buffer_printf(&payload, "{\"id\":\"42\",\"method\":\"thing.service.x\"%s%s}",
			params ? ",\"params\":" : "", params ? params : "");
	assert_int_equal(command_create(&command, 7, ORIGIN_CLOUD, topic, payload.data,
				 payload.size, error, sizeof(error)),
		0);
	buffer_finish(&payload);
	return command;
}

static struct outcome *make_outcome(void)
{
	struct outcome *outcome = outcome_create(7, 1, 3);
	outcome->steps[0].status = OUTCOME_DONE;
	buffer_put(&outcome->steps[0].bytes, "ab", 2);
	outcome->steps[1].status = OUTCOME_EXCEPTION;
	outcome->steps[1].code = 2;
	outcome->steps[2].status = OUTCOME_SKIPPED;
	return outcome;
}

/* Encodes with the function's body; gives the answer, and the requests or the error's words. */
static void check_encode(const char *body, bool raw, const char *params, size_t rounds, int answer,
	const char *words)
{
	struct fixture fixture;
	struct buffer source = BUFFER_EMPTY, requests = BUFFER_EMPTY;
	buffer_printf(
		&source, "return {\nencode = function(command, device, results)\n%s\nend }", body);
	fixture_start(&fixture, buffer_text(&source));
	struct command *command = make_command(raw, params);
	struct outcome *outcome = make_outcome();
	const struct outcome *results[] = { outcome, outcome };
	int result = script_encode(fixture.device, command, rounds ? results : NULL, rounds,
		&requests, &fixture.error);
	if (result != answer)
		fail_msg("%d, %s: %s", result, fixture.error.text, body);
	if (result == ENCODE_REQUESTS || result == ENCODE_MORE) {
		assert_string_equal(fixture_json(&fixture, requests.data, requests.size), words);
	} else {
		assert_int_equal(requests.size, 0);
		fixture_expect(&fixture, words);
	}
	command_destroy(command);
	message_destroy(&outcome->mail);
	buffer_finish(&requests);
	buffer_finish(&source);
	fixture_finish(&fixture);
}

static void test_encode(void **state)
{
	check_encode("return { { write = 'coils', address = 3, values = { command.params.on } } }",
		false, "{\"on\":true}", 0, ENCODE_REQUESTS,
		"[{\"address\":3,\"values\":[true],\"write\":\"coils\"}]");
	check_encode("return { { t = command.topic, i = command.id, m = command.method,\n"
		     "r = command.raw == nil, n = #results } }",
		false, NULL, 0, ENCODE_REQUESTS,
		"[{\"i\":\"42\",\"m\":\"thing.service.x\",\"n\":0,\"r\":true,"
		"\"t\":\"thing/service/measurepoint/set\"}]");
	check_encode("return { { raw = command.raw, none = command.params == nil } }", true, "xyz",
		0, ENCODE_REQUESTS, "[{\"none\":true,\"raw\":\"xyz\"}]");
	check_encode("return { { x = command.params.x == nil } }", false, "{\"x\":null}", 0,
		ENCODE_REQUESTS, "[{\"x\":true}]");
	check_encode("return { { x = command.params } }", false, "[1,null,3]", 0, ENCODE_REQUESTS,
		"[{\"x\":[1,null,3]}]");
	check_encode("return {}", false, NULL, 0, ENCODE_REQUESTS, "[]");
	check_encode("return { { read = 'x' }, more = true }", false, NULL, 0, ENCODE_MORE,
		"[{\"read\":\"x\"}]");
	check_encode("return { { read = 'x' }, more = false }", false, NULL, 0, ENCODE_REQUESTS,
		"[{\"read\":\"x\"}]");
}

static void test_results(void **state)
{
	check_encode("return { { results = results } }", false, NULL, 1, ENCODE_REQUESTS,
		"[{\"results\":[{\"bytes\":\"ab\",\"ok\":true,\"status\":\"done\"},"
		"{\"code\":2,\"ok\":false,\"status\":\"exception\"},"
		"{\"ok\":false,\"status\":\"skipped\"}]}]");
	check_encode("return { { n = #results, last = results[4].bytes } }", false, NULL, 2,
		ENCODE_REQUESTS, "[{\"last\":\"ab\",\"n\":6}]");
}

static void test_refused(void **state)
{
	check_encode("return nil, 'setpoint is 5 to 30'", false, NULL, 0, ENCODE_REFUSED,
		"setpoint is 5 to 30");
	check_encode("return nil, 'two\\nlines'", false, NULL, 0, ENCODE_REFUSED, "two lines");
	check_encode("return nil", false, NULL, 0, ENCODE_REFUSED, "the script gave no reason");
	check_encode("", false, NULL, 0, ENCODE_REFUSED, "the script gave no reason");
	check_encode("return false", false, NULL, 0, -EINVAL,
		"test.lua:2: encode: gives a boolean: it is to give a list of requests, or nil");
	check_encode("return { write = 'coils' }", false, NULL, 0, -EINVAL,
		"encode: gives one request with 'write': put it into a list");
	check_encode("return { { write = 0/0 } }", false, NULL, 0, -EINVAL,
		"encode: request 1.write is not a number");
	check_encode("return { {}, more = 1 }", false, NULL, 0, -EINVAL, "more is a number");
	check_encode("return { {}, mroe = true }", false, NULL, 0, -EINVAL,
		"unknown 'mroe' beside the list");
	check_encode("return { {}, {}, nil, {} , [9] = {} }", false, NULL, 0, -EINVAL,
		"the list has holes");
	check_encode("return { { v = command.params.a.b } }", false, NULL, 0, -EINVAL,
		"test.lua:3: attempt to index a nil value (field 'a')");
	struct fixture fixture;
	struct buffer requests = BUFFER_EMPTY;
	fixture_start(&fixture, "return {}");
	assert_int_equal(script_encode(fixture.device, NULL, NULL, 0, &requests, &fixture.error),
		ENCODE_UNKNOWN);
	fixture_finish(&fixture);
}

static void check_reply(const char *body, bool raw, int code, const char *data, const char *error)
{
	struct fixture fixture;
	struct buffer source = BUFFER_EMPTY;
	struct script_reply reply;
	buffer_printf(
		&source, "return {\nreply = function(command, results, device)\n%s\nend }", body);
	fixture_start(&fixture, buffer_text(&source));
	struct command *command = make_command(raw, raw ? "xyz" : NULL);
	struct outcome *outcome = make_outcome();
	const struct outcome *results[] = { outcome };
	int result = script_reply(fixture.device, command, results, 1, &reply, &fixture.error);
	if (error) {
		assert_int_equal(result, -EINVAL);
		fixture_expect(&fixture, error);
		assert_false(reply.given);
	} else {
		if (result < 0)
			fail_msg("%s", fixture.error.text);
		assert_int_equal(reply.given, data != NULL);
		assert_int_equal(reply.code, code);
		assert_int_equal(reply.raw, raw && data);
		if (data && raw)
			assert_string_equal(buffer_text(&reply.data), data);
		else if (data)
			assert_string_equal(
				fixture_json(&fixture, reply.data.data, reply.data.size), data);
	}
	command_destroy(command);
	message_destroy(&outcome->mail);
	buffer_finish(&reply.data);
	buffer_finish(&source);
	fixture_finish(&fixture);
}

static void test_reply(void **state)
{
	check_reply("return { code = 200, data = { value = #results } }", false, 200,
		"{\"value\":3}", NULL);
	check_reply("return { code = 500 }", false, 500, "{}", NULL);
	check_reply("return { data = {} }", false, 200, "{}", NULL);
	check_reply(
		"return { raw = results[1].bytes .. device.name }", true, 200, "abmeter-1", NULL);
	check_reply("return nil", false, 200, NULL, NULL);
	check_reply("return {}", false, 200, NULL, NULL);
	check_reply("", true, 200, NULL, NULL);
	check_reply("return { raw = 'x' }", false, 0, NULL,
		"test.lua:2: reply: raw answers a command of bytes; this one is JSON");
	check_reply("return { code = 200 }", true, 0, NULL,
		"reply: code and data answer a JSON command; this one is bytes: give raw");
	check_reply("return { code = 'x' }", false, 0, NULL, "code is to be a whole number");
	check_reply("return { code = 1.5 }", false, 0, NULL, "code is to be a whole number");
	check_reply("return { data = 5 }", false, 0, NULL, "data is a number: it must be a table");
	check_reply("return { date = {} }", false, 0, NULL,
		"unknown 'date' in the reply: it has raw, or code and data");
	check_reply("return 5", false, 0, NULL, "reply: gives a number");
	struct fixture fixture;
	struct script_reply reply;
	fixture_start(&fixture, "return {}");
	assert_int_equal(script_reply(fixture.device, NULL, NULL, 0, &reply, &fixture.error), 0);
	assert_false(reply.given);
	fixture_finish(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_bad_points),
		cmocka_unit_test(test_other_reports),
		cmocka_unit_test(test_many_reports),
		cmocka_unit_test(test_no_decode),
		cmocka_unit_test(test_what_decode_gets),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_state_of_devices),
		cmocka_unit_test(test_state_at_its_limit),
		cmocka_unit_test(test_polls),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_reply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
