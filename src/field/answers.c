/* SPDX-License-Identifier: Apache-2.0 */
#include "field/answers.h"

#include <inttypes.h>

#include "core/plugin.h"
#include "core/recording.h"
#include "field/health.h"
#include "util/json.h"

static const char *link_state(const struct bus *bus)
{
	switch ((enum bus_state)bus->machine) {
	case BUS_PAUSE:
	case BUS_READY:
	case BUS_DRAIN:
		return "up";
	case BUS_RESTING:
		return "resting";
	case BUS_OPENING:
		return bus->why ? "down" : "opening";
	case BUS_DOWN:
		break;
	}
	return bus->why ? "down" : "opening";
}

/* The part of the time since the start during which something was outstanding. */
static double utilisation(const struct bus *bus)
{
	int64_t now = bus_now(bus), span_us = now - bus->since_us;
	uint64_t busy_us = bus->busy_us;
	if (bus->in_flight)
		busy_us += (uint64_t)(now - bus->busy_from_us);
	return span_us > 0 ? (double)(busy_us * 1000 / (uint64_t)span_us) / 1000 : 0;
}

static const char *device_name_of(void *context, uint32_t number)
{
	const struct bus *bus = context;
	return bus->plane->conf->devices[number].name;
}

struct trace_view answer_view(const struct bus *bus)
{
	return (struct trace_view){
		.mono_us = bus_now(bus),
		.wall_ms = clock_wall_ms(loop_clock(bus->plane->loop)),
		.name = device_name_of,
		.context = (void *)bus,
	};
}

void answer_dump(const struct bus *bus, struct buffer *text)
{
	struct trace_view view = answer_view(bus);
	OWNED_BUFFER head = BUFFER_EMPTY;
	recording_begin(&head, bus->conf);
	buffer_put_text(text, "{\"bus\":");
	json_put_text(text, bus_name(bus));
	buffer_put_text(text, ",\"head\":");
	json_put_text(text, buffer_text(&head));
	buffer_printf(text,
		",\"time_us\":%" PRId64 ",\"wall_ms\":%" PRId64 ",\"frames\":", view.mono_us,
		view.wall_ms);
	trace_print(&bus->trace, &view, text);
	buffer_put_byte(text, '}');
}

static void print_link(const struct bus *bus, struct buffer *text)
{
	buffer_printf(text, "\"link\":\"%s\"", link_state(bus));
	if (!bus->why)
		return;
	buffer_put_text(text, ",\"reason\":");
	json_put_text(text, bus->why);
	buffer_printf(text, ",\"attempts\":%" PRIu32, bus->attempts);
}

static void print_head(const struct bus *bus, struct buffer *text)
{
	buffer_put_text(text, "{\"name\":");
	json_put_text(text, bus_name(bus));
	buffer_put_byte(text, ',');
	print_link(bus, text);
	buffer_printf(text,
		",\"devices\":%" PRIu32 ",\"down\":%" PRIu32 ",\"missed\":%" PRIu32
		",\"utilisation\":",
		bus->device_count, bus->down_count + bus->unlinked_count, bus->missed);
	json_put_real(text, utilisation(bus));
}

static void print_state(const struct device *device, struct buffer *text)
{
	const struct condition *condition = &device->condition;
	buffer_put_text(text, "{\"name\":");
	json_put_text(text, device_name(device));
	buffer_printf(text, ",\"state\":\"%s\",\"changed\":%" PRId64,
		health_name(health_shown(device)), condition->changed_ms);
	if (condition->error)
		buffer_printf(text, ",\"error\":\"%s\"", error_class_name(condition->error));
	if (condition->state == HEALTH_DOWN)
		buffer_printf(text, ",\"probes\":%u,\"next_probe_ms\":%" PRId64,
			(unsigned)condition->probes,
			(condition->probe_us - bus_now(device->bus)) / USEC_PER_MSEC);
	buffer_put_byte(text, ',');
	stats_print(&device->stats, text);
}

