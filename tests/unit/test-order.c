/* SPDX-License-Identifier: Apache-2.0 */
#include "field-rig.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"

static const struct rig_setup two_units = {
	.devices = 2, .baud = 9600, .paced = true, .echo = ANSWER_NO, .retries = 2
};
static const struct rig_poll steps[] = { { .count = 2, .address = 8 },
	{ .write = true, .address = 9 }, { .count = 1, .address = 9 } };

static enum outcome_status status(const struct rig *rig, size_t step)
{
	return rig->outcome->steps[step].status;
}

static struct rig *polling(void)
{
	struct rig *rig = rig_create(&two_units);
	rig_poll_all(rig, &(struct rig_poll){ .count = 100 });
	rig_run(rig, USEC_PER_SEC + 30000);
	return rig;
}

/* What was asked of which unit, in order. */
struct minutes {
	size_t count;
	uint8_t units[2000], functions[2000];
};

static void take_minutes(struct rig *rig, const struct heard_request *request)
{
	struct minutes *minutes = rig->context;
	uint8_t frame[300];
	if (minutes->count < 2000) {
		minutes->units[minutes->count] = request->unit;
		minutes->functions[minutes->count++] = request->function;
	}
	rig_say(rig, request->end_us + rig->bus->gap_us, frame, rig_answer(request, false, frame));
}

static void test_done_at_once_and_together(void **state)
{
	struct rig *rig = polling();
	struct minutes minutes = { .count = 0 };
	rig->context = &minutes;
	rig->behave = take_minutes;
	assert_int_equal(1, rig->bus->in_flight);
	rig_order(rig, 1, USEC_PER_SEC, steps, 3);
	rig_run(rig, 500000);
	/* The first requests after the transaction on the wire, with no poll in between. */
	assert_int_equal(2, minutes.units[0] * 1);
	assert_int_equal(3, minutes.functions[0]);
	assert_int_equal(6, minutes.functions[1]);
	assert_int_equal(2, minutes.units[1]);
	assert_int_equal(3, minutes.functions[2]);
	assert_int_equal(2, minutes.units[2]);
	assert_int_equal(1, rig->outcomes);
	assert_int_equal(77, rig->outcome->order);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(OUTCOME_DONE, status(rig, i));
	assert_int_equal(4, rig->outcome->steps[0].bytes.size);
	assert_memory_equal("\x02\x08\x02\x09", rig->outcome->steps[0].bytes.data, 4);
	assert_int_equal(0, rig->outcome->steps[1].bytes.size);
	rig_destroy(rig);
}

static void test_write_is_sent_once(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig->units[1].dead = true;
	rig_order(rig, 0, USEC_PER_SEC, &steps[1], 2);
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(1, rig->units[1].asked);
	assert_int_equal(OUTCOME_TIMEOUT, status(rig, 0));
	assert_int_equal(EB_TIMEOUT, rig->outcome->steps[0].error);
	assert_int_equal(OUTCOME_SKIPPED, status(rig, 1));
	/* Reads are tried again. */
	rig_order(rig, 0, 2 * USEC_PER_SEC, &steps[0], 1);
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(4, rig->units[1].asked);
	assert_int_equal(OUTCOME_TIMEOUT, status(rig, 0));
	assert_int_equal(2, rig->outcomes);
	rig_destroy(rig);
}

static void test_retry_safe_write(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig->units[1].dead = true;
	struct order *order = order_create(0, 5, loop_now(rig->loop) + USEC_PER_SEC, 1);
	order->requests[0] = rig_request(rig, 0, &steps[1]);
	order->requests[0]->retry_safe = true;
	assert_true(mailbox_reserve(rig->outbox));
	bus_order(rig->bus, order);
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(3, rig->units[1].asked);
	assert_int_equal(OUTCOME_TIMEOUT, status(rig, 0));
	rig_destroy(rig);
}

static void test_exception(void **state)
{
	struct rig *rig = polling();
	rig->units[1].exception = 3;
	rig_order(rig, 0, USEC_PER_SEC, steps, 3);
	rig_run(rig, USEC_PER_SEC);
	assert_int_equal(OUTCOME_EXCEPTION, status(rig, 0));
	assert_int_equal(3, rig->outcome->steps[0].code);
	assert_int_equal(OUTCOME_SKIPPED, status(rig, 1));
	assert_int_equal(OUTCOME_SKIPPED, status(rig, 2));
	rig_destroy(rig);
}

/* Orders of one write each, all while the bus is busy; what stands in places. */
static void order_of_places(struct rig *rig, uint32_t device, uint64_t serial, const char *places)
{
	struct order *order = order_create(
		device, serial, loop_now(rig->loop) + 5 * USEC_PER_SEC, 1);
	order->requests[0] = rig_request(rig, device, &steps[1]);
	buffer_put_text(&order->places, places);
	assert_true(mailbox_reserve(rig->outbox));
	bus_order(rig->bus, order);
}

