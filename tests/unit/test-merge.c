/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that are asked for together, and what becomes of those that are refused. */
#include "field-rig.h"

#include <errno.h>
#include <string.h>

static const struct rig_setup merging = { .devices = 1,
	.baud = 9600,
	.paced = true,
	.echo = ANSWER_AUTO,
	.retries = 2,
	.merge = true,
	.merge_hole = 4 };

#define MINUTE_US (60 * USEC_PER_SEC)

static uint32_t runs(const struct rig *rig)
{
	uint32_t count = 0;
	merge_for_each_run(first, &rig->devices[0]->merge) count++;
	return count;
}

/* Eight polls of 4 registers that touch, every second. */
static void eight(struct rig *rig, uint16_t step)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
	struct rig_poll polls[8];
	for (uint16_t i = 0; i < 8; i++)
		polls[i] = (struct rig_poll){
			.name = names[i], .period = 1, .count = 4, .address = (uint16_t)(step * i)
		};
	rig_run_plan(rig, 0, polls, 8);
}

static uint32_t asked_in(struct rig *rig, int64_t us)
{
	uint32_t before = rig->units[1].asked;
	rig_run(rig, us);
	return rig->units[1].asked - before;
}

static void expect_answers(struct rig *rig, uint32_t from, uint32_t to, uint32_t low, uint32_t high)
{
	for (uint32_t i = from; i < to; i++)
		assert_in_range(rig->devices[0]->tasks[i].answers, low, high);
}

static void test_one_request_a_reading_each(void **state)
{
	struct rig *rig = rig_create(&merging);
	eight(rig, 4);
	rig_run(rig, 9900000);
	assert_int_equal(1, runs(rig));
	assert_int_equal(10, rig->units[1].asked);
	assert_int_equal(32, rig->units[1].count);
	assert_int_equal(80, rig->readings);
	assert_int_equal(0, rig->wrong);
	/* Each poll counts as if it had been asked for by itself. */
	for (uint32_t i = 0; i < 8; i++) {
		const struct task *task = &rig->devices[0]->tasks[i];
		assert_int_equal(10, task->requests);
		assert_int_equal(10, task->answers);
		assert_int_equal(0, task->missed);
		assert_true(task->good_ms > 0);
	}
	assert_int_equal(10, rig->bus->stats.requests);
	rig_destroy(rig);
}

static void same_stamp(struct rig *rig, const struct reading *reading)
{
	int64_t *last_us = rig->context;
	if (reading->poll == 0)
		*last_us = reading->stamp.mono_us;
	assert_int_equal(*last_us, reading->stamp.mono_us);
	assert_int_equal(8, reading->size);
}

static void test_parts_have_one_time(void **state)
{
	struct rig *rig = rig_create(&merging);
	int64_t last_us = 0;
	rig->context = &last_us;
	rig->on_reading = same_stamp;
	eight(rig, 6);
	rig_run(rig, 5 * USEC_PER_SEC);
	assert_int_equal(40, rig->readings);
	rig_destroy(rig);
}

/* What is read together: the number of runs of two polls. */
static uint32_t runs_of(
	const struct rig_setup *setup, const struct rig_poll *a, const struct rig_poll *b)
{
	struct rig *rig = rig_create(setup);
	struct rig_poll polls[] = { *a, *b };
	rig_run_plan(rig, 0, polls, 2);
	uint32_t count = runs(rig);
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
	return count;
}

static void test_what_is_merged(void **state)
{
	struct rig_poll a = { .name = "a", .period = 1, .count = 10 };
	struct rig_poll b = { .name = "b", .period = 1, .count = 10, .address = 14 };
	struct rig_setup setup = merging;
	assert_int_equal(1, runs_of(&setup, &a, &b));
	assert_int_equal(1, runs_of(&setup, &b, &a));
	b.address = 15;
	assert_int_equal(2, runs_of(&setup, &a, &b));
	setup.merge_hole = 0;
	b.address = 11;
	assert_int_equal(2, runs_of(&setup, &a, &b));
	b.address = 10;
	assert_int_equal(1, runs_of(&setup, &a, &b));
	b.address = 5;
	assert_int_equal(1, runs_of(&setup, &a, &b));
	setup.merge = false;
	assert_int_equal(2, runs_of(&setup, &a, &b));
	setup = merging;
	b.count = 120;
	assert_int_equal(1, runs_of(&setup, &a, &b));
	b.count = 121;
	assert_int_equal(2, runs_of(&setup, &a, &b));
}

