/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a bus or a device: what tells whether it is the wire. */
#ifndef EB_FIELD_STATS_H
#define EB_FIELD_STATS_H

#include <enos-bridge/plugin.h>
#include <stdint.h>

#include "util/buffer.h"

#define STATS_EXCEPTIONS 4

struct stats {
	uint32_t requests; /* frames sent, tries again included */
	uint32_t answers; /* good ones, and broadcasts sent */
	uint32_t errors[EB_ERROR_CLASSES];
	/* The first few codes seen; more are in errors[EB_EXCEPTION] alone. */
	struct {
		uint32_t code, count;
	} exceptions[STATS_EXCEPTIONS];
	/* From the first byte sent to the last received, of good answers. */
	uint32_t round_min_us, round_max_us, round_p95_us;
	uint64_t round_sum_us;
	int64_t good_ms; /* wall clock of the last good answer, 0 none */
};

void stats_answer(struct stats *stats, uint32_t round_us, int64_t wall_ms);
void stats_error(struct stats *stats, uint32_t error, uint32_t code);
/* Pairs of a JSON object, without its braces. */
void stats_print(const struct stats *stats, struct buffer *text);

#endif
