/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers for numbers: each row is an expression and what it gives, or the error.  And every helper
 * there is, with arguments that nobody means: it gives something or raises, within the limits.
 */
#include "script-fixture.h"

#include "script/host.h"
#include "script/library.h"

#define ALARM_S 300
/* Calls of each helper with several arguments; HELPER_CALLS=N in the environment makes more. */
#define TRIPLES 80

struct row {
	const char *expression, *gives, *error;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *source OWNED = must_printf("return { decode = function(reading, device)\n"
						 "return { points = { x = %s } } end }",
			rows[i].expression);
		char *report OWNED = must_printf(
			"points {\"x\":%s}", rows[i].gives ? rows[i].gives : "");
		fixture_check(source, report, rows[i].error);
	}
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof(*rows))

static void test_scaled(void **state)
{
	static const struct row rows[] = {
		{ "scaled(2301, 0.1)", "230.1" },
		{ "scaled(-2301, 0.1)", "-230.1" },
		{ "scaled(7, 0.3)", "2.1" },
		{ "scaled(235, 0.1, -40)", "-16.5" },
		{ "scaled(5, 10)", "50" },
		{ "scaled(5, 10, 1)", "51" },
		{ "math.type(scaled(5, 10, 1))", "\"integer\"" },
		{ "scaled(1 / 3, 1) == 1 / 3", "true" },
		{ "scaled(math.pi, 1e-9) == math.pi * 1e-9", "true" },
		{ "scaled(12345678901234, 0.001)", "12345678901.234" },
		{ "scaled(1e300, 1e300)", NULL, "points.x is infinite" },
		{ "scaled('5', {})", NULL, "bad argument #2 to 'scaled' (number expected" },
	};
	CHECK(rows);
}

static void test_number(void **state)
{
	static const struct row rows[] = {
		{ "{ number('12.50 kg') }", "[12.5,\" kg\"]" },
		{ "{ number('  +0012') }", "[12,\"\"]" },
		{ "{ number('-.5e3,7') }", "[-500.0,\",7\"]" },
		{ "{ number('1e') }", "[1,\"e\"]" },
		{ "{ number('0x10') }", "[0,\"x10\"]" },
		{ "number('9223372036854775808')", "9.223372036854776e+18" },
		{ "number('') == nil and number('-') == nil and number('.') == nil", "true" },
		{ "number('nan') == nil and number('inf') == nil", "true" },
		{ "number('1e999') == nil", "true" },
		{ "number(rep('1', 65)) == nil", "true" },
		{ "number({})", NULL, "bad argument #1 to 'number' (string expected" },
	};
	CHECK(rows);
}

static void test_counted(void **state)
{
	static const struct row rows[] = {
		{ "counted(10, 15)", "5" },
		{ "counted(0xfffffffe, 5)", "7" },
		{ "counted(0xfffe, 5, 16)", "7" },
		{ "counted(99999, 5, 63)", "9223372036854675814" },
		{ "counted(nil, 5) == nil", "true" },
		{ "counted(500, 5, 32, 1000) == nil", "true" },
		{ "counted(5, 500, 32, 1000)", "495" },
		{ "counted(5, 65536, 16)", NULL, "has more bits than the counter" },
		{ "counted(-1, 5)", NULL, "has more bits than the counter" },
		{ "counted(1, 5, 64)", NULL, "from 1 to 63 bits" },
	};
	CHECK(rows);
}

static void test_float(void **state)
{
	static const struct row rows[] = {
		{ "float('\\x43\\x66\\x19\\x9a')", "230.1" },
		{ "float('\\x19\\x9a\\x43\\x66', 'cdab')", "230.1" },
		{ "float(string.pack('<d', 1.14), 'hgfedcba')", "1.14" },
		{ "float('abc')", NULL, "bad argument #1 to 'float' (4 or 8 bytes)" },
		{ "float('abcd', 'abc')", NULL, "float: the order 'abc' is to have 4 letters" },
		{ "words('f32', 230.1)", "[17254,6554]" },
		{ "words('f32', 230.1, 'cdab')", "[6554,17254]" },
		{ "words('u16', 65535)", "[65535]" },
		{ "words('s16', -2)", "[65534]" },
		{ "words('s16', -2, 'ba')", "[65279]" },
		{ "words('u32', 0x12345678, 'dcba')", "[30806,13330]" },
		{ "words('s64', -1)", "[65535,65535,65535,65535]" },
		{ "words('s64', math.mininteger)", "[32768,0,0,0]" },
		{ "words('u64', math.maxinteger)", "[32767,65535,65535,65535]" },
		{ "words('f64', 1.0)", "[16368,0,0,0]" },
		{ "words('u16', 65536)", NULL,
			"words: 65536 does not fit into u16, which has 0 to 65535" },
		{ "words('s16', -32769)", NULL, "which has -32768 to 32767" },
		{ "words('u64', -1)", NULL, "does not fit into u64" },
		{ "words('u16', 1.5)", NULL, "number has no integer representation" },
		{ "words('f32', 1e300)", NULL, "is no number that the type can hold" },
		{ "words('f32', 0 / 0)", NULL, "is no number that the type can hold" },
		{ "words('x16', 1)", NULL, "one of u16, s16, u32, s32, u64, s64, f32, f64" },
		{ "words('acc16', 1)", NULL, "one of u16, s16" },
	};
	CHECK(rows);
	fixture_check("return { decode = function() for i = 1, 500 do\n"
		      "local bytes = string.pack('>I4', (i * 2654435761) & 0x7f7fffff)\n"
		      "local list = words('f32', float(bytes), 'badc')\n"
		      "local packed = string.pack('>I2I2', list[1], list[2])\n"
		      "assert(reorder(packed, 'badc') == bytes, hex(bytes)) end\n"
		      "return { points = { ok = true } } end }",
		"points {\"ok\":true}", NULL);
}

