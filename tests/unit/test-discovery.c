/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/discovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "toy.h"
#include "util/alloc.h"
#include "util/clock.h"

/* A chain: each cell names the next; cell 0 ends it.  One poll for each cell that was passed. */
static const char script_text[] =
	"return {\n"
	"  discover = function(device, results)\n"
	"    local s = device.state\n"
	"    if #results == 0 then s.cells = { 7 } return { { cell = 7 } } end\n"
	"    if not results[1].ok then return nil, 'cell ' .. s.cells[#s.cells] .. ': '\n"
	"      .. results[1].status end\n"
	"    local next = string.byte(results[1].bytes)\n"
	"    if next == 99 then error('broken') end\n"
	"    if next == 98 then return { { cell = 200 } } end\n"
	"    if next == 97 then return { { cell = 7 } } end\n"
	"    if next == 95 then return { { cell = 7, value = 1, read_back = true } } end\n"
	"    if next == 96 then return { polls = { { name = 'x' } } } end\n"
	"    if next > 0 then s.cells[#s.cells + 1] = next return { { cell = next } } end\n"
	"    local polls = {}\n"
	"    for i, cell in ipairs(s.cells) do\n"
	"      polls[i] = { name = 'c' .. cell, period = 5, cell = cell }\n"
	"    end\n"
	"    return { polls = polls }\n"
	"  end,\n"
	"  setup = function(device) return { { cell = #device.state.cells, value = 1 } } end,\n"
	"}\n";

struct bench {
	char path[64];
	struct clock clock;
	struct loop *loop;
	struct conf conf;
	struct conf_bus bus;
	struct conf_device device;
	struct fleet *fleet;
	struct mailbox *to_field, *from_field;
	struct discoveries *discoveries;
	int found, decoded;
};

static struct member *member_of(struct bench *bench)
{
	return &bench->fleet->devices[0];
}

static void take_found(void *context, struct member *device)
{
	struct bench *bench = context;
	assert_ptr_equal(device, member_of(bench));
	bench->found++;
}

static void take_reading(void *context, const struct reading *reading)
{
	struct bench *bench = context;
	bench->decoded++;
}

