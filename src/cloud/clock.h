/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock that libcoap reads.  The library's own follows CLOCK_REALTIME, so that setting the
 * machine's clock stops or repeats its retransmissions; clock.c defines coap_clock_init() and
 * coap_ticks() in our program, and the dynamic linker binds the library to those.
 */
#ifndef EB_CLOUD_CLOCK_H
#define EB_CLOUD_CLOCK_H

#include <stdbool.h>

#include "util/clock.h"

/* The clock is borrowed and outlives every libcoap context; NULL: the system's again. */
void cloud_clock_use(const struct clock *clock);
/* Whether the library really asks us: false until its first context, or where linking went wrong. */
bool cloud_clock_bound(void);

#endif