static void test_present(void **state)
{
#define VIEW(bytes) "registers('" bytes "'):present"
	static const struct row rows[] = {
		{ VIEW("\\xff\\xff") "('u16', 0) == nil", "true" },
		{ VIEW("\\xff\\xff") "('s16', 0)", "-1" },
		{ VIEW("\\x80\\0") "('s16', 0) == nil", "true" },
		{ VIEW("\\x80\\0") "('u16', 0)", "32768" },
		{ VIEW("\\xff\\xff\\xff\\xff") "('u32', 0) == nil", "true" },
		{ VIEW("\\0\\0\\x80\\0") "('s32', 0, 'cdab') == nil", "true" },
		{ VIEW("\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff") "('u64', 0) == nil", "true" },
		{ VIEW("\\x80\\0\\0\\0\\0\\0\\0\\0") "('s64', 0) == nil", "true" },
		{ VIEW("\\x80\\0\\0\\0\\0\\0\\0\\0") "('u64', 0)", NULL, "beyond 63 bits" },
		{ VIEW("\\x7f\\xc0\\0\\0") "('f32', 0) == nil", "true" },
		{ VIEW("\\x43\\x66\\x19\\x9a") "('f32', 0)", "230.1" },
		{ VIEW("\\0\\0\\0\\0") "('acc32', 0) == nil", "true" },
		{ VIEW("\\0\\0\\0\\x07") "('acc32', 0)", "7" },
		{ VIEW("\\0\\0") "('u32', 0)", NULL,
			"registers: u32 needs register 0 and 1 behind it; there are 0 to 0 in poll" },
		{ VIEW("\\0\\0") "('u17', 0)", NULL, "#1 to 'present' (one of u16, s16" },
		{ VIEW("\\0\\0") "('u16', 'x')", NULL, "#2 to 'present'" },
		{ VIEW("\\0\\0") "('u16', 0, 'aa')", NULL, "#3 to 'present' (each letter" },
	};
	CHECK(rows);
#undef VIEW
}

/* What decode says of one value after the other, as "10010". */
static void check_changes(const char *values, const char *options, const char *expected)
{
	char *source OWNED = must_printf(
		"local said = {}\n"
		"return { decode = function(reading, device)\n"
		"local memory, said = {}, ''\n"
		"for time, value in ipairs({ %s }) do\n"
		"said = said .. (changed(memory, 'x', value, %s) and 1 or 0) end\n"
		"return { points = { x = said } } end }",
		values, options);
	char *report OWNED = must_printf("points {\"x\":\"%s\"}", expected);
	fixture_check(source, report, NULL);
}

static void test_changed(void **state)
{
	static const struct row rows[] = {
		{ "changed(5, 'x', 1)", NULL, "bad argument #1 to 'changed' (table expected" },
		{ "changed({}, 5, 1)", NULL, "bad argument #2 to 'changed' (a name)" },
		{ "changed({}, 'x', {})", NULL, "(a number, a boolean or a text)" },
		{ "changed({}, 'x', 0 / 0)", NULL, "is no number that can be reported" },
		{ "changed({}, 'x', 1, { band = -1 })", NULL, "changed: band is to be a number" },
		{ "changed({}, 'x', 1, { silence = 5 })", NULL, "silence needs time" },
		{ "changed(device.parameters, 'x', 1)", NULL, "cannot change device.parameters" },
		{ "changed(device.state, 'x', 1) and #device.state.x", "2" },
	};
	CHECK(rows);
	check_changes("1, 1, 2, 2, 1", "nil", "10101");
	check_changes("'a', 'a', 'b', true, true, false, 0", "nil", "1011011");
	check_changes("10, 10.5, 9.5, 10.6, 10.2, 10", "{ band = 0.5 }", "100101");
	check_changes("100, 104, 106, 101, 100", "{ percent = 5 }", "10101");
	check_changes("1, 1, 1, 1, 1, 1, 1", "{ silence = 0.003, time = time }", "1001001");
	check_changes("1, 1, 1, 1", "{ silence = 0.003, time = 10 - 2 * time }", "1111");
}

