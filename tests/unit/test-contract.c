/* SPDX-License-Identifier: Apache-2.0 */
/* What a script declares beside decoding: parameters, setup, health, discover; warnings and state. */
#include "script-fixture.h"

/* ---- parameters ----------------------------------------------------------------------------- */

#define DECLARED                                                                        \
	"parameters = {\n"                                                              \
	" address = { type = 'integer', min = 1, max = 247, help = 'on the bus' },\n"   \
	" period = { type = 'number', default = 5, min = 0.5 },\n"                      \
	" mode = { type = 'string', default = 'fast', values = { 'fast', 'slow' } },\n" \
	" on = { type = 'boolean', optional = true },\n"                                \
	" inputs = { type = 'list', items = 'integer', default = { 1, 2 }, min = 1, max = 8 } },\n"

static const char declared[] =
	"return { " DECLARED "decode = function(r, device) local p = device.parameters\n"
	"return { points = { address = p.address, period = p.period, mode = p.mode,\n"
	"on = p.on, last = p.inputs[#p.inputs] } } end }";

/* Checks the parameters (JSON) against what is declared; words is what the one error says. */
static void check_parameters(const char *parameters, const char *words, unsigned line)
{
	struct fixture fixture;
	struct problems problems = PROBLEMS_NONE;
	struct place places[] = { { "site.conf", 11 }, { "site.conf", 12 }, { "site.conf", 13 } };
	assert_int_equal(fixture_load(&fixture, declared, strlen(declared), &usual_limits), 0);
	fixture_device(&fixture, parameters);
	fixture.conf.place = (struct place){ "site.conf", 10 };
	fixture.conf.parameter_places = places;
	int result = script_check_parameters(fixture.script, &fixture.conf, &problems);
	assert_int_equal(problems.count, words ? 1 : 0);
	assert_int_equal(result, words ? -EINVAL : 0);
	if (words) {
		if (strcmp(problems.items[0].text, words) != 0)
			fail_msg("'%s' is not '%s'", problems.items[0].text, words);
		assert_string_equal(problems.items[0].file, "site.conf");
		assert_int_equal(problems.items[0].line, line);
	}
	problems_finish(&problems);
	fixture_finish(&fixture);
}

static void test_given_parameters(void **state)
{
	check_parameters("{\"address\":7}", NULL, 0);
	check_parameters("{\"address\":7,\"period\":3,\"mode\":\"slow\"}", NULL, 0);
	check_parameters("{\"address\":247,\"period\":2.5,\"inputs\":[8,1]}", NULL, 0);
	check_parameters("{\"address\":1,\"on\":true,\"inputs\":[]}", NULL, 0);
	check_parameters("{}",
		"device \"meter-1\": lacks parameter \"address\": test.lua needs an integer from 1 to "
		"247: on the bus",
		10);
	check_parameters("{\"address\":7,\"adress\":8}",
		"device \"meter-1\": test.lua has no parameter \"adress\": did you mean \"address\"?",
		12);
	check_parameters("{\"address\":7,\"period\":1,\"colour\":\"red\"}",
		"device \"meter-1\": test.lua has no parameter \"colour\": it has address, inputs, mode, "
		"on, period",
		13);
	check_parameters("{\"address\":248}",
		"device \"meter-1\": parameter \"address\" is 248: it is to be an integer from 1 to 247",
		11);
	check_parameters("{\"address\":7.5}",
		"device \"meter-1\": parameter \"address\" is 7.5: it is to be an integer from 1 to 247",
		11);
	check_parameters("{\"address\":7,\"period\":0.4}",
		"device \"meter-1\": parameter \"period\" is 0.4: it is to be a number of at least 0.5",
		12);
	check_parameters("{\"address\":7,\"mode\":\"warp\"}",
		"device \"meter-1\": parameter \"mode\" is \"warp\": it is to be a text, one of \"fast\", "
		"\"slow\"",
		12);
	check_parameters("{\"address\":7,\"on\":1}",
		"device \"meter-1\": parameter \"on\" is 1: it is to be true or false", 12);
	check_parameters("{\"address\":7,\"inputs\":[1,9]}",
		"device \"meter-1\": parameter \"inputs\" is [1,9]: it is to be a list of integers from 1 "
		"to 8",
		12);
	check_parameters("{\"address\":7,\"inputs\":3}",
		"device \"meter-1\": parameter \"inputs\" is 3: it is to be a list of integers from 1 to 8",
		12);
}

