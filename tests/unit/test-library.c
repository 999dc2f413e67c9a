/* SPDX-License-Identifier: Apache-2.0 */
/* What scripts can call: each row is an expression and what it gives, or the error. */
#include "script-fixture.h"

#include "util/log.h"

struct row {
	const char *expression, *gives, *error;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct buffer source = BUFFER_EMPTY, report = BUFFER_EMPTY;
		buffer_printf(&source,
			"return { decode = function(reading, device)\n"
			"return { points = { x = %s } } end }",
			rows[i].expression);
		buffer_printf(&report, "points {\"x\":%s}", rows[i].gives ? rows[i].gives : "");
		fixture_check(buffer_text(&source), buffer_text(&report), rows[i].error);
		buffer_finish(&source);
		buffer_finish(&report);
	}
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof(*rows))

static void test_lua(void **state)
{
	static const struct row rows[] = {
		{ "tostring(nil) .. tostring(true) .. tostring(1) .. tostring(1.5)",
			"\"niltrue11.5\"" },
		{ "tostring({}) .. tostring(tostring) .. tostring(null) .. tostring(device)",
			"\"tablefunctionnulluserdata\"" },
		{ "tonumber('0x10') + tonumber('z', 36) + tonumber(' 3 ')", "54" },
		{ "tonumber('x') == nil", "true" },
		{ "select('#', 1, nil, nil)", "3" },
		{ "select(-1, 1, 2, 3)", "3" },
		{ "type(next({ 5 }))", "\"number\"" },
		{ "{ try(function(a, b) return a + b end, 1, 2) }", "[true,3]" },
		{ "{ try(error, 'x', 0) }", "[false,\"x\"]" },
		{ "{ try(error, { 5 }) }", "[false,[5]]" },
		{ "{ try(5) }", "[false,\"attempt to call a number value\"]" },
		{ "string.format('%5.1f|%d|%s|%x|%q', 3.14159, 42, true, 255, 'a')",
			"\"  3.1|42|true|ff|\\\"a\\\"\"" },
		{ "string.format('%s %s %%', {}, nil)", "\"table nil %\"" },
		{ "string.format('%p', {})", NULL, "test.lua:2: '%p' is not there for scripts" },
		{ "string.format('%d', 'x')", NULL, "bad argument #2 to 'format'" },
		{ "('abc'):upper():reverse():len()", "3" },
		{ "{ ('abc'):byte(1, -1) }", "[97,98,99]" },
		{ "string.char(65, 66)", "\"AB\"" },
		{ "('hello'):sub(2, -2)", "\"ell\"" },
		{ "hex(string.pack('>I2z', 258, 'a'))", "\"01026100\"" },
		{ "string.packsize('>I2I4')", "6" },
		{ "table.concat({ 1, 2, 3 }, ',')", "\"1,2,3\"" },
		{ "#table.pack(1)", NULL,
			"'table.pack' is not there for scripts: { ... } does it" },
		{ "math.floor(2.7) + math.maxinteger // math.maxinteger", "3" },
		{ "utf8.char(228) .. utf8.len('\\u{e4}x')", "\"\303\2442\"" },
		{ "utf8.charpattern", NULL, "'utf8.charpattern' is not defined" },
		{ "'10' + 1", NULL, "attempt to perform arithmetic on a string value" },
		{ "print", NULL, "'print' is not there for scripts: log(...) does it" },
		{ "('x'):rep(3)", NULL,
			"'string.rep' is not there for scripts: rep(text, count) does it" },
		{ "('x'):gsub('x', 'y')", NULL, "'string.gsub' is not there" },
		{ "pcall(error)", NULL, "'pcall' is not there for scripts: try(f, ...) does it" },
		{ "require('x')", NULL,
			"'require' is not there for scripts: a script is one file" },
		{ "voltge", NULL, "test.lua:2: 'voltge' is not defined" },
		{ "crc.crc99('')", NULL, "'crc.crc99' is not defined" },
		{ "#device.parameters.limits", "3" },
		{ "next(device.parameters) ~= nil", "true" },
		{ "table.concat(device.parameters.limits, '-', 1, 2)", "\"1-2\"" },
		{ "{ table.unpack(device.parameters.limits, 1, 2) }", "[1,2]" },
		{ "device.parameters.limits", "[1,2,{\"x\":3}]" },
		{ "device.parameters.nothing == nil", "true" },
		{ "device.nam", NULL, "device.nam is not there: a device has name, parameters" },
	};
	CHECK(rows);
}

