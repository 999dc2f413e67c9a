/* SPDX-License-Identifier: Apache-2.0 */
#include "violation.h"

static const struct {
	const char *name, *meaning;
} texts[VIOLATION_COUNT] = { [VIOLATION_NONE] = { "none", "none" },
#define X(symbol, name, meaning) [VIOLATION_##symbol] = { name, meaning },
	VIOLATIONS(X)
#undef X
};

const char *violation_name(enum violation violation)
{
	return texts[violation].name;
}

const char *violation_meaning(enum violation violation)
{
	return texts[violation].meaning;
}
