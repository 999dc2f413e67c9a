/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "util/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "util/alloc.h"

#define BATCH 64

struct loop {
	struct clock *clock;
	int epoll;
	bool stopping;
	int64_t now_us;
	uint64_t wakeups;
	struct timer **heap;
	size_t timers, room;
	struct epoll_event events[BATCH]; /* data.ptr NULL: removed while the batch was running */
	int ready, current;
};

int loop_create(struct loop **result, struct clock *clock)
{
	struct loop *loop = must_alloc(sizeof(*loop));
	loop->clock = clock;
	loop->now_us = clock_mono_us(clock);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		int error = errno;
		free(loop);
		return -error;
	}
	*result = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll);
	free(loop->heap);
	free(loop);
}

struct clock *loop_clock(const struct loop *loop)
{
	return loop->clock;
}

int64_t loop_now(const struct loop *loop)
{
	return loop->clock->manual ? loop->clock->mono_us : loop->now_us;
}

int64_t loop_now_exact(struct loop *loop)
{
	loop->now_us = clock_mono_us(loop->clock);
	return loop->now_us;
}

uint64_t loop_wakeups(const struct loop *loop)
{
	return loop->wakeups;
}

static int control(struct loop *loop, int operation, struct watch *watch)
{
	struct epoll_event event = { .events = watch->events, .data.ptr = watch };
	return epoll_ctl(loop->epoll, operation, watch->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct watch *watch)
{
	assert(!watch->added);
	int result = control(loop, EPOLL_CTL_ADD, watch);
	watch->added = result == 0;
	return result;
}

int loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
	if (watch->events == events)
		return 0;
	watch->events = events;
	return control(loop, EPOLL_CTL_MOD, watch);
}

void loop_remove(struct loop *loop, struct watch *watch)
{
	if (!watch->added)
		return;
	watch->added = false;
	control(loop, EPOLL_CTL_DEL, watch);
	for (int i = loop->current; i < loop->ready; i++) {
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
	}
}

static void place(struct loop *loop, size_t index, struct timer *timer)
{
	loop->heap[index] = timer;
	timer->place = index + 1;
}

static void sift_up(struct loop *loop, size_t index, struct timer *timer)
{
	while (index > 0) {
		size_t parent = (index - 1) / 2;
		if (loop->heap[parent]->due_us <= timer->due_us)
			break;
		place(loop, index, loop->heap[parent]);
		index = parent;
	}
	place(loop, index, timer);
}

static void sift_down(struct loop *loop, size_t index, struct timer *timer)
{
	for (;;) {
		size_t child = 2 * index + 1;
		if (child >= loop->timers)
			break;
		if (child + 1 < loop->timers &&
			loop->heap[child + 1]->due_us < loop->heap[child]->due_us)
			child++;
		if (loop->heap[child]->due_us >= timer->due_us)
			break;
		place(loop, index, loop->heap[child]);
		index = child;
	}
	place(loop, index, timer);
}

void loop_disarm(struct loop *loop, struct timer *timer)
{
	if (!timer->place)
		return;
	size_t index = timer->place - 1;
	timer->place = 0;
	struct timer *last = loop->heap[--loop->timers];
	if (last == timer)
		return;
	if (last->due_us < timer->due_us)
		sift_up(loop, index, last);
	else
		sift_down(loop, index, last);
}

void loop_arm(struct loop *loop, struct timer *timer, int64_t due_us)
{
	if (timer->place && timer->due_us == due_us)
		return;
	loop_disarm(loop, timer);
	timer->due_us = due_us;
	if (loop->timers == loop->room) {
		loop->room = loop->room ? loop->room * 2 : 64;
		loop->heap = must_realloc(loop->heap, loop->room * sizeof(*loop->heap));
	}
	sift_up(loop, loop->timers++, timer);
}

static int run_timers(struct loop *loop)
{
	int count = 0;
	int64_t now = loop_now(loop);
	while (loop->timers && loop->heap[0]->due_us <= now) {
		struct timer *timer = loop->heap[0];
		loop_disarm(loop, timer);
		timer->expired(timer, now);
		/* A timer that arms itself for now must not keep descriptors waiting. */
		if (++count >= 4 * BATCH)
			break;
	}
	return count;
}

/* Waits at most wait_us, to the microsecond where the kernel can (Linux 5.11). */
static int wait_events(struct loop *loop, int64_t wait_us)
{
#ifdef HAVE_EPOLL_PWAIT2
	static _Thread_local bool missing;
	if (!missing) {
		struct timespec span = { .tv_sec = wait_us / USEC_PER_SEC,
			.tv_nsec = wait_us % USEC_PER_SEC * 1000 };
		int count = epoll_pwait2(
			loop->epoll, loop->events, BATCH, wait_us < 0 ? NULL : &span, NULL);
		/* Old containers refuse calls that they do not know with EPERM. */
		if (count >= 0 || (errno != ENOSYS && errno != EPERM))
			return count;
		missing = true;
	}
#endif
	int64_t ms = wait_us < 0 ? -1 : (wait_us + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
	return epoll_wait(loop->epoll, loop->events, BATCH, ms > INT_MAX ? INT_MAX : (int)ms);
}

static int64_t time_to_wait(const struct loop *loop, int64_t wait_us)
{
	if (loop->clock->manual)
		return 0;
	if (!loop->timers)
		return wait_us;
	int64_t until = loop->heap[0]->due_us - clock_mono_us(loop->clock);
	if (until < 0)
		until = 0;
	return wait_us < 0 || until < wait_us ? until : wait_us;
}

int loop_step(struct loop *loop, int64_t wait_us)
{
	loop->ready = loop->current = 0;
	int count = wait_events(loop, time_to_wait(loop, wait_us));
	if (count < 0 && errno != EINTR)
		return -errno;
	loop->wakeups++;
	loop_now_exact(loop);
	loop->ready = count < 0 ? 0 : count;
	int ran = run_timers(loop);
	for (loop->current = 0; loop->current < loop->ready;) {
		struct epoll_event *event = &loop->events[loop->current++];
		struct watch *watch = event->data.ptr;
		if (!watch)
			continue;
		watch->ready(watch, event->events);
		ran++;
	}
	loop->ready = loop->current = 0;
	return ran;
}

int loop_run(struct loop *loop)
{
	while (!loop->stopping) {
		int result = loop_step(loop, -1);
		if (result < 0)
			return result;
	}
	loop->stopping = false;
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

void loop_advance(struct loop *loop, int64_t until_us)
{
	assert(loop->clock->manual);
	for (;;) {
		while (loop_step(loop, 0) > 0)
			;
		int64_t next = loop->timers ? loop->heap[0]->due_us : INT64_MAX;
		if (next > until_us)
			break;
		clock_advance(loop->clock, next - loop->clock->mono_us);
	}
	if (until_us > loop->clock->mono_us)
		clock_advance(loop->clock, until_us - loop->clock->mono_us);
}
