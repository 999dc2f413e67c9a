/* SPDX-License-Identifier: Apache-2.0 */
/* Files in JSON. */
#ifndef SIM_CLOUD_FILE_H
#define SIM_CLOUD_FILE_H

#include <stddef.h>

#include "util/buffer.h"

/*
 * Reads a JSON list; count gets how many items it has.  Returns 0, or -errno with the reason.
 */
int file_read_list(const char *path, struct buffer *value, size_t *count, char *error, size_t room);
/* Writes the text, so that whoever looks sees all of it or none. Returns 0 or -errno. */
int file_write(const char *path, const char *text);

#endif
