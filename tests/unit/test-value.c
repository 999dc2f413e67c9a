/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "util/alloc.h"
#include "util/hex.h"
#include "util/value.h"

/* {"a": [1, -0.0, "x\0y", null], "b": {"c": true}, "": false} */
static void put_example(struct buffer *buffer)
{
	value_put_map(buffer, 3);
	value_put_text(buffer, "a");
	value_put_list(buffer, 4);
	value_put_integer(buffer, INT64_MIN);
	value_put_real(buffer, -0.0);
	value_put_string(buffer, "x\0y", 3);
	value_put_null(buffer);
	value_put_text(buffer, "b");
	value_put_map(buffer, 1);
	value_pair_bool(buffer, "c", true);
	value_pair_bool(buffer, "", false);
}

static void test_read_back(void **state)
{
	OWNED_BUFFER buffer = BUFFER_EMPTY;
	struct value value;
	put_example(&buffer);
	assert_true(value_valid(buffer.data, buffer.size));
	struct value_reader reader = value_reader(buffer.data, buffer.size);
	assert_true(value_next(&reader, &value) && value.type == VALUE_MAP && value.size == 3);
	assert_true(value_next(&reader, &value));
	assert_string_equal(value.text, "a");
	assert_true(value_next(&reader, &value) && value.type == VALUE_LIST && value.size == 4);
	assert_true(value_next(&reader, &value) && value.integer == INT64_MIN);
	assert_true(value_next(&reader, &value) && value.real == 0 && signbit(value.real));
	assert_true(value_next(&reader, &value) && value.size == 3);
	assert_memory_equal(value.text, "x\0y", 4);
	assert_true(value_next(&reader, &value) && value.type == VALUE_NULL);
	assert_true(value_skip(&reader) && value_skip(&reader));
	assert_true(value_next(&reader, &value) && value.size == 0);
	assert_true(value_next(&reader, &value) && value.type == VALUE_FALSE && !value.integer);
	assert_false(value_next(&reader, &value));
}

static void test_find(void **state)
{
	OWNED_BUFFER buffer = BUFFER_EMPTY;
	struct value value;
	struct value_reader inside;
	put_example(&buffer);
	assert_true(value_find(buffer.data, buffer.size, "b", &value, &inside));
	assert_int_equal(value.type, VALUE_MAP);
	assert_true(value_next(&inside, &value));
	assert_string_equal(value.text, "c");
	assert_true(value_find(buffer.data, buffer.size, "", &value, NULL));
	assert_false(value_find(buffer.data, buffer.size, "c", &value, NULL));
	assert_false(value_find(buffer.data, buffer.size, "aa", &value, NULL));
	assert_false(value_find(NULL, 0, "a", &value, NULL));
	buffer_clear(&buffer);
	value_put_integer(&buffer, 1);
	assert_false(value_find(buffer.data, buffer.size, "a", &value, NULL));
}

static void test_begin_and_end(void **state)
{
	OWNED_BUFFER buffer = BUFFER_EMPTY;
	struct value value;
	struct value_reader inside;
	size_t map = value_begin_map(&buffer);
	value_put_text(&buffer, "list");
	size_t list = value_begin_list(&buffer);
	for (int i = 0; i < 300; i++)
		value_put_integer(&buffer, i);
	value_end(&buffer, list, 300);
	value_pair_real(&buffer, "real", 0.5);
	value_pair_text(&buffer, "text", "t");
	value_end(&buffer, map, 3);
	assert_true(value_valid(buffer.data, buffer.size));
	assert_true(value_find(buffer.data, buffer.size, "list", &value, &inside));
	assert_int_equal(value.size, 300);
	assert_true(value_find(buffer.data, buffer.size, "real", &value, NULL));
	assert_true(value.real == 0.5);
}

/* No encoding that is cut off is valid, and none is read past its end. */
static void test_cut_off(void **state)
{
	OWNED_BUFFER buffer = BUFFER_EMPTY;
	put_example(&buffer);
	for (size_t size = 0; size < buffer.size; size++) {
		uint8_t *copy OWNED = must_memdup(buffer.data, size);
		struct value value;
		assert_false(value_valid(copy, size));
		value_find(copy, size, "b", &value, NULL);
	}
	buffer_put_byte(&buffer, VALUE_NULL);
	assert_false(value_valid(buffer.data, buffer.size));
}

