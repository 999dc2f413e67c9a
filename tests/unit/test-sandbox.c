/* SPDX-License-Identifier: Apache-2.0 */
#include "script-fixture.h"

#include <sys/stat.h>

#include "script/host.h"

static int load(struct fixture *fixture, const char *source, const struct conf_scripts *limits)
{
	return fixture_load(fixture, source, strlen(source), limits);
}

static void check_limit(const char *source, struct conf_scripts limits, const char *words)
{
	struct fixture fixture;
	assert_true(load(&fixture, source, &limits) < 0);
	assert_true(fixture.error.budget);
	fixture_expect(&fixture, words);
	fixture_finish(&fixture);
}

static void test_steps(void **state)
{
	struct conf_scripts limits = { 20000, 1024, 60000 };
	check_limit("local x = 0\nwhile true do\nx = x + 1\nend", limits,
		"test.lua:3: stopped after 20000 steps: look for a loop without end, or raise "
		"'instructions' in the section 'scripts'");
}

static void test_memory(void **state)
{
	struct conf_scripts limits = { 100000000, 512, 60000 };
	check_limit("local t = {}\n\nfor i = 1, 1e9 do t[i] = { i } end", limits,
		"test.lua:3: needs more than 512 KiB of memory");
}

static void test_time(void **state)
{
	struct conf_scripts limits = { 1000000000, 1024, 20 };
	check_limit("\nwhile true do end", limits, "test.lua:2: stopped after 20 ms");
}

static void test_time_of_parser(void **state)
{
	/* Takes the parser half a minute: nothing runs yet. */
	struct buffer source = BUFFER_EMPTY;
	buffer_put_text(&source, "local a return a");
	for (int i = 0; i < 150000; i++)
		buffer_put_text(&source, " and a");
	struct conf_scripts limits = { 1000000000, 65536, 50 };
	check_limit(buffer_text(&source), limits, "test.lua: stopped after 50 ms");
	buffer_finish(&source);
}

static void test_string(void **state)
{
	check_limit("local s = 'x'\nwhile true do s = s .. s end", usual_limits,
		"test.lua:2: builds a string of more than 32768 bytes");
}

static void test_longest_string(void **state)
{
	fixture_check("return { decode = function() local s = rep('x', 32768)\n"
		      "return { points = { n = #(s .. '') } } end }",
		"points {\"n\":32768}", NULL);
	fixture_check("return { decode = function() local s = rep('x', 32768)\n"
		      "return { points = { n = #(s .. rep('y', 100)) } } end }",
		NULL, "builds a string of more than 32768 bytes");
}

/* Each function takes off what its arguments are worth. */
static void test_charges(void **state)
{
	static const struct {
		const char *call;
		int64_t least;
	} calls[] = {
		{ "big:upper()", 30000 / 8 },
		{ "big:lower()", 30000 / 8 },
		{ "big:reverse()", 30000 / 8 },
		{ "big:byte(1, -1)", 30000 / 4 },
		{ "tonumber(big)", 30000 / 8 },
		{ "string.format('%s', big)", 30000 / 8 },
		{ "string.format('%.50f', 1e300)", 900 },
		{ "string.pack(big)", 0 },
		{ "table.concat(list)", 3000 },
		{ "table.unpack(list)", 3000 },
		{ "table.insert(list, 1, 0)", 3000 },
		{ "table.remove(list, 1)", 3000 },
		{ "select(-1, table.unpack(list))", 3000 + 3000 / 4 },
		{ "sort(list)", 3000 * 11 },
		{ "split(big, 'x')", 30000 },
		{ "find(big, 'y')", 30000 / 8 },
		{ "trim(big)", 30000 / 8 },
		{ "rep('x', 30000)", 30000 / 8 },
		{ "hex(half)", 15000 / 4 },
		{ "crc.crc32(big)", 30000 },
		{ "crc.sum8(big)", 30000 / 8 },
		{ "bits.list(half)", 15000 * 8 },
		{ "utf8.len(big)", 30000 / 8 },
		{ "big .. 'x'", 30000 / 32 },
		{ "{ table.unpack(list) }", 3000 + 3000 * 16 / 32 },
	};
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct fixture fixture;
		struct buffer source = BUFFER_EMPTY;
		buffer_printf(&source,
			"local big, half, list = rep('x', 30000), rep('x', 15000), {}\n"
			"for i = 1, 3000 do list[i] = i end\n"
			"return { decode = function() local a = try(function() local x = %s end)\n"
			"end }",
			calls[i].call);
		fixture_start(&fixture, buffer_text(&source));
		struct sandbox *box = fixture.script->program.box;
		assert_int_equal(fixture_decode(&fixture, "", 0), 0);
		int64_t taken = usual_limits.instructions - box->left;
		if (taken < calls[i].least)
			fail_msg("%s: %lld steps", calls[i].call, (long long)taken);
		fixture_finish(&fixture);
		buffer_finish(&source);
	}
}

