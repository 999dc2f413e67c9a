/* SPDX-License-Identifier: Apache-2.0 */
#include "field/bus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "field/health.h"
#include "field/order.h"
#include "field/receive.h"
#include "field/task.h"
#include "field/transaction.h"
#include "field/trouble.h"
#include "util/alloc.h"
#include "util/log.h"
#include "util/plural.h"

/* Silence that ends draining, on top of the gap: an adapter's buffer may hold bytes back for 16 ms. */
#define DRAIN_US 20000
#define DRAIN_TCP_US 50000
/* Of a fast line, with characters of at most so many ns; how long a silence is waited for awake. */
#define FAST_CHAR_NS 200000
#define AWAKE_US 60
/* Up for so long without an answer, the link's back-off begins anew as well. */
#define STEADY_US (10 * USEC_PER_SEC)

const char *bus_name(const struct bus *bus)
{
	return bus->conf->name;
}

bool bus_matches_tags(const struct bus *bus)
{
	return bus->tagged;
}

void bus_trace(struct bus *bus, enum trace_kind kind, const struct device *device, uint32_t error,
	const void *bytes, size_t size)
{
	const struct trace_frame frame = {
		.mono_us = bus_now(bus),
		.kind = kind,
		.device = device ? device->number : TRACE_NO_DEVICE,
		.error = error,
		.bytes = bytes,
		.size = size,
	};
	trace_put(&bus->trace, bus->plane->trace_room, frame.mono_us, kind, frame.device, error,
		bytes, size);
	if (bus->capture)
		capture_put(bus, &frame);
	if (error != EB_NONE)
		trouble_note(bus, error);
}

void bus_deliver(struct device *device, uint32_t poll, const uint8_t *content, size_t size)
{
	struct bus *bus = device->bus;
	struct stamp stamp = plane_stamp(bus->plane, bus->received_us);
	struct reading *reading = reading_create(device->plan, poll, &stamp, content, size);
	mailbox_put(bus->plane->outbox, &reading->mail);
}

/* Tells the main plane what became of the link, again later where its mailbox has no room. */
static void tell_link(struct bus *bus)
{
	bool up = bus->machine >= BUS_PAUSE;
	uint8_t state = up ? TOLD_UP : bus->why ? TOLD_DOWN : bus->told;
	if (bus->told == state)
		return;
	struct link_change *change = link_change_create(bus->number, up);
	snprintf(change->reason, sizeof(change->reason), "%s", up ? "" : bus->why);
	change->stamp = plane_stamp(bus->plane, bus_now(bus));
	if (mailbox_put(bus->plane->outbox, &change->mail))
		bus->told = state;
}

/* What was asked on another connection is not answered on this one. */
static void forget_late_answers(struct bus *bus)
{
	list_for_each (link, &bus->devices) {
		struct device *device = container_of(link, struct device, turn);
		device->quiet_us = 0;
		device->owed = (struct owed){ .until_us = 0 };
	}
}

static void link_opened(void *owner)
{
	struct bus *bus = owner;
	int64_t now = bus_now(bus);
	bool said = (bus->why || bus->told != TOLD_UP) && plane_may_log(bus->plane);
	if (said && bus->why)
		log_info("%s: link is up again, after %u attempt%s", bus_name(bus), bus->attempts,
			plural(bus->attempts, "s"));
	else if (said)
		log_info("%s: link is up", bus_name(bus));
	free(TAKE(bus->why));
	bus->attempts = 0;
	bus->up_us = bus->received_us = bus->sent_us = now;
	bus->noisy_us = 0;
	bus->mute = 0;
	bus->unknown_noise = bus->late_noise = 0;
	bus->echo = ECHO_UNKNOWN;
	if (bus->conf->plugin->reset)
		bus->conf->plugin->reset(bus->state);
	bus_trace(bus, TRACE_LINK_UP, NULL, EB_NONE, NULL, 0);
	bool tcp = bus->conf->link.type == CONF_LINK_TCP;
	if (tcp)
		forget_late_answers(bus);
	bus->wake_us = now + (tcp ? bus->conf->link.connect_pause_ms * USEC_PER_MSEC : 0);
	bus->machine = BUS_PAUSE;
	if (bus->told != TOLD_UP)
		health_link_up(bus);
	bus_turn(bus);
}

