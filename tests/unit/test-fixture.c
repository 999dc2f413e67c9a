/* SPDX-License-Identifier: Apache-2.0 */
/* Fixtures of scripts: what they say of a script that does not what they expect, and of themselves. */
#include "script/fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/alloc.h"
#include "util/clock.h"

extern const struct eb_plugin eb_plugin;

static const struct conf_scripts limits = { 1000000, 16384, 10000 };

/* A thermostat: temperature and setpoint in registers 0 and 1; counts its readings. */
static const char thermostat[] =
	"return {\n"
	"	polls = function(device)\n"
	"		if device.parameters.wrong then error('no polls today') end\n"
	"		return { { name = 'live', period = 5, read = 'holding_registers', address = 0,\n"
	"			count = device.parameters.count or 2 } }\n"
	"	end,\n"
	"	decode = function(reading, device)\n"
	"		local regs = registers(reading.bytes)\n"
	"		local count = (device.state.count or 0) + 1\n"
	"		device.state.count = count\n"
	"		return { points = { temperature = regs:s16(0) / 10, setpoint = regs:u16(1),\n"
	"			count = count } }\n"
	"	end,\n"
	"	encode = function(command, device, results)\n"
	"		if command.raw then return { { write = 'holding_registers', address = 1,\n"
	"			bytes = command.raw } } end\n"
	"		if command.params.none then return {} end\n"
	"		if command.params.bad then return { { write = 'nothing' } } end\n"
	"		local value = command.params.setpoint\n"
	"		if not value then return nil, 'setpoint is missing' end\n"
	"		if #results == 0 then\n"
	"			return { { read = 'holding_registers', address = 0, count = 1 }, more = true }\n"
	"		end\n"
	"		if not results[1].ok then return nil, 'no temperature: ' .. results[1].status end\n"
	"		return { { write = 'holding_registers', address = 1, values = { value } } }\n"
	"	end,\n"
	"	reply = function(command, results)\n"
	"		if command.raw then return { raw = '\\1' } end\n"
	"		if results[#results].ok then return { data = { steps = #results } } end\n"
	"	end,\n"
	"}\n";

/* Finds its poll behind a number in register 9, and says what it finds suspect. */
static const char finder[] =
	"return {\n"
	"	parameters = { fast = { type = 'boolean', default = false } },\n"
	"	discover = function(device, results)\n"
	"		if #results == 0 then\n"
	"			return { { read = 'holding_registers', address = 9, count = 1 } }\n"
	"		end\n"
	"		if not results[1].ok then return nil, 'no number: ' .. results[1].status end\n"
	"		local number = string.unpack('>I2', results[1].bytes)\n"
	"		if number == 0 then error('zero') end\n"
	"		if number == 9 then return { { read = 'holding_registers', address = 9,\n"
	"			count = 1 } } end\n"
	"		return { polls = { { name = 'live', period = 5, read = 'holding_registers',\n"
	"			address = number, count = 1 } } }\n"
	"	end,\n"
	"	setup = function(device)\n"
	"		if not device.parameters.fast then error('too slow') end\n"
	"		return { { write = 'holding_registers', address = 1, values = { 5 } } }\n"
	"	end,\n"
	"	decode = function(reading) return nil, { 'odd', 'cold' } end,\n"
	"	health = function(device, state)\n"
	"		if state == 'ok' then error('fine') end\n"
	"		return { event = 'lost' }, state == 'down' and 'look' or nil\n"
	"	end,\n"
	"}\n";

