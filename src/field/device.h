/* SPDX-License-Identifier: Apache-2.0 */
/* A device as the field runs it: its plan, when its polls are due, and how it does. */
#ifndef EB_FIELD_DEVICE_H
#define EB_FIELD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/message.h"
#include "field/merge.h"
#include "field/owed.h"
#include "field/setup.h"
#include "field/stats.h"
#include "util/list.h"

struct bus;

/* A poll as it runs, beside the constant one of the same number in the plan. */
struct task {
	int64_t due_us; /* kept without drift; INT64_MAX: never sent */
	int64_t again_us; /* 0, or when what failed is tried again, whatever due_us says */
	int64_t good_ms; /* wall clock of its last good answer, 0 none */
	int64_t failing_us; /* since when it has had no good answer though it was asked; 0 */
	uint32_t requests, answers, failures;
	uint32_t missed; /* periods that passed without it */
	uint32_t late_max_us, late_p95_us; /* how long it began after it was due */
	uint32_t errors[EB_ERROR_CLASSES];
	uint8_t tries; /* failed ones of the one that is being tried again */
	uint8_t failed; /* in a row, tries counted as one, exceptions too */
	bool running : 1;
	bool said : 1; /* the log has that it fails, and not yet that it works again */
	bool fresh : 1; /* not yet begun since the device has a plan */
	struct round round;
};

/* Kept per (bus, device): a dead unit says nothing of its namesake on another bus. */
struct condition {
	uint8_t state, told; /* enum health_state: as it is, as the main plane knows it */
	uint8_t told_error; /* the class that it knows */
	/* The link has been down for long: down to all who ask, until the device answers again. */
	bool unlinked;
	uint8_t error, probes; /* class that brought it there; probes since it is down */
	uint16_t failures; /* in a row */
	uint32_t code;
	uint32_t took_us; /* the longest that it took to answer lately; 0 unknown */
	uint32_t delay_ms; /* between probes */
	int64_t probe_us; /* the next one */
	int64_t since_us; /* down since */
	int64_t changed_ms; /* wall clock of the last change of state */
};

struct device {
	struct list turn; /* in bus->devices: the one served longest ago is first */
	struct bus *bus;
	uint32_t number;
	uint16_t outstanding; /* requests */
	struct plan *plan, *next_plan; /* referenced; next_plan waits for the transaction's end */
	struct task *tasks; /* of plan->polls */
	struct merge merge; /* of plan->polls: which are asked for together */
	struct setup setup; /* of plan->setup */
	int64_t due_us; /* when the earliest of tasks may begin, INT64_MAX none */
	int64_t quiet_us; /* nothing is asked of it before */
	int64_t ready_us; /* since when it is polled: it came back, or was set up */
	int64_t good_us; /* it gave a good answer last; 0: never */
	struct owed owed; /* what it may yet answer */
	struct condition condition;
	struct stats stats;
};

struct device *device_create(struct bus *bus, uint32_t number);
void device_destroy(struct device *device);
/*
 * Runs another plan, taking over the caller's reference, at once or after what is outstanding.
 * Polls of the same name keep their phase and their counters.
 */
void device_change_plan(struct device *device, struct plan *plan);
/* Called when a transaction of it ended: runs the plan that waited for that. */
void device_settle(struct device *device);
/* When the request may be asked of it, as far as answers go that it still owes; at least quiet_us. */
int64_t device_free_us(struct device *device, const struct request *request);
static inline struct task *device_task(const struct device *device, uint32_t part)
{
	return &device->tasks[device->merge.parts[part].poll];
}
/* To be called when a task's due time, tries or running changed. */
void device_refresh_due(struct device *device);
/* When the task may begin, as far as its own times go; INT64_MAX while it runs. */
static inline int64_t task_due_us(const struct task *task)
{
	if (task->running)
		return INT64_MAX;
	return task->again_us ? task->again_us : task->due_us;
}
/* When the run may begin, as far as its polls' own times go; INT64_MAX while it runs. */
int64_t device_several_due_us(const struct device *device, uint32_t first);
static inline int64_t device_run_due_us(const struct device *device, uint32_t first)
{
	if (device->merge.parts[first].count == 1)
		return task_due_us(device_task(device, first));
	return device_several_due_us(device, first);
}
const char *device_name(const struct device *device);

#endif