static void test_defaults(void **state)
{
	struct fixture fixture;
	assert_int_equal(fixture_load(&fixture, declared, strlen(declared), &usual_limits), 0);
	fixture_device(&fixture, "{\"address\":7,\"inputs\":[4]}");
	assert_int_equal(fixture_decode(&fixture, "", 0), 0);
	assert_string_equal(fixture_report(&fixture, 0),
		"points {\"address\":7,\"last\":4,\"mode\":\"fast\",\"period\":5}");
	fixture_finish(&fixture);
}

/* What is declared is undeclared: any is taken; or none is declared: none is taken. */
static void test_undeclared(void **state)
{
	struct fixture fixture;
	struct problems problems = PROBLEMS_NONE;
	static const char any[] = "return {}", none[] = "return { parameters = {} }";
	assert_int_equal(fixture_load(&fixture, any, strlen(any), &usual_limits), 0);
	fixture_device(&fixture, "{\"x\":7}");
	assert_int_equal(script_check_parameters(fixture.script, &fixture.conf, &problems), 0);
	fixture_finish(&fixture);
	assert_int_equal(fixture_load(&fixture, none, strlen(none), &usual_limits), 0);
	fixture_device(&fixture, "{\"x\":7}");
	assert_int_equal(
		script_check_parameters(fixture.script, &fixture.conf, &problems), -EINVAL);
	assert_non_null(strstr(problems.items[0].text, "it has none"));
	problems_finish(&problems);
	fixture_finish(&fixture);
}

/* A wrong name is an error that names it, not nil; one that may be missing is nil. */
static void test_wrong_names(void **state)
{
#define SCRIPT(list, value)                                                   \
	"return { " list "decode = function(r, device) return { points = {\n" \
	"x = " value " } } end }"
#define SCALE                                                         \
	"parameters = { scale = { type = 'integer', default = 2 },\n" \
	"site = { type = 'string', optional = true } }, "
	fixture_check(SCRIPT(SCALE, "device.parameters.scale"), "points {\"x\":2}", NULL);
	fixture_check(SCRIPT(SCALE, "device.parameters.site == nil"), "points {\"x\":true}", NULL);
	fixture_check(SCRIPT(SCALE, "device.parameters.scal"), NULL,
		"test.lua:3: device.parameters.scal is not declared in parameters: did you mean "
		"'scale'?");
	fixture_check(SCRIPT(SCALE, "device.parameters.offset"), NULL,
		"test.lua:3: device.parameters.offset is not declared: add it");
	fixture_check(SCRIPT(SCALE, "device.parameters[1]"), NULL,
		"device.parameters.1 is not declared: add it");
	fixture_check(SCRIPT("parameters = {}, ", "device.parameters.x"), NULL, "is not declared");
	fixture_check(SCRIPT("", "device.parameters.x == nil"), "points {\"x\":true}", NULL);
	fixture_check(SCRIPT(SCALE, "next(device.parameters) ~= nil"), "points {\"x\":true}", NULL);
	fixture_check(SCRIPT(SCALE, "try(function() device.parameters.scale = 5 end)"),
		"points {\"x\":false}", NULL);
#undef SCALE
#undef SCRIPT
}

static void check_load(const char *returned, const char *words)
{
	struct fixture fixture;
	char *source OWNED = must_printf("return {\n%s }", returned);
	int result = fixture_load(&fixture, source, strlen(source), &usual_limits);
	if (result == 0)
		fail_msg("no error in: %s", source);
	fixture_expect(&fixture, words);
	fixture_finish(&fixture);
}

