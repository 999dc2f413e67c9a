/* SPDX-License-Identifier: Apache-2.0 */
/* Pauses that grow with each failure in a row. */
#ifndef EB_FIELD_BACKOFF_H
#define EB_FIELD_BACKOFF_H

#include <stdint.h>

/* The pause after so many failures: first_us after one, then twice as long each time, at most max_us. */
static inline int64_t backoff_us(int64_t first_us, int64_t max_us, unsigned failures)
{
	int64_t us = first_us;
	while (failures-- > 1 && us < max_us)
		us *= 2;
	return us < max_us ? us : max_us;
}

#endif