static void link_failed(void *owner, const char *why)
{
	struct bus *bus = owner;
	bus_link_lost(bus, why);
	bus_turn(bus);
}

static void link_ready(void *owner)
{
	struct bus *bus = owner;
	receive_read(bus);
	bus_turn(bus);
}

static void link_writable(void *owner)
{
	struct bus *bus = owner;
	list_for_each (link, &bus->outstanding) {
		struct transaction *transaction = container_of(link, struct transaction, link);
		if (!transaction->sent_us || !transaction->queued)
			continue;
		transaction_send(bus, transaction);
		break;
	}
	bus_turn(bus);
}

static const struct link_events link_events = {
	.opened = link_opened,
	.failed = link_failed,
	.readable = link_ready,
	.writable = link_writable,
};

static void close_link(struct bus *bus)
{
	bus->link->ops->close(bus->link);
	buffer_finish(&bus->pending);
	bus->silence_us = 0;
}

static int64_t reopen_delay_us(struct bus *bus)
{
	const struct conf_link *link = &bus->conf->link;
	uint64_t next_ms = 2 * (uint64_t)bus->reopen_ms;
	if (next_ms < link->reopen_min_ms)
		next_ms = link->reopen_min_ms;
	bus->reopen_ms = (uint32_t)(next_ms < link->reopen_max_ms ? next_ms : link->reopen_max_ms);
	uint32_t jitter_ms = plane_random(bus->plane, bus->reopen_ms / 4 + 1);
	return (bus->reopen_ms - bus->reopen_ms / 8 + jitter_ms) * USEC_PER_MSEC;
}

void bus_link_lost(struct bus *bus, const char *why)
{
	int64_t now = bus_now(bus);
	bool was_up = bus->machine >= BUS_PAUSE && bus->machine <= BUS_DRAIN;
	bool changed = !bus->why || strcmp(bus->why, why) != 0;
	char *text = must_strdup(why);
	close_link(bus);
	if (was_up) {
		bus->link_losses++;
		bus_trace(bus, TRACE_LINK_DOWN, NULL, EB_LINK, NULL, 0);
		if (now - bus->up_us >= STEADY_US)
			bus->reopen_ms = 0;
	}
	bus->machine = BUS_DOWN;
	bus->attempts++;
	bus->lost_us = bus->lost_us ? bus->lost_us : now;
	bus->wake_us = now + reopen_delay_us(bus);
	free(bus->why);
	bus->why = text;
	if (changed && plane_may_log(bus->plane))
		log_warning("%s: link is down: %s; it is opened again every %u to %u ms",
			bus_name(bus), text, bus->conf->link.reopen_min_ms,
			bus->conf->link.reopen_max_ms);
	transaction_abandon(bus);
	order_fail_all(bus);
	tell_link(bus);
}

void bus_link_error(struct bus *bus, int error)
{
	char why[LINK_WHY_MAX];
	bus->link->ops->explain(bus->link, error, why);
	bus_link_lost(bus, why);
}

void bus_renew(struct bus *bus)
{
	if (bus->conf->line.transport != EB_TCP || bus->machine != BUS_READY)
		return;
	bus->mute = 0;
	close_link(bus);
	bus->machine = BUS_RESTING;
}

void bus_drain(struct bus *bus)
{
	if (bus->machine != BUS_READY)
		return;
	bus->machine = BUS_DRAIN;
	bus->wake_us = bus_now(bus) + bus->conf->timeout_ms * USEC_PER_MSEC;
	bus->silence_us = 0;
	buffer_clear(&bus->pending);
}

