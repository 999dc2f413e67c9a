/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/clock.h"

#include <coap3/coap.h>

static const struct clock system_clock = CLOCK_SYSTEM;
static const struct clock *current = &system_clock;
static bool bound;

_Static_assert(COAP_TICKS_PER_SECOND == 1000, "a tick of libcoap is a millisecond");

void cloud_clock_use(const struct clock *clock)
{
	current = clock ? clock : &system_clock;
}

bool cloud_clock_bound(void)
{
	return bound;
}

void coap_clock_init(void)
{
	bound = true;
}

void coap_ticks(coap_tick_t *ticks)
{
	*ticks = (coap_tick_t)(clock_mono_us(current) / USEC_PER_MSEC);
}

/* The library seeds and logs by these; no wall clock comes into it. */
coap_time_t coap_ticks_to_rt(coap_tick_t ticks)
{
	return (coap_time_t)(ticks / COAP_TICKS_PER_SECOND);
}

uint64_t coap_ticks_to_rt_us(coap_tick_t ticks)
{
	return ticks * 1000;
}

coap_tick_t coap_ticks_from_rt_us(uint64_t us)
{
	return us / 1000;
}
