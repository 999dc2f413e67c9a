/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/json.h"

static const char *real_text(struct buffer *text, double real)
{
	buffer_clear(text);
	json_put_real(text, real);
	return buffer_text(text);
}

/* Reads back equal, to the sign of zero; and no text of fewer digits does. */
static void check_real(struct buffer *text, double real)
{
	const char *printed = real_text(text, real);
	double back = strtod(printed, NULL);
	if (memcmp(&back, &real, sizeof(real)) != 0)
		fail_msg("%.17g became %s", real, printed);
	if (!strpbrk(printed, ".e"))
		fail_msg("%s reads back as an integer", printed);
	int digits = 0;
	char shortest[40];
	for (int precision = 1; precision <= 17 && !digits; precision++) {
		snprintf(shortest, sizeof(shortest), "%.*e", precision - 1, real);
		if (strtod(shortest, NULL) == real)
			digits = precision;
	}
	int printed_digits = 0, zeros = 0;
	for (const char *c = printed; *c && *c != 'e'; c++) {
		if (*c < '0' || *c > '9' || (*c == '0' && !printed_digits))
			continue;
		printed_digits++;
		zeros = *c == '0' ? zeros + 1 : 0;
	}
	if (printed_digits - zeros > digits)
		fail_msg(
			"%s has %d digits, %s would do", printed, printed_digits - zeros, shortest);
}

static void test_reals(void **state)
{
	static const struct {
		double real;
		const char *text;
	} cases[] = {
		{ 230.1, "230.1" },
		{ 0.1, "0.1" },
		{ 0, "0.0" },
		{ -0.0, "-0.0" },
		{ 5, "5.0" },
		{ -5.25, "-5.25" },
		{ -0.5, "-0.5" },
		{ 1e-5, "1e-05" },
		{ 0.0001, "0.0001" },
		{ 0.001, "0.001" },
		{ -0.000125, "-0.000125" },
		{ (double)230.1f, "230.10000610351562" },
		{ 0x1p-7, "0.0078125" },
		{ 562949953421312.25, "562949953421312.2" },
		{ 562949953421313.75, "562949953421313.8" },
		{ 999999999999999.9, "999999999999999.9" },
		{ 1e15, "1e+15" },
		{ 1e22, "1e+22" },
		{ 1e11, "100000000000.0" },
		{ 1e11 + 1, "100000000001.0" },
		{ 123456789012.25, "123456789012.25" },
		{ 0.1 + 0.2, "0.30000000000000004" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 5e-324, "5e-324" },
		{ 2.2250738585072011e-308, "2.225073858507201e-308" },
		{ DBL_MAX, "1.7976931348623157e+308" },
		{ 9007199254740993.0, "9007199254740992.0" },
	};
	OWNED_BUFFER text = BUFFER_EMPTY;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_string_equal(real_text(&text, cases[i].real), cases[i].text);
		check_real(&text, cases[i].real);
	}
}

static uint64_t random_bits(void)
{
	static uint64_t seed = 88172645463325252u;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* The same digits as the search finds that tries one precision after the other. */
static void check_plain_real(struct buffer *text, double real)
{
	char expected[48];
	int precision = 1;
	do {
		snprintf(expected, sizeof(expected), "%.*g", precision, real);
	} while (strtod(expected, NULL) != real && ++precision <= 17);
	if (strchr(expected, 'e'))
		snprintf(expected, sizeof(expected), "%.0f", real);
	if (!strchr(expected, '.'))
		strcat(expected, ".0");
	assert_string_equal(real_text(text, real), expected);
}

/* What devices send as 32 bits, and the range in which texts are made without the C library. */
static void test_common_reals(void **state)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	for (int i = 0; i < 50000; i++) {
		uint64_t bits = random_bits();
		int exponent = (int)(bits % 55) - 6;
		uint64_t mantissa = bits >> 11 >> bits / 64 % 53;
		double real = ldexp(0.5 + ldexp((double)mantissa, -54), exponent);
		if (real >= 1e15 || real < 0x1p-7)
			continue;
		check_plain_real(&text, real);
		check_plain_real(&text, (double)(float)real);
		check_plain_real(&text, (double)(float)((double)(bits >> 44) / 1000 + 0.5));
	}
	/* Beside the ends of the range and powers of two; texts that two digits are equally near to. */
	for (double power = 0x1p-7; power < 0x1p50; power *= 2) {
		check_plain_real(&text, power);
		check_plain_real(&text, nextafter(power, INFINITY));
		if (power > 0x1p-7)
			check_plain_real(&text, nextafter(power, 0));
	}
	check_plain_real(&text, nextafter(1e15, 0));
	for (int i = 0; i < 1000; i++)
		check_plain_real(&text, 0x1p49 + (double)(random_bits() >> 20) + 0.125 * (i % 8));
	check_real(&text, nextafter(0x1p-7, 0));
	check_real(&text, 1e15);
}

/* Any bits; few decimals, as measurements have them; neighbours of those; subnormals. */
static void test_random_reals(void **state)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = random_bits();
		double any, measured = (double)(int64_t)(bits >> 20) / pow(10, (double)(bits % 14));
		memcpy(&any, &bits, sizeof(any));
		if (isfinite(any))
			check_real(&text, any);
		check_real(&text, measured);
		check_real(&text, -nextafter(measured, INFINITY));
		bits &= UINT64_C(0x000fffffffffffff) >> bits % 52;
		memcpy(&any, &bits, sizeof(any));
		check_real(&text, any);
	}
}

