/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/verb.h"

const struct verb verb_status = {
	.name = "status",
	.summary = "how the gateway is: devices, sessions, buses, broker, cloud, scripts",
	.wait_ms = 10000,
};