#define HEAD "plugin = \"modbus\";\ndevice = { unit = 1; };\n"
#define CASES(text) HEAD "cases = ( " text " );\n"
#define SET \
	"command = \"{'id':'1','method':'thing.service.measurepoint.set','params':{'setpoint':21}}\"; "

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* Looks where its registers begin: at 100, or else at 200. */
static const char wanderer[] =
	"return {\n"
	"  discover = function(device, results)\n"
	"    local state = device.state\n"
	"    if #results == 0 then state.base = 100\n"
	"    elseif results[1].ok and results[1].bytes == 'ok' then\n"
	"      return { polls = { { name = 'live', period = 5, read = 'holding_registers',\n"
	"        address = state.base + 1 } } }\n"
	"    elseif results[1].ok then error('not ok: ' .. results[1].bytes)\n"
	"    elseif state.base == 200 then return nil, 'nowhere'\n"
	"    else state.base = 200 end\n"
	"    return { { read = 'holding_registers', address = state.base } }\n"
	"  end,\n"
	"  decode = function(reading)\n"
	"    return { points = { value = string.unpack('>I2', reading.bytes) } }\n"
	"  end,\n"
	"}\n";

static int64_t time_us; /* most that fixtures may take; 0: no limit */
static int64_t pause_us; /* that pass between two looks at the clock */
static int64_t paused_us;

/* In place of the C library's: a machine that is busy with something else. */
int clock_gettime(clockid_t id, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, id, now);
	if (id != CLOCK_MONOTONIC)
		return result;
	paused_us += pause_us;
	now->tv_sec += paused_us / USEC_PER_SEC;
	return result;
}

/* Runs the fixture beside a script; said gets the problems without the directory. */
static int run(const char *lua, const char *text, struct buffer *said)
{
	char dir[] = "/tmp/fixture-test-XXXXXX";
	assert_non_null(mkdtemp(dir));
	char *script OWNED = must_printf("%s/t.lua", dir),
		     *path OWNED = must_printf("%s/t.test", dir);
	write_file(script, lua);
	write_file(path, text);
	struct plugins *plugins = plugins_create(dir);
	plugins_add(plugins, &eb_plugin);
	struct problems problems = PROBLEMS_NONE;
	struct fixture fixture;
	int result = fixture_read(&fixture, path, plugins, &problems);
	fixture.time_us = time_us;
	if (result == 0)
		result = fixture_run(&fixture, &limits, &problems);
	for (size_t i = 0; i < problems.count; i++)
		buffer_printf(said, "%u: %s\n", problems.items[i].line, problems.items[i].text);
	fixture_finish(&fixture);
	problems_finish(&problems);
	plugins_destroy(plugins);
	unlink(script);
	unlink(path);
	rmdir(dir);
	return result;
}

/* Expects the result and all that is said: NULL for nothing, else words that must be there. */
static void check_with(const char *lua, const char *text, int expected, const char *words)
{
	OWNED_BUFFER said = BUFFER_EMPTY;
	int result = run(lua, text, &said);
	if (result != expected)
		fail_msg("%d, expected %d: %s\n%s", result, expected, text, buffer_text(&said));
	if (!words)
		assert_string_equal(buffer_text(&said), "");
	else if (!strstr(buffer_text(&said), words))
		fail_msg("%s\nsays\n%s\nexpected\n%s", text, buffer_text(&said), words);
}

static void check(const char *text, int expected, const char *words)
{
	check_with(thermostat, text, expected, words);
}

