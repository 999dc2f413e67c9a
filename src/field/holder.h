/* SPDX-License-Identifier: Apache-2.0 */
/* Which process has a port: for the line that tells the user why it cannot be opened. */
#ifndef EB_FIELD_HOLDER_H
#define EB_FIELD_HOLDER_H

#include <stddef.h>

/* "minicom (process 812)" into text, "" where nobody is found or may be looked at. */
void holder_find(const char *path, char *text, size_t room);

#endif
