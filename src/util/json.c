/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json.h"

#include <errno.h>
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int convert(struct buffer *value, json_t *json, int depth)
{
	if (depth > VALUE_DEPTH_MAX)
		return -E2BIG;
	switch (json_typeof(json)) {
	case JSON_NULL:
		value_put_null(value);
		return 0;
	case JSON_TRUE:
	case JSON_FALSE:
		value_put_bool(value, json_is_true(json));
		return 0;
	case JSON_INTEGER:
		value_put_integer(value, json_integer_value(json));
		return 0;
	case JSON_REAL:
		value_put_real(value, json_real_value(json));
		return 0;
	case JSON_STRING:
		value_put_string(value, json_string_value(json), json_string_length(json));
		return 0;
	case JSON_ARRAY: {
		size_t count = json_array_size(json);
		value_put_list(value, (uint32_t)count);
		int result = 0;
		for (size_t i = 0; i < count && result == 0; i++)
			result = convert(value, json_array_get(json, i), depth + 1);
		return result;
	}
	case JSON_OBJECT: {
		const char *key;
		json_t *item;
		int result = 0;
		value_put_map(value, (uint32_t)json_object_size(json));
		json_object_foreach(json, key, item)
		{
			value_put_text(value, key);
			result = convert(value, item, depth + 1);
			if (result < 0)
				break;
		}
		return result;
	}
	}
	return -EINVAL;
}

int json_parse(struct buffer *value, const void *text, size_t size, char *error, size_t room)
{
	json_error_t problem;
	json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
	if (!json) {
		snprintf(error, room, "not JSON: %s at byte %d", problem.text, problem.position);
		return -EINVAL;
	}
	size_t before = value->size;
	int result = convert(value, json, 0);
	json_decref(json);
	if (result < 0) {
		buffer_cut(value, before);
		snprintf(error, room, "JSON nested deeper than %d levels", VALUE_DEPTH_MAX);
		return -EINVAL;
	}
	return 0;
}

/* The length of the UTF-8 sequence at text, 0 where there is none (RFC 3629). */
static size_t utf8_length(const uint8_t *text, size_t size)
{
	uint8_t first = text[0];
	size_t length = first < 0x80             ? 1
		: first >= 0xc2 && first <= 0xdf ? 2
		: first >= 0xe0 && first <= 0xef ? 3
		: first >= 0xf0 && first <= 0xf4 ? 4
						 : 0;
	if (!length || length > size)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
	bool beyond = (first == 0xed && text[1] > 0x9f) || (first == 0xf4 && text[1] > 0x8f);
	return overlong || beyond ? 0 : length;
}

static void put_escaped(struct buffer *text, uint8_t byte)
{
	switch (byte) {
	case '"':
		buffer_put(text, "\\\"", 2);
		break;
	case '\\':
		buffer_put(text, "\\\\", 2);
		break;
	case '\n':
		buffer_put(text, "\\n", 2);
		break;
	default:
		buffer_printf(text, "\\u%04x", byte);
	}
}

