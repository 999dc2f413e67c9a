/* SPDX-License-Identifier: Apache-2.0 */
#include "field/plane.h"

#include <inttypes.h>
#include <string.h>

/* All traces together, and what one bus has of that. */
#define TRACE_TOTAL (768u << 10)
#define TRACE_MIN 320u
#define TRACE_MAX 8192u
/* So many lines within that about links and devices that change. */
#define CHANGES_MAX 100
#define CHANGES_WINDOW_US (10 * USEC_PER_SEC)

void plane_init(struct plane *plane, struct loop *loop, struct mailbox *outbox,
	struct resolver_client *resolver, const struct conf *conf)
{
	memset(plane, 0, sizeof(*plane));
	plane->loop = loop;
	plane->outbox = outbox;
	plane->resolver = resolver;
	plane->conf = conf;
	plane->random = (uint64_t)loop_now(loop) * 2 + 1;
	uint32_t share = TRACE_TOTAL / (conf->bus_count ? conf->bus_count : 1);
	plane->trace_room = share < TRACE_MIN ? TRACE_MIN : share < TRACE_MAX ? share : TRACE_MAX;
	plane->synced_us = INT64_MIN / 2;
	plane->changes = (struct log_limit){ .window_us = CHANGES_WINDOW_US, .burst = CHANGES_MAX };
}

/* xorshift64*: nothing here is a secret. */
uint32_t plane_random(struct plane *plane, uint32_t below)
{
	plane->random ^= plane->random >> 12;
	plane->random ^= plane->random << 25;
	plane->random ^= plane->random >> 27;
	uint64_t mixed = (plane->random * UINT64_C(2685821657736338717)) >> 32;
	return below ? (uint32_t)((mixed * below) >> 32) : 0;
}

bool plane_may_log(struct plane *plane)
{
	uint64_t held = 0;
	if (!log_limit_pass(&plane->changes, loop_now(plane->loop), &held))
		return false;
	if (held)
		log_warning("field: %" PRIu64 " more changes of links and devices were not logged: "
			    "enos-bridge status has their states",
			held);
	return true;
}

struct stamp plane_stamp(struct plane *plane, int64_t mono_us)
{
	struct clock *clock = loop_clock(plane->loop);
	int64_t now = loop_now(plane->loop);
	/* Asking the kernel costs a call: once a second is often enough. */
	if (now - plane->synced_us >= USEC_PER_SEC) {
		plane->synced_us = now;
		plane->synced = clock_synced(clock);
	}
	return (struct stamp){
		.wall_ms = clock_wall_ms(clock) - (now - mono_us) / USEC_PER_MSEC,
		.mono_us = clock_boot_us(clock) - (now - mono_us),
		.synced = plane->synced,
	};
}
