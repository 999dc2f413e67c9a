/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/verb.h"

const struct verb verb_device = {
	.name = "device",
	.argument = "NAME",
	.key = "name",
	.summary = "one device: health, session, polls and their statistics",
	.wait_ms = 10000,
};
