/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/print.h"
#include "tool/verb.h"

static void print(struct buffer *text, const void *result, size_t size)
{
	print_value(text, result, size, 0);
}

const struct verb verb_status = {
	.name = "status",
	.summary = "how the gateway is: devices, sessions, buses, broker, cloud, scripts",
	.wait_ms = 10000,
	.print = print,
};