static void test_bad_declarations(void **state)
{
	check_load("parameters = 5", "test.lua:2: parameters is a number: it must be a table");
	check_load("parameters = { 'a' }", "parameters is a list: it must have names for keys");
	check_load("parameters = { ['a b'] = { type = 'integer' } }",
		"parameters.a b: a name has 1 to 64 letters");
	check_load("parameters = { a = 5 }", "parameters.a is to be a table, as in '{ type =");
	check_load("parameters = { a = {} }", "parameters.a is to be a table");
	check_load("parameters = { a = { typ = 'integer' } }",
		"test.lua:2: parameters.a has an unknown 'typ': it may have type, default,");
	check_load("parameters = { a = { min = 1 } }", "parameters.a.type is to be 'integer'");
	check_load("parameters = { a = { type = 'int' } }", "parameters.a.type is to be 'integer'");
	check_load("parameters = { a = { type = 'list' } }",
		"parameters.a.items is to be the type of the list's items");
	check_load("parameters = { a = { type = 'string', min = 1 } }",
		"parameters.a has min or max but is no number");
	check_load("parameters = { a = { type = 'integer', min = 2, max = 1 } }",
		"parameters.a.min is more than its max");
	check_load("parameters = { a = { type = 'integer', min = 'x' } }",
		"parameters.a.min is to be a number");
	check_load("parameters = { a = { type = 'integer', min = 1, max = 3, default = 4 } }",
		"parameters.a.default is to be an integer from 1 to 3");
	check_load("parameters = { a = { type = 'string', values = { 'x', 3 } } }",
		"parameters.a.values is to be a text");
	check_load("parameters = { a = { type = 'string', values = { 'x' }, default = 'y' } }",
		"parameters.a.default is to be a text, one of \"x\"");
	check_load("parameters = { a = { type = 'integer', default = 1, optional = true } }",
		"parameters.a has a default and is optional");
	check_load("parameters = { a = { type = 'number', default = 0/0 } }", "is not a number");
	check_load("parameters = (function() local t = {} for i = 1, 65 do\n"
		   "t['a' .. i] = { type = 'integer' } end return t end)()",
		"declares 65 parameters: at most 64");
	check_load("polls = {}, discover = function() end", "both polls and discover");
	check_load("health = {}", "'health' is a table: it is to be a function");
}

/* ---- setup ---------------------------------------------------------------------------------- */

static void check_setup(const char *returned, const char *list, const char *error)
{
	struct fixture fixture;
	struct buffer got = BUFFER_EMPTY;
	char *source OWNED = must_printf("return {\n%s }", returned);
	fixture_start(&fixture, source);
	int result = script_setup(fixture.device, &got, &fixture.error);
	assert_int_equal(result, error ? -EINVAL : 0);
	if (error)
		fixture_expect(&fixture, error);
	else
		assert_string_equal(fixture_json(&fixture, got.data, got.size), list);
	assert_true(!error || got.size == 0);
	buffer_finish(&got);
	fixture_finish(&fixture);
}

static void test_setup(void **state)
{
	check_setup("decode = function() end", "[]", NULL);
	check_setup("setup = { { cell = 1 } }", "[{\"cell\":1}]", NULL);
	check_setup("setup = function(device) return { { name = device.name } } end",
		"[{\"name\":\"meter-1\"}]", NULL);
	check_setup("setup = function() end", NULL,
		"test.lua:2: setup: gives a nil: it is to give a list of requests");
	check_setup("setup = function() error('no') end", NULL, "test.lua:2: no");
	check_setup("setup = { 5 }", NULL, "request 1 is a number: it must be a table");
	check_setup("setup = { cell = 1 }", NULL, "put it into a list");
}

/* ---- health --------------------------------------------------------------------------------- */

static int run_health(struct fixture *fixture, enum health_state state)
{
	struct health *health = health_create(7, state);
	health->stamp = (struct stamp){ .wall_ms = 1700000000456 };
	reports_finish(&fixture->reports);
	int result = script_health(fixture->device, health, &fixture->reports, &fixture->error);
	message_destroy(&health->mail);
	return result;
}

