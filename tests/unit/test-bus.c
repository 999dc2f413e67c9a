/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of wrong answer, the retries, and what the line is left alone for. */
#include "field-rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "field/answers.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/value.h"

static const struct rig_setup one_unit = {
	.devices = 2, .baud = 9600, .paced = true, .echo = ANSWER_AUTO, .retries = 2
};

/* What the unit does to its next answers. */
struct fault {
	uint32_t times;
	size_t cut; /* bytes left off */
	bool flip, foreign, soon, twice;
	int64_t late_us;
	uint32_t drip_us; /* between the bytes */
};

static void misbehave(struct rig *rig, const struct heard_request *request)
{
	struct fault *fault = rig->context, none = { .times = 0 };
	uint8_t frame[300];
	if (!fault->times)
		fault = &none;
	else
		fault->times--;
	struct heard_request answered = *request;
	answered.unit += fault->foreign;
	size_t size = rig_answer(&answered, !rig->setup.baud, frame);
	int64_t at_us = request->end_us + rig->bus->gap_us + fault->late_us;
	frame[size - 3] ^= fault->flip;
	if (fault->soon)
		at_us = loop_now(rig->loop) - (int64_t)size * rig_char_us(rig) + 1000;
	if (fault->drip_us) {
		for (size_t i = 0; i < size; i++)
			rig_say(rig, at_us + (int64_t)(i * fault->drip_us), frame + i, 1);
		return;
	}
	rig_say(rig, at_us, frame, size - fault->cut);
	if (fault->twice)
		rig_say(rig, rig->line_end_us, frame, size);
}

/* The errors of the class that this fault made in the first try; the retry brings the reading. */
static uint32_t errors_of(struct fault fault, uint32_t error, uint32_t *readings)
{
	struct rig *rig = rig_create(&one_unit);
	fault.times = 1;
	rig->context = &fault;
	rig->behave = misbehave;
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 10, .period = 60 }, 1);
	rig_run(rig, 20 * USEC_PER_SEC);
	uint32_t count = rig->bus->stats.errors[error];
	assert_int_equal(0, rig->wrong);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	*readings = rig->readings;
	rig_destroy(rig);
	return count;
}

static void test_each_class_of_error(void **state)
{
	uint32_t readings;
	assert_int_equal(1, errors_of((struct fault){ .flip = true }, EB_CRC, &readings));
	assert_int_equal(1, readings);
	assert_int_equal(1, errors_of((struct fault){ .cut = 3 }, EB_SHORT, &readings));
	assert_int_equal(1, readings);
	assert_int_equal(1, errors_of((struct fault){ .foreign = true }, EB_FOREIGN, &readings));
	assert_int_equal(1, readings);
	assert_int_equal(1, errors_of((struct fault){ .cut = 25 }, EB_TIMEOUT, &readings));
	assert_int_equal(1, readings);
	/* 700 ms late: a time-out, then bytes that nobody asked for. */
	assert_int_equal(1, errors_of((struct fault){ .late_us = 700000 }, EB_TIMEOUT, &readings));
	assert_int_equal(1, readings);
	assert_int_equal(1, errors_of((struct fault){ .late_us = 700000 }, EB_LATE, &readings));
	/* Sooner than the wire can carry it: refused. */
	assert_int_equal(1, errors_of((struct fault){ .soon = true }, EB_LATE, &readings));
	assert_int_equal(1, readings);
	/* The second one comes while nobody asks. */
	assert_int_equal(0, errors_of((struct fault){ .twice = true }, EB_TIMEOUT, &readings));
	assert_int_equal(1, readings);
}

static void test_one_deadline_for_a_dripping_unit(void **state)
{
	struct rig *rig = rig_create(&one_unit);
	struct fault fault = { .times = 1, .drip_us = 450000 };
	rig->context = &fault;
	rig->behave = misbehave;
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 10, .period = 60 }, 1);
	rig_run_plan(rig, 1, &(struct rig_poll){ .count = 10, .period = 1 }, 1);
	rig_run(rig, 700000);
	assert_int_equal(0, rig->bus->in_flight);
	rig_run(rig, 30 * USEC_PER_SEC);
	assert_int_equal(0, rig->wrong);
	assert_int_equal(1, rig->device_readings[0]);
	assert_true(rig->device_readings[1] >= 20);
	rig_destroy(rig);
}

