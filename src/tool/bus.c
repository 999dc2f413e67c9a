/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/verb.h"

const struct verb verb_bus = {
	.name = "bus",
	.argument = "NAME",
	.key = "bus",
	.summary = "one bus: its link, what it counted, round trips, its devices",
	.wait_ms = 10000,
};
