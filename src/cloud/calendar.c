/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/calendar.h"

#include "util/log.h"

#define LOOK_US USEC_PER_SEC

static bool believes(const struct calendar *calendar, int64_t wall_ms, bool synced, int64_t boot_us)
{
	return wall_ms >= calendar->built_ms && (synced || boot_us >= calendar->trusting_us);
}

static void look(struct calendar *calendar)
{
	const struct clock *clock = loop_clock(calendar->loop);
	int64_t boot_us = clock_boot_us(clock), wall_ms = clock_wall_ms(clock);
	calendar->set = believes(calendar, wall_ms, clock_synced(clock), boot_us);
	if (calendar->set)
		calendar->boot_ms = wall_ms - boot_us / USEC_PER_MSEC;
	else
		loop_arm(calendar->loop, &calendar->timer, loop_now(calendar->loop) + LOOK_US);
}

static void say_unset(void)
{
	log_warning("clock: it is not set: reports with a time wait until it is; check NTP and the "
		    "battery of the machine's clock");
}

static void on_timer(struct timer *timer, int64_t now_us)
{
	(void)now_us;
	struct calendar *calendar = container_of(timer, struct calendar, timer);
	look(calendar);
	if (!calendar->set)
		return;
	log_info("clock: it is set: what was read before gets its time from it");
	if (calendar->changed)
		calendar->changed(calendar->context);
}

void calendar_init(
	struct calendar *calendar, struct loop *loop, int64_t built_ms, uint32_t clock_wait_s)
{
	*calendar = (struct calendar){ .loop = loop, .built_ms = built_ms };
	calendar->trusting_us = clock_boot_us(loop_clock(loop)) +
		(int64_t)clock_wait_s * USEC_PER_SEC;
	if (!clock_wait_s)
		calendar->trusting_us = INT64_MIN;
	calendar->timer.expired = on_timer;
	look(calendar);
	if (!calendar->set)
		say_unset();
}

void calendar_finish(struct calendar *calendar)
{
	if (calendar->loop)
		loop_disarm(calendar->loop, &calendar->timer);
}

void calendar_judge(struct calendar *calendar, struct stamp *stamp)
{
	stamp->unset = !believes(calendar, stamp->wall_ms, stamp->synced, stamp->mono_us);
	if (!stamp->unset || !calendar->set)
		return;
	/* It may have been read before the clock was set, a moment ago; or the clock went back. */
	look(calendar);
	if (calendar->set)
		return;
	say_unset();
	if (calendar->changed)
		calendar->changed(calendar->context);
}

int64_t calendar_time(const struct calendar *calendar, const struct stamp *stamp)
{
	if (!calendar || !stamp->unset || stamp->boot || !calendar->set)
		return stamp->wall_ms;
	return calendar->boot_ms + stamp->mono_us / USEC_PER_MSEC;
}

bool calendar_holds(const struct calendar *calendar, const struct report *report)
{
	return calendar && !calendar->set && report->stamp.unset && !report->stamp.boot &&
		(report->kind == REPORT_POINTS || report->kind == REPORT_EVENT);
}
