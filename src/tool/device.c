/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/print.h"
#include "tool/verb.h"

static void print(struct buffer *text, const void *result, size_t size)
{
	print_value(text, result, size, 0);
}

const struct verb verb_device = {
	.name = "device",
	.argument = "NAME",
	.key = "name",
	.summary = "one device: health, session, polls and their statistics",
	.wait_ms = 10000,
	.print = print,
};
