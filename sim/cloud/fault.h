/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong on purpose, and how often.  Each device draws from dice of its own, so what befalls
 * it depends on the seed and on its own requests, not on how those of many devices interleave.
 */
#ifndef SIM_CLOUD_FAULT_H
#define SIM_CLOUD_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buffer.h"
#include "util/value.h"

struct dice {
	uint64_t state;
};

void dice_seed(struct dice *dice, uint64_t seed, const char *name);
/* 64 even bits. */
uint64_t dice_draw(struct dice *dice);
/* From low to high, both included. */
int64_t dice_between(struct dice *dice, int64_t low, int64_t high);

enum fault {
	FAULT_LOSE_REQUEST,
	FAULT_LOSE_ANSWER,
	FAULT_REPEAT_REQUEST, /* comes twice */
	FAULT_REPEAT_ANSWER,
	FAULT_DELAY_REQUEST, /* by delay_ms */
	FAULT_DELAY_ANSWER,
	FAULT_REORDER, /* the answer goes out behind the next one to anybody, or after 200 ms */
	FAULT_SEPARATE, /* an empty ACK, after separate_ms the answer in a CON of its own */
	FAULT_SEPARATE_BARE, /* the same without that ACK */
	FAULT_WRONG_TOKEN, /* the first answer carries another token; a repetition gets the right one */
	FAULT_SPOOF, /* a forged datagram goes out ahead of the answer */
	FAULT_SILENCE, /* the request is not processed, nor are its retransmissions */
	FAULT_ERROR, /* 5.00, not processed */
	FAULT_FORGET, /* the device's token is void from now on */
	FAULT_FORBID, /* 4.03 */
	FAULT_REJECT, /* 2.04 with reject_code in the payload */
	FAULT_COUNT,
};
const char *fault_name(enum fault fault);

struct fault_rate {
	double probability;
	int64_t left; /* how often it may still strike; negative: without limit */
};

struct fault_plan {
	struct fault_rate rates[FAULT_COUNT];
	int64_t delay_ms[2]; /* least and most */
	int64_t separate_ms;
	int64_t reject_code;
	char topic[80]; /* only requests whose topic holds this; "": all */
};

void fault_plan_init(struct fault_plan *plan);
/* Whether the fault strikes now. Draws only where it can. */
bool fault_strikes(struct fault_plan *plan, struct dice *dice, enum fault fault);
/*
 * Takes settings from a map, e.g. {"lose_answer":0.1,"delay_request":{"p":1,"count":2},
 * "delay_ms":[100,300],"reject_code":1204,"topic":"up_raw"}; "loss" sets both directions; what is
 * not named stays.  Returns 0, or -EINVAL with the reason, and the plan is unchanged.
 */
int fault_plan_set(struct fault_plan *plan, const void *map, size_t size, char *error, size_t room);
/* Appends the settings as a JSON object. */
void fault_plan_print(const struct fault_plan *plan, struct buffer *json);

#endif
