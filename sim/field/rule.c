/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/rule.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "sim/field/dice.h"

/* A walk that nobody looked at for long goes on from where it stood, this many steps ago. */
#define STEPS_MAX 10000

static const char *const names[RULE_KINDS] = {
	[RULE_FIXED] = "fixed",
	[RULE_CARRY] = "carry",
	[RULE_COUNTER] = "counter",
	[RULE_SINE] = "sine",
	[RULE_WALK] = "walk",
	[RULE_TOGGLE] = "toggle",
	[RULE_CLOCK] = "clock",
};

const char *rule_name(enum rule_kind kind)
{
	return names[kind];
}

int rule_parse(const char *word)
{
	for (int i = 0; i < RULE_KINDS; i++) {
		if (strcmp(word, names[i]) == 0)
			return i;
	}
	return -EINVAL;
}

double rule_value(const struct rule *rule, uint32_t item, int64_t start_us, int64_t now_us)
{
	int64_t since = now_us - start_us;
	switch (rule->kind) {
	case RULE_COUNTER:
		return rule->base + rule->step * (double)(since / rule->period_us);
	case RULE_SINE: {
		double turns = (double)since / (double)rule->period_us + item / 3.0;
		return rule->base + rule->amplitude * sin(2 * M_PI * turns);
	}
	case RULE_TOGGLE:
		return (double)((since / rule->period_us + item) & 1);
	case RULE_CLOCK:
		return (double)(now_us / rule->period_us);
	case RULE_FIXED:
	case RULE_CARRY:
	case RULE_WALK:
	case RULE_KINDS:
		break;
	}
	return rule->base;
}

static double within(const struct rule *rule, double value)
{
	if (rule->min >= rule->max)
		return value;
	return value < rule->min ? rule->min : value > rule->max ? rule->max : value;
}

double rule_walk(
	const struct rule *rule, struct walk *walk, uint64_t key, int64_t start_us, int64_t now_us)
{
	int64_t until = (now_us - start_us) / rule->period_us + 1;
	if (walk->step == 0)
		*walk = (struct walk){ 1, within(rule, rule->base) };
	if (until - walk->step > STEPS_MAX)
		walk->step = until - STEPS_MAX;
	while (walk->step < until) {
		walk->step++;
		uint64_t bits = dice_mix(dice_mix(rule->seed ^ key) + (uint64_t)walk->step);
		double turn = 2 * dice_fraction(bits) - 1;
		walk->value = within(rule, walk->value + rule->step * turn);
	}
	return walk->value;
}
