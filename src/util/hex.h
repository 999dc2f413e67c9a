/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as pairs of hexadecimal digits. */
#ifndef EB_UTIL_HEX_H
#define EB_UTIL_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buffer.h"

/* Appends lower-case digits, two a byte. */
void hex_put(struct buffer *buffer, const void *bytes, size_t size);
/* Upper-case digits and a NUL into text, which has room for 2 * size + 1. */
void hex_upper(char *text, const void *bytes, size_t size);
/*
 * Appends the bytes that the digits mean; blanks between pairs are passed over.  Returns 0, or
 * -EINVAL for anything that is not pairs of digits; nothing is appended then.
 */
int hex_parse(struct buffer *buffer, const char *text);

#endif