static void test_a_newer_one_of_the_same_places_wins(void **state)
{
	struct rig *rig = polling();
	assert_int_equal(1, rig->bus->in_flight);
	order_of_places(rig, 0, 1, "a 1 1;");
	order_of_places(rig, 0, 2, "a 2 1;");
	order_of_places(rig, 1, 3, "a 1 1;");
	order_of_places(rig, 0, 4, "");
	order_of_places(rig, 0, 5, "");
	assert_int_equal(0, rig->outcomes);
	order_of_places(rig, 0, 6, "a 1 1;");
	assert_int_equal(5, rig->bus->order_count);
	rig_run(rig, 2 * USEC_PER_SEC);
	assert_int_equal(6, rig->outcomes);
	assert_int_equal(1, rig->superseded);
	assert_int_equal(1, rig->gave_way);
	rig_destroy(rig);
}

static void test_one_that_runs_is_not_superseded(void **state)
{
	struct rig *rig = rig_create(&two_units);
	order_of_places(rig, 0, 1, "a 1 1;");
	for (int i = 0; i < 1000 && !rig->bus->running.order; i++)
		rig_run(rig, 1000);
	assert_non_null(rig->bus->running.order);
	order_of_places(rig, 0, 2, "a 1 1;");
	rig_run(rig, 2 * USEC_PER_SEC);
	assert_int_equal(2, rig->outcomes);
	assert_int_equal(0, rig->superseded);
	rig_destroy(rig);
}

static void test_expired_while_waiting(void **state)
{
	struct rig *rig = polling();
	/* One that holds the bus, and one behind it. */
	rig->units[1].dead = true;
	rig_order(rig, 0, USEC_PER_SEC, steps, 1);
	rig_run(rig, 300000);
	rig_order(rig, 1, 100000, &steps[1], 1);
	rig_run(rig, 100000);
	rig_run(rig, 50000);
	assert_int_equal(1, rig->outcomes);
	assert_int_equal(OUTCOME_EXPIRED, status(rig, 0));
	assert_int_equal(0, rig->units[2].written);
	rig_order(rig, 1, -1, &steps[1], 1);
	rig_collect(rig);
	assert_int_equal(2, rig->outcomes);
	assert_int_equal(OUTCOME_EXPIRED, status(rig, 0));
	rig_destroy(rig);
}

static void test_busy(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig->units[1].dead = true;
	rig_order(rig, 0, USEC_PER_SEC, steps, 1);
	rig_run(rig, 10000);
	for (int i = 0; i < BUS_ORDERS_MAX; i++)
		rig_order(rig, 1, 20 * USEC_PER_SEC, &steps[1], 1);
	assert_int_equal(0, rig->outcomes);
	rig_order(rig, 1, 20 * USEC_PER_SEC, &steps[1], 1);
	rig_collect(rig);
	assert_int_equal(1, rig->outcomes);
	assert_int_equal(OUTCOME_BUSY, status(rig, 0));
	rig_run(rig, 20 * USEC_PER_SEC);
	assert_int_equal(2 + BUS_ORDERS_MAX, rig->outcomes);
	assert_int_equal(BUS_ORDERS_MAX, rig->units[2].written);
	rig_destroy(rig);
}

static void test_link_down(void **state)
{
	struct rig *rig = polling();
	rig->open_result = -ENOENT;
	rig->units[1].dead = true;
	rig_run(rig, 1000000);
	/* A write on the wire may have been executed; the ones behind it were not sent. */
	rig->units[2].dead = true;
	rig_order(rig, 1, 3 * USEC_PER_SEC, &steps[1], 2);
	rig_order(rig, 1, 3 * USEC_PER_SEC, &steps[1], 1);
	while (!rig->bus->running.order || !rig->bus->in_flight)
		rig_run(rig, 1000);
	rig_lose(rig, ENODEV);
	rig_collect(rig);
	assert_int_equal(2, rig->outcomes);
	assert_int_equal(OUTCOME_LINK, status(rig, 0));
	rig_order(rig, 1, 3 * USEC_PER_SEC, &steps[1], 1);
	rig_collect(rig);
	assert_int_equal(3, rig->outcomes);
	assert_int_equal(OUTCOME_LINK, status(rig, 0));
	rig_destroy(rig);
}

