/* SPDX-License-Identifier: Apache-2.0 */
/* A Modbus unit: its registers, what was written to them, how fast it answers. */
#ifndef EB_SIM_FIELD_UNIT_H
#define EB_SIM_FIELD_UNIT_H

#include "sim/field/range.h"

/* A register that was written or set: it keeps its value, whatever its rule says. */
struct cell {
	uint16_t value;
	bool held;
	uint32_t writes; /* by masters */
};

/* What a unit has of its own in a range; nothing until it is needed. */
struct own {
	struct cell *cells;
	struct walk *walks;
};

struct unit {
	uint8_t id;
	const struct map *map; /* borrowed */
	struct own *own; /* one per range of the map, or NULL */
	uint32_t delay_us, jitter_us; /* an answer comes after delay and 0 to jitter more */
	int64_t busy_until_us; /* it answers one request after another */
	uint64_t requests, answers;
};

void unit_finish(struct unit *unit);

/*
 * The register or bit (0, 1) at address.  0, or -ENOENT: the unit has none there.  start_us is when
 * the rules began.
 */
int unit_read(struct unit *unit, enum table table, uint16_t address, int64_t start_us,
	int64_t now_us, uint16_t *value);
/* Whether a master may write value: 0, -ENOENT, -EACCES (read-only), -ERANGE (not that value). */
int unit_may_write(const struct unit *unit, enum table table, uint16_t address, uint16_t value);
/* Writes what unit_may_write() allows, and counts it. */
void unit_write(struct unit *unit, enum table table, uint16_t address, uint16_t value);
/* Sets a register behind the masters' backs, read-only ones too.  0 or -ENOENT. */
int unit_set(struct unit *unit, enum table table, uint16_t address, uint16_t value);
/* How often masters wrote the register. */
uint32_t unit_writes(const struct unit *unit, enum table table, uint16_t address);

#endif