void json_put_string(struct buffer *text, const void *bytes, size_t size)
{
	const uint8_t *at = bytes, *end = at + size;
	buffer_put_byte(text, '"');
	while (at < end) {
		const uint8_t *plain = at;
		while (at < end && *at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\')
			at++;
		buffer_put(text, plain, (size_t)(at - plain));
		if (at == end)
			break;
		if (*at < 0x80) {
			put_escaped(text, *at++);
			continue;
		}
		size_t length = utf8_length(at, (size_t)(end - at));
		if (length)
			buffer_put(text, at, length);
		else
			buffer_put(text, "\xef\xbf\xbd", 3);
		at += length ? length : 1;
	}
	buffer_put_byte(text, '"');
}

void json_put_text(struct buffer *text, const char *string)
{
	json_put_string(text, string, strlen(string));
}

void json_put_integer(struct buffer *text, int64_t integer)
{
	char digits[24], *end = digits + sizeof(digits), *at = end;
	uint64_t rest = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
	do {
		*--at = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (integer < 0)
		*--at = '-';
	buffer_put(text, at, (size_t)(end - at));
}

/* From here on and below 10^15 the steps of put_common_real() stay within 64 bits. */
#define COMMON_REAL_MIN 0x1p-7
#define COMMON_REAL_MAX 1e15

/*
 * The shortest text that reads back equal, by exact integers (Steele and White's free-format algorithm).
 * All is counted in halves of the real's last binary place: a text may be off by less than 1.  By just 1
 * it never is: a text that is has one decimal more than the real itself.  Powers of two have a narrower
 * margin below them, but in this range all end after seven decimals.
 */
static void put_common_real(struct buffer *text, double real)
{
	int exponent;
	uint64_t places = (uint64_t)ldexp(frexp(fabs(real), &exponent), DBL_MANT_DIG);
	int shift = DBL_MANT_DIG - exponent + 1;
	uint64_t one = UINT64_C(1) << shift, rest = (places << 1) & (one - 1);
	uint64_t margin = 1;
	char decimals[20] = ".0";
	size_t count = 1;
	if (real < 0)
		buffer_put_byte(text, '-');
	json_put_integer(text, (int64_t)((places << 1) >> shift));
	for (bool ends = rest == 0; !ends; count++) {
		rest *= 10;
		margin *= 10;
		uint64_t digit = rest >> shift;
		rest &= one - 1;
		bool below = rest < margin, above = one - rest < margin;
		ends = below || above;
		/* Where both are near enough it is the nearer one, of equals the even one. */
		bool up = below && above ? rest + (digit & 1) > one / 2 : above;
		decimals[count] = (char)('0' + digit + up);
	}
	buffer_put(text, decimals, count == 1 ? 2 : count);
}

/* Values below that with six decimals at most: exact by the division's rounding. */
static bool put_short_real(struct buffer *text, double real)
{
	double scaled = nearbyint(real * 1e6);
	if (scaled / 1e6 != real || (real != 0 && fabs(real) < 1e-4))
		return false;
	char decimals[8] = ".";
	int64_t rest = (int64_t)fabs(scaled);
	size_t count = 7;
	for (size_t i = 6; i > 0; i--, rest /= 10)
		decimals[i] = (char)('0' + rest % 10);
	while (count > 2 && decimals[count - 1] == '0')
		count--;
	buffer_put_text(text, signbit(real) ? "-0" : "0");
	buffer_put(text, decimals, count);
	return true;
}

void json_put_real(struct buffer *text, double real)
{
	double size = fabs(real);
	if (size >= COMMON_REAL_MIN && size < COMMON_REAL_MAX) {
		put_common_real(text, real);
		return;
	}
	if (size < COMMON_REAL_MIN && put_short_real(text, real))
		return;
	char digits[40];
	/* Below DBL_MIN the bits get fewer, and with them the digits. */
	int precision = fabs(real) < DBL_MIN ? 1 : DBL_DIG;
	for (; precision <= 17; precision++) {
		snprintf(digits, sizeof(digits), "%.*g", precision, real);
		if (strtod(digits, NULL) == real)
			break;
	}
	buffer_put_text(text, digits);
	if (!strpbrk(digits, ".e"))
		buffer_put(text, ".0", 2);
}

static int print_items(
	struct buffer *text, struct value_reader *reader, const struct value *value, int depth);

static int print(struct buffer *text, struct value_reader *reader, int depth)
{
	struct value value;
	if (depth > VALUE_DEPTH_MAX || !value_next(reader, &value))
		return -EINVAL;
	switch (value.type) {
	case VALUE_NULL:
		buffer_put(text, "null", 4);
		return 0;
	case VALUE_FALSE:
		buffer_put(text, "false", 5);
		return 0;
	case VALUE_TRUE:
		buffer_put(text, "true", 4);
		return 0;
	case VALUE_INTEGER:
		json_put_integer(text, value.integer);
		return 0;
	case VALUE_REAL:
		if (!isfinite(value.real))
			return -EDOM;
		json_put_real(text, value.real);
		return 0;
	case VALUE_STRING:
		json_put_string(text, value.text, value.size);
		return 0;
	case VALUE_LIST:
	case VALUE_MAP:
		return print_items(text, reader, &value, depth);
	}
	return -EINVAL;
}

static int print_items(
	struct buffer *text, struct value_reader *reader, const struct value *value, int depth)
{
	bool map = value->type == VALUE_MAP;
	buffer_put_byte(text, map ? '{' : '[');
	for (size_t i = 0; i < value->size; i++) {
		struct value key;
		if (i)
			buffer_put_byte(text, ',');
		if (map) {
			if (!value_next(reader, &key) || key.type != VALUE_STRING)
				return -EINVAL;
			json_put_string(text, key.text, key.size);
			buffer_put_byte(text, ':');
		}
		int result = print(text, reader, depth + 1);
		if (result < 0)
			return result;
	}
	buffer_put_byte(text, map ? '}' : ']');
	return 0;
}

int json_print(struct buffer *text, struct value_reader *reader)
{
	size_t before = text->size;
	int result = print(text, reader, 0);
	if (result < 0)
		buffer_cut(text, before);
	return result;
}

int json_print_value(struct buffer *text, const void *data, size_t size)
{
	struct value_reader reader = value_reader(data, size);
	return json_print(text, &reader);
}