int64_t bus_free_us(const struct bus *bus)
{
	int64_t last_us = bus->received_us > bus->sent_us ? bus->received_us : bus->sent_us;
	int64_t free_us = last_us + bus->gap_us;
	/* On a line that is never silent we speak all the same, after a while. */
	int64_t patience_us = bus->noisy_us + bus->conf->timeout_ms * USEC_PER_MSEC;
	if (bus->noisy_us && free_us > patience_us)
		free_us = patience_us;
	return free_us;
}

/* ---- one function for each state: does what can be done, returns when to look again ---------- */

static int64_t open_link(struct bus *bus)
{
	char why[LINK_WHY_MAX] = "";
	bus->machine = BUS_OPENING;
	bus->wake_us = bus_now(bus) + bus->conf->link.connect_timeout_ms * USEC_PER_MSEC;
	int result = bus->link->ops->open(bus->link, why);
	if (result == 0)
		link_opened(bus);
	else if (result != -EINPROGRESS)
		bus_link_lost(bus, why);
	return bus->wake_us;
}

static int64_t turn_down(struct bus *bus)
{
	if (bus->stopping)
		return INT64_MAX;
	return bus_now(bus) < bus->wake_us ? bus->wake_us : open_link(bus);
}

static int64_t turn_opening(struct bus *bus)
{
	if (bus_now(bus) < bus->wake_us)
		return bus->wake_us;
	char why[LINK_WHY_MAX];
	snprintf(why, sizeof(why), "%.80s port %u does not accept a connection within %u ms",
		bus->conf->link.host ? bus->conf->link.host : "?", bus->conf->link.port,
		bus->conf->link.connect_timeout_ms);
	bus_link_lost(bus, why);
	return bus->wake_us;
}

static int64_t turn_pause(struct bus *bus)
{
	if (bus_now(bus) < bus->wake_us)
		return bus->wake_us;
	bus->machine = BUS_READY;
	return 0;
}

static int64_t turn_drain(struct bus *bus)
{
	bool tcp = bus->conf->line.transport == EB_TCP;
	int64_t silent_us = bus->received_us + bus->gap_us + (tcp ? DRAIN_TCP_US : DRAIN_US);
	int64_t until_us = silent_us < bus->wake_us ? silent_us : bus->wake_us;
	if (bus_now(bus) < until_us)
		return until_us;
	bus->machine = BUS_READY;
	return 0;
}

static int64_t turn_resting(struct bus *bus)
{
	struct choice choice;
	int64_t next_us;
	if (bus->stopping)
		return INT64_MAX;
	if (!bus->order_count && !schedule_choose(bus, &choice, &next_us))
		return next_us;
	return open_link(bus);
}

/* Nothing is due: a device that serves one client at a time is left to others. */
static void maybe_rest(struct bus *bus)
{
	if (!bus->conf->link.close_after_poll || bus->in_flight || bus->order_count)
		return;
	close_link(bus);
	bus->machine = BUS_RESTING;
}

/* Begins what is next and may begin.  False: nothing now, look again at *next_us. */
static bool begin_next(struct bus *bus, int64_t *next_us)
{
	struct choice choice;
	int64_t order_us;
	if (order_begin(bus, &order_us))
		return true;
	*next_us = order_us;
	if (order_waits(bus) || !transaction_room(bus))
		return false;
	int64_t poll_us;
	if (!schedule_choose(bus, &choice, &poll_us)) {
		*next_us = poll_us < order_us ? poll_us : order_us;
		maybe_rest(bus);
		return false;
	}
	if (choice.setup)
		setup_begun(bus, &choice);
	else
		task_begun(bus, &choice);
	transaction_begin_poll(bus, &choice);
	return true;
}

/* Some devices take what is said to others for the beginning of what is said to them. */
static int64_t unit_gap_us(const struct bus *bus, const struct transaction *queued)
{
	bool another = queued && bus->spoke_to && bus->spoke_to != queued->device;
	return another ? bus->conf->unit_gap_us : 0;
}

