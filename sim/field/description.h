/* SPDX-License-Identifier: Apache-2.0 */
/* A simulation out of a file: JSON with lines, units, maps, faults and events; enos-field-sim(1). */
#ifndef EB_SIM_FIELD_DESCRIPTION_H
#define EB_SIM_FIELD_DESCRIPTION_H

#include "sim/field/sim.h"

/* What options say about lines of the file. */
struct override {
	const char *line; /* borrowed; its size bytes before '=' */
	size_t size;
	const char *value;
	bool port; /* else the path */
	bool used;
};

/*
 * Adds what the file describes to the simulation.  Returns 0, -errno where the file cannot be read,
 * or -EINVAL with "FILE: lines[0].baud: what is wrong" in error.
 */
int description_load(struct sim *sim, const char *path, struct override *overrides, size_t count,
	char *error, size_t room);

#endif