static void test_integers(void **state)
{
	static const struct {
		int64_t integer;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ -1, "-1" },
		{ INT64_MAX, "9223372036854775807" },
		{ INT64_MIN, "-9223372036854775808" },
		{ 1000000, "1000000" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OWNED_BUFFER text = BUFFER_EMPTY, value = BUFFER_EMPTY;
		struct value back;
		char error[80];
		json_put_integer(&text, cases[i].integer);
		assert_string_equal(buffer_text(&text), cases[i].text);
		assert_int_equal(json_parse(&value, text.data, text.size, error, sizeof(error)), 0);
		struct value_reader reader = value_reader(value.data, value.size);
		assert_true(value_next(&reader, &back) && back.type == VALUE_INTEGER);
		assert_true(back.integer == cases[i].integer);
	}
}

static void test_not_in_json(void **state)
{
	static const double reals[] = { NAN, INFINITY, -INFINITY };
	for (size_t i = 0; i < sizeof(reals) / sizeof(*reals); i++) {
		OWNED_BUFFER value = BUFFER_EMPTY, text = BUFFER_EMPTY;
		value_put_list(&value, 2);
		value_put_integer(&value, 1);
		value_put_real(&value, reals[i]);
		buffer_put_text(&text, "before");
		assert_int_equal(json_print_value(&text, value.data, value.size), -EDOM);
		assert_string_equal(buffer_text(&text), "before");
	}
	OWNED_BUFFER text = BUFFER_EMPTY;
	assert_int_equal(json_print_value(&text, "\6\377\377\377\377", 5), -EINVAL);
	assert_int_equal(json_print_value(&text, NULL, 0), -EINVAL);
	assert_int_equal(text.size, 0);
}

static void expect_quoted(const char *bytes, size_t size, const char *json)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	json_put_string(&text, bytes, size);
	assert_string_equal(buffer_text(&text), json);
}

#define BAD "\xef\xbf\xbd"

static void test_strings(void **state)
{
	expect_quoted("", 0, "\"\"");
	expect_quoted(
		"a\"b\\c\n\t\0\x1f\x7f", 10, "\"a\\\"b\\\\c\\n\\u0009\\u0000\\u001f\\u007f\"");
	expect_quoted("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
	expect_quoted("\xff", 1, "\"" BAD "\"");
	expect_quoted("a\xc3", 2, "\"a" BAD "\""); /* cut off */
	expect_quoted("\xc0\x80", 2, "\"" BAD BAD "\""); /* overlong */
	expect_quoted("\xe0\x9f\xbf", 3, "\"" BAD BAD BAD "\"");
	expect_quoted("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\""); /* half a surrogate pair */
	expect_quoted("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\""); /* beyond U+10FFFF */
	expect_quoted("\xe2\x28\xa1", 3, "\"" BAD "(" BAD "\"");
}

/* Whatever bytes a string has, the text is JSON. */
static void test_random_strings(void **state)
{
	for (int i = 0; i < 2000; i++) {
		OWNED_BUFFER text = BUFFER_EMPTY, value = BUFFER_EMPTY;
		uint64_t bytes[3] = { random_bits(), random_bits(), random_bits() };
		char error[80] = "";
		json_put_string(&text, bytes, (size_t)(random_bits() % sizeof(bytes)));
		/* jansson reads no NUL in a string. */
		if (strstr(buffer_text(&text), "\\u0000"))
			continue;
		if (json_parse(&value, text.data, text.size, error, sizeof(error)) < 0)
			fail_msg("%s: %s", buffer_text(&text), error);
	}
}

static void test_round_trip(void **state)
{
	static const char *const texts[] = {
		"{\"a\":[1,2.5,true,false,null,\"x\"],\"b\":{\"c\":{}},\"d\":[]}",
		"-7",
		"\"text\"",
		"[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		OWNED_BUFFER value = BUFFER_EMPTY, text = BUFFER_EMPTY;
		char error[80];
		assert_int_equal(
			json_parse(&value, texts[i], strlen(texts[i]), error, sizeof(error)), 0);
		assert_true(value_valid(value.data, value.size));
		assert_int_equal(json_print_value(&text, value.data, value.size), 0);
		assert_string_equal(buffer_text(&text), texts[i]);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = { "", "{", "[1,]", "{\"a\":1,\"a\":2}",
		"9223372036854775808", "1e999", "\"\xff\"", "{} {}", "nul", "'a'",
		"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "\"\\ud800\"" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		OWNED_BUFFER value = BUFFER_EMPTY;
		char error[120] = "";
		value_put_null(&value);
		assert_int_equal(
			json_parse(&value, texts[i], strlen(texts[i]), error, sizeof(error)),
			-EINVAL);
		assert_true(strlen(error) > 8);
		assert_int_equal(value.size, 1);
		assert_int_equal(value.data[1], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reals),
		cmocka_unit_test(test_random_reals),
		cmocka_unit_test(test_common_reals),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_not_in_json),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_random_strings),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