static void test_reads_are_tried_so_often(void **state)
{
	for (uint32_t retries = 0; retries < 4; retries++) {
		struct rig_setup setup = one_unit;
		setup.retries = retries;
		struct rig *rig = rig_create(&setup);
		rig->units[1].dead = true;
		rig_run_plan(rig, 0, &(struct rig_poll){ .count = 10, .period = 60 }, 1);
		while (rig->health[0] == HEALTH_UNKNOWN)
			rig_run(rig, 10000);
		assert_int_equal(retries + 1, rig->units[1].asked);
		rig_destroy(rig);
	}
}

/* No request to a unit before its answer cannot come any more, while the others go on. */
static void test_unit_is_left_alone_after_a_timeout(void **state)
{
	struct rig *rig = rig_create(&one_unit);
	rig->units[1].dead = true;
	rig_poll_all(rig, &(struct rig_poll){ .count = 10 });
	rig_run(rig, 300000);
	int64_t first_us = rig->units[1].asked_us;
	while (rig->units[1].asked < 2) {
		rig_run(rig, 1000);
		if (rig->units[1].asked == 1)
			first_us = rig->units[1].asked_us;
	}
	assert_true(rig->units[1].asked_us - first_us >= 1000000);
	assert_true(rig->device_readings[1] > 10);
	rig_destroy(rig);
}

static void test_line_that_is_never_silent(void **state)
{
	struct rig *rig = rig_create(&one_unit);
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 10, .period = 1 }, 1);
	rig_run(rig, 100000);
	for (int64_t i = 0; i < 10000; i++)
		rig_say(rig, loop_now(rig->loop) + i * 1000, "\xff", 1);
	rig_run(rig, 10 * USEC_PER_SEC);
	/* Asked all the same, if not often. */
	assert_in_range(rig->units[1].asked, 5, 25);
	assert_true(rig->bus->noise_bytes > 9000);
	rig_run(rig, 20 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_further_silence_between_units(void **state)
{
	for (uint32_t devices = 1; devices <= 3; devices++) {
		struct rig *rig = rig_create(&(struct rig_setup){
			.devices = devices, .baud = 9600, .paced = true, .echo = ANSWER_NO });
		int64_t gap_us = rig->bus->gap_us;
		rig->conf.buses[0].unit_gap_us = 30000;
		rig_poll_all(rig, &(struct rig_poll){ .count = 2 });
		rig_run(rig, 10 * USEC_PER_SEC);
		assert_int_equal(0, rig->wrong);
		if (devices == 1)
			assert_in_range(rig->least_gap_us, gap_us, gap_us + 1000);
		else
			assert_in_range(rig->least_gap_us, gap_us + 30000, gap_us + 31000);
		assert_true(rig->device_readings[devices - 1] > 50);
		rig_destroy(rig);
	}
}

static void test_gap_after_bytes_nobody_asked_for(void **state)
{
	struct rig *rig = rig_create(&one_unit);
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 10, .period = 1 }, 1);
	for (int64_t i = 1; i < 100; i++) {
		rig_run(rig, 999000);
		rig_say(rig, loop_now(rig->loop) - 4 * rig_char_us(rig), "\x12\x34\x56\x78", 4);
	}
	assert_true(rig->least_gap_us >= rig->bus->gap_us);
	assert_in_range(rig->readings, 97, 100);
	rig_destroy(rig);
}

/* The time-out is for the unit to begin; what the wire takes for the answer comes on top. */
static void test_long_answer_on_a_slow_line(void **state)
{
	static const enum conf_answer echoes[] = { ANSWER_AUTO, ANSWER_NO };
	for (size_t i = 0; i < 2; i++) {
		struct rig *rig = rig_create(&(struct rig_setup){ .devices = 1,
			.baud = 1200,
			.paced = true,
			.echo = echoes[i],
			.timeout_ms = 300 });
		struct fault fault = { .times = UINT32_MAX, .drip_us = 8333 };
		rig->context = &fault;
		rig->behave = misbehave;
		rig_run_plan(rig, 0, &(struct rig_poll){ .count = 125 }, 1);
		rig_run(rig, 100 * USEC_PER_SEC);
		assert_int_equal(0, rig->bus->stats.errors[EB_TIMEOUT]);
		assert_true(rig->readings > 35);
		assert_int_equal(0, rig->wrong);
		rig_destroy(rig);
	}
}

