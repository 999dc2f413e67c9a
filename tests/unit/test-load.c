/* SPDX-License-Identifier: Apache-2.0 */
/* What the polls of a bus ask of its line, and which of them it has no time for. */
#include "bridge/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "bridge/polls.h"
#include "util/alloc.h"
#include "util/json.h"

#define DEVICES_MAX 8

extern const struct eb_plugin eb_plugin;

/* A bus at 9600 baud with units 1 to devices. */
struct bench {
	struct conf conf;
	struct conf_bus bus;
	struct conf_device devices[DEVICES_MAX];
	struct place places[DEVICES_MAX][16];
	struct member members[DEVICES_MAX];
	struct fleet fleet;
	struct codec codec;
	struct load load;
};

static void start(struct bench *bench, uint32_t devices, uint32_t baud)
{
	struct problems problems = PROBLEMS_NONE;
	*bench = (struct bench){ .bus = { .name = (char *)"b",
					 .plugin = &eb_plugin,
					 .timeout_ms = 1000,
					 .retries = 2,
					 .in_flight = 2 } };
	bench->bus.line = (struct eb_line){
		.transport = baud ? EB_SERIAL : EB_TCP, .baud = baud, .char_bits = baud ? 10 : 0
	};
	bench->bus.link.type = baud ? CONF_LINK_SERIAL : CONF_LINK_TCP;
	value_put_map(&bench->bus.options, 0);
	bench->conf = (struct conf){ .buses = &bench->bus,
		.bus_count = 1,
		.devices = bench->devices,
		.device_count = devices };
	bench->fleet = (struct fleet){ .conf = &bench->conf, .devices = bench->members };
	assert_int_equal(0, codec_open(&bench->codec, &bench->bus, &problems));
}

static void device(struct bench *bench, uint32_t number, const char *polls)
{
	char error[200];
	struct problems problems = PROBLEMS_NONE;
	struct conf_device *conf = &bench->devices[number];
	*conf = (struct conf_device){ .name = must_printf("m%u", number),
		.merge_hole = CONF_AS_BUS,
		.poll_places = bench->places[number] };
	value_put_map(&conf->address, 1);
	value_pair_integer(&conf->address, "unit", number + 1);
	assert_int_equal(0, json_parse(&conf->polls, polls, strlen(polls), error, sizeof(error)));
	struct buffer none = BUFFER_EMPTY;
	bench->members[number] = (struct member){ .number = number, .conf = conf };
	int result = polls_plan(
		&bench->members[number].plan, &bench->conf, number, &none, "x.lua", &problems);
	problems_print(&problems, stderr);
	assert_int_equal(0, result);
}

static void finish(struct bench *bench)
{
	load_finish(&bench->load);
	codec_close(&bench->codec);
	for (uint32_t i = 0; i < bench->conf.device_count; i++) {
		plan_release(bench->members[i].plan);
		free(bench->devices[i].name);
		buffer_finish(&bench->devices[i].address);
		buffer_finish(&bench->devices[i].polls);
	}
	buffer_finish(&bench->bus.options);
}

static void reckon(struct bench *bench)
{
	load_init(&bench->load, &bench->fleet, 0, &bench->codec);
}

#define POLL(name, period, address, more)           \
	"{\"name\":\"" name "\",\"period\":" period \
	",\"read\":\"holding_registers\",\"address\":" address ",\"count\":10" more "}"

/* 8 + 25 characters and two silences of 3.5: 40 characters. */
#define TEN_REGISTERS (40 * 10 / 9600.0)

static void close_to(double value, double wanted)
{
	if (fabs(value - wanted) > 0.005 * wanted)
		fail_msg("%g is not %g", value, wanted);
}

static void test_shares_and_rounds(void **state)
{
	struct bench bench;
	start(&bench, 2, 9600);
	device(&bench, 0, "[" POLL("a", "1", "0", "") "," POLL("b", "2", "50", "") "]");
	device(&bench, 1, "[" POLL("a", "0", "0", "") "]");
	reckon(&bench);
	assert_int_equal(3, bench.load.count);
	assert_int_equal(2, bench.load.devices);
	close_to(bench.load.share, 1.5 * TEN_REGISTERS);
	close_to(bench.load.round_s, 3 * TEN_REGISTERS);
	close_to(bench.load.fast_s, TEN_REGISTERS);
	close_to(bench.load.rate, 1.5);
	close_to(bench.load.lost_s, 3);
	for (size_t i = 0; i < 3; i++)
		assert_false(ask_is_missed(&bench.load.asks[i]));
	finish(&bench);
}

