/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of lines that know no Modbus: what befalls a run of bytes on its way out. */
#ifndef EB_SIM_FIELD_SPOIL_H
#define EB_SIM_FIELD_SPOIL_H

#include "sim/field/line.h"
#include "util/list.h"

/* Bytes that go out later. */
struct spoilt {
	struct line *line;
	struct list waiting; /* struct parting */
	void (*put)(struct line *line, const void *bytes, size_t size);
};

void spoilt_init(struct spoilt *spoilt, struct line *line,
	void (*put)(struct line *line, const void *bytes, size_t size));
void spoilt_clear(struct spoilt *spoilt);
/* Puts the bytes out, as the simulation's faults let them. */
void spoilt_put(struct spoilt *spoilt, const uint8_t *bytes, size_t size);

#endif
