/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value: what JSON, Lua and the configuration can all say, flat in one run of bytes.  Points,
 * parameters of commands, script state and configuration options travel in this form; it is copied
 * with memcpy and stored as it is.  One tag byte, then, in the machine's own order (a value stays on
 * its machine):
 *
 *	null, false, true	nothing
 *	integer, real		8 bytes
 *	string			32-bit length, the bytes (any bytes), a NUL
 *	list			32-bit count, the items
 *	map			32-bit count, as many pairs of string and value, keys in their order
 */
#ifndef EB_UTIL_VALUE_H
#define EB_UTIL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

enum value_type {
	VALUE_NULL,
	VALUE_FALSE,
	VALUE_TRUE,
	VALUE_INTEGER,
	VALUE_REAL,
	VALUE_STRING,
	VALUE_LIST,
	VALUE_MAP,
};

/* How deep lists and maps may stand in one another, in what comes from outside. */
#define VALUE_DEPTH_MAX 16

/* One value, as read; text and bytes point into the encoding. */
struct value {
	enum value_type type;
	int64_t integer;
	double real;
	const char *text; /* string: its bytes, NUL behind them */
	size_t size; /* string: bytes; list: items; map: pairs */
};

/* Reads values one after another.  After a list or map header its items follow. */
struct value_reader {
	const uint8_t *at, *end;
};

static inline struct value_reader value_reader(const void *data, size_t size)
{
	const uint8_t *at = data;
	return (struct value_reader){ at, at ? at + size : at };
}

/* The next value or header.  False at the end or where the encoding is damaged. */
bool value_next(struct value_reader *reader, struct value *value);
/* Passes over the next value with all that it holds. */
bool value_skip(struct value_reader *reader);
/* The next value as it stands, header and all. */
bool value_item(struct value_reader *reader, const uint8_t **item, size_t *size);
/* Whether the bytes are exactly one well-formed value, at most VALUE_DEPTH_MAX deep. */
bool value_valid(const void *data, size_t size);
/*
 * In the map that begins at data: the value of the key.  *inside stands behind the value's own
 * header then, so that the items of a list or a map follow.  False where there is none.
 */
bool value_find(const void *data, size_t size, const char *key, struct value *value,
	struct value_reader *inside);

void value_put_null(struct buffer *buffer);
void value_put_bool(struct buffer *buffer, bool truth);
void value_put_integer(struct buffer *buffer, int64_t integer);
void value_put_real(struct buffer *buffer, double real);
void value_put_string(struct buffer *buffer, const void *bytes, size_t size);
void value_put_text(struct buffer *buffer, const char *text);
/* The header; count items, or pairs of string and value, are to follow. */
void value_put_list(struct buffer *buffer, uint32_t count);
void value_put_map(struct buffer *buffer, uint32_t count);

/*
 * A list or map whose count is not known before: begin returns the place of the header, end writes
 * the count there.
 */
size_t value_begin_list(struct buffer *buffer);
size_t value_begin_map(struct buffer *buffer);
void value_end(struct buffer *buffer, size_t place, uint32_t count);

/* Pairs for a map that is being built. */
void value_pair_text(struct buffer *buffer, const char *key, const char *text);
void value_pair_integer(struct buffer *buffer, const char *key, int64_t integer);
void value_pair_real(struct buffer *buffer, const char *key, double real);
void value_pair_bool(struct buffer *buffer, const char *key, bool truth);

#endif
