/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to a value to text: what was read must be a valid value, and what is printed must read back as
 * the same value.  The bytes are tried as an encoded value as well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void read_text(const uint8_t *data, size_t size)
{
	OWNED_BUFFER value = BUFFER_EMPTY, text = BUFFER_EMPTY, again = BUFFER_EMPTY;
	char error[120];
	if (json_parse(&value, data, size, error, sizeof(error)) < 0) {
		require(value.size == 0 && error[0]);
		return;
	}
	require(value_valid(value.data, value.size));
	require(json_print_value(&text, value.data, value.size) == 0);
	require(json_parse(&again, text.data, text.size, error, sizeof(error)) == 0);
	require(value.size == again.size && memcmp(value.data, again.data, value.size) == 0);
}

/* Bytes that nobody made a value of must never be read past their end. */
static void read_encoding(const uint8_t *data, size_t size)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	struct value found;
	struct value_reader inside;
	int result = json_print_value(&text, data, size);
	require(result == 0 || text.size == 0);
	require(!value_valid(data, size) || result != -EINVAL);
	if (value_find(data, size, "key", &found, &inside))
		value_skip(&inside);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_text(data, size);
	read_encoding(data, size);
	return 0;
}