static void finds_polls(void **state)
{
	const struct {
		const char *text;
		int expected;
		const char *words;
	} cases[] = {
		{ CASES("{ name = \"a\"; discover = ( \"exception 2\", \"6f6b\" ); "
			"requests = \"[{'read':'holding_registers','address':100},"
			"{'read':'holding_registers','address':200}]\"; "
			"frames = ( \"01 03 0064 0001 c5d5\", \"01 03 00c8 0001 05f4\" ); "
			"polls = \"[{'name':'live','period':5,'read':'holding_registers',"
			"'address':201}]\"; }"),
			0, NULL },
		/* What was found is polled by the steps behind it. */
		{ CASES("{ name = \"a\"; steps = ( { discover = ( \"6f6b\" ); frames = ( "
			"\"01 03 0064 0001 c5d5\" ); }, { poll = \"live\"; "
			"frame = \"01 03 02 0007 f986\"; expect = \"{'points':{'value':7}}\"; } ); }"),
			0, NULL },
		{ CASES("{ name = \"a\"; discover = ( \"timeout\", \"link\" ); "
			"refused = \"nowhere\"; }"),
			0, NULL },
		{ CASES("{ name = \"a\"; discover = ( \"4142\" ); error = \"not ok: AB\"; }"), 0,
			NULL },
		{ CASES("{ name = \"a\"; discover = ( \"timeout\", \"link\" ); polls = \"[]\"; }"),
			1, "finds no polls: nowhere" },
		{ CASES("{ name = \"a\"; discover = ( \"6f6b\" ); polls = \"[]\"; }"), 1,
			"expected" },
		{ CASES("{ name = \"a\"; discover = ( \"6f6b\" ); refused = \"x\"; }"), 1,
			"is not refused" },
		{ CASES("{ name = \"a\"; discover = ( \"6f6b\" ); error = \"x\"; }"), 1,
			"discover does not fail" },
		{ CASES("{ name = \"a\"; discover = ( \"timeout\" ); refused = \"x\"; }"), 1,
			"request 2 reads 2 bytes: discover lacks them" },
		{ CASES("{ name = \"a\"; discover = ( \"6f6b\", \"00\" ); frames = ( "
			"\"01 03 0064 0001 c5d5\" ); }"),
			1, "answers: 2, requests: 1" },
		{ CASES("{ name = \"a\"; discover = ( \"6f6b\" ); }"), -EINVAL,
			"discover needs polls" },
		{ CASES("{ name = \"a\"; discover = ( ); answers = ( ); error = \"x\"; }"), -EINVAL,
			"answers does not go with discover" },
		{ CASES("{ name = \"a\"; discover = ( ); " SET "}"), -EINVAL,
			"discover is a step of its own" },
		{ CASES("{ name = \"a\"; discover = 5; }"), -EINVAL, "discover is an integer" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_with(wanderer, cases[i].text, cases[i].expected, cases[i].words);
	check(CASES("{ name = \"a\"; discover = ( ); error = \"x\"; }"), 1,
		"the script has no discover");
}

static void passes(void **state)
{
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"00eb 0015\"; "
		    "expect = \"{'points': {'temperature': 23.5, 'setpoint': 21.0, 'count': 1}}\"; }"),
		0, NULL);
	/* The whole answer of unit 1, its CRC worked out by another program. */
	check(CASES("{ name = \"a\"; poll = \"live\"; frame = \"01 03 04 00eb 0015 4bc8\"; "
		    "expect = \"[{\\\"points\\\":{\\\"temperature\\\":23.5,\\\"setpoint\\\":21,"
		    "\\\"count\\\":1}}]\"; }"),
		0, NULL);
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"00\"; error = \"no whole registers\"; }"),
		0, NULL);
	check(CASES("{ name = \"a\"; frames = ( \"01 03 0000 0002 c40b\" ); "
		    "polls = \"[{'name':'live','period':5,'read':'holding_registers','address':0,"
		    "'count':2}]\"; }"),
		0, NULL);
	check(CASES("{ name = \"a\"; parameters = { wrong = true; }; error = \"no polls today\"; }"),
		0, NULL);
	check(CASES("{ name = \"a\"; down_raw = \"00 15\"; reply = \"{'raw': '01'}\"; "
		    "requests = \"[{'write':'holding_registers','address':1,'bytes':'00 15'}]\"; }"),
		0, NULL);
	check(CASES("{ name = \"a\"; command = \"{'id':'1','params':{}}\"; refused = \"missing\"; }"),
		0, NULL);
}

static void keeps_state_within_a_case(void **state)
{
	check(CASES("{ name = \"a\"; steps = ( "
		    "{ poll = \"live\"; hex = \"00000000\"; "
		    "expect = \"{'points': {'temperature': 0, 'setpoint': 0, 'count': 1}}\"; }, "
		    "{ poll = \"live\"; hex = \"00000000\"; "
		    "expect = \"{'points': {'temperature': 0, 'setpoint': 0, 'count': 2}}\"; } ); }, "
		    "{ name = \"b\"; poll = \"live\"; hex = \"00000000\"; "
		    "expect = \"{'points': {'temperature': 0, 'setpoint': 0, 'count': 1}}\"; }"),
		0, NULL);
}

