/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/list.h"
#include "util/loop.h"

static struct clock manual = { .manual = true };

static struct loop *open_loop(void)
{
	struct loop *loop;
	manual.mono_us = 1000;
	assert_int_equal(loop_create(&loop, &manual), 0);
	return loop;
}

/* ---- timers ------------------------------------------------------------------------------------ */

struct alarm {
	struct timer timer;
	struct loop *loop;
	unsigned rang;
	int64_t rang_us;
	struct alarm *disarms; /* from within the callback */
	int64_t again_us; /* armed again so much later, where not 0 */
	bool freed;
};

static void ring(struct timer *timer, int64_t now_us)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);
	alarm->rang++;
	alarm->rang_us = now_us;
	assert_false(timer_armed(timer));
	if (alarm->again_us)
		loop_arm(alarm->loop, timer, timer->due_us + alarm->again_us);
	if (alarm->disarms && alarm->disarms->freed) {
		loop_disarm(alarm->loop, &alarm->disarms->timer);
		free(TAKE(alarm->disarms));
	} else if (alarm->disarms) {
		loop_disarm(alarm->loop, &alarm->disarms->timer);
	}
}

static struct alarm alarm_of(struct loop *loop)
{
	return (struct alarm){ .timer = { .expired = ring }, .loop = loop };
}

static void test_timers_in_order(void **state)
{
	struct loop *loop = open_loop();
	struct alarm first = alarm_of(loop), second = alarm_of(loop);
	loop_arm(loop, &second.timer, 3000);
	loop_arm(loop, &first.timer, 2000);
	loop_advance(loop, 1999);
	assert_int_equal(first.rang, 0);
	loop_advance(loop, 2500);
	assert_int_equal(first.rang_us, 2000);
	assert_int_equal(second.rang, 0);
	loop_advance(loop, 9000);
	assert_int_equal(second.rang_us, 3000);
	assert_int_equal(manual.mono_us, 9000);
	/* Armed for a time gone by it rings in the next turn. */
	loop_arm(loop, &first.timer, 1);
	loop_advance(loop, 9000);
	assert_int_equal(first.rang, 2);
	loop_destroy(loop);
}

static void test_periodic_without_drift(void **state)
{
	struct loop *loop = open_loop();
	struct alarm alarm = alarm_of(loop);
	alarm.again_us = 250;
	loop_arm(loop, &alarm.timer, 1250);
	loop_advance(loop, 1000 + 250 * 400);
	assert_int_equal(alarm.rang, 400);
	assert_int_equal(alarm.rang_us, 1000 + 250 * 400);
	loop_disarm(loop, &alarm.timer);
	loop_disarm(loop, &alarm.timer);
	loop_advance(loop, 900000);
	assert_int_equal(alarm.rang, 400);
	loop_destroy(loop);
}

/* One that is due at the same time is disarmed, and freed, by the one before it. */
static void test_disarm_in_callback(void **state)
{
	struct loop *loop = open_loop();
	for (int freed = 0; freed < 2; freed++) {
		struct alarm first = alarm_of(loop);
		struct alarm *victim = must_alloc(sizeof(*victim));
		*victim = alarm_of(loop);
		victim->freed = freed;
		first.disarms = victim;
		loop_arm(loop, &first.timer, manual.mono_us + 9);
		loop_arm(loop, &victim->timer, manual.mono_us + 10);
		clock_advance(&manual, 100);
		assert_int_equal(loop_step(loop, 0), 1);
		assert_int_equal(first.rang, 1);
		if (!freed) {
			assert_int_equal(victim->rang, 0);
			free(victim);
		}
	}
	loop_destroy(loop);
}

/* Arms, moves and disarms at random; what rings must be what a plain list says. */
static void test_heap_against_list(void **state)
{
	enum { COUNT = 200 };
	static struct alarm alarms[COUNT];
	struct loop *loop = open_loop();
	srandom(7);
	for (int i = 0; i < COUNT; i++)
		alarms[i] = alarm_of(loop);
	for (int round = 0; round < 3000; round++) {
		struct alarm *alarm = &alarms[random() % COUNT];
		switch (random() % 4) {
		case 0:
			loop_disarm(loop, &alarm->timer);
			break;
		case 1: {
			int64_t now = manual.mono_us + random() % 50;
			unsigned due = 0, before = 0, after = 0;
			for (int i = 0; i < COUNT; i++) {
				due += timer_armed(&alarms[i].timer) &&
					alarms[i].timer.due_us <= now;
				before += alarms[i].rang;
			}
			loop_advance(loop, now);
			for (int i = 0; i < COUNT; i++) {
				after += alarms[i].rang;
				assert_true(!timer_armed(&alarms[i].timer) ||
					alarms[i].timer.due_us > now);
				assert_true(!alarms[i].rang || alarms[i].rang_us <= now);
			}
			assert_int_equal(after - before, due);
			break;
		}
		default:
			loop_arm(loop, &alarm->timer, manual.mono_us + 1 + random() % 500);
		}
	}
	loop_destroy(loop);
}

/* ---- descriptors ------------------------------------------------------------------------------- */

struct bell {
	struct watch watch;
	struct loop *loop;
	unsigned rang;
	struct bell *removes; /* from within the callback, and freed */
	bool stops;
};

