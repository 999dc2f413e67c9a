/* SPDX-License-Identifier: Apache-2.0 */
/* How the value of a register changes by itself. */
#ifndef EB_SIM_FIELD_RULE_H
#define EB_SIM_FIELD_RULE_H

#include <stdint.h>

enum rule_kind {
	RULE_FIXED, /* base */
	RULE_CARRY, /* tells unit and address; see range.h */
	RULE_COUNTER, /* base, and step more each period */
	RULE_SINE, /* around base by amplitude, once a period; each item a third of it later */
	RULE_WALK, /* from base by at most step up or down each period, within min and max */
	RULE_TOGGLE, /* 0 and 1 in turn, a period each; neighbours differ */
	RULE_CLOCK, /* the machine's monotonic time, in periods */
	RULE_KINDS
};

struct rule {
	enum rule_kind kind;
	double base, step, amplitude;
	double min, max; /* a walk's; both 0: none */
	int64_t period_us;
	uint64_t seed;
};

/* Where a walk has come to. */
struct walk {
	int64_t step;
	double value;
};

const char *rule_name(enum rule_kind kind);
/* -EINVAL for a word that names no rule. */
int rule_parse(const char *word);

/* The value at now_us, monotonic, of a rule that began at start_us; not for carry and walk. */
double rule_value(const struct rule *rule, uint32_t item, int64_t start_us, int64_t now_us);
/* The same of a walk; key tells walks of one seed apart.  A zeroed state has not begun. */
double rule_walk(
	const struct rule *rule, struct walk *walk, uint64_t key, int64_t start_us, int64_t now_us);

#endif
