/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libconfig would swallow without a word, found before it sees the text: integers that do not fit
 * (it folds 5000000000 to 705032704), comments that never end, bytes that end its strings; and faults
 * of the syntax, to which it has two words only.
 */
#ifndef EB_CORE_CONF_SCAN_H
#define EB_CORE_CONF_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/problem.h"
#include "util/buffer.h"

/* What stands in the clean text for an integer that was reported; by its width. */
#define SCAN_BAD_32 INT32_MIN
#define SCAN_BAD_64 INT64_MIN

struct scan {
	bool parse; /* false: libconfig could make nothing of it, or something else */
	bool bad_integers; /* the clean text has SCAN_BAD_32 or _64 in their place */
};

/* Appends the text without its comments, with the same lines, for libconfig to parse. */
struct scan scan_text(struct buffer *clean, const char *text, size_t size, const char *file,
	struct problems *problems);

#endif