/* Requests and answers of another master, of which we declare one. */
static void test_listening(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){
		.devices = 2, .baud = 9600, .paced = true, .echo = ANSWER_NO, .listen = true });
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 4, .address = 10, .period = 1 }, 1);
	uint8_t request[8] = { 1, 3, 0, 10, 0, 4 }, frame[300];
	extern uint16_t rtu_crc(const uint8_t *bytes, size_t size);
	uint16_t crc = rtu_crc(request, 6);
	request[6] = (uint8_t)crc;
	request[7] = (uint8_t)(crc >> 8);
	struct heard_request heard = {
		.frame = request, .size = 8, .unit = 1, .function = 3, .address = 10, .count = 4
	};
	for (int i = 0; i < 10; i++) {
		rig_say(rig, loop_now(rig->loop) + 5000, request, 8);
		rig_say(rig, rig->line_end_us + 5000, frame, rig_answer(&heard, false, frame));
		rig_run(rig, USEC_PER_SEC);
	}
	assert_int_equal(10, rig->readings);
	assert_int_equal(0, rig->wrong);
	assert_int_equal(0, rig->units[1].asked);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(10, rig->devices[0]->tasks[0].answers);
	rig_destroy(rig);
}

static void test_tcp_several_in_flight(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 8, .in_flight = 4 });
	for (uint32_t i = 1; i <= 8; i++)
		rig->units[i].delay_us = 10000;
	rig_poll_all(rig, &(struct rig_poll){ .count = 10 });
	rig_run(rig, 5000);
	assert_int_equal(4, rig->bus->in_flight);
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_in_range(rig->readings, 3900, 4010);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

/* A late answer carries the number of a request that is gone; the next one is not disturbed. */
static void test_tcp_late_answers_are_dropped(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 1, .retries = 1 });
	struct fault fault = { .times = 5, .late_us = 600000 };
	rig->context = &fault;
	rig->behave = misbehave;
	struct rig_poll polls[] = { { .name = "a", .count = 3, .period = 1 },
		{ .name = "b", .count = 3, .period = 1, .address = 40 } };
	rig_run_plan(rig, 0, polls, 2);
	rig_run(rig, 20 * USEC_PER_SEC);
	assert_int_equal(0, rig->wrong);
	assert_int_equal(5, rig->bus->stats.errors[EB_TIMEOUT]);
	assert_true(rig->bus->stats.errors[EB_LATE] >= 4);
	assert_true(rig->readings >= 30);
	rig_destroy(rig);
}

/* Whole frames that nobody waits for: held for late answers after a time-out, but not without end. */
static void test_tcp_flood_after_a_timeout_ends_the_connection(void **state)
{
	static const uint8_t foreign[13] = { 0x12, 0x34, 0, 0, 0, 7, 1, 3, 4, 0, 1, 0, 2 };
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 1 });
	rig->units[1].dead = true;
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 3, .period = 1 }, 1);
	while (!rig->bus->stats.errors[EB_TIMEOUT])
		rig_run(rig, 1000);
	assert_int_equal(0, rig->bus->link_losses);
	for (int i = 0; i < 400; i++)
		rig_say(rig, loop_now(rig->loop), foreign, sizeof(foreign));
	rig_run(rig, 1000);
	assert_int_equal(1, rig->bus->link_losses);
	assert_non_null(strstr(rig->link_reason, "is it the right port?"));
	rig->units[1].dead = false;
	rig_run(rig, 65 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

/* Who sends faster than we read must not keep the thread from the other buses. */
static void test_flood_is_read_in_turns(void **state)
{
	static const uint8_t noise[1024];
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 1, .baud = 9600 });
	rig_run(rig, 100000);
	for (int i = 0; i < 1000; i++)
		rig_say(rig, loop_now(rig->loop) - i, noise, sizeof(noise));
	rig->bus->link->events->readable(rig->bus);
	assert_true(rig->bus->noise_bytes <= 70000);
	assert_false(list_empty(&rig->chunks));
	rig_run(rig, USEC_PER_SEC);
	assert_true(list_empty(&rig->chunks));
	/* It is more than any line carries: the port rests between the tries. */
	assert_int_equal(1, rig->bus->link_losses);
	assert_non_null(
		strstr(buffer_text(&rig->log), "more noise comes than its baud rate carries"));
	assert_true(rig->bus->noise_bytes < 200000);
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_true(rig->link_up);
	/* What a line may carry all day closes nothing. */
	for (int i = 0; i < 600; i++) {
		rig_say(rig, loop_now(rig->loop) + i * USEC_PER_SEC / 10, noise, 96);
	}
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_int_equal(1, rig->bus->link_losses);
	rig_destroy(rig);
}

