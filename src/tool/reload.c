/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/verb.h"

const struct verb verb_reload = {
	.name = "reload",
	.summary = "reads scripts and secrets again, and says what became of each",
	.wait_ms = 60000,
};