static void test_statements(void **state)
{
	static const struct row rows[] = {
		{ "(function() string.format = nil end)()", NULL,
			"cannot change string: it belongs to the sandbox" },
		{ "(function() string = nil end)()", NULL, "global 'string' is set inside" },
		{ "(function() device.parameters.x = 1 end)()", NULL,
			"cannot change device.parameters or device.points: they come from the configuration" },
		{ "(function() device.parameters.limits[3].x = 1 end)()", NULL,
			"cannot change device.parameters" },
		{ "table.insert(device.parameters.limits, 1)", NULL,
			"cannot change device.parameters" },
		{ "sort(device.parameters.limits)", NULL, "attempt to compare" },
		{ "(function() device.name = 1 end)()", NULL, "cannot change device.name" },
		{ "(function() total = 1 end)()", NULL,
			"test.lua:2: global 'total' is set inside a function: write 'local total'" },
		{ "(function() local t = {} for k in pairs(device.parameters) do t[#t + 1] = k end\n"
		  "sort(t) return t end)()",
			"[\"ct_ratio\",\"limits\"]" },
		{ "(function() local n = 0 for _, v in ipairs(device.parameters.limits) do\n"
		  "n = n + 1 end return n end)()",
			"3" },
		{ "(function() local t = { 3, 1, 2 } table.insert(t, 1, 9) table.remove(t)\n"
		  "return t end)()",
			"[9,3,1]" },
		{ "(function() goto out do return 1 end ::out:: return 2 end)()", "2" },
	};
	CHECK(rows);
	fixture_check("string = 5 return {}", NULL,
		"test.lua:1: cannot change 'string': it belongs to the sandbox");
	fixture_check(
		"function helper(x) return x * 2 end\n"
		"scale = 10\n"
		"return { decode = function() return { points = { x = helper(scale) } } end }",
		"points {\"x\":20}", NULL);
}

static void test_text(void **state)
{
	static const struct row rows[] = {
		{ "rep('ab', 3)", "\"ababab\"" },
		{ "rep('a', 3, '-')", "\"a-a-a\"" },
		{ "rep('a', 0) .. rep('a', -5) .. rep('', math.maxinteger)", "\"\"" },
		{ "rep('a', 32769)", NULL, "rep: the result would be longer than 32768 bytes" },
		{ "rep('a', math.maxinteger)", NULL, "rep: the result would be longer" },
		{ "rep('', math.maxinteger, 'a')", NULL, "rep: the result would be longer" },
		{ "{ find('hello', 'l') }", "[3,3]" },
		{ "{ find('hello', 'l', 4) }", "[4,4]" },
		{ "{ find('hello', 'lo', -2) }", "[4,5]" },
		{ "{ find('hello', '') }", "[1,0]" },
		{ "find('hello', '.') == nil", "true" },
		{ "find('hello', 'l', 7) == nil", "true" },
		{ "find('hello', 'h', math.mininteger)", "1" },
		{ "split('a,b,,c', ',')", "[\"a\",\"b\",\"\",\"c\"]" },
		{ "split('a, b, c', ', ', 2)", "[\"a\",\"b, c\"]" },
		{ "split('', ',')", "[\"\"]" },
		{ "split('a', '')", NULL, "the separator is empty" },
		{ "trim('  \\t a b \\r\\n') .. trim('') .. trim('   ')", "\"a b\"" },
		{ "starts('hello', 'he') and not starts('h', 'he') and starts('', '')", "true" },
		{ "ends('hello', 'lo') and not ends('o', 'lo') and ends('', '')", "true" },
		{ "sort({ 3, 1, 2 })", "[1,2,3]" },
		{ "sort({ 3, 1, 2, 5, 4 }, function(a, b) return a > b end)", "[5,4,3,2,1]" },
		{ "sort({ 'b', 'a', 'B' })", "[\"B\",\"a\",\"b\"]" },
		{ "sort({})", "[]" },
		{ "#sort({ 3, 1, 2 }, function() return true end)", "3" },
		{ "sort({ 1, 'x' })", NULL, "attempt to compare" },
		{ "sort({ 1 }, 5)", NULL, "bad argument #2 to 'sort' (function expected" },
	};
	CHECK(rows);
	/* Equal items keep their order. */
	fixture_check("return { decode = function()\n"
		      "local t = {} for i = 1, 100 do t[i] = { i % 3, i } end\n"
		      "sort(t, function(a, b) return a[1] < b[1] end)\n"
		      "for i = 2, 100 do local a, b = t[i - 1], t[i]\n"
		      "assert(a[1] < b[1] or a[1] == b[1] and a[2] < b[2]) end\n"
		      "return { points = { ok = true } } end }",
		"points {\"ok\":true}", NULL);
}

