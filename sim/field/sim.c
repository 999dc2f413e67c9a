/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/sim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/field/command.h"
#include "sim/field/transcript.h"
#include "sim/field/wait.h"
#include "util/alloc.h"
#include "util/log.h"

struct event {
	struct list link;
	struct sim *sim;
	struct timer timer;
	int64_t after_us;
	char *command; /* owned */
};

int sim_create(struct sim **result, struct clock *clock)
{
	struct sim *sim = must_alloc(sizeof(*sim));
	list_init(&sim->lines);
	list_init(&sim->faults);
	list_init(&sim->waits);
	list_init(&sim->events);
	int status = loop_create(&sim->loop, clock);
	if (status < 0) {
		free(sim);
		return status;
	}
	sim->start_us = loop_now(sim->loop);
	*result = sim;
	return 0;
}

static void destroy_event(struct event *event)
{
	list_remove(&event->link);
	loop_disarm(event->sim->loop, &event->timer);
	free(event->command);
	free(event);
}

void sim_destroy(struct sim *sim)
{
	if (!sim)
		return;
	list_for_each (link, &sim->waits)
		wait_cancel(container_of(link, struct wait, link));
	list_for_each (link, &sim->events)
		destroy_event(container_of(link, struct event, link));
	list_for_each (link, &sim->lines)
		line_destroy(container_of(link, struct line, link));
	list_for_each (link, &sim->faults)
		fault_destroy(container_of(link, struct fault, link));
	for (size_t i = 0; i < sim->map_count; i++)
		map_destroy(sim->maps[i]);
	free(sim->maps);
	transcript_close(sim->transcript);
	loop_destroy(sim->loop);
	free(sim);
}

void sim_keep_map(struct sim *sim, struct map *map)
{
	sim->maps = must_realloc(sim->maps, (sim->map_count + 1) * sizeof(*sim->maps));
	sim->maps[sim->map_count++] = map;
}

struct line *sim_line(const struct sim *sim, const char *name)
{
	list_for_each (link, (struct list *)(uintptr_t)&sim->lines) {
		struct line *line = container_of(link, struct line, link);
		if (strcmp(line->name, name) == 0)
			return line;
	}
	return NULL;
}

int sim_add_fault(struct sim *sim, const char *text, char *error, size_t room)
{
	struct fault *fault;
	if (fault_parse(text, &fault, error, room) < 0)
		return -EINVAL;
	if (fault->line && !sim_line(sim, fault->line)) {
		snprintf(error, room, "line=%s: there is no such line", fault->line);
		fault_destroy(fault);
		return -EINVAL;
	}
	fault->number = ++sim->fault_numbers;
	list_append(&sim->faults, &fault->link);
	return (int)fault->number;
}

static void happen(struct timer *timer, int64_t now_us)
{
	struct event *event = container_of(timer, struct event, timer);
	OWNED_BUFFER answer = BUFFER_EMPTY;
	struct wait *wait = NULL;
	int result = command_run(event->sim, event->command, &answer, &wait);
	if (result < 0)
		log_warning("'%s': %s", event->command, buffer_text(&answer));
	else if (wait)
		log_warning("'%s': nobody is there to wait", event->command);
	free(wait);
	destroy_event(event);
}

void sim_add_event(struct sim *sim, int64_t after_us, const char *command)
{
	struct event *event = must_alloc(sizeof(*event));
	event->sim = sim;
	event->timer.expired = happen;
	event->after_us = after_us;
	event->command = must_strdup(command);
	list_append(&sim->events, &event->link);
}

int sim_start(struct sim *sim, char *error, size_t room)
{
	sim->start_us = loop_now_exact(sim->loop);
	list_for_each (link, &sim->lines) {
		struct line *line = container_of(link, struct line, link);
		int result = line_plug(line);
		if (result < 0) {
			snprintf(error, room, "line %s: %s", line->name, strerror(-result));
			return result;
		}
	}
	list_for_each (link, &sim->events) {
		struct event *event = container_of(link, struct event, link);
		loop_arm(sim->loop, &event->timer, sim->start_us + event->after_us);
	}
	return 0;
}
