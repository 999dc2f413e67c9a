/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that grow at the end. */
#ifndef EB_UTIL_BUFFER_H
#define EB_UTIL_BUFFER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data; /* always one NUL behind size, once anything was put */
	size_t size, capacity;
};

#define BUFFER_EMPTY         \
	{                    \
		.data = NULL \
	}
#define OWNED_BUFFER __attribute__((cleanup(buffer_finish))) struct buffer

void buffer_finish(struct buffer *buffer);
/* Forgets the contents, keeps the memory. */
void buffer_clear(struct buffer *buffer);
/* Room for size more bytes at the end, not yet counted in size. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_put(struct buffer *buffer, const void *bytes, size_t size);
void buffer_put_byte(struct buffer *buffer, uint8_t byte);
void buffer_put_text(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));
/* Forgets what stands behind the first size bytes. */
void buffer_cut(struct buffer *buffer, size_t size);
/* Drops count bytes at the front. */
void buffer_drop(struct buffer *buffer, size_t count);
/* Gives back the room that is not used, of a buffer that stays as it is for long. */
void buffer_fit(struct buffer *buffer);
/* The contents as text, "" where nothing was put; valid until the next change. */
const char *buffer_text(const struct buffer *buffer);
/* Gives the memory to the caller, who frees it; the buffer is empty then. */
uint8_t *buffer_take(struct buffer *buffer);

#endif
