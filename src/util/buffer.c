/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buffer.h"

#include <stdio.h>
#include <string.h>

#include "util/alloc.h"

void buffer_finish(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer)BUFFER_EMPTY;
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
	if (buffer->data)
		buffer->data[0] = 0;
}

void buffer_cut(struct buffer *buffer, size_t size)
{
	if (size >= buffer->size)
		return;
	buffer->size = size;
	buffer->data[size] = 0;
}

void buffer_fit(struct buffer *buffer)
{
	if (!buffer->data || buffer->size + 1 == buffer->capacity)
		return;
	buffer->capacity = buffer->size + 1;
	buffer->data = must_realloc(buffer->data, buffer->capacity);
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size)
{
	size_t needed = buffer->size + size + 1;
	if (needed > buffer->capacity) {
		size_t capacity = buffer->capacity ? buffer->capacity * 2 : 64;
		buffer->capacity = capacity > needed ? capacity : needed;
		buffer->data = must_realloc(buffer->data, buffer->capacity);
	}
	return buffer->data + buffer->size;
}

void buffer_put(struct buffer *buffer, const void *bytes, size_t size)
{
	uint8_t *end = buffer_reserve(buffer, size);
	if (size)
		memcpy(end, bytes, size);
	end[size] = 0;
	buffer->size += size;
}

void buffer_put_byte(struct buffer *buffer, uint8_t byte)
{
	buffer_put(buffer, &byte, 1);
}

void buffer_put_text(struct buffer *buffer, const char *text)
{
	buffer_put(buffer, text, strlen(text));
}

void buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments)
{
	va_list again;
	va_copy(again, arguments);
	int size = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (size < 0)
		return;
	char *end = (char *)buffer_reserve(buffer, (size_t)size);
	vsnprintf(end, (size_t)size + 1, format, arguments);
	buffer->size += (size_t)size;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	buffer_vprintf(buffer, format, arguments);
	va_end(arguments);
}

void buffer_drop(struct buffer *buffer, size_t count)
{
	if (count > buffer->size)
		count = buffer->size;
	if (!count)
		return;
	memmove(buffer->data, buffer->data + count, buffer->size - count + 1);
	buffer->size -= count;
}

const char *buffer_text(const struct buffer *buffer)
{
	return buffer->data ? (const char *)buffer->data : "";
}

uint8_t *buffer_take(struct buffer *buffer)
{
	uint8_t *data = buffer_reserve(buffer, 0) - buffer->size;
	data[buffer->size] = 0;
	*buffer = (struct buffer)BUFFER_EMPTY;
	return data;
}