static void test_merged_polls_are_one_request(void **state)
{
	struct bench bench;
	start(&bench, 1, 9600);
	bench.bus.merge = true;
	device(&bench, 0,
		"[" POLL("b", "1", "10", "") "," POLL("a", "1", "0", "") "," POLL(
			"c", "1", "20", ",\"priority\":\"high\"") "]");
	reckon(&bench);
	assert_int_equal(2, bench.load.count);
	const struct ask *merged = &bench.load.asks[bench.load.asks[0].count == 2 ? 0 : 1];
	assert_int_equal(2, merged->count);
	assert_string_equal("a", ask_name(merged, 0));
	assert_string_equal("b", ask_name(merged, 1));
	assert_string_equal("unit 1: read holding registers 0 to 19", merged->request->text);
	close_to(merged->cost_s, 60 * 10 / 9600.0);
	finish(&bench);
}

static void test_what_is_asked_most_often_is_missed_first(void **state)
{
	struct bench bench;
	start(&bench, 4, 9600);
	device(&bench, 0, "[" POLL("a", "0.05", "0", "") "]");
	device(&bench, 1, "[" POLL("a", "0.1", "0", "") "]");
	device(&bench, 2, "[" POLL("a", "10", "0", "") "]");
	device(&bench, 3, "[" POLL("a", "60", "0", "") "]");
	reckon(&bench);
	assert_true(bench.load.share > 1);
	const struct ask *asks = bench.load.asks;
	assert_true(ask_is_missed(&asks[0]) && !ask_is_missed(&asks[1]));
	assert_false(ask_is_missed(&asks[2]) || ask_is_missed(&asks[3]));
	/* What the others leave. */
	double rest = 1 - TEN_REGISTERS * (1 / 0.1 + 1 / 10.0 + 1 / 60.0);
	close_to(asks[0].reached_s, TEN_REGISTERS / rest);
	finish(&bench);
}

static void test_urgent_polls_leave_a_quarter(void **state)
{
	struct bench bench;
	start(&bench, 2, 9600);
	device(&bench, 0, "[" POLL("a", "0.04", "0", ",\"priority\":\"high\"") "]");
	device(&bench, 1, "[" POLL("a", "0.1", "0", "") "," POLL("b", "10", "50", "") "]");
	reckon(&bench);
	const struct ask *asks = bench.load.asks;
	close_to(asks[0].reached_s, TEN_REGISTERS / 0.75);
	close_to(asks[1].reached_s, TEN_REGISTERS / (0.25 - TEN_REGISTERS / 10));
	assert_false(ask_is_missed(&asks[2]));
	finish(&bench);
}

/* Silence that was asked for is no less lost to the line than what the standard asks for. */
static void test_configured_silence_counts(void **state)
{
	struct bench bench;
	start(&bench, 2, 9600);
	bench.bus.gap_us = 10000;
	bench.bus.unit_gap_us = 30000;
	device(&bench, 0, "[" POLL("a", "1", "0", "") "]");
	device(&bench, 1, "[" POLL("a", "1", "0", "") "]");
	reckon(&bench);
	close_to(bench.load.asks[0].cost_s, TEN_REGISTERS + 0.04);
	finish(&bench);
	/* One that is alone is never another one than before. */
	start(&bench, 1, 9600);
	bench.bus.unit_gap_us = 30000;
	device(&bench, 0, "[" POLL("a", "1", "0", "") "]");
	reckon(&bench);
	close_to(bench.load.asks[0].cost_s, TEN_REGISTERS);
	finish(&bench);
}

static void test_tcp_is_reckoned_in_requests(void **state)
{
	struct bench bench;
	start(&bench, 1, 0);
	device(&bench, 0,
		"[" POLL("a", "0.5", "0", "") "," POLL("b", "1", "50", ",\"timeout\":4") "]");
	reckon(&bench);
	close_to(bench.load.rate, 3);
	close_to(bench.load.lost_s, 12);
	assert_true(bench.load.share == 0);
	assert_false(ask_is_missed(&bench.load.asks[0]));
	finish(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares_and_rounds),
		cmocka_unit_test(test_merged_polls_are_one_request),
		cmocka_unit_test(test_what_is_asked_most_often_is_missed_first),
		cmocka_unit_test(test_urgent_polls_leave_a_quarter),
		cmocka_unit_test(test_configured_silence_counts),
		cmocka_unit_test(test_tcp_is_reckoned_in_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