static void test_mute_connection_is_made_anew(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 1 });
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 3, .period = 1 }, 1);
	rig_run(rig, 5 * USEC_PER_SEC);
	rig->units[1].dead = true;
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_true(rig->opens >= 2);
	/* Which is no change of the link that anybody must hear of. */
	assert_int_equal(1, rig->changes);
	rig->units[1].dead = false;
	rig_run(rig, 65 * USEC_PER_SEC);
	assert_int_equal(HEALTH_OK, rig->health[0]);
	rig_destroy(rig);
}

static void test_close_after_poll(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 1 });
	rig->conf.buses[0].link.close_after_poll = true;
	rig->conf.buses[0].link.connect_pause_ms = 20;
	rig_run_plan(rig, 0, &(struct rig_poll){ .count = 3, .period = 10 }, 1);
	rig_run(rig, USEC_PER_SEC);
	assert_false(rig->open);
	rig_run(rig, 100 * USEC_PER_SEC);
	assert_in_range(rig->readings, 10, 12);
	assert_in_range(rig->opens, 10, 13);
	assert_int_equal(1, rig->changes);
	rig_destroy(rig);
}

static void check_json(const struct buffer *text)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[200];
	if (json_parse(&value, text->data, text->size, error, sizeof(error)) < 0)
		fail_msg("%s in %s", error, buffer_text(text));
}

static void test_answers(void **state)
{
	struct rig *rig = rig_create(&one_unit);
	struct fault fault = { .times = 3, .flip = true };
	rig->context = &fault;
	rig->behave = misbehave;
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 30 * USEC_PER_SEC);
	OWNED_BUFFER dump = BUFFER_EMPTY, bus = BUFFER_EMPTY, device = BUFFER_EMPTY,
		     status = BUFFER_EMPTY;
	answer_dump(rig->bus, &dump);
	answer_bus(rig->bus, &bus);
	answer_device(rig->devices[0], &device);
	answer_status(&rig->bus, 1, &status);
	check_json(&dump);
	check_json(&bus);
	check_json(&device);
	check_json(&status);
	assert_non_null(strstr(buffer_text(&dump), "\"bytes\":\"01030000000ac5cd\""));
	assert_non_null(strstr(buffer_text(&dump), "noise: crc"));
	assert_non_null(strstr(buffer_text(&bus), "\"crc\":3"));
	assert_non_null(strstr(buffer_text(&device), "\"state\":\"ok\""));
	const char *poll = strstr(buffer_text(&device), "\"name\":\"live\"");
	assert_non_null(poll);
	assert_non_null(strstr(poll, "\"crc\":2"));
	assert_non_null(strstr(poll, "\"late_p95_us\":"));
	/* 8 + 25 characters at 9600 baud, and what the unit took. */
	const char *least = strstr(poll, "\"round_trip_us\":{\"min\":");
	assert_non_null(least);
	assert_in_range(
		strtoul(least + strlen("\"round_trip_us\":{\"min\":"), NULL, 10), 33000, 60000);
	assert_non_null(strstr(buffer_text(&status), "\"link\":\"up\""));
	rig_destroy(rig);
}

