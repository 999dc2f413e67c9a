/* SPDX-License-Identifier: Apache-2.0 */
/* Units behind a TCP port: a device, or a gateway with many. */
#ifndef EB_SIM_FIELD_TCP_H
#define EB_SIM_FIELD_TCP_H

#include "sim/field/line.h"

struct tcp_setup {
	const char *name;
	const char *host; /* numeric */
	uint16_t port; /* 0: the system chooses at the first plug, and it stays */
	enum framing framing;
};

/* Adds the line to the simulation, not plugged yet; NULL where host is no numeric address. */
struct line *tcp_create(struct sim *sim, const struct tcp_setup *setup);

#endif
