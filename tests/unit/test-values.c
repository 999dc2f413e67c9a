/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No wrong value: transactions among late, foreign, cut, repeated, corrupted and dripped frames, in which
 * every register tells its unit and address.  VALUES_TRANSACTIONS in the environment asks for more.
 */
#include "field-rig.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_US 200000
/* Eight times what is to be expected, in damaged frames. */
#define FORGED_OF (65536 / 8)

struct mischief {
	uint64_t random;
	uint32_t percent; /* of the answers are bad */
	int64_t very_late_us; /* that one comes after its time-out */
	int64_t latest_us; /* that a late answer comes after its request */
	int64_t repeat_us; /* at the latest that a frame comes again after its first time */
	bool refuses; /* some reads, with exception 2, so that what is merged is taken apart */
	uint32_t done[16];
};

static uint32_t draw(struct mischief *mischief, uint32_t below)
{
	mischief->random = mischief->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((mischief->random >> 33) % below);
}

enum trick {
	LATE,
	VERY_LATE, /* beyond the time-out, up to what is reckoned with */
	FOREIGN,
	CUT,
	REPEATED,
	CORRUPTED,
	DRIPPED,
	TORN, /* with a pause in the middle, longer than a frame may have */
	BURST, /* frames of others and of the device, at once */
	RENUMBERED, /* TCP: the answer to another request */
	REFUSED,
	SILENT,
	GARBAGE,
	TRICKS
};

static void say_slowly(
	struct rig *rig, int64_t at_us, const uint8_t *frame, size_t size, int64_t us)
{
	for (size_t i = 0; i < size; i++)
		rig_say(rig, at_us + (int64_t)i * us, frame + i, 1);
}

/* A frame that does not come in one piece, or not all of it. */
static void say_in_pieces(
	struct rig *rig, enum trick trick, int64_t at_us, const uint8_t *frame, size_t size)
{
	struct mischief *mischief = rig->context;
	uint8_t garbage[80];
	uint32_t at = 1 + draw(mischief, (uint32_t)size - 1);
	bool tcp = !rig->setup.baud;
	if (trick == CUT) {
		rig_say(rig, at_us, frame, at);
	} else if (trick == DRIPPED && !tcp) {
		say_slowly(rig, at_us, frame, size, draw(mischief, 40000));
	} else if (trick != GARBAGE) {
		rig_say(rig, at_us, frame, at);
		at_us = (rig->line_end_us > at_us ? rig->line_end_us : at_us) +
			(trick == TORN ? draw(mischief, 30000) : 0);
		rig_say(rig, at_us, frame + at, size - at);
	} else {
		for (size_t i = 0; i < sizeof(garbage); i++)
			garbage[i] = (uint8_t)draw(mischief, 256);
		rig_say(rig, at_us, garbage, 1 + draw(mischief, sizeof(garbage)));
		rig_say(rig, at_us + draw(mischief, TIMEOUT_US), garbage, 1 + draw(mischief, 9));
	}
}

/* Frames of others: one in place of the answer, or several and then the answer. */
static void say_others(struct rig *rig, enum trick trick, int64_t at_us,
	const struct heard_request *request, bool tcp)
{
	struct mischief *mischief = rig->context;
	struct heard_request other = *request;
	uint8_t frame[300];
	if (trick == FOREIGN) {
		/* Without pace, what another says in the name of the one just asked cannot be told. */
		other.unit = (uint8_t)(1 + draw(mischief, rig->setup.devices + 2));
		if (!rig->setup.paced)
			other.unit += rig->setup.devices;
		if (other.unit == request->unit)
			other.unit++;
		rig_say(rig, at_us, frame, rig_answer(&other, tcp, frame));
		return;
	}
	for (int i = 0; i < 4; i++) {
		other.unit = (uint8_t)(rig->setup.devices + 1 + draw(mischief, 20));
		rig_say(rig, at_us, frame, rig_answer(&other, tcp, frame));
		at_us = rig->line_end_us > at_us ? rig->line_end_us : at_us;
	}
	rig_say(rig, at_us, frame, rig_answer(request, tcp, frame));
}

static enum trick choose(struct mischief *mischief, bool tcp)
{
	enum trick trick = (enum trick)draw(mischief, TRICKS);
	/* TCP keeps the bytes and their order: frames there are late, repeated, not ours, or malformed. */
	if (tcp && (trick == CUT || trick == TORN || trick == GARBAGE))
		trick = LATE;
	/* A number is what there is to tell answers by: on a line there is none. */
	if (!tcp && trick == RENUMBERED)
		trick = REFUSED;
	mischief->done[trick]++;
	return trick;
}