static void answer(struct watch *watch, uint32_t events)
{
	struct bell *bell = container_of(watch, struct bell, watch);
	uint64_t count;
	assert_int_equal(read(watch->fd, &count, sizeof(count)), sizeof(count));
	bell->rang++;
	if (bell->removes) {
		loop_remove(bell->loop, &bell->removes->watch);
		close(bell->removes->watch.fd);
		free(TAKE(bell->removes));
	}
	if (bell->stops)
		loop_stop(bell->loop);
}

static struct bell *bell_of(struct loop *loop)
{
	struct bell *bell = must_alloc(sizeof(*bell));
	bell->loop = loop;
	bell->watch = (struct watch){
		.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .events = EPOLLIN, .ready = answer
	};
	assert_int_equal(loop_add(loop, &bell->watch), 0);
	return bell;
}

static void strike(const struct bell *bell)
{
	uint64_t one = 1;
	assert_int_equal(write(bell->watch.fd, &one, sizeof(one)), sizeof(one));
}

static void drop(struct bell *bell)
{
	loop_remove(bell->loop, &bell->watch);
	loop_remove(bell->loop, &bell->watch);
	close(bell->watch.fd);
	free(bell);
}

static void test_descriptors(void **state)
{
	struct loop *loop = open_loop();
	struct bell *bell = bell_of(loop);
	assert_int_equal(loop_step(loop, 0), 0);
	strike(bell);
	assert_int_equal(loop_step(loop, 0), 1);
	assert_int_equal(bell->rang, 1);
	assert_int_equal(loop_step(loop, 0), 0);
	/* Not watched for reading it waits until it is again. */
	assert_int_equal(loop_change(loop, &bell->watch, 0), 0);
	strike(bell);
	assert_int_equal(loop_step(loop, 0), 0);
	assert_int_equal(loop_change(loop, &bell->watch, EPOLLIN), 0);
	assert_int_equal(loop_step(loop, 0), 1);
	drop(bell);
	assert_int_equal(loop_wakeups(loop), 5);
	loop_destroy(loop);
}

/* Both are ready; whichever comes first removes and frees the other. */
static void test_remove_in_callback(void **state)
{
	struct loop *loop = open_loop();
	struct bell *bell = bell_of(loop), *other = bell_of(loop);
	bell->removes = other;
	strike(other);
	strike(bell);
	assert_true(loop_step(loop, 0) >= 1);
	assert_int_equal(bell->rang, 1);
	assert_null(bell->removes);
	drop(bell);
	loop_destroy(loop);
}

/* A timer of the same turn may remove a descriptor that is ready too. */
struct remover {
	struct timer timer;
	struct bell *bell;
};

static void remove_bell(struct timer *timer, int64_t now_us)
{
	drop(container_of(timer, struct remover, timer)->bell);
}

static void test_remove_by_timer(void **state)
{
	struct loop *loop = open_loop();
	struct remover remover = { .timer = { .expired = remove_bell }, .bell = bell_of(loop) };
	strike(remover.bell);
	loop_arm(loop, &remover.timer, 0);
	assert_int_equal(loop_step(loop, 0), 1);
	loop_destroy(loop);
}

/* A timer that is always due must not keep descriptors out. */
static void again(struct timer *timer, int64_t now_us)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);
	alarm->rang++;
	loop_arm(alarm->loop, timer, now_us);
}

static void test_greedy_timer(void **state)
{
	struct loop *loop = open_loop();
	struct bell *bell = bell_of(loop);
	struct alarm alarm = { .timer = { .expired = again }, .loop = loop };
	loop_arm(loop, &alarm.timer, 0);
	strike(bell);
	loop_step(loop, 0);
	assert_int_equal(bell->rang, 1);
	drop(bell);
	loop_disarm(loop, &alarm.timer);
	loop_destroy(loop);
}

static void test_run_and_stop(void **state)
{
	struct loop *loop;
	struct clock system = CLOCK_SYSTEM;
	assert_int_equal(loop_create(&loop, &system), 0);
	struct bell *bell = bell_of(loop);
	struct alarm alarm = alarm_of(loop);
	bell->stops = true;
	/* A timer far away must not make the loop miss the descriptor. */
	loop_arm(loop, &alarm.timer, loop_now(loop) + 3600 * USEC_PER_SEC);
	strike(bell);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(bell->rang, 1);
	assert_true(loop_now_exact(loop) >= loop_now(loop));
	/* And a near one wakes it, not before its time. */
	int64_t due = loop_now_exact(loop) + 2000;
	loop_arm(loop, &alarm.timer, due);
	while (!alarm.rang)
		loop_step(loop, -1);
	assert_true(alarm.rang_us >= due);
	drop(bell);
	loop_destroy(loop);
	loop_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers_in_order),
		cmocka_unit_test(test_periodic_without_drift),
		cmocka_unit_test(test_disarm_in_callback),
		cmocka_unit_test(test_heap_against_list),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_remove_in_callback),
		cmocka_unit_test(test_remove_by_timer),
		cmocka_unit_test(test_greedy_timer),
		cmocka_unit_test(test_run_and_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
