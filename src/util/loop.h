/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's loop: descriptors by epoll, timers in a heap.  Each plane has one.  Watches and
 * timers are embedded in what they serve and may be removed and freed from within any callback.
 */
#ifndef EB_UTIL_LOOP_H
#define EB_UTIL_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "util/clock.h"

struct loop;

struct watch {
	int fd;
	uint32_t events; /* EPOLLIN, EPOLLOUT; level-triggered */
	void (*ready)(struct watch *watch, uint32_t events);
	bool added; /* the loop's own */
};

struct timer {
	int64_t due_us;
	void (*expired)(struct timer *timer, int64_t now_us);
	size_t place; /* the loop's own: 1 + index in the heap, 0 while disarmed */
};

/* Returns 0, or -errno.  The clock is borrowed. */
int loop_create(struct loop **loop, struct clock *clock);
void loop_destroy(struct loop *loop);
struct clock *loop_clock(const struct loop *loop);
/* The monotonic time, read at most once a wake-up: what a callback should take for now. */
int64_t loop_now(const struct loop *loop);
/* Reads the clock again, for a callback that measures how long something took. */
int64_t loop_now_exact(struct loop *loop);

/* Watches fd for events.  The watch's fields are set by the caller. Returns 0 or -errno. */
int loop_add(struct loop *loop, struct watch *watch);
int loop_change(struct loop *loop, struct watch *watch, uint32_t events);
/* Forgets the watch; harmless where it is not added.  Call it before the fd is closed. */
void loop_remove(struct loop *loop, struct watch *watch);

/* Calls timer->expired at due_us (monotonic), once; arming again moves it. */
void loop_arm(struct loop *loop, struct timer *timer, int64_t due_us);
void loop_disarm(struct loop *loop, struct timer *timer);
static inline bool timer_armed(const struct timer *timer)
{
	return timer->place != 0;
}

/* Runs until loop_stop().  Returns 0 or -errno of epoll. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/*
 * One turn: waits for a descriptor or the next timer, at most wait_us (negative: for ever; a manual
 * clock never waits), then runs what is ready.  Returns how many callbacks ran, or -errno.
 */
int loop_step(struct loop *loop, int64_t wait_us);
/*
 * For tests with a manual clock: moves it from timer to timer until until_us, running each, and what
 * descriptors have ready in between.
 */
void loop_advance(struct loop *loop, int64_t until_us);
/* How often the loop woke up so far. */
uint64_t loop_wakeups(const struct loop *loop);

#endif