/*
 * A timer comes tens of µs late, which at 115200 baud is a percent of what the line carries: there the
 * last of a silence is waited for awake.  Returns 0 when it is over, else when to look again.
 */
static int64_t wait_for_silence(struct bus *bus, int64_t free_us)
{
	struct loop *loop = bus->plane->loop;
	int64_t left_us = free_us - bus_now(bus);
	bool fast = bus->char_ns && bus->char_ns <= FAST_CHAR_NS && !loop_clock(loop)->manual;
	if (left_us <= 0)
		return 0;
	if (!fast || left_us > 2 * AWAKE_US)
		return fast ? free_us - AWAKE_US : free_us;
	while (loop_now_exact(loop) < free_us)
		continue;
	return 0;
}

/* Sends what may be sent now. */
static int64_t speak(struct bus *bus)
{
	int64_t next_us = INT64_MAX;
	while (bus->machine == BUS_READY) {
		struct transaction *queued = transaction_queued(bus);
		if (queued && queued->sent_us)
			return INT64_MAX;
		if (!queued && bus->stopping)
			return INT64_MAX;
		int64_t free_us = bus_free_us(bus) + unit_gap_us(bus, queued);
		free_us = wait_for_silence(bus, free_us);
		if (free_us)
			return free_us;
		/* What came meanwhile is no answer to what is sent now, and breaks the silence. */
		if (!bus->in_flight && !bus_matches_tags(bus) && receive_read(bus) > 0)
			continue;
		if (!queued && !begin_next(bus, &next_us))
			return next_us;
		if (!queued) {
			queued = transaction_queued(bus);
			if (unit_gap_us(bus, queued))
				continue;
		}
		if (queued) {
			bus->spoke_to = queued->device;
			transaction_send(bus, queued);
		}
	}
	return 0;
}

static int64_t turn_ready(struct bus *bus)
{
	transaction_expire(bus);
	if (bus->machine != BUS_READY)
		return 0;
	int64_t silence_us = receive_silence(bus);
	if (bus->machine != BUS_READY)
		return 0;
	int64_t next_us = speak(bus);
	int64_t deadline_us = transaction_next_us(bus);
	next_us = silence_us < next_us ? silence_us : next_us;
	return deadline_us < next_us ? deadline_us : next_us;
}

void bus_turn(struct bus *bus)
{
	static int64_t (*const turns[])(struct bus * bus) = {
		[BUS_DOWN] = turn_down,
		[BUS_OPENING] = turn_opening,
		[BUS_RESTING] = turn_resting,
		[BUS_PAUSE] = turn_pause,
		[BUS_READY] = turn_ready,
		[BUS_DRAIN] = turn_drain,
	};
	if (bus->in_turn)
		return;
	bus->in_turn = true;
	int64_t order_us = order_expire(bus), next_us;
	uint8_t before;
	do {
		before = bus->machine;
		next_us = turns[before](bus);
	} while (bus->machine != before);
	tell_link(bus);
	bus->in_turn = false;
	if (bus->machine == BUS_DOWN || bus->machine == BUS_OPENING) {
		int64_t unlink_us = health_link_down(bus);
		next_us = unlink_us < next_us ? unlink_us : next_us;
	}
	if (order_us < next_us && bus->order_count)
		next_us = order_us;
	if (next_us == INT64_MAX)
		loop_disarm(bus->plane->loop, &bus->timer);
	else
		loop_arm(bus->plane->loop, &bus->timer, next_us);
}

static void timer_expired(struct timer *timer, int64_t now_us)
{
	struct bus *bus = container_of(timer, struct bus, timer);
	/* Timers run before descriptors: an answer that is there already was in time. */
	if (bus->in_flight || bus->machine == BUS_DRAIN)
		receive_read(bus);
	bus_turn(bus);
}

