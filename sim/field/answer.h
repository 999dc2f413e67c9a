/* SPDX-License-Identifier: Apache-2.0 */
/* What a unit puts on the line for a request: its answer, or what a fault makes of it. */
#ifndef EB_SIM_FIELD_ANSWER_H
#define EB_SIM_FIELD_ANSWER_H

#include "sim/field/fault.h"
#include "sim/field/frame.h"

#define NOISE_MAX 64

struct answer {
	uint8_t unit, function;
	int kind; /* enum fault_kind, -1: none */
	bool close; /* hang up, once the bytes are out */
	int64_t delay_us; /* before the first byte, beside what the line needs */
	int64_t drip_us; /* between bytes; 0: as fast as the line is */
	size_t pause_at; /* the line is silent (t3.5) before this byte; 0: nowhere */
	size_t size;
	uint8_t bytes[2 * FRAME_MAX + 2 * NOISE_MAX];
};

/* Whether the request is done by its unit although the fault befalls it. */
bool answer_is_done(const struct fault *fault);

/*
 * Puts together what appears on the line.  request is the frame that was received, reply what the
 * unit says to it; fault may be NULL.  Sets all but unit, function and the unit's own delay.
 */
void answer_build(struct answer *answer, const struct fault *fault, struct dice *dice,
	enum framing framing, const uint8_t *request, size_t request_size, const struct adu *reply);

#endif