static void test_health(void **state)
{
	struct fixture fixture;
	fixture_start(&fixture,
		"return { health = function(device, state)\n"
		"if state == 'ok' then return nil end\n"
		"if state == 'suspect' then return { points = { x = 1 / 0 } } end\n"
		"return { { event = 'lost' }, { points = { on = false } } }, 'look at it' end }");
	assert_int_equal(run_health(&fixture, HEALTH_OK), 0);
	assert_int_equal(fixture.reports.count, 0);
	assert_int_equal(run_health(&fixture, HEALTH_DOWN), 0);
	assert_int_equal(fixture.reports.count, 2);
	assert_string_equal(fixture_report(&fixture, 0), "event lost {}");
	assert_string_equal(fixture_report(&fixture, 1), "points {\"on\":false}");
	assert_int_equal(fixture.reports.items[1]->stamp.wall_ms, 1700000000456);
	assert_int_equal(fixture.reports.items[1]->device, 7);
	assert_int_equal(fixture.reports.items[1]->replaces, 0);
	assert_int_equal(fixture.reports.warning_count, 1);
	assert_int_equal(run_health(&fixture, HEALTH_SUSPECT), -EINVAL);
	fixture_expect(&fixture, "test.lua:1: health: points.x is infinite");
	assert_int_equal(fixture.reports.count, 0);
	fixture_finish(&fixture);
	fixture_start(&fixture, "return {}");
	assert_int_equal(run_health(&fixture, HEALTH_DOWN), 0);
	assert_int_equal(fixture.reports.count, 0);
	fixture_finish(&fixture);
}

/* ---- warnings ------------------------------------------------------------------------------- */

/* What decode warns of where it returns the expressions, "|" between two; or its error. */
static void check_warnings(const char *expressions, const char *warnings, const char *error)
{
	struct fixture fixture;
	struct buffer got = BUFFER_EMPTY;
	char *source OWNED = must_printf(
		"return { decode = function(r, d)\nreturn %s end }", expressions);
	fixture_start(&fixture, source);
	int result = fixture_decode(&fixture, "", 0);
	assert_int_equal(result, error ? -EINVAL : 0);
	if (error)
		fixture_expect(&fixture, error);
	for (size_t i = 0; i < fixture.reports.warning_count; i++)
		buffer_printf(&got, "%s%s", i ? "|" : "", fixture.reports.warnings[i]);
	assert_string_equal(buffer_text(&got), warnings);
	buffer_finish(&got);
	fixture_finish(&fixture);
}

static void test_warnings(void **state)
{
	check_warnings("{ points = { a = 1 } }", "", NULL);
	check_warnings("{ points = { a = 1 } }, nil", "", NULL);
	check_warnings("{ points = { a = 1 } }, {}", "", NULL);
	check_warnings("nil, 'hot'", "hot", NULL);
	check_warnings("nil, { 'hot', 'a\\nb\\0c' }", "hot|a b", NULL);
	check_warnings("nil, 5", "", "test.lua:1: decode: a warning is a number");
	check_warnings("nil, { 'hot', true }", "", "a warning is a boolean: warnings are texts");
	check_warnings("nil, rep('x', 201)", "", "a warning has 201 bytes: at most 200");
	check_warnings("nil, split('1,2,3,4,5,6,7,8,9', ',')", "", "gives more than 8 warnings");
}

/* ---- discover ------------------------------------------------------------------------------- */

static void check_discover(const char *returned, int answer, const char *words)
{
	struct fixture fixture;
	struct buffer list = BUFFER_EMPTY;
	char *source OWNED = must_printf(
		"return { discover = function(device, results)\nreturn %s end }", returned);
	fixture_start(&fixture, source);
	assert_int_equal(script_discover(fixture.device, NULL, &list, &fixture.error), answer);
	if (answer < 0 || answer == DISCOVER_FAILED)
		fixture_expect(&fixture, words);
	else
		assert_string_equal(fixture_json(&fixture, list.data, list.size), words);
	buffer_finish(&list);
	fixture_finish(&fixture);
}

