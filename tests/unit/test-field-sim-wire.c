/* SPDX-License-Identifier: Apache-2.0 */
/* The pace of serial lines: the computed schedule, and a whole line in virtual time. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "sim/field/command.h"
#include "sim/field/map.h"
#include "sim/field/serial.h"
#include "sim/field/sim.h"
#include "sim/field/wire.h"
#include "util/alloc.h"

static const uint8_t request[] = { 1, 3, 0, 0, 0, 10, 0xc5, 0xcd };
#define ANSWER_SIZE 25

static void silence_is_by_the_book(void **state)
{
	struct wire wire;
	wire_init(&wire, 9600, 10, FRAMING_RTU);
	assert_int_equal(wire.char_ns, 1041666);
	assert_int_equal(wire.gap_ns, 3645831);
	wire_init(&wire, 19200, 11, FRAMING_RTU);
	assert_int_equal(wire.gap_ns, 2005206);
	wire_init(&wire, 38400, 10, FRAMING_RTU);
	assert_int_equal(wire.gap_ns, 1750000);
	wire_init(&wire, 9600, 10, FRAMING_ASCII);
	assert_int_equal(wire.gap_ns, 0);
}

static void requests_take_their_time(void **state)
{
	struct wire wire;
	wire_init(&wire, 10000, 10, FRAMING_RTU); /* 1 ms a character, 3.5 ms of silence */
	assert_true(wire_silence_us(&wire, 1000) > 1000000);
	wire_hear(&wire, 1000, 5);
	wire_hear(&wire, 2000, 3); /* came while the first five were on the line */
	assert_int_equal(wire_heard_us(&wire), 1000 + 8000 + 3500);
	assert_int_equal(wire_silence_us(&wire, 10000), 1000);
	wire_hear(&wire, 20000, 1);
	assert_int_equal(wire_heard_us(&wire), 20000 + 1000 + 3500);
}

static void answers_take_their_time(void **state)
{
	struct wire wire;
	struct sending sending = { .size = 10, .pause_at = 4 };
	wire_init(&wire, 10000, 10, FRAMING_RTU);
	wire_hear(&wire, 0, 8);
	wire_send(&wire, &sending, 0, 0); /* not before the silence behind the request */
	assert_int_equal(sending.start_ns, 11500000);
	assert_int_equal(wire_through(&wire, &sending, 12499), 0);
	assert_int_equal(wire_through(&wire, &sending, 12500), 1);
	assert_int_equal(wire_through(&wire, &sending, 18999), 4); /* the pause */
	assert_int_equal(wire_through(&wire, &sending, 20000), 5);
	assert_int_equal(wire_next_us(&wire, &sending, 4), 20000);
	assert_int_equal(wire_sent_us(&wire, &sending), 25000);
	assert_int_equal(wire_silence_us(&wire, 26000), 1000);

	struct sending drip = { .size = 3 };
	wire_send(&wire, &drip, 100000, 50000);
	assert_int_equal(wire_through(&wire, &drip, 249999), 2);
	assert_int_equal(wire_sent_us(&wire, &drip), 250000);
}

static void fast_lines_hand_over_groups(void **state)
{
	struct wire wire;
	struct sending sending = { .size = 12 };
	wire_init(&wire, 115200, 10, FRAMING_RTU); /* 86.8 us a character */
	wire_send(&wire, &sending, 0, 0);
	assert_int_equal(wire_next_us(&wire, &sending, 0), 435); /* the fifth, rounded up */
	assert_int_equal(wire_next_us(&wire, &sending, 10), wire_sent_us(&wire, &sending));
	assert_int_equal(wire_through(&wire, &sending, 434), 4);
}

struct bench {
	struct clock clock;
	struct sim *sim;
	struct line *line;
	struct map *map;
	char dir[32], *path;
	int fd;
	uint64_t taken; /* bytes that the master has read */
};

