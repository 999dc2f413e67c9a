/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/discovery.h"

#include <stdio.h>
#include <string.h>

#include "bridge/requests.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/log.h"

#define ROUNDS_MAX 32
#define HELD_MAX 64
#define DELAY_MIN_MS 1000
#define DELAY_MAX_MS 60000
/* So long an order may wait for its bus. */
#define ORDER_WAIT_US (60 * USEC_PER_SEC)

/* One device's, made when it is first needed. */
struct discovery {
	struct discoveries *of;
	struct member *device;
	struct timer again;
	uint64_t serial; /* of the order under way; 0: none */
	unsigned rounds;
	uint32_t delay_ms; /* before it begins again */
	struct list held; /* struct mail of readings */
	size_t held_count;
};

struct discoveries {
	struct discoveries_setup setup;
	struct discovery **items; /* one for each device */
	uint64_t serial;
	bool stopping;
};

static void run_round(struct discovery *discovery, const struct outcome *last);

/* ---- readings that wait --------------------------------------------------------------------- */

static void drop_held(struct discovery *discovery)
{
	for (struct list *link; (link = list_take_first(&discovery->held));)
		message_destroy(container_of(link, struct mail, link));
	discovery->held_count = 0;
}

static void release_held(struct discovery *discovery)
{
	const struct discoveries_setup *setup = &discovery->of->setup;
	for (struct list *link; (link = list_take_first(&discovery->held));) {
		struct mail *mail = container_of(link, struct mail, link);
		setup->reading(setup->context, container_of(mail, struct reading, mail));
		message_destroy(mail);
	}
	discovery->held_count = 0;
}