static void test_bytes(void **state)
{
	static const struct row rows[] = {
		{ "hex(reading.bytes)", "\"00100020\"" },
		{ "hex(reading.bytes, ' ')", "\"00 10 00 20\"" },
		{ "hex(unhex('0aFf 10'))", "\"0aff10\"" },
		{ "unhex('0')", NULL, "unhex: no pair of hexadecimal digits at place 1" },
		{ "unhex('00 1 2')", NULL, "no pair of hexadecimal digits at place 4" },
		{ "unhex('zz')", NULL, "at place 1" },
		{ "bcd(unhex('12345678'))", "12345678" },
		{ "bcd('')", "0" },
		{ "bcd(unhex('123a'))", NULL, "bcd: byte 2 is 0x3a: no two decimal digits" },
		{ "bcd(rep('\\x99', 9))", "999999999999999999" },
		{ "bcd(rep('\\x99', 10))", NULL, "longer than 9 bytes, 18 digits" },
		{ "hex(tobcd(1234, 3))", "\"001234\"" },
		{ "tobcd(1234, 1)", NULL, "has more digits than the bytes hold" },
		{ "tobcd(-1, 1)", NULL, "negative" },
		{ "reorder('abcdefgh', 'cdab')", "\"cdabghef\"" },
		{ "reorder('abcdefgh', 'hgfedcba')", "\"hgfedcba\"" },
		{ "reorder('abc', 'ba')", NULL, "reorder: 3 bytes are no multiple of 2" },
		{ "reorder('ab', 'aa')", NULL, "each letter is to stand there once" },
		{ "reorder('ab', 'ac')", NULL, "the letters are to be 'a' and those behind it" },
		{ "string.unpack('>f', reorder('\\x19\\x9a\\x43\\x66', 'cdab')) // 1", "230.0" },
	};
	CHECK(rows);
}

/* The check values of the catalogues: of the text 123456789. */
static void test_checksums(void **state)
{
	static const struct row rows[] = {
		{ "crc.modbus('123456789') == 0x4b37", "true" },
		{ "crc.ccitt('123456789') == 0x29b1", "true" },
		{ "crc.xmodem('123456789') == 0x31c3", "true" },
		{ "crc.crc8('123456789') == 0xf4", "true" },
		{ "crc.nrsc5('123456789') == 0xf7", "true" },
		{ "crc.crc32('123456789') == 0xcbf43926", "true" },
		{ "crc.sum8('123456789') == 0xdd and crc.sum16('123456789') == 0x1dd", "true" },
		{ "crc.xor8('123456789') == 0x31", "true" },
		{ "crc.lrc('123456789') == 0x23", "true" },
		{ "crc.modbus('') == 0xffff", "true" },
	};
	CHECK(rows);
}