/* ---- the life of a bus ---------------------------------------------------------------------- */

static void set_line(struct bus *bus, const struct eb_timing *timing)
{
	const struct conf_bus *conf = bus->conf;
	uint32_t plugin_max = timing->max_in_flight ? timing->max_in_flight : 1;
	uint32_t most = conf->in_flight ? conf->in_flight : 1;
	if (most > plugin_max)
		most = plugin_max;
	bus->in_flight_max = (uint8_t)(most < BUS_IN_FLIGHT_MAX ? most : BUS_IN_FLIGHT_MAX);
	bus->tagged = plugin_max > 1;
	bus->gap_us = timing->gap_us + conf->gap_us;
	if (conf->line.baud)
		bus->char_ns = (uint32_t)(UINT64_C(1000000000) * conf->line.char_bits /
			conf->line.baud);
}

static int open_plugin(struct bus *bus, struct eb_error *error)
{
	const struct conf_bus *conf = bus->conf;
	struct eb_timing timing = { .gap_us = 0 };
	struct problems problems = PROBLEMS_NONE;
	struct settings settings;
	int result = settings_from_value(&settings, conf->plugin->bus_keys, NULL,
		conf->options.data, conf->options.size, SETTINGS_CONFIGURATION, conf->place,
		&problems);
	if (result == 0) {
		result = conf->plugin->open(
			bus->state, &settings.view, &conf->line, &timing, error);
		settings_finish(&settings);
	} else {
		snprintf(error->text, sizeof(error->text), "%s",
			problems.count ? problems.items[0].text : "unusable options");
	}
	problems_finish(&problems);
	if (result == 0)
		set_line(bus, &timing);
	return result;
}

int bus_create(struct bus **result, struct plane *plane, uint32_t number, struct link *link,
	struct eb_error *error)
{
	const struct conf_bus *conf = &plane->conf->buses[number];
	struct bus *bus = must_alloc(sizeof(*bus));
	bus->plane = plane;
	bus->conf = conf;
	bus->number = number;
	bus->state = must_alloc(conf->plugin->state_size);
	bus->timer.expired = timer_expired;
	list_init(&bus->devices);
	list_init(&bus->outstanding);
	list_init(&bus->orders);
	if (!link)
		link = conf->link.type == CONF_LINK_SERIAL
			? link_serial_create(plane->loop, &conf->link)
			: link_tcp_create(plane->loop, plane->resolver, &conf->link);
	link->events = &link_events;
	link->owner = bus;
	bus->link = link;
	int opened = open_plugin(bus, error);
	if (opened < 0) {
		bus_destroy(bus);
		return opened;
	}
	*result = bus;
	return 0;
}

void bus_destroy(struct bus *bus)
{
	if (!bus)
		return;
	loop_disarm(bus->plane->loop, &bus->timer);
	trouble_forget(bus);
	bus->link->ops->destroy(bus->link);
	list_for_each (link, &bus->devices)
		device_destroy(container_of(link, struct device, turn));
	buffer_finish(&bus->pending);
	trace_finish(&bus->trace);
	capture_destroy(bus->capture);
	free(bus->why);
	free(bus->state);
	free(bus);
}

void bus_start(struct bus *bus, int64_t open_us)
{
	bus->since_us = bus_now(bus);
	bus->wake_us = open_us;
	bus_turn(bus);
}

void bus_stop(struct bus *bus)
{
	bus->stopping = true;
	bus_turn(bus);
}

bool bus_idle(const struct bus *bus)
{
	return !bus->in_flight;
}

void bus_abort(struct bus *bus)
{
	bus->stopping = true;
	close_link(bus);
	bus->machine = BUS_DOWN;
	transaction_abandon(bus);
	order_fail_all(bus);
	trouble_finish(bus);
	loop_disarm(bus->plane->loop, &bus->timer);
}

void bus_order(struct bus *bus, struct order *order)
{
	order_take(bus, order);
	bus_turn(bus);
}
