/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text to and from values.  Integers keep their 64 bits; reals are printed as the shortest
 * text that reads back equal.
 */
#ifndef EB_UTIL_JSON_H
#define EB_UTIL_JSON_H

#include "util/value.h"

/*
 * Appends the value that the text means.  Returns 0, or -EINVAL with what is wrong and where in
 * error (room bytes).  Nothing is appended then.  Integers beyond 64 bits, duplicate keys and
 * values deeper than VALUE_DEPTH_MAX are refused.
 */
int json_parse(struct buffer *value, const void *text, size_t size, char *error, size_t room);

/*
 * Appends the next value of the reader as JSON.  Bytes that are no UTF-8 become U+FFFD.  Returns 0,
 * or -EDOM for NaN or an infinity, which JSON cannot say, or -EINVAL for a damaged encoding.  Nothing is
 * appended then.
 */
int json_print(struct buffer *text, struct value_reader *reader);
int json_print_value(struct buffer *text, const void *data, size_t size);

/* Appends a string in its quotes, an integer, or a real (finite). */
void json_put_string(struct buffer *text, const void *bytes, size_t size);
void json_put_text(struct buffer *text, const char *string);
void json_put_integer(struct buffer *text, int64_t integer);
void json_put_real(struct buffer *text, double real);

#endif
