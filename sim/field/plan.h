/* SPDX-License-Identifier: Apache-2.0 */
/* A line as it was asked for, by a description or by options, before it is built. */
#ifndef EB_SIM_FIELD_PLAN_H
#define EB_SIM_FIELD_PLAN_H

#include "sim/field/sim.h"

/* Unit ids. */
struct ids {
	uint8_t ids[256];
	size_t count;
};

struct plan {
	const char *name; /* NULL: by its number */
	const char *path; /* serial; NULL: TCP */
	const char *host;
	uint16_t port;
	int framing; /* -1: RTU on a serial line, TCP on the other */
	uint32_t baud, char_bits;
	bool strict;
	const char *replay; /* the recording that it plays back; NULL: it has units */
	bool at_once; /* its answers do not wait for their time */
	uint32_t listeners; /* TCP: as many lines, on successive ports */
	struct unit units[256]; /* id, map, delays */
	size_t unit_count;
};

/* A plan with its defaults: 9600 baud, 10 bits a character, one listener, no units. */
void plan_init(struct plan *plan);
/* "1-10,20" to ids.  0 or -EINVAL. */
int ids_parse(const char *text, struct ids *ids);
/* Adds units like the given one; -EEXIST where an id is there already. */
int plan_add_units(struct plan *plan, const struct ids *ids, const struct unit *like);
/* Adds the line or lines to the simulation; -EINVAL with what is wrong. */
int plan_build(const struct plan *plan, struct sim *sim, char *error, size_t room);

#endif