static void play(struct rig *rig, const struct heard_request *request)
{
	struct mischief *mischief = rig->context;
	uint8_t frame[300];
	bool tcp = !rig->setup.baud, good;
	int64_t at_us = request->end_us + rig->bus->gap_us + draw(mischief, 20000);
	size_t size = rig_answer(request, tcp, frame);
	good = draw(mischief, 100) >= mischief->percent;
	enum trick trick = good ? TRICKS : choose(mischief, tcp);
	switch (trick) {
	case LATE:
		at_us = request->end_us + TIMEOUT_US / 2 +
			draw(mischief, (uint32_t)mischief->latest_us - TIMEOUT_US / 2);
		break;
	case VERY_LATE:
		at_us = request->end_us + TIMEOUT_US +
			draw(mischief, (uint32_t)mischief->very_late_us);
		break;
	case FOREIGN:
	case BURST:
		say_others(rig, trick, at_us, request, tcp);
		return;
	case REPEATED:
		rig_say(rig, at_us, frame, size);
		at_us = rig->line_end_us > at_us ? rig->line_end_us : at_us;
		at_us += draw(mischief, (uint32_t)mischief->repeat_us);
		break;
	case CORRUPTED:
		/* TCP has no check of its own: only what the frame must be can be wrong there. */
		frame[tcp ? 2 + draw(mischief, 7) : draw(mischief, (uint32_t)size)] ^= (uint8_t)(1 +
			draw(mischief, 255));
		break;
	case CUT:
	case DRIPPED:
	case TORN:
	case GARBAGE:
		say_in_pieces(rig, trick, at_us, frame, size);
		return;
	case RENUMBERED:
		/* One that is not under way, or the answer would be that one's. */
		frame[0] ^= 0x40;
		break;
	case REFUSED:
		size = rig_refusal(request, tcp, mischief->refuses ? 2 : 4, frame);
		break;
	case SILENT:
		return;
	case TRICKS:
		break;
	}
	rig_say(rig, at_us, frame, size);
}

static uint32_t transactions(void)
{
	const char *asked = getenv("VALUES_TRANSACTIONS");
	return asked ? (uint32_t)strtoul(asked, NULL, 10) : 100000;
}

/* Nobody's value comes as seldom as chance has it: not at all in the short run. */
static void check_values(const struct rig *rig)
{
	uint32_t damaged = rig->bus->stats.errors[EB_CRC] + rig->bus->stats.errors[EB_SHORT];
	assert_int_equal(0, rig->wrong - rig->forged);
	assert_true(rig->forged <= (rig->setup.baud ? damaged / FORGED_OF : 0));
}

/* Runs so many transactions, a part of all. */
static void run(const struct rig_setup *setup, struct mischief *mischief, uint32_t part)
{
	struct rig *rig = rig_create(setup);
	rig->context = mischief;
	rig->behave = play;
	mischief->random = part;
	/* Polls of the same size and different addresses are what can be mistaken for one another. */
	struct rig_poll polls[] = { { .name = "a", .count = 4 },
		{ .name = "b", .count = 4, .address = 40 },
		{ .name = "c", .count = 4, .address = 80, .period = 0.3 },
		{ .name = "d", .count = 4, .address = 120, .period = 2 },
		{ .name = "e", .count = 4, .address = 44 },
		{ .name = "f", .count = 4, .address = 6 },
		{ .name = "g", .count = 4, .address = 126, .period = 2 },
		{ .name = "h", .count = 4, .address = 84, .period = 0.3 } };
	for (uint32_t i = 0; i < setup->devices; i++)
		rig_run_plan(rig, i, polls, setup->merge ? 8 : 4);
	uint32_t wanted = transactions() / part;
	while (rig->bus->stats.requests < wanted)
		rig_run(rig, USEC_PER_SEC);
	print_message(
		"%u devices, %s: %u requests, %u readings, %u wrong, %u with a CRC that fits by chance; errors: timeout %u, late "
		"%u, foreign %u, crc %u, short %u; too soon %u\n",
		setup->devices, setup->baud ? setup->paced ? "UART" : "pty" : "TCP",
		rig->bus->stats.requests, rig->readings, rig->wrong - rig->forged, rig->forged,
		rig->bus->stats.errors[EB_TIMEOUT], rig->bus->stats.errors[EB_LATE],
		rig->bus->stats.errors[EB_FOREIGN], rig->bus->stats.errors[EB_CRC],
		rig->bus->stats.errors[EB_SHORT], rig->bus->early);
	check_values(rig);
	assert_true(rig->readings > wanted / 4);
	for (int trick = LATE; trick < TRICKS; trick++)
		assert_true(mischief->done[trick] > 0 || !setup->baud || trick == RENUMBERED);
	rig_destroy(rig);
}