static void test_what_keeps_apart(void **state)
{
	struct rig_poll a = { .name = "a", .period = 1, .count = 10 };
	struct rig_poll b = { .name = "b", .period = 1, .count = 10, .address = 10 };
	struct rig_poll other = b;
	assert_int_equal(1, runs_of(&merging, &a, &b));
	other.period = 2;
	assert_int_equal(2, runs_of(&merging, &a, &other));
	other = b;
	other.urgent = true;
	assert_int_equal(2, runs_of(&merging, &a, &other));
	other = b;
	other.timeout = 0.3;
	assert_int_equal(2, runs_of(&merging, &a, &other));
	a.timeout = 0.3;
	assert_int_equal(1, runs_of(&merging, &a, &other));
	a.timeout = 0;
	other = b;
	other.write = true;
	assert_int_equal(2, runs_of(&merging, &a, &other));
	/* As fast as can be is a period too. */
	a.period = b.period = 0;
	assert_int_equal(1, runs_of(&merging, &a, &b));
	a.urgent = b.urgent = true;
	assert_int_equal(1, runs_of(&merging, &a, &b));
}

static void test_device_decides_for_itself(void **state)
{
	struct rig *rig = rig_create(&merging);
	rig->conf.devices[0].merge = ANSWER_NO;
	eight(rig, 4);
	assert_int_equal(8, runs(rig));
	rig->conf.devices[0].merge = ANSWER_YES;
	rig->conf.buses[0].merge = false;
	eight(rig, 5);
	assert_int_equal(1, runs(rig));
	rig->conf.devices[0].merge_hole = 0;
	eight(rig, 5);
	assert_int_equal(8, runs(rig));
	rig_destroy(rig);
}

static void note_poll(struct rig *rig, const struct reading *reading)
{
	buffer_printf(rig->context, "%s ", reading->plan->polls[reading->poll].request->name);
}

static void test_declared_order_where_all_are_due(void **state)
{
	struct rig *rig = rig_create(&merging);
	OWNED_BUFFER order = BUFFER_EMPTY;
	struct rig_poll polls[] = { { .name = "a", .period = 1, .count = 4, .address = 100 },
		{ .name = "b", .period = 1, .count = 4, .address = 50 },
		{ .name = "c", .period = 1, .count = 4, .address = 104 },
		{ .name = "d", .period = 1, .count = 4 } };
	rig->context = &order;
	rig->on_reading = note_poll;
	rig_run_plan(rig, 0, polls, 4);
	rig_run(rig, 900000);
	assert_string_equal("a c b d ", buffer_text(&order));
	rig_destroy(rig);
}