void answer_bus(const struct bus *bus, struct buffer *text)
{
	static const char *const natures[] = { "unknown", "none", "present" };
	print_head(bus, text);
	buffer_put_byte(text, ',');
	stats_print(&bus->stats, text);
	buffer_printf(text,
		",\"link_losses\":%" PRIu32 ",\"noise_bytes\":%" PRIu32 ",\"unasked\":%" PRIu32
		",\"too_soon\":%" PRIu32 ",\"echo\":\"%s\",\"orders_waiting\":%" PRIu32
		",\"device_list\":[",
		bus->link_losses, bus->noise_bytes, bus->unasked, bus->early, natures[bus->echo],
		bus->order_count + (bus->running.order ? 1 : 0));
	/* The devices stand in the order of their turns, which nobody wants to see change. */
	const struct device *last = NULL;
	for (uint32_t i = 0; i < bus->device_count; i++) {
		const struct device *next = NULL;
		list_for_each (link, &bus->devices) {
			const struct device *device = container_of(link, struct device, turn);
			if ((!last || device->number > last->number) &&
				(!next || device->number < next->number))
				next = device;
		}
		buffer_put_text(text, i ? "," : "");
		print_state(next, text);
		buffer_put_byte(text, '}');
		last = next;
	}
	buffer_put_text(text, "]}");
}

static void print_poll(const struct poll *poll, const struct task *task, struct buffer *text)
{
	buffer_put_text(text, "{\"name\":");
	json_put_text(text, poll->request->name ? poll->request->name : "");
	buffer_put_text(text, ",\"request\":");
	json_put_text(text, poll->request->text ? poll->request->text : "");
	buffer_put_text(text, ",\"period\":");
	json_put_real(text, (double)poll->period_us / USEC_PER_SEC);
	buffer_printf(text,
		",\"requests\":%" PRIu32 ",\"answers\":%" PRIu32 ",\"failures\":%" PRIu32
		",\"failing\":%s,\"missed\":%" PRIu32 ",\"late_p95_us\":%" PRIu32
		",\"late_max_us\":%" PRIu32 ",",
		task->requests, task->answers, task->failures, task->failed ? "true" : "false",
		task->missed, task->late_p95_us, task->late_max_us);
	errors_print(task->errors, text);
	buffer_put_byte(text, ',');
	round_print(&task->round, task->answers, text);
	buffer_put_text(text, ",\"last_good\":");
	if (task->good_ms)
		buffer_printf(text, "%" PRId64 "}", task->good_ms);
	else
		buffer_put_text(text, "null}");
}

static void print_setup(const struct device *device, struct buffer *text)
{
	const struct setup *setup = &device->setup;
	buffer_put_text(text, ",\"setup\":[");
	for (uint32_t i = 0; i < setup->count; i++) {
		const struct setup_step *step = &setup->steps[i];
		const char *request = device->plan->setup[i]->text;
		buffer_put_text(text, i ? ",{\"request\":" : "{\"request\":");
		json_put_text(text, request ? request : "");
		buffer_printf(text, ",\"state\":\"%s\",\"failures\":%" PRIu32 "}",
			i >= setup->next         ? "waits"
				: step->again_us ? "failing"
						 : "done",
			step->failures);
	}
	buffer_put_byte(text, ']');
}

void answer_device(const struct device *device, struct buffer *text)
{
	print_state(device, text);
	buffer_put_text(text, ",\"polls\":[");
	for (size_t i = 0; device->plan && i < device->plan->count; i++) {
		buffer_put_text(text, i ? "," : "");
		print_poll(&device->plan->polls[i], &device->tasks[i], text);
	}
	buffer_put_byte(text, ']');
	if (device->setup.count)
		print_setup(device, text);
	buffer_put_byte(text, '}');
}

void answer_status(struct bus *const *buses, uint32_t count, struct buffer *text)
{
	uint64_t requests = 0, answers = 0, devices = 0, down = 0, links_down = 0;
	for (uint32_t i = 0; i < count; i++) {
		requests += buses[i]->stats.requests;
		answers += buses[i]->stats.answers;
		devices += buses[i]->device_count;
		down += buses[i]->down_count + buses[i]->unlinked_count;
		links_down += buses[i]->why != NULL;
	}
	buffer_printf(text,
		"{\"requests\":%" PRIu64 ",\"answers\":%" PRIu64 ",\"devices\":%" PRIu64
		",\"devices_down\":%" PRIu64 ",\"links_down\":%" PRIu64 ",\"buses\":[",
		requests, answers, devices, down, links_down);
	for (uint32_t i = 0; i < count; i++) {
		buffer_put_text(text, i ? "," : "");
		print_head(buses[i], text);
		buffer_printf(text, ",\"requests\":%" PRIu32 ",\"answers\":%" PRIu32 "}",
			buses[i]->stats.requests, buses[i]->stats.answers);
	}
	buffer_put_text(text, "]}");
}
