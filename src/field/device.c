/* SPDX-License-Identifier: Apache-2.0 */
#include "field/device.h"

#include <string.h>

#include "field/bus.h"
#include "field/task.h"
#include "util/alloc.h"

struct device *device_create(struct bus *bus, uint32_t number)
{
	struct device *device = must_alloc(sizeof(*device));
	device->bus = bus;
	device->number = number;
	device->due_us = INT64_MAX;
	list_append(&bus->devices, &device->turn);
	bus->device_count++;
	return device;
}

void device_destroy(struct device *device)
{
	if (!device)
		return;
	list_remove(&device->turn);
	plan_release(device->plan);
	plan_release(device->next_plan);
	merge_finish(&device->merge);
	setup_finish(&device->setup);
	free(device->tasks);
	free(device);
}

const char *device_name(const struct device *device)
{
	return device->bus->plane->conf->devices[device->number].name;
}

int64_t device_several_due_us(const struct device *device, uint32_t first)
{
	int64_t due_us = INT64_MAX;
	for (uint32_t i = first; i < first + device->merge.parts[first].count; i++) {
		const struct task *task = device_task(device, i);
		int64_t task_us = task_due_us(task);
		if (task->running)
			return INT64_MAX;
		if (task_us < due_us)
			due_us = task_us;
	}
	return due_us;
}

void device_refresh_due(struct device *device)
{
	int64_t due_us = INT64_MAX;
	merge_for_each_run(first, &device->merge)
	{
		int64_t run_us = device_run_due_us(device, first);
		if (run_us < due_us)
			due_us = run_us;
	}
	device->due_us = due_us;
}

int64_t device_free_us(struct device *device, const struct request *request)
{
	bool blocked = owed_blocks(&device->owed, request, bus_now(device->bus));
	bool later = blocked && device->owed.until_us > device->quiet_us;
	return later ? device->owed.until_us : device->quiet_us;
}

static const struct task *find_task(const struct device *device, const char *name, int64_t *period)
{
	for (size_t i = 0; device->plan && i < device->plan->count; i++) {
		const struct poll *poll = &device->plan->polls[i];
		if (!poll->request->name || strcmp(poll->request->name, name) != 0)
			continue;
		*period = poll->period_us;
		return &device->tasks[i];
	}
	return NULL;
}

/* A poll of the same name goes on in step; with another period it is due no later than that. */
static bool take_over(const struct device *device, const struct poll *poll, struct task *task)
{
	int64_t period_us = 0;
	const char *name = poll->request->name;
	const struct task *old = name ? find_task(device, name, &period_us) : NULL;
	if (!old || old->due_us == INT64_MAX || (poll->request->wire.flags & EB_LISTEN))
		return false;
	*task = *old;
	task->running = false;
	task->tries = task->failed = 0;
	task->failing_us = 0;
	task->said = false;
	task->again_us = 0;
	int64_t latest_us = bus_now(device->bus) + poll->period_us;
	if (poll->period_us != period_us && task->due_us > latest_us)
		task->due_us = latest_us;
	return true;
}

static void run_plan(struct device *device, struct plan *plan)
{
	struct task *tasks = must_array(plan->count, sizeof(*tasks));
	bool *known = must_array(plan->count, sizeof(*known));
	for (size_t i = 0; i < plan->count; i++)
		known[i] = take_over(device, &plan->polls[i], &tasks[i]);
	setup_change(device, device->plan, plan);
	free(device->tasks);
	merge_finish(&device->merge);
	plan_release(device->plan);
	device->tasks = tasks;
	device->plan = plan;
	const struct bus *bus = device->bus;
	merge_init(&device->merge, plan, bus->conf->plugin, bus->state,
		conf_merge_hole(bus->plane->conf, device->number));
	for (size_t i = 0; i < plan->count; i++) {
		if (!known[i])
			task_first(device, (uint32_t)i);
	}
	free(known);
	device_refresh_due(device);
}

void device_change_plan(struct device *device, struct plan *plan)
{
	plan_release(device->next_plan);
	device->next_plan = plan;
	device_settle(device);
}

void device_settle(struct device *device)
{
	if (device->next_plan && !device->outstanding)
		run_plan(device, TAKE(device->next_plan));
}