static void test_discover(void **state)
{
	check_discover("{ { cell = #results } }", DISCOVER_REQUESTS, "[{\"cell\":0}]");
	check_discover("{ polls = { { name = 'a' } } }", DISCOVER_POLLS, "[{\"name\":\"a\"}]");
	check_discover("{ polls = {} }", DISCOVER_POLLS, "[]");
	check_discover("nil, 'no\\nmeter'", DISCOVER_FAILED, "no meter");
	check_discover("nil", DISCOVER_FAILED, "the script gave no reason");
	check_discover("{}", -EINVAL, "discover: gives an empty table");
	check_discover("5", -EINVAL, "test.lua:1: discover: gives a number: it is to give a list");
	check_discover("{ polls = 5 }", -EINVAL, "polls is a number: it is to be a list of polls");
	check_discover("{ poll = {} }", -EINVAL, "gives 'poll': it is to give a list");
	check_discover("{ polls = {}, more = true }", -EINVAL, "gives 'more'");
	check_discover("{ { cell = 1 }, polls = {} }", -EINVAL, "unknown 'polls' beside the list");
}

static void test_discover_sees_the_last_results(void **state)
{
	struct fixture fixture;
	struct buffer list = BUFFER_EMPTY;
	fixture_start(&fixture,
		"return { discover = function(device, results)\n"
		"return nil, results[1].bytes .. results[2].status .. results[2].code .. #results "
		"end }");
	struct outcome *last = outcome_create(7, 1, 2);
	buffer_put_text(&last->steps[0].bytes, "ab");
	last->steps[1].status = OUTCOME_EXCEPTION;
	last->steps[1].code = 2;
	assert_int_equal(
		script_discover(fixture.device, last, &list, &fixture.error), DISCOVER_FAILED);
	assert_string_equal(fixture.error.text, "abexception22");
	message_destroy(&last->mail);
	buffer_finish(&list);
	fixture_finish(&fixture);
}

/* ---- state from outside --------------------------------------------------------------------- */

static void test_state_is_handed_over(void **state)
{
	struct fixture one, other;
	static const char source[] =
		"return { decode = function(r, d) d.state.n = (d.state.n or 0) + 1\n"
		"return { points = { n = d.state.n } } end }";
	fixture_start(&one, source);
	fixture_start(&other, source);
	assert_int_equal(script_device_state(one.device)->size, 0);
	fixture_decode(&one, "", 0);
	fixture_decode(&one, "", 0);
	const struct buffer *kept = script_device_state(one.device);
	assert_true(script_device_set_state(other.device, kept->data, kept->size));
	fixture_decode(&other, "", 0);
	assert_string_equal(fixture_report(&other, 0), "points {\"n\":3}");
	/* What is no state changes nothing. */
	struct buffer bad = BUFFER_EMPTY;
	value_put_integer(&bad, 5);
	assert_false(script_device_set_state(other.device, bad.data, bad.size));
	assert_false(script_device_set_state(other.device, kept->data, kept->size - 1));
	buffer_clear(&bad);
	value_put_map(&bad, 1);
	char *long_text OWNED = must_alloc(16 * 1024);
	value_put_text(&bad, "k");
	value_put_string(&bad, long_text, 16 * 1024);
	assert_false(script_device_set_state(other.device, bad.data, bad.size));
	buffer_finish(&bad);
	fixture_decode(&other, "", 0);
	assert_string_equal(fixture_report(&other, 0), "points {\"n\":4}");
	assert_true(script_device_set_state(other.device, NULL, 0));
	fixture_decode(&other, "", 0);
	assert_string_equal(fixture_report(&other, 0), "points {\"n\":1}");
	fixture_finish(&one);
	fixture_finish(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given_parameters),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_undeclared),
		cmocka_unit_test(test_wrong_names),
		cmocka_unit_test(test_bad_declarations),
		cmocka_unit_test(test_setup),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_discover),
		cmocka_unit_test(test_discover_sees_the_last_results),
		cmocka_unit_test(test_state_is_handed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