static void test_no_catching(void **state)
{
	fixture_check("return { decode = function()\n"
		      "try(function() while true do end end)\n"
		      "return { points = { caught = 1 } } end }",
		NULL, "test.lua:2: stopped after 1000000 steps");
	fixture_check("return { decode = function()\n"
		      "try(function() local t = {} while true do t = { t, {}, {}, {} } end end)\n"
		      "return { points = { caught = 1 } } end }",
		NULL, "test.lua:2: stopped after");
	fixture_check("return { decode = function()\n"
		      "try(function() local s = 'x' while true do s = s .. s end end)\n"
		      "return { points = { caught = 1 } } end }",
		NULL, "test.lua:2: builds a string");
}

/* A budget is for one call: many cheap calls do not add up. */
static void test_budget_is_renewed(void **state)
{
	struct fixture fixture;
	static const char source[] =
		"return { decode = function() for i = 1, 5000 do end return nil end }";
	struct conf_scripts limits = { 20000, 1024, 60000 };
	assert_int_equal(load(&fixture, source, &limits), 0);
	fixture_device(&fixture, NULL);
	for (int i = 0; i < 100; i++)
		assert_int_equal(fixture_decode(&fixture, "", 0), 0);
	fixture_finish(&fixture);
}

static void test_peak_is_under_cap(void **state)
{
	struct fixture fixture;
	static const char source[] = "return { decode = function() local t = {}\n"
				     "for i = 1, 1e9 do t[i] = { i } end end }";
	struct conf_scripts limits = { 10000000, 256, 60000 };
	assert_int_equal(load(&fixture, source, &limits), 0);
	fixture_device(&fixture, NULL);
	assert_int_equal(fixture_decode(&fixture, "", 0), -EINVAL);
	fixture_expect(&fixture, "test.lua:2: needs more than 256 KiB");
	struct sandbox *box = fixture.script->program.box;
	assert_in_range(box->peak, 200 * 1024, 256 * 1024);
	/* What the call held is free again. */
	assert_in_range(script_memory(fixture.script), 1, 100 * 1024);
	fixture_finish(&fixture);
}

static void test_too_small_a_cap(void **state)
{
	struct fixture fixture;
	struct conf_scripts limits = { 10000, 1, 100 };
	assert_true(load(&fixture, "return {}", &limits) < 0);
	fixture_expect(&fixture, "needs more than 1 KiB of memory");
	limits.memory_kb = 16;
	assert_true(load(&fixture, "return {}", &limits) < 0);
	fixture_expect(&fixture, "needs more than 16 KiB of memory");
	fixture_finish(&fixture);
}

static void check_error(const char *source, const char *words)
{
	struct fixture fixture;
	if (load(&fixture, source, &usual_limits) >= 0)
		fail_msg("no error in: %s", source);
	fixture_expect(&fixture, words);
	assert_false(fixture.error.budget);
	fixture_finish(&fixture);
}