static void speaks_in_rounds(void **state)
{
	check(CASES("{ name = \"a\"; " SET "answers = ( \"00eb\", \"done\" ); "
		    "frames = ( \"01 03 0000 0001 840a\", \"01 06 0001 0015 19c5\" ); "
		    "requests = \"[{'read':'holding_registers','address':0,'count':1},"
		    "{'write':'holding_registers','address':1,'values':[21]}]\"; "
		    "reply = \"{'code':200,'data':{'steps':2}}\"; }"),
		0, NULL);
	check(CASES("{ name = \"a\"; " SET "answers = ( \"timeout\" ); refused = \"timeout\"; }"),
		0, NULL);
	check(CASES("{ name = \"a\"; " SET "answers = ( \"00eb\", \"exception 2\" ); "
		    "reply = \"null\"; }"),
		0, NULL);
	check(CASES("{ name = \"a\"; " SET "refused = \"x\"; reply = \"null\"; }"), 1,
		"case \"a\": request 1 reads 2 bytes: answers lacks them");
	check(CASES("{ name = \"a\"; " SET "answers = ( \"00eb\", \"done\", \"done\" ); "
		    "reply = \"{'code':200,'data':{'steps':2}}\"; }"),
		1, "answers: 3, requests: 2");
	check(CASES("{ name = \"a\"; " SET "answers = ( \"done\" ); reply = \"null\"; }"), 1,
		"answer 1 has 0 bytes, but the request reads 2 at the most");
	check(CASES("{ name = \"a\"; " SET "answers = ( \"lost\" ); reply = \"null\"; }"), 1,
		"an answer (bytes, \"done\", \"exception 2\", \"timeout\", ...) is no pairs of");
}

static void says_what_differs(void **state)
{
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"00eb 0015\"; "
		    "expect = \"{'points': {'temperature': 23.4, 'count': 1, 'level': 5}}\"; }"),
		1,
		"3: case \"a\": points.temperature is 23.5, expected 23.4\n"
		"3: case \"a\": points.level is nothing, expected 5\n"
		"3: case \"a\": points.setpoint is 21, expected nothing\n");
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"00eb 0015\"; expect = \"[]\"; }"), 1,
		"[1] is {\"points\":{\"count\":1,\"setpoint\":21,\"temperature\":23.5}}, expected "
		"nothing");
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"00eb 0015\"; error = \"x\"; }"), 1,
		"decode does not fail, expected \"x\"");
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"00\"; error = \"too wet\"; }"), 1,
		"no whole registers\", expected \"too wet\"");
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"00eb 0015 00\"; expect = \"[]\"; }"),
		1, "hex has 5 bytes, but the poll reads 4 at the most");
	check(CASES("{ name = \"a\"; poll = \"slow\"; hex = \"00eb\"; expect = \"[]\"; }"), 1,
		"there is no poll \"slow\": there is live");
	check(CASES("{ name = \"a\"; poll = \"live\"; frame = \"01 03 04 00eb 0015 4bc9\"; "
		    "expect = \"[]\"; }"),
		1, "frame is not what the poll waits for: plugin modbus says crc");
	check(CASES("{ name = \"a\"; frames = ( \"01 03 0000 0003 05cb\" ); }"), 1,
		"frame 1 is 010300000002c40b, expected 01030000000305cb");
	check(CASES("{ name = \"a\"; frames = ( ); polls = \"[]\"; }"), 1,
		"requests: 1, frames: 0");
	check(CASES("{ name = \"a\"; parameters = { count = 200; }; frames = ( ); }"), 1,
		"200 holding_registers are too many to read in one frame");
	check(CASES("{ name = \"a\"; command = \"{'id':'1','params':{'bad':1}}\"; requests = \"[]\"; }"),
		1, "write is \"nothing\", it must be one of");
	check(CASES("{ name = \"a\"; command = \"{'id':'1','params':{}}\"; requests = \"[]\"; }"),
		1, "is refused: setpoint is missing");
	check(CASES("{ name = \"a\"; command = \"{'id':'1','params':{'none':1}}\"; refused = \"x\"; }"),
		1, "is not refused, expected \"x\"");
	check(CASES("{ name = \"a\"; command = \"{'id'\"; requests = \"[]\"; }"), 1,
		"command cannot be read");
}