static void test_link_lost_with_a_write_on_the_wire(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig->units[2].dead = true;
	rig_order(rig, 1, 3 * USEC_PER_SEC, &steps[1], 2);
	rig_run(rig, 10000);
	rig_lose(rig, ENODEV);
	rig_collect(rig);
	assert_int_equal(OUTCOME_TIMEOUT, status(rig, 0));
	assert_int_equal(EB_LINK, rig->outcome->steps[0].error);
	assert_int_equal(OUTCOME_SKIPPED, status(rig, 1));
	rig_destroy(rig);
}

static void test_stop_answers_those_that_wait(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig->units[1].dead = true;
	rig_order(rig, 0, USEC_PER_SEC, steps, 3);
	rig_order(rig, 1, USEC_PER_SEC, steps, 3);
	rig_run(rig, 10000);
	bus_stop(rig->bus);
	assert_false(bus_idle(rig->bus));
	bus_abort(rig->bus);
	rig_collect(rig);
	assert_int_equal(2, rig->outcomes);
	assert_int_equal(OUTCOME_LINK, status(rig, 0));
	assert_int_equal(OUTCOME_SKIPPED, status(rig, 2));
	rig_destroy(rig);
}

static void test_broadcast_is_done_when_sent(void **state)
{
	struct rig *rig = polling();
	struct order *order = order_create(0, 5, loop_now(rig->loop) + USEC_PER_SEC, 1);
	order->requests[0] = rig_request(rig, UINT32_MAX, &steps[1]);
	assert_true(order->requests[0]->wire.flags & EB_NO_ANSWER);
	assert_true(mailbox_reserve(rig->outbox));
	rig_run(rig, 1000);
	bus_order(rig->bus, order);
	rig_run(rig, 400000);
	assert_int_equal(1, rig->units[0].asked);
	assert_int_equal(1, rig->outcomes);
	assert_int_equal(OUTCOME_DONE, status(rig, 0));
	rig_run(rig, USEC_PER_SEC);
	assert_int_equal(0, rig->wrong);
	rig_destroy(rig);
}

static void test_order_to_a_down_device_goes_at_once(void **state)
{
	struct rig *rig = polling();
	rig->units[1].dead = true;
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_int_equal(HEALTH_DOWN, rig->health[0]);
	rig->units[1].dead = false;
	rig_order(rig, 0, 3 * USEC_PER_SEC, &steps[1], 1);
	rig_run(rig, 2 * USEC_PER_SEC);
	assert_int_equal(OUTCOME_DONE, status(rig, 0));
	assert_int_equal(HEALTH_OK, rig->health[0]);
	rig_destroy(rig);
}

static void test_device_without_a_plan(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig->units[1].dead = true;
	for (int i = 0; i < 4; i++) {
		rig_order(rig, 0, 3 * USEC_PER_SEC, &steps[1], 1);
		rig_run(rig, 2 * USEC_PER_SEC);
	}
	assert_int_equal(HEALTH_DOWN, rig->health[0]);
	rig->units[1].dead = false;
	rig_order(rig, 0, 3 * USEC_PER_SEC, &steps[1], 1);
	rig_run(rig, 2 * USEC_PER_SEC);
	assert_int_equal(OUTCOME_DONE, status(rig, 0));
	assert_int_equal(HEALTH_OK, rig->health[0]);
	rig_destroy(rig);
}

/* Steps of the order are done and so many tries of the next one have failed, and nothing is on the wire. */
static void reach(struct rig *rig, uint32_t done, uint32_t tries)
{
	const struct running_order *running = &rig->bus->running;
	for (int i = 0; i < 20000; i++) {
		if (running->order && running->step == done && running->tries == tries &&
			!rig->bus->in_flight)
			return;
		rig_run(rig, 200);
	}
	fail_msg("step %u was not reached", done);
}

/* The first step was read, the others were never sent, and nobody else is told. */
static void expect_first_alone(struct rig *rig)
{
	rig_collect(rig);
	assert_int_equal(1, rig->outcomes);
	assert_int_equal(77, rig->outcome->order);
	assert_int_equal(OUTCOME_DONE, status(rig, 0));
	assert_int_equal(4, rig->outcome->steps[0].bytes.size);
	assert_memory_equal("\x01\x08\x01\x09", rig->outcome->steps[0].bytes.data, 4);
	assert_int_equal(OUTCOME_LINK, status(rig, 1));
	assert_int_equal(OUTCOME_SKIPPED, status(rig, 2));
	assert_int_equal(0, rig->units[1].written);
	assert_null(rig->bus->running.order);
}

