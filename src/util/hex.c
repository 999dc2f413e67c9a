/* SPDX-License-Identifier: Apache-2.0 */
#include "util/hex.h"

#include <errno.h>

static const char lower_digits[] = "0123456789abcdef";
static const char upper_digits[] = "0123456789ABCDEF";

static void print(char *text, const char *digits, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * size] = 0;
}

void hex_put(struct buffer *buffer, const void *bytes, size_t size)
{
	print((char *)buffer_reserve(buffer, 2 * size), lower_digits, bytes, size);
	buffer->size += 2 * size;
}

void hex_upper(char *text, const void *bytes, size_t size)
{
	print(text, upper_digits, bytes, size);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_parse(struct buffer *buffer, const char *text)
{
	size_t before = buffer->size;
	while (*text) {
		if (*text == ' ' || *text == '\t' || *text == '\n') {
			text++;
			continue;
		}
		int high = digit(text[0]);
		int low = high < 0 ? -1 : digit(text[1]);
		if (low < 0) {
			buffer_cut(buffer, before);
			return -EINVAL;
		}
		buffer_put_byte(buffer, (uint8_t)(high << 4 | low));
		text += 2;
	}
	return 0;
}