/* Each is said at once, and nothing is run. */
static void says_what_is_wrong_with_itself(void **state)
{
	check("", -EINVAL, "plugin is missing");
	check(HEAD, -EINVAL, "there are no cases");
	check("plugin = \"smoke\"; cases = ( { name = \"a\"; frames = ( ); } );", -EINVAL,
		"smoke.so: No such file or directory");
	check("speed = 5;" HEAD, -EINVAL, "does not know \"speed\": known are script, plugin");
	check("link = \"air\";" CASES("{ name = \"a\"; frames = ( ); }"), -EINVAL,
		"link is \"air\": it must be \"serial\" or \"tcp\"");
	check("script = \"../t.lua\";" CASES("{ name = \"a\"; frames = ( ); }"), -EINVAL,
		"the script stands beside its fixtures");
	check("script = \"u.lua\";" CASES("{ name = \"a\"; frames = ( ); }"), -EINVAL,
		"u.lua: cannot be loaded: No such file");
	check(CASES("{ poll = \"live\"; hex = \"00\"; }"), -EINVAL,
		"3: name is missing: what the case shows\n3: poll needs expect or error");
	check(CASES("{ name = \"a\"; poll = \"live\"; expect = \"[]\"; }"), -EINVAL,
		"poll needs hex");
	check(CASES("{ name = \"a\"; poll = 5; }"), -EINVAL,
		"poll is an integer: it must be a text");
	check(CASES("{ name = \"a\"; }"), -EINVAL, "nothing to try");
	check(CASES("{ name = \"a\"; pole = \"live\"; }"), -EINVAL, "does not know \"pole\"");
	check(CASES("{ name = \"a\"; steps = ( { pole = \"live\"; } ); }"), -EINVAL,
		"a step does not know \"pole\"");
	check(CASES("{ name = \"a\"; poll = \"live\"; steps = ( { } ); }"), -EINVAL,
		"poll stands beside steps");
	check(CASES("{ name = \"a\"; steps = ( ); }"), -EINVAL, "steps is empty");
	check(CASES("{ name = \"a\"; " SET "poll = \"live\"; }"), -EINVAL,
		"poll and command are two steps");
	check(CASES("{ name = \"a\"; " SET "hex = \"00\"; }"), -EINVAL,
		"hex does not go with a command");
	check(CASES("{ name = \"a\"; " SET "}"), -EINVAL, "a command needs requests");
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"00\"; error = \"x\"; reply = \"1\"; }"),
		-EINVAL, "reply does not go with poll");
	check(CASES("{ name = \"a\"; frames = 5; }"), -EINVAL, "frames is an integer");
	check(CASES("5"), -EINVAL, "an item is an integer: it must be a group { }");
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"0g\"; error = \"x\"; }"), 1,
		"hex is no pairs of hexadecimal digits, like \"08fd 00fa\": 0g");
	check(CASES("{ name = \"a\"; poll = \"live\"; hex = \"00eb 0015\"; expect = \"{\"; }"), 1,
		"what is expected is no JSON");
}

#define FIND(text) CASES("{ name = \"a\"; " text " }")

static void what_goes_before_the_polls(void **state)
{
	check(FIND("answers = ( \"0003\" ); error = \"x\";"), 1, "answers belong to a command");
	check_with(finder,
		FIND("parameters = { fast = true; }; frames = ( \"01 06 0001 0005 1809\" ); "
		     "setup = \"[{'write':'holding_registers','address':1,'values':[5]}]\";"),
		0, NULL);
	check_with(finder, FIND("setup = \"\"; error = \"too slow\";"), 0, NULL);
	check_with(finder, FIND("parameters = { fast = true; }; setup = \"[]\";"), 1,
		"expected nothing");
	check_with(finder, FIND("parameters = { fast = true; }; setup = \"\"; error = \"x\";"), 1,
		"setup does not fail");
	check_with(finder, FIND("parameters = { fast = 1; }; setup = \"[]\";"), 1,
		"parameter \"fast\" is 1: it is to be true or false");
	check_with(finder, FIND("setup = \"[]\"; answers = ( \"00\" );"), -EINVAL,
		"answers does not go with setup");
	check_with(finder, FIND("setup = \"[]\"; hex = \"00\";"), -EINVAL,
		"hex does not go with setup");
}

