/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a bus or a device: what tells whether it is the wire. */
#ifndef EB_FIELD_STATS_H
#define EB_FIELD_STATS_H

#include <enos-bridge/plugin.h>
#include <stdint.h>

#include "util/buffer.h"

#define STATS_EXCEPTIONS 4

/* From the first byte sent to the last received, of good answers. */
struct round {
	uint64_t sum_us;
	uint32_t min_us, max_us, p95_us;
};

struct stats {
	uint32_t requests; /* frames sent, tries again included */
	uint32_t answers; /* good ones, and broadcasts sent */
	uint32_t errors[EB_ERROR_CLASSES];
	/* The first few codes seen; more are in errors[EB_EXCEPTION] alone. */
	struct {
		uint32_t count;
		uint16_t code;
	} __attribute__((packed)) exceptions[STATS_EXCEPTIONS];
	struct round round;
	int64_t good_ms; /* wall clock of the last good answer, 0 none */
};

/* The count-th sample of what p95 follows. */
void p95_follow(uint32_t *p95, uint32_t count, uint32_t sample);
/* count: answers so far, with this one. */
void round_add(struct round *round, uint32_t count, uint32_t round_us);
void stats_answer(struct stats *stats, uint32_t round_us, int64_t wall_ms);
void stats_error(struct stats *stats, uint32_t error, uint32_t code);
/* Pairs of a JSON object, without its braces. */
void errors_print(const uint32_t *errors, struct buffer *text);
void round_print(const struct round *round, uint32_t count, struct buffer *text);
void stats_print(const struct stats *stats, struct buffer *text);

#endif
