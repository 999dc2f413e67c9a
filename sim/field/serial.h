/* SPDX-License-Identifier: Apache-2.0 */
/* Units on a serial line: a pseudo-terminal, with the pace of a wire. */
#ifndef EB_SIM_FIELD_SERIAL_H
#define EB_SIM_FIELD_SERIAL_H

#include "sim/field/line.h"

struct serial_setup {
	const char *name;
	const char *path; /* of the symlink to the terminal */
	enum framing framing; /* RTU or ASCII */
	uint32_t baud; /* 0: as fast as it goes */
	uint32_t char_bits;
	bool strict; /* drop what begins within the silence of 3.5 characters */
};

/* Adds the line to the simulation, not plugged yet. */
struct line *serial_create(struct sim *sim, const struct serial_setup *setup);

#endif
