/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/polls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "toy.h"
#include "util/json.h"

struct bench {
	struct conf conf;
	struct conf_bus bus;
	struct conf_device device;
	struct place places[8];
	struct buffer declared;
	struct problems problems;
	struct plan *plan;
	int result;
};

/* The plan that a script's polls and the configuration's, both written as JSON, make together. */
static void make(struct bench *bench, const char *declared, const char *configured)
{
	char error[200];
	*bench = (struct bench){ .problems = PROBLEMS_NONE };
	bench->bus = (struct conf_bus){ .name = (char *)"b", .plugin = &toy };
	value_put_map(&bench->bus.options, 0);
	bench->device = (struct conf_device){ .name = (char *)"d", .poll_places = bench->places };
	for (unsigned i = 0; i < 8; i++)
		bench->places[i] = (struct place){ .file = "site.conf", .line = 10 + i };
	value_put_map(&bench->device.address, 1);
	value_pair_integer(&bench->device.address, "unit", 7);
	assert_int_equal(json_parse(&bench->device.polls, configured, strlen(configured), error,
				 sizeof(error)),
		0);
	assert_int_equal(
		json_parse(&bench->declared, declared, strlen(declared), error, sizeof(error)), 0);
	bench->conf = (struct conf){
		.buses = &bench->bus, .bus_count = 1, .devices = &bench->device, .device_count = 1
	};
	bench->result = polls_plan(
		&bench->plan, &bench->conf, 0, &bench->declared, "meter.lua", &bench->problems);
}

static void finish(struct bench *bench)
{
	plan_release(bench->plan);
	problems_finish(&bench->problems);
	buffer_finish(&bench->declared);
	buffer_finish(&bench->bus.options);
	buffer_finish(&bench->device.address);
	buffer_finish(&bench->device.polls);
}

static void the_scripts_polls_are_taken(void **state)
{
	struct bench bench;
	make(&bench, "[{\"name\":\"a\",\"period\":5,\"cell\":3}]", "[]");
	assert_int_equal(bench.result, 0);
	assert_int_equal(bench.plan->count, 1);
	assert_int_equal(bench.plan->address.bytes[0], 7);
	assert_int_equal(bench.plan->polls[0].period_us, 5000000);
	assert_string_equal(bench.plan->polls[0].request->name, "a");
	assert_int_equal(bench.plan->polls[0].request->wire.data[0], 3);
	finish(&bench);
}

static void the_configuration_changes_a_poll_by_its_name(void **state)
{
	struct bench bench;
	make(&bench,
		"[{\"name\":\"a\",\"period\":5,\"cell\":3},{\"name\":\"b\",\"period\":1,\"cell\":4}]",
		"[{\"name\":\"b\",\"period\":60}]");
	assert_int_equal(bench.result, 0);
	assert_int_equal(bench.plan->count, 2);
	assert_int_equal(bench.plan->polls[0].period_us, 5000000);
	assert_int_equal(bench.plan->polls[1].period_us, 60000000);
	assert_int_equal(bench.plan->polls[1].request->wire.data[0], 4);
	finish(&bench);
}

static void the_configuration_adds_polls(void **state)
{
	struct bench bench;
	make(&bench, "[]", "[{\"name\":\"beat\",\"period\":10,\"cell\":1,\"bytes\":\"0aff\"}]");
	assert_int_equal(bench.result, 0);
	assert_int_equal(bench.plan->count, 1);
	assert_true(bench.plan->polls[0].request->wire.flags & EB_WRITE);
	assert_memory_equal(bench.plan->polls[0].request->wire.data, "\x01\x0a\xff", 3);
	finish(&bench);
}

static void bytes_of_the_configuration_are_hex_in_a_changed_poll_too(void **state)
{
	struct bench bench;
	make(&bench, "[{\"name\":\"a\",\"period\":5,\"cell\":3,\"bytes\":\"raw\"}]",
		"[{\"name\":\"a\",\"bytes\":\"01 02\"}]");
	assert_int_equal(bench.result, 0);
	assert_memory_equal(bench.plan->polls[0].request->wire.data, "\x03\x01\x02", 3);
	finish(&bench);
	make(&bench, "[{\"name\":\"a\",\"period\":5,\"cell\":3}]",
		"[{\"name\":\"a\",\"bytes\":\"0x1\"}]");
	assert_true(bench.result < 0);
	assert_int_equal(bench.problems.items[0].line, 10);
	assert_non_null(strstr(bench.problems.items[0].text, "hexadecimal"));
	finish(&bench);
}

static void faults_name_where_they_stand(void **state)
{
	struct bench bench;
	make(&bench, "[{\"name\":\"a\",\"period\":5,\"cell\":300}]",
		"[{\"name\":\"x\",\"period\":1,\"cell\":1},{\"name\":\"y\",\"period\":1}]");
	assert_true(bench.result < 0);
	assert_int_equal(bench.problems.errors, 2);
	assert_string_equal(bench.problems.items[0].file, "meter.lua");
	/* Many devices may share the script: it is said of which one. */
	assert_ptr_equal(
		strstr(bench.problems.items[0].text, "device \""), bench.problems.items[0].text);
	assert_string_equal(bench.problems.items[1].file, "site.conf");
	assert_int_equal(bench.problems.items[1].line, 11);
	finish(&bench);
}

static void a_poll_that_the_script_lacks_is_told_from_those_it_has(void **state)
{
	struct bench bench;
	make(&bench,
		"[{\"name\":\"live\",\"period\":5,\"cell\":1},{\"name\":\"slow\",\"period\":5,\"cell\":2}]",
		"[{\"name\":\"life\",\"period\":5}]");
	assert_true(bench.result < 0);
	assert_int_equal(bench.problems.errors, 1);
	assert_int_equal(bench.problems.items[0].line, 10);
	assert_string_equal(bench.problems.items[0].text,
		"poll life: cell is missing: number; the script has no poll \"life\": it has \"live\", \"slow\"");
	finish(&bench);
	make(&bench, "[]", "[{\"name\":\"life\",\"period\":5}]");
	assert_int_equal(bench.problems.errors, 1);
	assert_null(strstr(bench.problems.items[0].text, "script"));
	finish(&bench);
}

static void two_polls_of_one_name_are_refused(void **state)
{
	struct bench bench;
	make(&bench,
		"[{\"name\":\"a\",\"period\":5,\"cell\":1},{\"name\":\"a\",\"period\":5,\"cell\":2}]",
		"[]");
	assert_true(bench.result < 0);
	assert_non_null(strstr(bench.problems.items[0].text, "two polls are named \"a\""));
	finish(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_scripts_polls_are_taken),
		cmocka_unit_test(the_configuration_changes_a_poll_by_its_name),
		cmocka_unit_test(the_configuration_adds_polls),
		cmocka_unit_test(bytes_of_the_configuration_are_hex_in_a_changed_poll_too),
		cmocka_unit_test(faults_name_where_they_stand),
		cmocka_unit_test(a_poll_that_the_script_lacks_is_told_from_those_it_has),
		cmocka_unit_test(two_polls_of_one_name_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