static void test_errors_as_text(void **state)
{
	check_error("\nerror('plain')", "test.lua:2: plain");
	check_error("error('two\\nlines\\27[31m')", "test.lua:1: two lines [31m");
	check_error("\n\nerror({ code = 3, why = 'x' })",
		"test.lua:3: error {\"code\":3,\"why\":\"x\"}");
	check_error("\nerror()", "test.lua:2: error with a value of type nil");
	check_error("\nerror(error)", "test.lua:2: error with a value of type function");
	check_error(
		"\nlocal t = {} t.t = t error(t)", "test.lua:2: error with a value of type table");
	check_error("error(rep('x', 10000))", "xxx...");
	check_error("error('x', 0)", "test.lua:1: x");
	check_error("local function f(x) return x.y end\n\nf()",
		"test.lua:1: attempt to index a nil value (local 'x')");
	check_error("assert(false, 'no')", "test.lua:1: no");
	check_error("assert(nil)", "assertion failed!");
}

static void test_loading(void **state)
{
	check_error("local x = = 3", "test.lua:1: unexpected symbol near '='");
	check_error("x = 'unfinished", "test.lua:1: unfinished string");
	check_error("\x1bLua", "test.lua: is compiled Lua: only source text is loaded");
	check_error("return 5", "test.lua:1: the file returns a number");
	check_error(
		"local x = 1", "test.lua:1: the file returns nothing: it is to end in 'return {");
	check_error("", "test.lua:1: the file returns nothing");
	check_error("return { 1, 2 }", "test.lua: the file returns a list");
	check_error("return {\n decod = function() end }",
		"test.lua:2: the file returns an unknown 'decod': it may have parameters, setup");
	check_error("return { version = 5 }", "test.lua:1: the file returns an unknown 'version'");
	check_error("return { decode = {} }",
		"test.lua:1: 'decode' is a table: it is to be a function");
	check_error("return { polls = 5 }",
		"test.lua:1: 'polls' is a number: it is to be a function or a list");
	check_error("\nreturn os.execute('true')", "test.lua:2: 'os' is not there for scripts");
	struct fixture fixture;
	assert_int_equal(load(&fixture, "\xef\xbb\xbfreturn {}", &usual_limits), 0);
	fixture_finish(&fixture);
}

static void check_file(const char *path, int result, const char *words)
{
	struct script *script;
	struct fixture fixture = { 0 };
	assert_int_equal(script_load(&script, path, &usual_limits, &fixture.error), result);
	fixture_expect(&fixture, path);
	fixture_expect(&fixture, words);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/script-test-XXXXXX", path[64];
	assert_non_null(mkdtemp(dir));
	check_file(dir, -EISDIR, "cannot be loaded: it is a directory");
	snprintf(path, sizeof(path), "%s/none.lua", dir);
	check_file(path, -ENOENT, "cannot be loaded: No such file or directory");
	snprintf(path, sizeof(path), "%s/pipe.lua", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	check_file(path, -EINVAL, "it is no regular file");
	unlink(path);
	snprintf(path, sizeof(path), "%s/big.lua", dir);
	FILE *file = fopen(path, "w");
	assert_int_equal(fclose(file), 0);
	assert_int_equal(truncate(path, 1024 * 1024 + 1), 0);
	check_file(path, -EFBIG, "it has 1048577 bytes, a script at most 1048576");
	unlink(path);
	rmdir(dir);
}

static void test_long_file_name(void **state)
{
	struct sandbox *box;
	struct script_error error;
	char name[200];
	memset(name, 'n', sizeof(name));
	strcpy(name + sizeof(name) - 5, ".lua");
	assert_int_equal(sandbox_create(&box, name, &usual_limits, &error), 0);
	assert_int_equal(strlen(box->file), sizeof(box->file) - 1);
	assert_int_equal(strncmp(box->file, "...nn", 5), 0);
	assert_string_equal(box->file + strlen(box->file) - 5, "n.lua");
	sandbox_destroy(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_time_of_parser),
		cmocka_unit_test(test_string),
		cmocka_unit_test(test_longest_string),
		cmocka_unit_test(test_charges),
		cmocka_unit_test(test_no_catching),
		cmocka_unit_test(test_budget_is_renewed),
		cmocka_unit_test(test_peak_is_under_cap),
		cmocka_unit_test(test_too_small_a_cap),
		cmocka_unit_test(test_errors_as_text),
		cmocka_unit_test(test_loading),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_long_file_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
