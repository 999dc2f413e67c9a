/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/print.h"
#include "tool/verb.h"

static void print(struct buffer *text, const void *result, size_t size)
{
	print_value(text, result, size, 0);
}

const struct verb verb_reload = {
	.name = "reload",
	.summary = "reads the scripts again, and says what became of each",
	.wait_ms = 60000,
	.print = print,
};