/* Anywhere in a run of bytes: nothing here may ask for alignment. */
static void test_unaligned(void **state)
{
	OWNED_BUFFER buffer = BUFFER_EMPTY;
	put_example(&buffer);
	for (size_t shift = 0; shift < 9; shift++) {
		uint8_t *copy OWNED = must_alloc(buffer.size + shift);
		memcpy(copy + shift, buffer.data, buffer.size);
		assert_true(value_valid(copy + shift, buffer.size));
	}
}

static void test_damaged(void **state)
{
	static const char *const damaged[] = {
		"08", /* no such type */
		"05 01000000 6161", /* no NUL behind the string */
		"05 ffffffff 6100", /* longer than what is there */
		"06 ffffffff", /* items that are not there */
		"07 01000000 00 00", /* a key that is no string */
		"", /* nothing */
	};
	for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		hex_parse(&bytes, damaged[i]);
		assert_false(value_valid(bytes.data, bytes.size));
	}
}

static void test_depth(void **state)
{
	OWNED_BUFFER buffer = BUFFER_EMPTY;
	for (int i = 0; i < VALUE_DEPTH_MAX; i++)
		value_put_list(&buffer, 1);
	value_put_null(&buffer);
	assert_true(value_valid(buffer.data, buffer.size));
	buffer_clear(&buffer);
	for (int i = 0; i < 100000; i++)
		value_put_list(&buffer, 1);
	value_put_null(&buffer);
	assert_false(value_valid(buffer.data, buffer.size));
}

static void test_buffer(void **state)
{
	OWNED_BUFFER buffer = BUFFER_EMPTY;
	assert_string_equal(buffer_text(&buffer), "");
	buffer_drop(&buffer, 5);
	buffer_cut(&buffer, 0);
	buffer_put(&buffer, NULL, 0);
	buffer_printf(&buffer, "%s-%d", "abc", 7);
	buffer_drop(&buffer, 2);
	assert_string_equal(buffer_text(&buffer), "c-7");
	buffer_cut(&buffer, 9);
	buffer_cut(&buffer, 1);
	assert_string_equal(buffer_text(&buffer), "c");
	buffer_drop(&buffer, 99);
	assert_string_equal(buffer_text(&buffer), "");
	for (int i = 0; i < 1000; i++)
		buffer_put_byte(&buffer, (uint8_t)i);
	uint8_t *data OWNED = buffer_take(&buffer);
	assert_int_equal(data[999], 999 & 0xff);
	assert_int_equal(data[1000], 0);
	assert_null(buffer.data);
	uint8_t *nothing OWNED = buffer_take(&buffer);
	assert_int_equal(nothing[0], 0);
}

static void test_hex(void **state)
{
	OWNED_BUFFER buffer = BUFFER_EMPTY;
	char text[9];
	assert_int_equal(hex_parse(&buffer, " 00fF\t7e\n"), 0);
	assert_int_equal(buffer.size, 3);
	hex_upper(text, buffer.data, 3);
	assert_string_equal(text, "00FF7E");
	assert_true(hex_parse(&buffer, "12 3") < 0);
	assert_true(hex_parse(&buffer, "1 2") < 0);
	assert_true(hex_parse(&buffer, "xx") < 0);
	assert_int_equal(buffer.size, 3);
	hex_put(&buffer, "\xab\0", 2);
	assert_memory_equal(buffer.data + 3, "ab00", 5);
}

static void test_fitted_buffer(void **state)
{
	OWNED_BUFFER buffer = BUFFER_EMPTY;
	buffer_fit(&buffer);
	assert_null(buffer.data);
	buffer_put_text(&buffer, "12345");
	buffer_fit(&buffer);
	assert_int_equal(buffer.capacity, 6);
	assert_string_equal(buffer_text(&buffer), "12345");
	buffer_put_text(&buffer, "67");
	assert_string_equal(buffer_text(&buffer), "1234567");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_begin_and_end),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_unaligned),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_buffer),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_fitted_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
