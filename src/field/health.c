/* SPDX-License-Identifier: Apache-2.0 */
#include "field/health.h"

#include "core/plugin.h"
#include "util/log.h"

#define FAILURES_DOWN 3
#define DELAY_MIN_MS 500
#define DELAY_MAX_MS 60000
/* One probe of so many waits as long as the bus says: a device may have become slower. */
#define PATIENT_PROBE 8
#define WAIT_FLOOR_US 20000
#define WAIT_UNKNOWN_US 100000
/* A link that is down is mostly back within that: then its devices' states do not change. */
#define UNLINK_US (5 * USEC_PER_SEC)

enum health_state health_shown(const struct device *device)
{
	return device->condition.unlinked ? HEALTH_DOWN : device->condition.state;
}

static void relink(struct device *device)
{
	if (!device->condition.unlinked)
		return;
	device->bus->unlinked_count--;
	device->ready_us = bus_now(device->bus);
	device->condition.unlinked = false;
}

/* Tells the main plane of the state, again later where its mailbox has no room. */
static void tell(struct device *device)
{
	struct condition *condition = &device->condition;
	struct plane *plane = device->bus->plane;
	enum health_state state = health_shown(device);
	/* That it does not answer though its link is up again is news. */
	bool other = state == HEALTH_DOWN && condition->told_error == EB_LINK &&
		condition->error != EB_LINK;
	if (condition->told == state && !other)
		return;
	struct health *health = health_create(device->number, state);
	health->error = condition->error;
	health->code = condition->code;
	health->stamp = plane_stamp(plane, bus_now(device->bus));
	if (mailbox_put(plane->outbox, &health->mail)) {
		condition->told = (uint8_t)state;
		condition->told_error = condition->error;
	}
}

static void change(struct device *device, enum health_state state)
{
	struct condition *condition = &device->condition;
	condition->state = (uint8_t)state;
	condition->changed_ms = plane_stamp(device->bus->plane, bus_now(device->bus)).wall_ms;
}

/* What failed while it was down says nothing of the polls themselves. */
static void forgive_tasks(struct device *device, int64_t now)
{
	for (size_t i = 0; device->plan && i < device->plan->count; i++) {
		struct task *task = &device->tasks[i];
		if (!task->failed || task->running)
			continue;
		task->failed = 0;
		task->again_us = task->again_us ? now : 0;
	}
	device_refresh_due(device);
}

/* Where one came back, others may have come back with it: half of the line to look for them. */
static void come_back(struct device *device)
{
	struct bus *bus = device->bus;
	int64_t now = bus_now(bus);
	if (plane_may_log(bus->plane))
		log_info("%s: device %s answers again after %.1f s", bus_name(bus),
			device_name(device),
			(double)(now - device->condition.since_us) / USEC_PER_SEC);
	bus->down_count--;
	bus->eager = bus->down_count;
	bus->probe_us = now;
	list_for_each (link, &bus->devices) {
		struct device *other = container_of(link, struct device, turn);
		if (other->condition.state == HEALTH_DOWN)
			other->condition.probe_us = now;
	}
	forgive_tasks(device, now);
	setup_restart(device);
	device->ready_us = now;
}

void health_good(struct device *device, uint32_t took_us)
{
	struct condition *condition = &device->condition;
	if (took_us) {
		device->good_us = bus_now(device->bus);
		uint32_t faded_us = condition->took_us - condition->took_us / 16;
		condition->took_us = took_us > faded_us ? took_us : faded_us;
	}
	enum health_state before = condition->state;
	condition->failures = 0;
	if (before != HEALTH_OK || condition->unlinked) {
		condition->error = EB_NONE;
		condition->code = 0;
		change(device, HEALTH_OK);
	}
	relink(device);
	if (before == HEALTH_DOWN)
		come_back(device);
	setup_contacted(device);
	tell(device);
}

static void go_down(struct device *device)
{
	struct condition *condition = &device->condition;
	struct bus *bus = device->bus;
	int64_t now = bus_now(bus);
	change(device, HEALTH_DOWN);
	relink(device);
	condition->since_us = now;
	condition->delay_ms = DELAY_MIN_MS;
	condition->probes = 0;
	condition->probe_us = now + DELAY_MIN_MS * USEC_PER_MSEC;
	bus->down_count++;
	bool on_serial = bus->conf->link.type == CONF_LINK_SERIAL;
	bool late = bus_now(bus) < bus->late_until_us && bus->stats.errors[EB_LATE];
	if (plane_may_log(bus->plane))
		log_warning(
			"%s: device %s is down: %s; it is asked again with growing pauses: check %s",
			bus_name(bus), device_name(device), error_class_name(condition->error),
			late                ? "the bus's timeout, answers come late"
				: on_serial ? "its power, address and wiring, and baud and parity"
					    : "its power, address and wiring");
}