static void test_trace_keeps_the_newest(void **state)
{
	struct trace trace = { .data = NULL };
	uint8_t bytes[300] = { 0 };
	for (uint32_t i = 0; i < 10000; i++) {
		memcpy(bytes, &i, sizeof(i));
		trace_put(&trace, 400, i, TRACE_SENT, 0, EB_NONE, bytes, i % 290);
		assert_true(trace.used <= 400);
		assert_true(trace.used >= 100 || i < 20);
	}
	trace_finish(&trace);
}

static const char *no_name(void *context, uint32_t device)
{
	(void)context;
	static char name[12];
	snprintf(name, sizeof(name), "d%u", (unsigned)device);
	return name;
}

static unsigned count_of(const char *text, const char *words)
{
	unsigned count = 0;
	for (; (text = strstr(text, words)); text += strlen(words))
		count++;
	return count;
}

/* What each of 1,000 buses has holds some dozens of frames, with their times. */
static void test_trace_holds_dozens_of_frames(void **state)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	struct trace trace = { .data = NULL };
	const struct trace_view view = { .mono_us = 0, .wall_ms = 0, .name = no_name };
	uint8_t frame[29] = { 0 };
	int64_t mono_us = INT64_C(5000000000000);
	for (unsigned i = 0; i < 1000; i++) {
		mono_us += 990000;
		trace_put(&trace, 786, mono_us, TRACE_SENT, 999, EB_NONE, frame, 12);
		mono_us += 10000;
		trace_put(&trace, 786, mono_us, TRACE_ANSWER, 999, EB_NONE, frame, 29);
	}
	trace_print(&trace, &view, &text);
	assert_in_range(count_of(buffer_text(&text), "\"time_us\""), 20, 30);
	assert_non_null(strstr(buffer_text(&text), "{\"time_us\":5001000000000,"));
	assert_non_null(strstr(buffer_text(&text), "{\"time_us\":5000999990000,"));
	assert_int_equal(count_of(buffer_text(&text), "\"device\":\"d999\""),
		count_of(buffer_text(&text), "\"time_us\""));
	trace_finish(&trace);
}

/* All that a record may say comes back as it was, also where noise makes its numbers longer. */
static void test_trace_gives_back_what_was_put(void **state)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	struct trace trace = { .data = NULL };
	const struct trace_view view = { .mono_us = 0, .wall_ms = 0, .name = no_name };
	uint8_t bytes[400];
	memset(bytes, 0xab, sizeof(bytes));
	trace_put(&trace, 600, 7, TRACE_LINK_UP, TRACE_NO_DEVICE, EB_NONE, NULL, 0);
	trace_put(&trace, 600, 8, TRACE_NOISE, UINT32_MAX - 1, EB_CRC, "\1\2", 2);
	for (unsigned i = 0; i < 200; i++)
		trace_put(&trace, 600, 9, TRACE_NOISE, UINT32_MAX - 1, EB_CRC, "\3", 1);
	trace_put(&trace, 600, 5, TRACE_FAILED, 0, EB_TIMEOUT, NULL, 0);
	trace_put(&trace, 600, INT64_MAX / 2, TRACE_ANSWER, 1, EB_NONE, bytes, sizeof(bytes));
	trace_print(&trace, &view, &text);
	const char *all = buffer_text(&text);
	assert_non_null(strstr(
		all, "{\"time_us\":7,\"wall_ms\":0,\"direction\":\"--\",\"note\":\"link up\"}"));
	assert_non_null(strstr(
		all, "{\"time_us\":8,\"wall_ms\":0,\"direction\":\"rx\",\"bytes\":\"010203"));
	assert_non_null(
		strstr(all, ",\"size\":202,\"device\":\"d4294967294\",\"note\":\"noise: crc\"}"));
	/* No later than what came before it: the clock does not go back. */
	assert_non_null(strstr(all,
		"{\"time_us\":8,\"wall_ms\":0,\"direction\":\"--\",\"device\":\"d0\",\"note\":\"failed: timeout\"}"));
	assert_non_null(strstr(all, "{\"time_us\":4611686018427387903,"));
	assert_non_null(strstr(all, "abab\",\"size\":400,\"device\":\"d1\",\"note\":\"answer\"}"));
	trace_finish(&trace);
}

