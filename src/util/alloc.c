/* SPDX-License-Identifier: Apache-2.0 */
#include "util/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *present(void *memory)
{
	if (!memory) {
		fputs("memory: allocation failed: the machine is out of memory\n", stderr);
		abort();
	}
	return memory;
}

void *must_alloc(size_t size)
{
	return present(calloc(1, size ? size : 1));
}

void *must_array(size_t count, size_t size)
{
	return present(calloc(count ? count : 1, size ? size : 1));
}

void *must_realloc(void *old, size_t size)
{
	return present(realloc(old, size ? size : 1));
}

char *must_strdup(const char *text)
{
	return present(strdup(text));
}

void *must_memdup(const void *bytes, size_t size)
{
	void *copy = present(malloc(size ? size : 1));
	if (size)
		memcpy(copy, bytes, size);
	return copy;
}

char *must_printf(const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	va_start(arguments, format);
	int size = vasprintf(&text, format, arguments);
	va_end(arguments);
	return present(size < 0 ? NULL : text);
}
