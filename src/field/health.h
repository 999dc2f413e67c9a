/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a device does: ok, suspect after a request that failed with all its tries, down after two more.
 * A device that is down is not polled but probed, with a growing delay, and all down devices of a bus
 * together get a twentieth of the line; the first good answer brings it back.
 *
 * Where the link has been down for a while, its devices are down as well, to all who ask: nobody knows
 * better.  They are not probed then but polled when the link is up, one failure makes them really down,
 * and the first answer makes them ok.
 */
#ifndef EB_FIELD_HEALTH_H
#define EB_FIELD_HEALTH_H

#include "field/transaction.h"

/* It answered, if only with an exception; took_us after the request, 0: does not count. */
void health_good(struct device *device, uint32_t took_us);
/* A request failed for good. */
void health_bad(struct device *device, const struct ending *ending);
/* A probe had no good answer; the line was taken for took_us. */
void health_probe_failed(struct device *device, int64_t took_us);
/* When a down device may be probed, as its delay and the line's budget have it. */
int64_t health_probe_us(const struct device *device);
/* How long the next probe of it waits for the first byte. */
uint32_t health_probe_wait_us(const struct device *device, uint32_t timeout_us);
/* What others are to know of it. */
enum health_state health_shown(const struct device *device);
/* The link is down: its devices are too, some seconds later.  Returns when to call it again. */
int64_t health_link_down(struct bus *bus);
/* The link is open again: what is down is probed at once. */
void health_link_up(struct bus *bus);
/* How often a request of it is tried again. */
uint32_t health_retries(const struct device *device);

#endif