static void test_memory_of_one_device(void **state)
{
	size_t size = sizeof(struct bus) + sizeof(struct device) + sizeof(struct task) +
		sizeof(struct part);
	print_message("bus %zu, device %zu, task %zu, part %zu bytes\n", sizeof(struct bus),
		sizeof(struct device), sizeof(struct task), sizeof(struct part));
	assert_true(size + 320 + 200 < 1664);
}

static void test_connection_that_is_refused_later(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 1 });
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, USEC_PER_SEC);
	rig->open_result = -EINPROGRESS;
	rig_lose(rig, EPIPE);
	uint32_t opens = rig->opens;
	while (rig->opens == opens)
		rig_run(rig, 1000);
	rig->link.events->failed(rig->link.owner, "refused by the test");
	rig_collect(rig);
	assert_false(rig->link_up);
	assert_string_equal("refused by the test", rig->bus->why);
	/* It does not wait for the connect time-out as well. */
	rig->open_result = 0;
	rig_run(rig, 2 * USEC_PER_SEC);
	assert_true(rig->link_up);
	rig_destroy(rig);
}

static int refuse_to_open(void *state, const struct eb_settings *options,
	const struct eb_line *line, struct eb_timing *timing, struct eb_error *error)
{
	snprintf(error->text, sizeof(error->text), "no such dialect");
	return -EINVAL;
}

/* What is refused leaves nothing behind, and the bus that runs does not notice. */
static void test_plugin_that_does_not_open(void **state)
{
	struct rig *rig = rig_create(&one_unit);
	struct conf_bus *conf = &rig->conf.buses[0];
	struct eb_plugin plugin = *conf->plugin;
	struct eb_error error = { "" };
	struct bus *bus = NULL;
	plugin.open = refuse_to_open;
	conf->plugin = &plugin;
	assert_int_equal(-EINVAL, bus_create(&bus, rig->plane, 0, NULL, &error));
	assert_null(bus);
	assert_string_equal("no such dialect", error.text);
	/* Options that it does not know are refused before it is asked. */
	OWNED_BUFFER odd = BUFFER_EMPTY;
	struct buffer good = conf->options;
	value_put_map(&odd, 1);
	value_pair_integer(&odd, "nonsense", 1);
	conf->options = odd;
	assert_int_equal(-EINVAL, bus_create(&bus, rig->plane, 0, NULL, &error));
	assert_null(bus);
	assert_non_null(strstr(error.text, "nonsense"));
	conf->options = good;
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 5 * USEC_PER_SEC);
	assert_true(rig->readings >= 8);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_class_of_error),
		cmocka_unit_test(test_one_deadline_for_a_dripping_unit),
		cmocka_unit_test(test_reads_are_tried_so_often),
		cmocka_unit_test(test_unit_is_left_alone_after_a_timeout),
		cmocka_unit_test(test_line_that_is_never_silent),
		cmocka_unit_test(test_gap_after_bytes_nobody_asked_for),
		cmocka_unit_test(test_further_silence_between_units),
		cmocka_unit_test(test_long_answer_on_a_slow_line),
		cmocka_unit_test(test_listening),
		cmocka_unit_test(test_tcp_several_in_flight),
		cmocka_unit_test(test_tcp_late_answers_are_dropped),
		cmocka_unit_test(test_tcp_flood_after_a_timeout_ends_the_connection),
		cmocka_unit_test(test_flood_is_read_in_turns),
		cmocka_unit_test(test_mute_connection_is_made_anew),
		cmocka_unit_test(test_close_after_poll),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_trace_keeps_the_newest),
		cmocka_unit_test(test_trace_holds_dozens_of_frames),
		cmocka_unit_test(test_trace_gives_back_what_was_put),
		cmocka_unit_test(test_memory_of_one_device),
		cmocka_unit_test(test_connection_that_is_refused_later),
		cmocka_unit_test(test_plugin_that_does_not_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