static void test_bits(void **state)
{
	static const struct row rows[] = {
		{ "bits.get(0xa5, 0)", "1" },
		{ "bits.get(0xa5, 4, 4)", "10" },
		{ "bits.get(-1, 0, 64)", "-1" },
		{ "bits.get(1, 64)", NULL, "bits are numbered from 0 to 63" },
		{ "bits.get(1, -1)", NULL, "bits are numbered from 0 to 63" },
		{ "bits.get(1, 60, 5)", NULL, "at least 1 bit, and none behind bit 63" },
		{ "bits.get(1, 1, math.maxinteger)", NULL, "at least 1 bit" },
		{ "bits.set(0xff, 4, 4, 0xa)", "175" },
		{ "bits.set(0, 0, 4, 16)", NULL, "does not fit into that many bits" },
		{ "bits.signed(0xffff, 16)", "-1" },
		{ "bits.signed(0x7fff, 16)", "32767" },
		{ "bits.signed(-1, 64)", "-1" },
		{ "bits.signed(1, 65)", NULL, "from 1 to 64 bits" },
		{ "bits.list('\\x05\\x01', 9)",
			"[true,false,true,false,false,false,false,false,true]" },
		{ "#bits.list('ab')", "16" },
		{ "bits.list('a', 9)", NULL, "more bits than the bytes have" },
	};
	CHECK(rows);
}

static void test_registers(void **state)
{
	/* Registers 100 to 105: 0x0010 0x0020 0xffff 0x4366 0x199a 0x4142 */
#define VIEW "registers('\\0\\x10\\0\\x20\\xff\\xff\\x43\\x66\\x19\\x9aAB', 100)"
	static const struct row rows[] = {
		{ VIEW ":u16(100)", "16" },
		{ VIEW ":u16(101, 'ba')", "8192" },
		{ VIEW ":s16(102)", "-1" },
		{ VIEW ":u32(100)", "1048608" },
		{ VIEW ":u32(100, 'cdab')", "2097168" },
		{ VIEW ":s32(101)", "2162687" },
		{ VIEW ":s32(102, 'abcd') < 0", "true" },
		{ VIEW ":f32(103)", "230.1" },
		{ VIEW ":f32(103, 'badc') ~= 230.1", "true" },
		{ VIEW ":u64(100)", "4503741361242982" },
		{ VIEW ":s64(102) < 0", "true" },
		{ VIEW ":u64(102)", NULL, "u64: the number is beyond 63 bits" },
		{ "registers(string.pack('>d', 1.14)):f64(0)", "1.14" },
		{ "registers(string.pack('>d', 1.14):reverse()):f64(0, 'hgfedcba')", "1.14" },
		{ VIEW ":string(105, 1)", "\"AB\"" },
		{ "registers('AB  \\0xyz'):string(0, 4)", "\"AB\"" },
		{ "hex(" VIEW ":bytes(101, 2))", "\"0020ffff\"" },
		{ VIEW ":bits(100)[5]", "true" },
		{ VIEW ":bits(100, 4)", "1" },
		{ VIEW ":bits(103, 8, 8)", "67" },
		{ VIEW ":bits(103, 8, 9)", NULL, "at least 1 bit, and none behind bit 15" },
		{ VIEW ":u16(106)", NULL,
			"test.lua:2: registers: u16 needs register 106; there are 100 to 105 in poll "
			"'live'" },
		{ VIEW ":u16(99)", NULL, "u16 needs register 99" },
		{ VIEW ":f32(105)", NULL, "f32 needs register 105 and 1 behind it" },
		{ VIEW ":string(101, 6)", NULL, "string needs register 101 and 5 behind it" },
		{ VIEW ":u16(math.maxinteger)", NULL, "needs register 9223372036854775807" },
		{ VIEW ":u16(math.mininteger)", NULL, "needs register -9223372036854775808" },
		{ VIEW ":string(100, math.maxinteger)", NULL, "from 1 to 2048 registers" },
		{ VIEW ":u32(100, 'abc')", NULL, "u32: the order 'abc' is to have 4 letters" },
		{ VIEW ":u32(100, 'aabb')", NULL,
			"each letter from 'a' on is to stand there once" },
		{ VIEW ":u32(100, 'abcz')", NULL,
			"each letter from 'a' on is to stand there once" },
		{ VIEW ":u17(100)", NULL, "'registers:u17' is not defined" },
		{ VIEW, NULL, "points.x is a userdata" },
		{ "registers('abc')", NULL, "registers: 3 bytes are no whole registers" },
		{ "registers('', 5):u16(5)", NULL, "u16 needs register 5; there are none" },
		{ "registers('ab', -1)", NULL, "an address from 0 on" },
	};
	CHECK(rows);
}