static void test_uart_with_many_units(void **state)
{
	struct mischief mischief = { .percent = 20,
		.latest_us = 2 * TIMEOUT_US,
		.very_late_us = 7 * TIMEOUT_US / 2,
		.repeat_us = 10000 };
	run(&(struct rig_setup){ .devices = 10,
		    .baud = 9600,
		    .paced = true,
		    .echo = ANSWER_AUTO,
		    .timeout_ms = 200,
		    .retries = 2 },
		&mischief, 2);
}

static void test_uart_with_one_unit(void **state)
{
	struct mischief mischief = { .percent = 10,
		.latest_us = 2 * TIMEOUT_US,
		.very_late_us = 7 * TIMEOUT_US / 2,
		.repeat_us = 4000 };
	run(&(struct rig_setup){ .devices = 1,
		    .baud = 19200,
		    .paced = true,
		    .echo = ANSWER_AUTO,
		    .timeout_ms = 200,
		    .retries = 1 },
		&mischief, 5);
}

static void test_line_without_pace(void **state)
{
	struct mischief mischief = { .percent = 10,
		.latest_us = 2 * TIMEOUT_US,
		.very_late_us = 7 * TIMEOUT_US / 2,
		.repeat_us = 3000 };
	run(&(struct rig_setup){ .devices = 3,
		    .baud = 9600,
		    .echo = ANSWER_AUTO,
		    .timeout_ms = 200,
		    .retries = 2 },
		&mischief, 5);
}

/* So many late ones that one answers in place of another, again and again. */
static void test_line_without_pace_where_half_is_bad(void **state)
{
	struct mischief mischief = { .percent = 50,
		.latest_us = 2 * TIMEOUT_US,
		.very_late_us = 7 * TIMEOUT_US / 2,
		.repeat_us = 3000 };
	run(&(struct rig_setup){ .devices = 3,
		    .baud = 9600,
		    .echo = ANSWER_AUTO,
		    .timeout_ms = 200,
		    .retries = 2 },
		&mischief, 5);
}

static void test_tcp_with_numbers(void **state)
{
	struct mischief mischief = { .percent = 10,
		.latest_us = 20 * TIMEOUT_US,
		.very_late_us = 50 * TIMEOUT_US,
		.repeat_us = 20 * TIMEOUT_US };
	run(&(struct rig_setup){ .devices = 6, .in_flight = 4, .timeout_ms = 200, .retries = 1 },
		&mischief, 5);
}

/* Each poll has its own part of what was read together, whatever of it is refused and asked anew. */
static void test_merged_on_a_uart(void **state)
{
	struct mischief mischief = { .percent = 15,
		.latest_us = 2 * TIMEOUT_US,
		.very_late_us = 7 * TIMEOUT_US / 2,
		.repeat_us = 4000,
		.refuses = true };
	run(&(struct rig_setup){ .devices = 5,
		    .baud = 19200,
		    .paced = true,
		    .echo = ANSWER_AUTO,
		    .timeout_ms = 200,
		    .retries = 2,
		    .merge = true,
		    .merge_hole = 2 },
		&mischief, 4);
}

static void test_merged_over_tcp(void **state)
{
	struct mischief mischief = { .percent = 15,
		.latest_us = 20 * TIMEOUT_US,
		.very_late_us = 50 * TIMEOUT_US,
		.repeat_us = 20 * TIMEOUT_US,
		.refuses = true };
	run(&(struct rig_setup){ .devices = 4,
		    .in_flight = 4,
		    .timeout_ms = 200,
		    .retries = 1,
		    .merge = true,
		    .merge_hole = 2 },
		&mischief, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uart_with_many_units),
		cmocka_unit_test(test_uart_with_one_unit),
		cmocka_unit_test(test_line_without_pace),
		cmocka_unit_test(test_line_without_pace_where_half_is_bad),
		cmocka_unit_test(test_tcp_with_numbers),
		cmocka_unit_test(test_merged_on_a_uart),
		cmocka_unit_test(test_merged_over_tcp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