static void test_refused_poll_stands_alone(void **state)
{
	struct rig *rig = rig_create(&merging);
	rig->units[1].bad_begin = 20;
	rig->units[1].bad_end = 24;
	eight(rig, 4);
	rig_run(rig, 100000);
	/* Of eight, halved three times: it is found at once. */
	rig_run(rig, 3 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	rig_run(rig, 5 * MINUTE_US);
	/* a to e, f alone, g and h. */
	assert_int_equal(3, runs(rig));
	expect_answers(rig, 0, 5, 302, 305);
	expect_answers(rig, 6, 8, 302, 305);
	assert_int_equal(0, rig->devices[0]->tasks[5].answers);
	/* Two requests a second, and the bad one slowly. */
	uint32_t asked = asked_in(rig, MINUTE_US);
	assert_in_range(asked, 120, 123);
	assert_int_equal(0, rig->wrong);
	/* It works after all: with the others again. */
	rig->units[1].bad_end = 0;
	rig_run(rig, 2 * MINUTE_US);
	assert_int_equal(1, runs(rig));
	asked = asked_in(rig, MINUTE_US);
	assert_in_range(asked, 59, 61);
	assert_true(rig->devices[0]->tasks[5].answers > 60);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_hole_that_is_refused(void **state)
{
	struct rig *rig = rig_create(&merging);
	rig->units[1].bad_begin = 10;
	rig->units[1].bad_end = 12;
	/* 0 to 3, 6 to 9, 12 to 15 and so on: the bad ones lie behind the second. */
	eight(rig, 6);
	rig_run(rig, MINUTE_US);
	assert_int_equal(2, runs(rig));
	expect_answers(rig, 0, 8, 59, 61);
	assert_in_range(rig->units[1].refused, 3, 8);
	/* Tried again after a minute, after two, at last once an hour. */
	uint32_t refused = rig->units[1].refused;
	rig_run(rig, 600 * MINUTE_US);
	assert_in_range(rig->units[1].refused - refused, 10, 18);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(0, rig->devices[0]->tasks[2].missed);
	assert_null(strstr(buffer_text(&rig->log), "fails"));
	assert_int_equal(0, rig->wrong);
	/* A firmware that knows them: within the hour it is one request. */
	rig->units[1].bad_end = 0;
	rig_run(rig, 62 * MINUTE_US);
	assert_int_equal(1, runs(rig));
	rig_destroy(rig);
}

static void test_two_holes(void **state)
{
	struct rig *rig = rig_create(&merging);
	rig->units[1].bad_begin = 4;
	rig->units[1].bad_end = 6;
	/* The last of the row as well: longer reads than this are refused. */
	rig->units[1].most = 22;
	eight(rig, 6);
	rig_run(rig, 5 * MINUTE_US);
	/* a alone, then at most four together: 4 + 6 + 6 + 6. */
	assert_in_range(runs(rig), 3, 4);
	expect_answers(rig, 0, 8, 299, 301);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void refuse_once(struct rig *rig, uint8_t code, int64_t us)
{
	rig->units[1].exception = code;
	rig_run(rig, us);
	rig->units[1].exception = 0;
}

static void test_noise_changes_nothing_for_long(void **state)
{
	struct rig *rig = rig_create(&merging);
	eight(rig, 4);
	rig_run(rig, 9900000);
	uint32_t refused = rig->units[1].refused;
	rig->units[1].exception = 2;
	while (rig->units[1].refused == refused)
		rig_run(rig, 1000);
	rig->units[1].exception = 0;
	/* Its halves are asked at once, so that no value is missing, and then it is one again. */
	assert_int_equal(2, asked_in(rig, 900000));
	expect_answers(rig, 0, 8, 11, 11);
	assert_in_range(asked_in(rig, 10 * USEC_PER_SEC), 10, 11);
	assert_int_equal(1, runs(rig));
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(0, rig->devices[0]->tasks[i].failures);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_other_exceptions_say_nothing_of_the_range(void **state)
{
	struct rig *rig = rig_create(&merging);
	eight(rig, 4);
	rig_run(rig, 9900000);
	refuse_once(rig, 6, 500000);
	assert_int_equal(1, runs(rig));
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(1, runs(rig));
	expect_answers(rig, 0, 8, 19, 21);
	rig_destroy(rig);
}

static void test_gateway_time_outs_never_take_apart(void **state)
{
	struct rig *rig = rig_create(&merging);
	eight(rig, 4);
	rig_run(rig, 10 * USEC_PER_SEC);
	refuse_once(rig, 0x0b, MINUTE_US);
	assert_int_equal(HEALTH_DOWN, rig->health[0]);
	assert_int_equal(1, runs(rig));
	refuse_once(rig, 0x0a, MINUTE_US);
	assert_int_equal(1, runs(rig));
	rig_run(rig, MINUTE_US + 20 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(1, runs(rig));
	assert_in_range(asked_in(rig, 10 * USEC_PER_SEC), 10, 10);
	rig_destroy(rig);
}

static void test_dead_unit_stays_merged(void **state)
{
	struct rig *rig = rig_create(&merging);
	eight(rig, 4);
	rig_run(rig, 10 * USEC_PER_SEC);
	rig->units[1].dead = true;
	rig_run(rig, 2 * MINUTE_US);
	assert_int_equal(HEALTH_DOWN, rig->health[0]);
	/* A probe is one poll, the shortest that may be asked. */
	assert_int_equal(4, rig->units[1].count);
	rig->units[1].dead = false;
	rig_run(rig, 70 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(1, runs(rig));
	assert_in_range(asked_in(rig, 10 * USEC_PER_SEC), 10, 10);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void silent_when_long(struct rig *rig, const struct heard_request *request)
{
	uint8_t frame[300];
	if (request->count > 10)
		return;
	rig_say(rig, request->end_us + rig->bus->gap_us, frame, rig_answer(request, false, frame));
}

static void test_silence_to_long_reads(void **state)
{
	struct rig *rig = rig_create(&merging);
	rig->behave = silent_when_long;
	eight(rig, 4);
	rig_run(rig, 5 * MINUTE_US);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(4, runs(rig));
	uint32_t before = rig->readings;
	rig_run(rig, 10 * MINUTE_US);
	assert_true(rig->readings - before > 8 * 560);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_retries_are_the_same_request(void **state)
{
	struct rig *rig = rig_create(&merging);
	eight(rig, 4);
	rig_run(rig, 9900000);
	rig->units[1].dead = true;
	uint32_t asked = rig->units[1].asked;
	while (rig->units[1].asked == asked)
		rig_run(rig, 1000);
	rig->units[1].dead = false;
	rig_run(rig, 1200000);
	assert_int_equal(32, rig->units[1].count);
	assert_int_equal(1, runs(rig));
	assert_int_equal(HEALTH_OK, rig->health[0]);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(0, rig->devices[0]->tasks[i].failures);
	rig_destroy(rig);
}

static void test_plan_change_keeps_phase(void **state)
{
	struct rig *rig = rig_create(&merging);
	struct rig_poll polls[] = { { .name = "a", .period = 60, .count = 4 },
		{ .name = "b", .period = 60, .count = 4, .address = 4 },
		{ .name = "new", .period = 60, .count = 4, .address = 8 } };
	rig_run_plan(rig, 0, polls, 2);
	rig_run(rig, 90 * USEC_PER_SEC);
	int64_t due_us = rig->devices[0]->tasks[0].due_us;
	/* What is new is read at once, and from then on in step with the others. */
	rig_run_plan(rig, 0, polls, 3);
	rig_run(rig, USEC_PER_SEC);
	assert_int_equal(1, runs(rig));
	assert_int_equal(1, rig->devices[0]->tasks[2].answers);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(due_us, rig->devices[0]->tasks[i].due_us);
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_int_equal(2, rig->devices[0]->tasks[2].answers);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_many_in_flight_over_tcp(void **state)
{
	struct rig_setup setup = { .devices = 3, .in_flight = 8, .merge = true, .merge_hole = 2 };
	struct rig *rig = rig_create(&setup);
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k",
		"l" };
	struct rig_poll polls[12];
	for (uint16_t i = 0; i < 12; i++)
		polls[i] = (struct rig_poll){ .name = names[i],
			.period = i / 6,
			.count = 10,
			.address = (uint16_t)(10 * i) };
	rig->units[1].bad_begin = 35;
	rig->units[1].bad_end = 36;
	rig->units[2].most = 25;
	for (uint32_t i = 0; i < 3; i++)
		rig_run_plan(rig, i, polls, 12);
	for (uint32_t i = 0; i < 200; i++) {
		rig_run(rig, 50000);
		/* Plans change and connections go while much is under way. */
		if (i % 20 == 10)
			rig_run_plan(rig, i / 20 % 3, polls, 6 + i / 20 % 6);
		if (i % 30 == 29)
			rig_lose(rig, ECONNRESET);
	}
	assert_int_equal(0, rig->wrong);
	assert_true(rig->readings > 1000);
	rig_destroy(rig);
}

static void test_listeners_are_not_merged(void **state)
{
	struct rig_setup setup = merging;
	setup.listen = true;
	struct rig *rig = rig_create(&setup);
	eight(rig, 4);
	assert_int_equal(8, runs(rig));
	rig_run(rig, 5 * USEC_PER_SEC);
	assert_int_equal(0, rig->units[1].asked);
	rig_destroy(rig);
}

/* ---- a plugin that does not keep its word ----------------------------------------------------- */

extern const struct eb_plugin eb_plugin;

static int no_cut(const void *state, const struct eb_request *merged, const struct eb_request *part,
	const uint8_t *content, size_t size, uint8_t *out)
{
	return part->data[2] == 4 ? -EINVAL
				  : eb_plugin.cut(state, merged, part, content, size, out);
}

static int merge_to_a_write(const void *state, const struct eb_request *a,
	const struct eb_request *b, uint32_t hole, struct eb_request *merged)
{
	int result = eb_plugin.merge(state, a, b, hole, merged);
	merged->flags |= EB_WRITE;
	return result;
}

static int merge_two_only(const void *state, const struct eb_request *a, const struct eb_request *b,
	uint32_t hole, struct eb_request *merged)
{
	return a->data[4] > 4 ? -ENOENT : eb_plugin.merge(state, a, b, hole, merged);
}

static void test_what_cannot_be_cut_out(void **state)
{
	struct eb_plugin plugin = eb_plugin;
	struct rig *rig = rig_create(&merging);
	plugin.cut = no_cut;
	rig->conf.buses[0].plugin = &plugin;
	eight(rig, 4);
	rig_run(rig, 9900000);
	assert_int_equal(70, rig->readings);
	assert_int_equal(10, rig->devices[0]->tasks[1].failures);
	assert_int_equal(0, rig->wrong);
	const char *said = strstr(buffer_text(&rig->log), "cannot cut");
	assert_non_null(said);
	assert_null(strstr(said + 1, "cannot cut"));
	rig_destroy(rig);
}

static void test_odd_merges(void **state)
{
	struct eb_plugin plugin = eb_plugin;
	struct rig *rig = rig_create(&merging);
	plugin.merge = merge_to_a_write;
	rig->conf.buses[0].plugin = &plugin;
	eight(rig, 4);
	assert_int_equal(8, runs(rig));
	plugin.merge = merge_two_only;
	eight(rig, 4);
	assert_int_equal(4, runs(rig));
	rig->units[1].bad_begin = 9;
	rig->units[1].bad_end = 10;
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_int_equal(5, runs(rig));
	plugin.merge = NULL;
	eight(rig, 4);
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(8, runs(rig));
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

/*
 * b and c are joined through a, which spans them: with a taken away they are too far apart, and each is
 * read by itself.
 */
static void test_parts_that_only_a_third_holds_together(void **state)
{
	struct rig *rig = rig_create(&merging);
	struct rig_poll polls[] = { { .name = "a", .period = 1, .count = 21 },
		{ .name = "b", .period = 1, .address = 1, .count = 2 },
		{ .name = "c", .period = 1, .address = 21, .count = 4 } };
	rig_run_plan(rig, 0, polls, 3);
	assert_int_equal(1, runs(rig));
	/* All three at once are more than it answers. */
	rig->units[1].most = 22;
	rig_run(rig, 1900000);
	assert_int_equal(1, rig->units[1].refused);
	expect_answers(rig, 0, 3, 2, 2);
	rig_run(rig, 10 * MINUTE_US);
	/* a and b are one again, c stays alone. */
	assert_int_equal(2, runs(rig));
	assert_int_equal(1, rig->units[1].refused);
	expect_answers(rig, 0, 3, 601, 602);
	assert_in_range(asked_in(rig, MINUTE_US), 120, 121);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_request_a_reading_each),
		cmocka_unit_test(test_parts_have_one_time),
		cmocka_unit_test(test_what_is_merged),
		cmocka_unit_test(test_what_keeps_apart),
		cmocka_unit_test(test_device_decides_for_itself),
		cmocka_unit_test(test_declared_order_where_all_are_due),
		cmocka_unit_test(test_refused_poll_stands_alone),
		cmocka_unit_test(test_hole_that_is_refused),
		cmocka_unit_test(test_two_holes),
		cmocka_unit_test(test_noise_changes_nothing_for_long),
		cmocka_unit_test(test_other_exceptions_say_nothing_of_the_range),
		cmocka_unit_test(test_gateway_time_outs_never_take_apart),
		cmocka_unit_test(test_dead_unit_stays_merged),
		cmocka_unit_test(test_silence_to_long_reads),
		cmocka_unit_test(test_retries_are_the_same_request),
		cmocka_unit_test(test_plan_change_keeps_phase),
		cmocka_unit_test(test_many_in_flight_over_tcp),
		cmocka_unit_test(test_listeners_are_not_merged),
		cmocka_unit_test(test_what_cannot_be_cut_out),
		cmocka_unit_test(test_odd_merges),
		cmocka_unit_test(test_parts_that_only_a_third_holds_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