static void test_shortest_floats(void **state)
{
	static const struct row rows[] = {
		{ "registers('\\x3d\\xcc\\xcc\\xcd'):f32(0)", "0.1" },
		{ "registers('\\xc2\\x28\\0\\0'):f32(0)", "-42.0" },
		{ "registers('\\0\\0\\0\\0'):f32(0)", "0.0" },
		{ "registers('\\x7f\\x7f\\xff\\xff'):f32(0) == 0x1.fffffep127", "true" },
		{ "registers('\\0\\0\\0\\1'):f32(0) == 0x1p-149", "true" },
		{ "registers('\\x7f\\x80\\0\\0'):f32(0)", NULL, "points.x is infinite" },
		{ "registers('\\x7f\\xc0\\0\\0'):f32(0)", NULL, "points.x is not a number" },
		{ "registers('\\x4b\\x7f\\xff\\xff'):f32(0)", "16777215.0" },
	};
	CHECK(rows);
	/* Whatever it shortens to is still the same float. */
	fixture_check("return { decode = function() for i = 1, 4000 do\n"
		      "local bytes = string.pack('>I4', (i * 2654435761) & 0x7f7fffff)\n"
		      "local number = registers(bytes):f32(0)\n"
		      "assert(string.pack('>f', number) == bytes, hex(bytes)) end\n"
		      "return { points = { ok = true } } end }",
		"points {\"ok\":true}", NULL);
}

static void test_round(void **state)
{
	static const struct row rows[] = {
		{ "round(2.5)", "3" },
		{ "round(-2.5)", "-3" },
		{ "round(230.10000610351562, 2)", "230.1" },
		{ "round(5, 3)", "5" },
		{ "round(1e300)", "1e+300" },
		{ "round(1e300, 15)", "1e+300" },
		{ "round(1.5, 16)", NULL, "from 0 to 15 digits" },
		{ "round('x')", NULL, "bad argument #1 to 'round'" },
	};
	CHECK(rows);
}

static struct buffer log_text;

static void keep_line(enum log_level level, const char *line, void *context)
{
	buffer_printf(&log_text, "%s\n", line);
}

static void test_log(void **state)
{
	log_set_sink(keep_line, NULL);
	fixture_check("log('loaded') return { decode = function(r)\n"
		      "log('bytes', hex(r.bytes), 5, 1.5, nil, {}, 'a\\nb')\n"
		      "for i = 1, 100 do log(i) end end }",
		NULL, NULL);
	assert_string_equal(buffer_text(&log_text),
		"test.lua: loaded\n"
		"test.lua: meter-1: bytes 00100020 5 1.5 nil table a b\n"
		"test.lua: meter-1: 1\ntest.lua: meter-1: 2\ntest.lua: meter-1: 3\n"
		"test.lua: meter-1: 4\ntest.lua: meter-1: 5\ntest.lua: meter-1: 6\n"
		"test.lua: meter-1: 7\ntest.lua: meter-1: 8\n");
	log_set_sink(NULL, NULL);
	buffer_finish(&log_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lua),
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_shortest_floats),
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
