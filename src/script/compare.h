/* SPDX-License-Identifier: Apache-2.0 */
/* Two values side by side, and where they differ, for people to read. */
#ifndef EB_SCRIPT_COMPARE_H
#define EB_SCRIPT_COMPARE_H

#include "util/value.h"

/* Is told of each difference: "points.voltage is 230.1, expected 230.2". */
struct comparison {
	void (*report)(void *context, const char *text);
	void *context;
};

/*
 * Compares the values that begin at the readers.  Numbers are equal by what they mean (5 and 5.0), an
 * empty list is an empty map.  Returns how many differences there are.
 */
size_t compare_values(const struct comparison *comparison, const struct buffer *expected,
	const struct buffer *got);

#endif