static void open_bench(struct bench *bench, bool strict)
{
	bench->taken = 0;
	bench->clock = (struct clock){ .manual = true, .mono_us = 1000000 };
	strcpy(bench->dir, "/tmp/field-sim-XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	bench->path = must_printf("%s/line", bench->dir);
	assert_int_equal(sim_create(&bench->sim, &bench->clock), 0);
	struct rule rule = rule_default(RULE_CARRY, 0);
	bench->map = map_uniform(&rule, 100);
	sim_keep_map(bench->sim, bench->map);
	struct serial_setup setup = { .name = "a",
		.path = bench->path,
		.framing = FRAMING_RTU,
		.baud = 10000,
		.char_bits = 10,
		.strict = strict };
	bench->line = serial_create(bench->sim, &setup);
	struct unit unit = { .id = 1, .map = bench->map };
	line_add_unit(bench->line, &unit);
	char error[160];
	assert_int_equal(sim_start(bench->sim, error, sizeof(error)), 0);
	bench->fd = open(bench->path, O_RDWR | O_NOCTTY | O_NONBLOCK);
	assert_true(bench->fd >= 0);
}

static void close_bench(struct bench *bench)
{
	close(bench->fd);
	sim_destroy(bench->sim);
	rmdir(bench->dir);
	free(bench->path);
}

/*
 * Moves the clock and says how many bytes the master has got by then, in all.  A terminal hands bytes
 * over a little after write() has returned: so what was written is waited for.
 */
static size_t bytes_at(struct bench *bench, int64_t us, uint8_t *bytes, size_t have)
{
	struct pollfd readable = { .fd = bench->fd, .events = POLLIN };
	loop_advance(bench->sim->loop, us);
	while (bench->taken < bench->line->total.bytes_out) {
		assert_int_equal(poll(&readable, 1, 10000), 1);
		ssize_t count = read(bench->fd, bytes + have, 300 - have);
		assert_true(count > 0);
		bench->taken += (uint64_t)count;
		have += (size_t)count;
	}
	return have;
}

/* Puts a request on the line, now. */
static void send_frame(struct bench *bench, const uint8_t *frame, size_t size)
{
	uint64_t until = bench->line->total.bytes_in + size;
	assert_int_equal(write(bench->fd, frame, size), size);
	while (bench->line->total.bytes_in < until)
		loop_step(bench->sim->loop, 0);
}

static void ask(struct bench *bench)
{
	send_frame(bench, request, sizeof(request));
}

/*
 * 8 characters, the silence, 25 characters: the first byte of the answer is there after 12.5 ms, the
 * last after 36.5 ms, and each in its millisecond.
 */
static void a_line_keeps_the_pace(void **state)
{
	struct bench bench;
	uint8_t bytes[300];
	int64_t start = 1000000;
	open_bench(&bench, true);
	ask(&bench);
	assert_int_equal(bytes_at(&bench, start + 12499, bytes, 0), 0);
	size_t have = bytes_at(&bench, start + 12500, bytes, 0);
	assert_int_equal(have, 1);
	for (int64_t i = 2; i <= ANSWER_SIZE; i++) {
		have = bytes_at(&bench, start + 11500 + i * 1000 - 1, bytes, have);
		assert_int_equal(have, i - 1);
		have = bytes_at(&bench, start + 11500 + i * 1000, bytes, have);
		assert_int_equal(have, i);
	}
	assert_int_equal(frame_crc(bytes, have), 0);
	assert_int_equal(bench.line->total.violations, 0);

	/* The next request as soon as allowed: the line is used to the limit. */
	int64_t again = start + 11500 + ANSWER_SIZE * 1000 + 3500;
	loop_advance(bench.sim->loop, again);
	ask(&bench);
	have = bytes_at(&bench, again + 36500, bytes, 0);
	assert_int_equal(have, ANSWER_SIZE);
	assert_int_equal(bench.line->total.violations, 0);
	assert_int_equal(bench.line->last_us - bench.line->first_us, 2 * 40000);
	assert_int_equal(bench.line->total.least_ns, 2 * 40000000);
	assert_int_equal(bench.line->total.busy_ns, 2 * 33000000);
	close_bench(&bench);
}

static void early_requests_are_dropped_where_strict(void **state)
{
	for (int strict = 0; strict < 2; strict++) {
		struct bench bench;
		uint8_t bytes[300];
		open_bench(&bench, strict);
		ask(&bench);
		assert_int_equal(bytes_at(&bench, 1036500, bytes, 0), ANSWER_SIZE);
		loop_advance(bench.sim->loop, 1036500 + 3499);
		ask(&bench);
		size_t expected = strict ? 0 : ANSWER_SIZE;
		assert_int_equal(bytes_at(&bench, 1200000, bytes, 0), expected);
		assert_int_equal(bench.line->total.violations, 1);
		/* And the next one is served again. */
		ask(&bench);
		assert_int_equal(bytes_at(&bench, 1300000, bytes, 0), ANSWER_SIZE);
		assert_int_equal(bench.line->total.violations, 1);
		close_bench(&bench);
	}
}

static void late_answers_wait_for_the_line(void **state)
{
	struct bench bench;
	uint8_t bytes[300];
	char error[160];
	open_bench(&bench, false);
	assert_true(sim_add_fault(bench.sim, "late ms=100 n=1", error, sizeof(error)) > 0);
	ask(&bench);
	assert_int_equal(bytes_at(&bench, 1111500, bytes, 0), 0);
	/* The late answer is on the line until 1,136,500; the second one comes behind the silence. */
	ask(&bench);
	assert_int_equal(bytes_at(&bench, 1136500, bytes, 0), ANSWER_SIZE);
	assert_int_equal(bytes_at(&bench, 1200000, bytes, 0), ANSWER_SIZE);
	close_bench(&bench);
}

static void broadcasts_are_done_and_not_answered(void **state)
{
	const struct adu all = { .unit = 0, .size = 5, .pdu = { 6, 0, 1, 0, 3 } };
	uint8_t frame[FRAME_MAX];
	size_t size = frame_build(FRAMING_RTU, &all, frame);
	struct bench bench;
	uint8_t bytes[300];
	open_bench(&bench, true);
	send_frame(&bench, frame, size);
	assert_int_equal(bytes_at(&bench, 2000000, bytes, 0), 0);
	assert_int_equal(unit_writes(line_unit(bench.line, 1), TABLE_HOLDING, 1), 1);
	close_bench(&bench);
}

static void lines_come_and_go(void **state)
{
	struct bench bench;
	uint8_t bytes[300];
	open_bench(&bench, true);
	ask(&bench);
	loop_advance(bench.sim->loop, 1020000);
	assert_int_equal(line_unplug(bench.line), 0);
	assert_int_equal(line_unplug(bench.line), -EALREADY);
	assert_int_equal(access(bench.path, F_OK), -1);
	while (read(bench.fd, bytes, sizeof(bytes)) > 0)
		; /* what was there; then the end, which is no error */
	assert_int_equal(read(bench.fd, bytes, sizeof(bytes)), 0);
	assert_int_equal(write(bench.fd, request, sizeof(request)), -1);
	assert_int_equal(errno, EIO);
	close(bench.fd);
	assert_int_equal(line_plug(bench.line), 0);
	bench.fd = open(bench.path, O_RDWR | O_NOCTTY | O_NONBLOCK);
	assert_true(bench.fd >= 0);
	bench.taken = bench.line->total.bytes_out;
	ask(&bench);
	assert_int_equal(bytes_at(&bench, 1100000, bytes, 0), ANSWER_SIZE);
	close_bench(&bench);
}

static void waited(void *context, bool met)
{
	*(int *)context = met ? 1 : -1;
}

static int wait_for(struct sim *sim, const char *command, int *state)
{
	OWNED_BUFFER answer = BUFFER_EMPTY;
	struct wait *wait = NULL;
	*state = 0;
	if (command_run(sim, command, &answer, &wait) < 0)
		return -EINVAL;
	wait->done = waited;
	wait->context = state;
	wait_begin(sim, wait);
	return 0;
}

static void waits_end(void **state)
{
	struct bench bench;
	int requests, writes, second;
	open_bench(&bench, true);
	assert_int_equal(wait_for(bench.sim, "wait-requests 1 count=1", &requests), 0);
	assert_int_equal(wait_for(bench.sim, "wait-write 1 holding 7 timeout=0.2", &writes), 0);
	ask(&bench);
	loop_advance(bench.sim->loop, 1100000);
	assert_int_equal(requests, 1);
	assert_int_equal(writes, 0);
	loop_advance(bench.sim->loop, 1200001);
	assert_int_equal(writes, -1);
	/* What has happened already counts. */
	assert_int_equal(wait_for(bench.sim, "wait-requests 1", &second), 0);
	assert_int_equal(second, 1);
	assert_int_equal(wait_for(bench.sim, "wait-write 2 holding 7", &second), -EINVAL);
	close_bench(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_is_by_the_book),
		cmocka_unit_test(requests_take_their_time),
		cmocka_unit_test(answers_take_their_time),
		cmocka_unit_test(fast_lines_hand_over_groups),
		cmocka_unit_test(a_line_keeps_the_pace),
		cmocka_unit_test(early_requests_are_dropped_where_strict),
		cmocka_unit_test(late_answers_wait_for_the_line),
		cmocka_unit_test(broadcasts_are_done_and_not_answered),
		cmocka_unit_test(lines_come_and_go),
		cmocka_unit_test(waits_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
