/* SPDX-License-Identifier: Apache-2.0 */
/* "1 bus", "2 buses": what a count adds to a noun. */
#ifndef EB_UTIL_PLURAL_H
#define EB_UTIL_PLURAL_H

#include <stdint.h>

/* ending: of more than one, or of none, such as "s". */
static inline const char *plural(uintmax_t count, const char *ending)
{
	return count == 1 ? "" : ending;
}

#endif
