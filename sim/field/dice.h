/* SPDX-License-Identifier: Apache-2.0 */
/* Chance that repeats: the same seed gives the same faults (splitmix64). */
#ifndef EB_SIM_FIELD_DICE_H
#define EB_SIM_FIELD_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state; /* the seed, at first */
};

static inline uint64_t dice_mix(uint64_t bits)
{
	bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
	return bits ^ bits >> 31;
}

static inline uint64_t dice_roll(struct dice *dice)
{
	dice->state += UINT64_C(0x9e3779b97f4a7c15);
	return dice_mix(dice->state);
}

/* 0 to limit - 1; 0 for a limit of 0. */
static inline uint32_t dice_below(struct dice *dice, uint32_t limit)
{
	return (uint32_t)((dice_roll(dice) >> 32) * limit >> 32);
}

/* Bits as a fraction, 0 to just under 1. */
static inline double dice_fraction(uint64_t bits)
{
	return (double)(bits >> 11) * 0x1p-53;
}

static inline bool dice_falls(struct dice *dice, double probability)
{
	return probability >= 1 || dice_fraction(dice_roll(dice)) < probability;
}

#endif