static void what_is_warned_of_and_the_health(void **state)
{
	check_with(finder,
		FIND("poll = \"live\"; hex = \"00\"; expect = \"[]\"; warnings = \"['odd','cold']\";"),
		0, NULL);
	check_with(finder, FIND("poll = \"live\"; hex = \"00\"; expect = \"[]\";"), 1,
		"warns of what warnings does not expect: odd");
	check_with(finder,
		FIND("poll = \"live\"; hex = \"00\"; expect = \"[]\"; warnings = \"['odd']\";"), 1,
		"cold");
	check_with(finder,
		FIND("health = \"down\"; expect = \"{'event':'lost','values':{}}\"; "
		     "warnings = \"['look']\";"),
		0, NULL);
	check_with(finder, FIND("health = \"suspect\"; expect = \"{'event':'lost','values':{}}\";"),
		0, NULL);
	check_with(finder, FIND("health = \"ok\"; error = \"fine\";"), 0, NULL);
	check_with(finder, FIND("health = \"ok\"; expect = \"[]\";"), 1, "fine");
	check_with(finder, FIND("health = \"suspect\"; error = \"fine\";"), 1,
		"health does not fail, expected \"fine\"");
	check_with(finder, FIND("health = \"well\"; expect = \"[]\";"), -EINVAL,
		"health is \"well\": it must be \"ok\", \"suspect\" or \"down\"");
	check_with(finder, FIND("health = \"ok\";"), -EINVAL, "health needs expect or error");
	check_with(finder, FIND("health = \"ok\"; error = \"x\"; polls = \"[]\";"), -EINVAL,
		"polls does not go with health");
}

/* However few cases it has: the daemon stands still while they run. */
static void a_case_of_many_steps_ends_in_time(void **state)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	buffer_put_text(&text, "steps = (");
	for (int i = 0; i < 1000; i++)
		buffer_printf(&text,
			"%s{ health = \"suspect\"; expect = \"{'event':'lost','values':{}}\"; }",
			i ? ", " : "");
	buffer_put_text(&text, ");");
	OWNED char *whole = must_printf(FIND("%s"), buffer_text(&text));
	check_with(finder, whole, 0, NULL);
	time_us = 1;
	check_with(finder, whole, 1, "the cases take more than 0 ms of processor time");
	time_us = 0;
}

/* The machine does something else for an hour whenever the time is asked. */
static void a_slow_machine_is_not_the_fixtures_fault(void **state)
{
	const char *text = FIND("steps = ({ health = \"suspect\"; "
				"expect = \"{'event':'lost','values':{}}\"; });");
	time_us = 60 * USEC_PER_SEC;
	pause_us = 3600 * USEC_PER_SEC;
	check_with(finder, text, 0, NULL);
	assert_true(paused_us > time_us);
	time_us = pause_us = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes),
		cmocka_unit_test(finds_polls),
		cmocka_unit_test(keeps_state_within_a_case),
		cmocka_unit_test(speaks_in_rounds),
		cmocka_unit_test(says_what_differs),
		cmocka_unit_test(says_what_is_wrong_with_itself),
		cmocka_unit_test(what_goes_before_the_polls),
		cmocka_unit_test(what_is_warned_of_and_the_health),
		cmocka_unit_test(a_case_of_many_steps_ends_in_time),
		cmocka_unit_test(a_slow_machine_is_not_the_fixtures_fault),
	};
	return cmocka_run_group_tests_name("fixture", tests, NULL, NULL);
}