static void hold(struct discovery *discovery, struct reading *reading)
{
	if (discovery->held_count == HELD_MAX) {
		message_destroy(container_of(list_take_first(&discovery->held), struct mail, link));
		discovery->held_count--;
	}
	list_append(&discovery->held, &reading->mail.link);
	discovery->held_count++;
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void begin(struct discovery *discovery)
{
	loop_disarm(discovery->of->setup.loop, &discovery->again);
	discovery->rounds = 0;
	run_round(discovery, NULL);
}

static void again_due(struct timer *timer, int64_t now_us)
{
	begin(container_of(timer, struct discovery, again));
}

/* It begins again later, unless the device is down: then when it is back. */
static void fail(struct discovery *discovery, const char *why)
{
	struct member *device = discovery->device;
	struct loop *loop = discovery->of->setup.loop;
	if (!device->discovery_error || strcmp(device->discovery_error, why) != 0)
		log_warning("device %s: its polls are not found: %s: asked again with growing "
			    "pauses",
			device->conf->name, why);
	free(device->discovery_error);
	device->discovery_error = must_strdup(why);
	if (device->health == HEALTH_DOWN || discovery->of->stopping)
		return;
	loop_arm(loop, &discovery->again, loop_now(loop) + discovery->delay_ms * USEC_PER_MSEC);
	discovery->delay_ms = discovery->delay_ms < DELAY_MAX_MS / 2 ? 2 * discovery->delay_ms
								     : DELAY_MAX_MS;
}

static void fail_with(struct discovery *discovery, struct problems *problems)
{
	fail(discovery, problems->count ? problems->items[0].text : "a damaged request");
	problems_finish(problems);
}

static void confirm(struct discovery *discovery, bool same)
{
	struct member *device = discovery->device;
	const struct discoveries_setup *setup = &discovery->of->setup;
	device->confirmed = true;
	free(TAKE(device->discovery_error));
	discovery->delay_ms = DELAY_MIN_MS;
	if (same) {
		release_held(discovery);
		return;
	}
	log_info("device %s: %zu poll%s found", device->conf->name, device->plan->count,
		device->plan->count == 1 ? " was" : "s were");
	drop_held(discovery);
	setup->found(setup->context, device);
}

static void take_polls(struct discovery *discovery, const struct buffer *polls)
{
	struct member *device = discovery->device;
	struct problems problems = PROBLEMS_NONE;
	struct plan *plan;
	if (member_plan(&plan, device, discovery->of->setup.fleet->conf, polls, &problems) < 0) {
		fail_with(discovery, &problems);
		return;
	}
	bool same = plan_equal(plan, device->plan);
	plan_release(same ? plan : device->plan);
	if (!same)
		device->plan = plan;
	problems_finish(&problems);
	confirm(discovery, same);
}

/* Hands the order over with a place for its outcome reserved. */
static bool hand_over(const struct discoveries_setup *setup, struct order *order)
{
	if (!mailbox_reserve(setup->from_field)) {
		message_destroy(&order->mail);
		return false;
	}
	if (mailbox_put(setup->to_field, &order->mail))
		return true;
	mailbox_unreserve(setup->from_field);
	return false;
}

static void order(struct discovery *discovery, const struct buffer *list)
{
	struct member *device = discovery->device;
	const struct discoveries_setup *setup = &discovery->of->setup;
	struct problems problems = PROBLEMS_NONE;
	OWNED_REQUESTS requests;
	if (requests_make(&requests, setup->fleet->conf, device->number, list, "discover: request",
		    device->conf->script_path, &problems) < 0) {
		fail_with(discovery, &problems);
		return;
	}
	problems_finish(&problems);
	discovery->serial = DISCOVERY_SERIALS | ++discovery->of->serial;
	struct order *order = order_create(device->number, discovery->serial,
		loop_now(setup->loop) + ORDER_WAIT_US, requests.count);
	for (size_t i = 0; i < requests.count; i++)
		order->requests[i] = TAKE(requests.items[i]);
	if (hand_over(setup, order))
		return;
	discovery->serial = 0;
	fail(discovery, "the field has too much to do");
}

static void run_round(struct discovery *discovery, const struct outcome *last)
{
	struct script_error error = { .text = "" };
	OWNED_BUFFER list = BUFFER_EMPTY;
	if (discovery->of->stopping)
		return;
	int answer = script_discover(discovery->device->lua, last, &list, &error);
	if (answer == DISCOVER_POLLS) {
		take_polls(discovery, &list);
	} else if (answer != DISCOVER_REQUESTS) {
		fail(discovery, error.text);
	} else if (discovery->rounds++ == ROUNDS_MAX) {
		snprintf(error.text, sizeof(error.text),
			"discover asked for more than %d rounds of requests", ROUNDS_MAX);
		fail(discovery, error.text);
	} else {
		order(discovery, &list);
	}
}

/* ---- what happens --------------------------------------------------------------------------- */

static struct discovery *discovery_of(struct discoveries *discoveries, uint32_t number)
{
	struct member *device = &discoveries->setup.fleet->devices[number];
	struct discovery **slot = &discoveries->items[number];
	if (*slot || !device->probe)
		return *slot;
	*slot = must_alloc(sizeof(**slot));
	**slot = (struct discovery){ .of = discoveries,
		.device = device,
		.again = { .expired = again_due },
		.delay_ms = DELAY_MIN_MS };
	list_init(&(*slot)->held);
	return *slot;
}

/* What is under way ends; its outcome will be nobody's. */
static void abandon(struct discovery *discovery)
{
	discovery->serial = 0;
	loop_disarm(discovery->of->setup.loop, &discovery->again);
}

void discoveries_health(struct discoveries *discoveries, uint32_t number, enum health_state state)
{
	struct discovery *discovery = discovery_of(discoveries, number);
	if (!discovery || !discovery->device->probe)
		return;
	bool busy = discovery->serial || timer_armed(&discovery->again);
	if (state == HEALTH_DOWN) {
		abandon(discovery);
		discovery->delay_ms = DELAY_MIN_MS;
		discovery->device->confirmed = false;
	} else if (state == HEALTH_OK && !discovery->device->confirmed && !busy) {
		begin(discovery);
	}
}

void discoveries_restart(struct discoveries *discoveries, uint32_t number)
{
	struct discovery *discovery = discovery_of(discoveries, number);
	if (!discovery)
		return;
	abandon(discovery);
	discovery->delay_ms = DELAY_MIN_MS;
	if (!discovery->device->probe)
		release_held(discovery);
	else if (discovery->device->health == HEALTH_OK)
		begin(discovery);
}

void discoveries_outcome(struct discoveries *discoveries, struct outcome *outcome)
{
	struct discovery *discovery = discoveries->items[outcome->device];
	if (discovery && discovery->serial == outcome->order) {
		discovery->serial = 0;
		run_round(discovery, outcome);
	}
	message_destroy(&outcome->mail);
}

bool discoveries_hold(struct discoveries *discoveries, struct reading *reading)
{
	struct discovery *discovery = discovery_of(discoveries, reading->device);
	if (!discovery || !discovery->device->probe)
		return false;
	const struct member *device = discovery->device;
	/* Of the probe there is nothing to decode; what was polled before may mean something else. */
	if (reading->plan == device->plan && device->plan != device->probe) {
		if (device->confirmed)
			return false;
		hold(discovery, reading);
		return true;
	}
	message_destroy(&reading->mail);
	return true;
}

void discoveries_stop(struct discoveries *discoveries)
{
	discoveries->stopping = true;
	for (uint32_t i = 0; i < discoveries->setup.fleet->conf->device_count; i++)
		if (discoveries->items[i])
			abandon(discoveries->items[i]);
}

struct discoveries *discoveries_create(const struct discoveries_setup *setup)
{
	struct discoveries *discoveries = must_alloc(sizeof(*discoveries));
	discoveries->setup = *setup;
	discoveries->items = must_array(
		setup->fleet->conf->device_count, sizeof(*discoveries->items));
	return discoveries;
}

void discoveries_destroy(struct discoveries *discoveries)
{
	if (!discoveries)
		return;
	discoveries_stop(discoveries);
	for (uint32_t i = 0; i < discoveries->setup.fleet->conf->device_count; i++) {
		struct discovery *discovery = discoveries->items[i];
		if (discovery)
			drop_held(discovery);
		free(discovery);
	}
	free(discoveries->items);
	free(discoveries);
}