/* ---- arguments that nobody means -------------------------------------------------------------- */

static const struct conf_scripts limits = { 100000, 1024, 2000 };

/* The first byte of a reading is the helper, the others its arguments; "good" is a good reading. */
static const char caller[] =
	"local loop = {} loop[1] = loop loop.x = loop\n"
	"local function absurd(device)\n"
	"return { true, 0, -1, 1, 64, 2147483648, math.maxinteger, math.mininteger, 0 / 0,\n"
	"	1 / 0, -1 / 0, 1e308, 0.5, '', '\\0', rep('\\xff', 32768), 'abcd', 'dcba', 'u16', 'f64',\n"
	"	'12.5', {}, loop, { 1, nil, 3 }, { [1.5] = 1 }, { band = 0 / 0, time = {} }, absurd, null,\n"
	"	device, registers('\\xff\\xff\\0\\0', 7), device.parameters, device.state, [33] = false }\n"
	"end\n"
	"return { decode = function(reading, device)\n"
	"	if reading.bytes == 'good' then return { points = { a = 1 } } end\n"
	"	local arguments, values, count = {}, absurd(device), #reading.bytes - 1\n"
	"	for i = 1, count do arguments[i] = values[reading.bytes:byte(i + 1)] end\n"
	"	local result = helpers[reading.bytes:byte(1)](table.unpack(arguments, 1, count))\n"
	"	return { points = { result = result } }\n"
	"end }\n";

#define ABSURD 34 /* of them; the last is nil */

static size_t put_names(
	struct buffer *text, const char *prefix, const struct library_function *functions)
{
	size_t count = 0;
	for (; functions->name; functions++, count++)
		buffer_printf(text, "%s%s, ", prefix, functions->name);
	return count;
}

/* "helpers = { rep, find, ... }", with as many as are returned. */
static size_t put_helpers(struct buffer *source)
{
	size_t count = 0;
	buffer_put_text(source, "local view = registers('\\0\\1\\2\\3')\nhelpers = { ");
	count += put_names(source, "", library_base);
	count += put_names(source, "", library_text);
	count += put_names(source, "", library_bytes);
	count += put_names(source, "", library_registers);
	count += put_names(source, "", library_numbers);
	count += put_names(source, "", library_log);
	count += put_names(source, "string.", library_string);
	count += put_names(source, "table.", library_table);
	count += put_names(source, "utf8.", library_utf8);
	count += put_names(source, "crc.", library_crc);
	count += put_names(source, "bits.", library_bits);
	count += put_names(source, "view.", library_register_methods);
	buffer_put_text(source, "}\n");
	return count;
}

static void call(struct fixture *fixture, const uint8_t *bytes, size_t size)
{
	if (fixture_decode(fixture, bytes, size) < 0)
		fixture_expect(fixture, "test.lua");
	const struct sandbox *box = fixture->script->program.box;
	if (box->peak > (size_t)limits.memory_kb * 1024 ||
		box->left < -(int64_t)limits.instructions)
		fail_msg("helper %u: %zu bytes, %lld steps left", bytes[0], box->peak,
			(long long)box->left);
}

static uint8_t any(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return (uint8_t)(1 + (*seed >> 16) % ABSURD);
}

static void test_absurd_arguments(void **state)
{
	struct fixture fixture;
	OWNED_BUFFER source = BUFFER_EMPTY;
	uint32_t seed = 1;
	size_t helpers = put_helpers(&source);
	const char *wanted = getenv("HELPER_CALLS");
	int triples = wanted ? atoi(wanted) : TRIPLES;
	assert_true(helpers > 70);
	buffer_put_text(&source, caller);
	if (fixture_load(&fixture, buffer_text(&source), source.size, &limits) < 0)
		fail_msg("%s", fixture.error.text);
	fixture_device(&fixture, "{\"limits\":[1,2]}");
	for (size_t helper = 1; helper <= helpers; helper++) {
		/* For each anew: a long form on a busy machine is no hang. */
		alarm(ALARM_S);
		call(&fixture, (uint8_t[]){ (uint8_t)helper }, 1);
		for (uint8_t a = 1; a <= ABSURD; a++) {
			call(&fixture, (uint8_t[]){ (uint8_t)helper, a }, 2);
			call(&fixture, (uint8_t[]){ (uint8_t)helper, a, any(&seed) }, 3);
		}
		for (int i = 0; i < triples; i++)
			call(&fixture,
				(uint8_t[]){ (uint8_t)helper, any(&seed), any(&seed), any(&seed),
					any(&seed) },
				(size_t)(4 + i % 2));
		if (fixture_decode(&fixture, "good", 4) < 0)
			fail_msg("after helper %zu: %s", helper, fixture.error.text);
		assert_string_equal(fixture_report(&fixture, 0), "points {\"a\":1}");
	}
	alarm(0);
	fixture_finish(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scaled),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_counted),
		cmocka_unit_test(test_float),
		cmocka_unit_test(test_present),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_absurd_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