static void write_script(struct bench *bench, const char *text)
{
	FILE *file = fopen(bench->path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* So that it is another one, which does the same. */
static void change_script(struct bench *bench)
{
	FILE *file = fopen(bench->path, "a");
	assert_non_null(file);
	fputs("-- changed\n", file);
	fclose(file);
}

static int set_up(void **state)
{
	struct bench *bench = must_alloc(sizeof(*bench));
	snprintf(bench->path, sizeof(bench->path), "/tmp/test-discovery-XXXXXX");
	int fd = mkstemp(bench->path);
	assert_true(fd >= 0);
	close(fd);
	write_script(bench, script_text);
	bench->clock = (struct clock){ .manual = true };
	assert_int_equal(loop_create(&bench->loop, &bench->clock), 0);
	bench->bus = (struct conf_bus){ .name = (char *)"b", .plugin = &toy };
	value_put_map(&bench->bus.options, 0);
	bench->device = (struct conf_device){
		.name = (char *)"d", .script = (char *)"toy.lua", .script_path = bench->path
	};
	value_put_map(&bench->device.address, 0);
	value_put_map(&bench->device.parameters, 0);
	value_put_list(&bench->device.polls, 0);
	bench->conf = (struct conf){
		.scripts = { .instructions = 100000, .memory_kb = 1024, .wall_ms = 1000 },
		.buses = &bench->bus,
		.bus_count = 1,
		.devices = &bench->device,
		.device_count = 1
	};
	struct problems problems = PROBLEMS_NONE;
	bench->fleet = fleet_create(&bench->conf, NULL, &problems);
	problems_print(&problems, stderr);
	assert_non_null(bench->fleet);
	assert_int_equal(mailbox_create(&bench->to_field, 4), 0);
	assert_int_equal(mailbox_create(&bench->from_field, 4), 0);
	struct discoveries_setup setup = { .fleet = bench->fleet,
		.loop = bench->loop,
		.to_field = bench->to_field,
		.from_field = bench->from_field,
		.context = bench,
		.found = take_found,
		.reading = take_reading };
	bench->discoveries = discoveries_create(&setup);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	discoveries_destroy(bench->discoveries);
	mailbox_destroy(bench->to_field);
	mailbox_destroy(bench->from_field);
	fleet_destroy(bench->fleet);
	loop_destroy(bench->loop);
	buffer_finish(&bench->bus.options);
	buffer_finish(&bench->device.address);
	buffer_finish(&bench->device.parameters);
	buffer_finish(&bench->device.polls);
	unlink(bench->path);
	free(bench);
	return 0;
}

static void health(struct bench *bench, enum health_state state)
{
	member_of(bench)->health = state;
	discoveries_health(bench->discoveries, 0, state);
}

/* The order that reached the field, or NULL; the caller destroys it. */
static struct order *take_order(struct bench *bench)
{
	struct list mails;
	list_init(&mails);
	if (!mailbox_take_all(bench->to_field, &mails))
		return NULL;
	struct mail *mail = container_of(list_take_first(&mails), struct mail, link);
	assert_int_equal(mail->kind, MESSAGE_ORDER);
	assert_true(list_empty(&mails));
	return container_of(mail, struct order, mail);
}

static void expect_no_order(struct bench *bench)
{
	assert_null(take_order(bench));
}

/* Plays the field: the order is for that cell, and ends so. */
static void answer(struct bench *bench, int cell, enum outcome_status status, uint8_t byte)
{
	struct order *order = take_order(bench);
	assert_non_null(order);
	assert_true(order->serial >= DISCOVERY_SERIALS);
	assert_int_equal(order->count, 1);
	assert_int_equal(order->requests[0]->wire.data[0], cell);
	struct outcome *outcome = outcome_create(0, order->serial, 1);
	outcome->steps[0].status = status;
	if (status == OUTCOME_DONE)
		buffer_put_byte(&outcome->steps[0].bytes, byte);
	message_destroy(&order->mail);
	mailbox_put_reserved(bench->from_field, &outcome->mail);
	struct list mails;
	list_init(&mails);
	mailbox_take_all(bench->from_field, &mails);
	struct mail *mail = container_of(list_take_first(&mails), struct mail, link);
	discoveries_outcome(bench->discoveries, container_of(mail, struct outcome, mail));
}

static void walk(struct bench *bench)
{
	answer(bench, 7, OUTCOME_DONE, 8);
	answer(bench, 8, OUTCOME_DONE, 9);
	answer(bench, 9, OUTCOME_DONE, 0);
}

/* Whether a reading of the plan's first poll is held back. */
static bool holds(struct bench *bench, struct plan *plan)
{
	struct stamp stamp = { .wall_ms = 1 };
	struct reading *reading = reading_create(plan, 0, &stamp, "x", 1);
	if (discoveries_hold(bench->discoveries, reading))
		return true;
	message_destroy(&reading->mail);
	return false;
}

static void a_device_is_probed_until_it_answers(void **state)
{
	struct bench *bench = *state;
	struct member *device = member_of(bench);
	assert_ptr_equal(device->plan, device->probe);
	assert_int_equal(device->plan->count, 1);
	assert_string_equal(device->plan->polls[0].request->name, MEMBER_PROBE_NAME);
	assert_int_equal(device->plan->polls[0].request->wire.data[0], 7);
	health(bench, HEALTH_SUSPECT);
	health(bench, HEALTH_DOWN);
	expect_no_order(bench);
	assert_true(holds(bench, device->plan));
	health(bench, HEALTH_OK);
	walk(bench);
	expect_no_order(bench);
	assert_int_equal(bench->found, 1);
	assert_int_equal(bench->decoded, 0);
	assert_int_equal(device->plan->count, 3);
	assert_string_equal(device->plan->polls[2].request->name, "c9");
	/* What was found is known to setup. */
	assert_int_equal(device->plan->setup_count, 1);
	assert_int_equal(device->plan->setup[0]->wire.data[0], 3);
	assert_false(holds(bench, device->plan));
}

static void after_down_the_same_polls_stay_and_nothing_is_lost(void **state)
{
	struct bench *bench = *state;
	struct member *device = member_of(bench);
	health(bench, HEALTH_OK);
	walk(bench);
	struct plan *plan = device->plan;
	health(bench, HEALTH_SUSPECT);
	health(bench, HEALTH_OK);
	expect_no_order(bench);
	health(bench, HEALTH_DOWN);
	assert_true(holds(bench, plan));
	health(bench, HEALTH_OK);
	assert_true(holds(bench, plan));
	walk(bench);
	assert_int_equal(bench->found, 1);
	assert_ptr_equal(device->plan, plan);
	assert_int_equal(bench->decoded, 2);
	assert_false(holds(bench, plan));
}

static void after_down_other_polls_take_their_place(void **state)
{
	struct bench *bench = *state;
	struct member *device = member_of(bench);
	health(bench, HEALTH_OK);
	walk(bench);
	struct plan *plan = plan_reference(device->plan);
	health(bench, HEALTH_DOWN);
	assert_true(holds(bench, plan));
	health(bench, HEALTH_OK);
	answer(bench, 7, OUTCOME_DONE, 0);
	assert_int_equal(bench->found, 2);
	assert_int_equal(bench->decoded, 0);
	assert_int_equal(device->plan->count, 1);
	/* What the field still had under way for the old ones means nothing now. */
	assert_true(holds(bench, plan));
	assert_int_equal(bench->decoded, 0);
	plan_release(plan);
}

static void failures_are_tried_again_with_growing_pauses(void **state)
{
	struct bench *bench = *state;
	health(bench, HEALTH_OK);
	int64_t pause_us = 1000000, now = 0;
	for (int i = 0; i < 9; i++) {
		answer(bench, 7, OUTCOME_TIMEOUT, 0);
		assert_string_equal(member_of(bench)->discovery_error, "cell 7: timeout");
		now += pause_us;
		loop_advance(bench->loop, now - 1);
		expect_no_order(bench);
		loop_advance(bench->loop, now);
		pause_us = pause_us * 2 > 60000000 ? 60000000 : pause_us * 2;
	}
	walk(bench);
	assert_null(member_of(bench)->discovery_error);
	assert_int_equal(bench->found, 1);
}

static void a_device_that_goes_down_is_left_alone(void **state)
{
	struct bench *bench = *state;
	health(bench, HEALTH_OK);
	answer(bench, 7, OUTCOME_TIMEOUT, 0);
	health(bench, HEALTH_DOWN);
	loop_advance(bench->loop, INT64_C(3600) * 1000000);
	expect_no_order(bench);
	health(bench, HEALTH_OK);
	struct order *order = take_order(bench);
	assert_non_null(order);
	/* Down while the order is under way: what comes of it is nobody's. */
	health(bench, HEALTH_DOWN);
	struct outcome *outcome = outcome_create(0, order->serial, 1);
	message_destroy(&order->mail);
	discoveries_outcome(bench->discoveries, outcome);
	expect_no_order(bench);
	mailbox_unreserve(bench->from_field);
	health(bench, HEALTH_OK);
	walk(bench);
	assert_int_equal(bench->found, 1);
}

static void expect_error(struct bench *bench, const char *words)
{
	const char *error = member_of(bench)->discovery_error;
	assert_non_null(error);
	if (!strstr(error, words))
		fail_msg("\"%s\" is not in %s", words, error);
}

static void faults_of_the_script_are_said(void **state)
{
	struct bench *bench = *state;
	static const struct {
		uint8_t byte;
		const char *words;
	} faults[] = {
		{ 99, "broken" },
		{ 98, "discover: request 1: request: cell" },
		{ 96, "poll x: cell is missing" },
		{ 95, "discover: request 1: read_back belongs to a command's write" },
	};
	int64_t now = 0;
	health(bench, HEALTH_OK);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		answer(bench, 7, OUTCOME_DONE, faults[i].byte);
		expect_error(bench, faults[i].words);
		expect_no_order(bench);
		loop_advance(bench->loop, now += 60000000);
	}
	for (int i = 0; i < 32; i++)
		answer(bench, 7, OUTCOME_DONE, 97);
	expect_error(bench, "more than 32 rounds");
	expect_no_order(bench);
	assert_int_equal(bench->found, 0);
}

static void a_full_field_is_asked_later(void **state)
{
	struct bench *bench = *state;
	for (int i = 0; i < 4; i++)
		assert_true(mailbox_reserve(bench->from_field));
	health(bench, HEALTH_OK);
	expect_error(bench, "too much to do");
	for (int i = 0; i < 4; i++)
		mailbox_unreserve(bench->from_field);
	loop_advance(bench->loop, 1000000);
	walk(bench);
	assert_int_equal(bench->found, 1);
}

static void reloaded(struct member *device, void *context)
{
	struct bench *bench = context;
	discoveries_restart(bench->discoveries, device->number);
}

static void a_reload_finds_the_polls_anew(void **state)
{
	struct bench *bench = *state;
	struct member *device = member_of(bench);
	struct problems problems = PROBLEMS_NONE;
	health(bench, HEALTH_OK);
	walk(bench);
	struct plan *plan = device->plan;
	const struct fleet_watcher watcher = { reloaded, bench };
	assert_int_equal(fleet_reload(bench->fleet, 0, &watcher, &problems), FLEET_UNCHANGED);
	assert_false(holds(bench, plan));
	change_script(bench);
	assert_int_equal(fleet_reload(bench->fleet, 0, &watcher, &problems), FLEET_CHANGED);
	assert_ptr_equal(device->plan, plan);
	assert_true(holds(bench, plan));
	walk(bench);
	assert_ptr_equal(device->plan, plan);
	assert_int_equal(bench->found, 1);
	assert_int_equal(bench->decoded, 1);
	/* A script that needs to ask nothing has its polls at once; what waited is decoded. */
	change_script(bench);
	assert_int_equal(fleet_reload(bench->fleet, 0, &watcher, &problems), FLEET_CHANGED);
	assert_true(holds(bench, plan));
	message_destroy(&take_order(bench)->mail);
	mailbox_unreserve(bench->from_field);
	write_script(bench, "return { polls = { { name = 'a', period = 1, cell = 1 } } }");
	assert_int_equal(fleet_reload(bench->fleet, 0, &watcher, &problems), FLEET_CHANGED);
	assert_int_equal(bench->decoded, 2);
	assert_int_equal(device->plan->count, 1);
	assert_false(holds(bench, device->plan));
	problems_finish(&problems);
}

/* It would be written each minute, for nothing but to see whether the device is there. */
static void a_write_is_no_probe(void **state)
{
	struct bench *bench = *state;
	struct problems problems = PROBLEMS_NONE;
	const struct fleet_watcher watcher = { reloaded, bench };
	struct plan *plan = member_of(bench)->plan;
	write_script(
		bench, "return { discover = function() return { { cell = 1, value = 1 } } end }");
	assert_int_equal(fleet_reload(bench->fleet, 0, &watcher, &problems), -EINVAL);
	assert_non_null(strstr(problems.items[0].text, "request 1 writes"));
	assert_ptr_equal(member_of(bench)->plan, plan);
	problems_finish(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_device_is_probed_until_it_answers),
		TEST(after_down_the_same_polls_stay_and_nothing_is_lost),
		TEST(after_down_other_polls_take_their_place),
		TEST(failures_are_tried_again_with_growing_pauses),
		TEST(a_device_that_goes_down_is_left_alone),
		TEST(faults_of_the_script_are_said),
		TEST(a_full_field_is_asked_later),
		TEST(a_reload_finds_the_polls_anew),
		TEST(a_write_is_no_probe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