static void test_link_lost_between_two_steps(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig_order(rig, 0, 3 * USEC_PER_SEC, steps, 3);
	reach(rig, 1, 0);
	rig_lose(rig, ENODEV);
	expect_first_alone(rig);
	/* Nothing of it is taken up again once the link is back. */
	rig_run(rig, 10 * USEC_PER_SEC);
	expect_first_alone(rig);
	assert_true(rig->link_up);
	rig_order(rig, 0, 3 * USEC_PER_SEC, steps, 3);
	rig_run(rig, 2 * USEC_PER_SEC);
	assert_int_equal(2, rig->outcomes);
	assert_int_equal(OUTCOME_DONE, status(rig, 2));
	rig_destroy(rig);
}

static void test_stopped_between_two_steps(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig_order(rig, 0, 3 * USEC_PER_SEC, steps, 3);
	reach(rig, 1, 0);
	bus_stop(rig->bus);
	assert_true(bus_idle(rig->bus));
	rig_run(rig, USEC_PER_SEC);
	assert_int_equal(0, rig->outcomes);
	bus_abort(rig->bus);
	expect_first_alone(rig);
	rig_destroy(rig);
}

/* What the order with this one step says when the link goes between its tries. */
static enum outcome_status lost_between_tries(const struct rig_poll *step)
{
	struct rig *rig = rig_create(&two_units);
	rig->units[1].dead = true;
	rig_order(rig, 0, 3 * USEC_PER_SEC, step, 1);
	reach(rig, 0, 1);
	assert_int_equal(1, rig->units[1].asked);
	rig_lose(rig, ENODEV);
	rig_collect(rig);
	assert_int_equal(1, rig->outcomes);
	enum outcome_status said = status(rig, 0);
	rig_destroy(rig);
	return said;
}

static void test_link_lost_between_two_tries(void **state)
{
	assert_int_equal(OUTCOME_LINK, lost_between_tries(&steps[0]));
	/* The first try was sent: nobody may say that the write was not. */
	assert_int_equal(OUTCOME_TIMEOUT,
		lost_between_tries(
			&(struct rig_poll){ .write = true, .address = 9, .retry_safe = true }));
}

/* The further silence between units keeps it from being sent at once. */
static void test_link_lost_before_the_first_step_is_sent(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig->conf.buses[0].unit_gap_us = 100000;
	rig_order(rig, 1, 3 * USEC_PER_SEC, steps, 1);
	rig_run(rig, 500000);
	assert_int_equal(1, rig->outcomes);
	/* So that the first silence is over, and the second begins with the order. */
	rig_say(rig, loop_now(rig->loop), "\xff", 1);
	rig_run(rig, 20000);
	rig_order(rig, 0, 3 * USEC_PER_SEC, &steps[1], 2);
	assert_int_equal(1, rig->bus->in_flight);
	rig_lose(rig, ENODEV);
	rig_collect(rig);
	assert_int_equal(2, rig->outcomes);
	assert_int_equal(OUTCOME_LINK, status(rig, 0));
	assert_int_equal(OUTCOME_SKIPPED, status(rig, 1));
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(2, rig->outcomes);
	assert_int_equal(0, rig->units[1].asked);
	rig_destroy(rig);
}

static void test_port_that_fails_while_it_is_written_to(void **state)
{
	struct rig *rig = rig_create(&two_units);
	rig->write_error = EIO;
	rig_order(rig, 0, 3 * USEC_PER_SEC, &steps[1], 2);
	rig_order(rig, 1, 3 * USEC_PER_SEC, steps, 3);
	rig_run(rig, 100000);
	assert_int_equal(2, rig->outcomes);
	/* The second one waited behind it. */
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(i ? OUTCOME_SKIPPED : OUTCOME_LINK, status(rig, i));
	rig->write_error = 0;
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(2, rig->outcomes);
	assert_int_equal(0, rig->units[1].asked + rig->units[2].asked);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_done_at_once_and_together),
		cmocka_unit_test(test_write_is_sent_once),
		cmocka_unit_test(test_retry_safe_write),
		cmocka_unit_test(test_exception),
		cmocka_unit_test(test_a_newer_one_of_the_same_places_wins),
		cmocka_unit_test(test_one_that_runs_is_not_superseded),
		cmocka_unit_test(test_expired_while_waiting),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_link_down),
		cmocka_unit_test(test_link_lost_with_a_write_on_the_wire),
		cmocka_unit_test(test_stop_answers_those_that_wait),
		cmocka_unit_test(test_broadcast_is_done_when_sent),
		cmocka_unit_test(test_order_to_a_down_device_goes_at_once),
		cmocka_unit_test(test_device_without_a_plan),
		cmocka_unit_test(test_link_lost_between_two_steps),
		cmocka_unit_test(test_stopped_between_two_steps),
		cmocka_unit_test(test_link_lost_between_two_tries),
		cmocka_unit_test(test_link_lost_before_the_first_step_is_sent),
		cmocka_unit_test(test_port_that_fails_while_it_is_written_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
