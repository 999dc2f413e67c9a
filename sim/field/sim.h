/* SPDX-License-Identifier: Apache-2.0 */
/* The whole simulation: lines, what shall go wrong on them, and who waits for something to happen. */
#ifndef EB_SIM_FIELD_SIM_H
#define EB_SIM_FIELD_SIM_H

#include "sim/field/dice.h"
#include "sim/field/line.h"
#include "sim/field/range.h"
#include "util/list.h"
#include "util/loop.h"

struct transcript;

struct sim {
	struct loop *loop;
	struct dice dice;
	int64_t start_us; /* when the rules of registers began */
	struct list lines; /* struct line */
	struct list faults; /* struct fault */
	struct list waits; /* struct wait */
	struct list events; /* struct event: commands for later */
	struct map **maps; /* owned; units borrow them */
	size_t map_count;
	uint32_t fault_numbers;
	struct transcript *transcript; /* NULL: off */
};

/* The clock is borrowed.  0 or -errno. */
int sim_create(struct sim **sim, struct clock *clock);
void sim_destroy(struct sim *sim);

/* Owns the map from now on. */
void sim_keep_map(struct sim *sim, struct map *map);
struct line *sim_line(const struct sim *sim, const char *name);
/* Adds a fault said in words; returns its number, or -EINVAL with the error. */
int sim_add_fault(struct sim *sim, const char *text, char *error, size_t room);
/* Runs the command after_us from sim_start(). */
void sim_add_event(struct sim *sim, int64_t after_us, const char *command);
/* Plugs all lines; -errno of the first that fails, whose name is in error. */
int sim_start(struct sim *sim, char *error, size_t room);

#endif