void health_bad(struct device *device, const struct ending *ending)
{
	struct condition *condition = &device->condition;
	if (condition->failures < UINT16_MAX)
		condition->failures++;
	condition->error = (uint8_t)ending->error;
	condition->code = ending->code;
	if (condition->state == HEALTH_DOWN)
		return;
	if (condition->failures >= FAILURES_DOWN || condition->unlinked)
		go_down(device);
	else if (condition->state != HEALTH_SUSPECT)
		change(device, HEALTH_SUSPECT);
	tell(device);
}

static bool all_down(const struct bus *bus)
{
	list_for_each (link, &bus->devices) {
		const struct device *device = container_of(link, struct device, turn);
		if (device->plan && device->condition.state != HEALTH_DOWN)
			return false;
	}
	return true;
}

void health_probe_failed(struct device *device, int64_t took_us)
{
	struct condition *condition = &device->condition;
	struct bus *bus = device->bus;
	int64_t now = bus_now(bus);
	condition->probes++;
	uint32_t delay_ms = condition->delay_ms;
	uint32_t jitter_ms = plane_random(bus->plane, delay_ms / 4 + 1);
	condition->probe_us = now + (delay_ms - delay_ms / 8 + jitter_ms) * USEC_PER_MSEC;
	condition->delay_ms = delay_ms < DELAY_MAX_MS / 2 ? 2 * delay_ms : DELAY_MAX_MS;
	/* 1 part of 20 of the line, or of 2; where all are down nobody else wants it. */
	bool half = bus->eager || all_down(bus);
	bus->probe_us = now + (half ? took_us : 19 * took_us);
	if (bus->eager)
		bus->eager--;
}

int64_t health_probe_us(const struct device *device)
{
	int64_t own_us = device->condition.probe_us, budget_us = device->bus->probe_us;
	return own_us > budget_us ? own_us : budget_us;
}

/* What the slowest of the bus takes, for a device of which nothing is known. */
static uint32_t slowest_us(const struct bus *bus)
{
	uint32_t most_us = 0;
	for (const struct list *link = bus->devices.next; link != &bus->devices;
		link = link->next) {
		const struct device *other = container_of(link, const struct device, turn);
		if (other->condition.took_us > most_us)
			most_us = other->condition.took_us;
	}
	return most_us;
}

uint32_t health_probe_wait_us(const struct device *device, uint32_t timeout_us)
{
	uint64_t wait_us = device->condition.took_us;
	bool patient = device->condition.probes % PATIENT_PROBE == PATIENT_PROBE - 1;
	if (wait_us) {
		wait_us += wait_us / 2 > WAIT_FLOOR_US ? wait_us / 2 : WAIT_FLOOR_US;
	} else {
		wait_us = 3 * (uint64_t)slowest_us(device->bus);
		if (!wait_us)
			return timeout_us;
		if (wait_us < WAIT_UNKNOWN_US)
			wait_us = WAIT_UNKNOWN_US;
	}
	return wait_us < timeout_us && (!patient || device->bus->eager) ? (uint32_t)wait_us
									: timeout_us;
}

static void unlink_device(struct device *device)
{
	struct condition *condition = &device->condition;
	if (!device->plan || condition->state == HEALTH_DOWN)
		return;
	if (!condition->unlinked) {
		condition->unlinked = true;
		condition->error = EB_LINK;
		condition->code = 0;
		condition->changed_ms = plane_stamp(device->bus->plane, bus_now(device->bus))
						.wall_ms;
		device->bus->unlinked_count++;
		setup_restart(device);
	}
	tell(device);
}

int64_t health_link_down(struct bus *bus)
{
	if (!bus->lost_us || bus->stopping)
		return INT64_MAX;
	int64_t due_us = bus->lost_us + UNLINK_US;
	if (bus_now(bus) < due_us)
		return due_us;
	list_for_each (link, &bus->devices)
		unlink_device(container_of(link, struct device, turn));
	return INT64_MAX;
}

void health_link_up(struct bus *bus)
{
	int64_t now = bus_now(bus);
	bus->probe_us = now;
	list_for_each (link, &bus->devices) {
		struct device *device = container_of(link, struct device, turn);
		device->condition.probe_us = now;
		if (device->condition.state == HEALTH_DOWN)
			device->condition.delay_ms = DELAY_MIN_MS;
	}
}

uint32_t health_retries(const struct device *device)
{
	bool trusted = device->condition.state == HEALTH_OK ||
		device->condition.state == HEALTH_UNKNOWN;
	return trusted && !device->condition.unlinked ? device->bus->conf->retries : 0;
}
