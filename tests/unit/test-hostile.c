/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every attack of tests/hostile, and some that are made here, at the top of a file and inside
 * decode: it ends, within twice its budget and under its cap of memory, and afterwards the same
 * script and a fresh one work as before.
 */
#include "script-fixture.h"

#include <dirent.h>

#include "script/host.h"

#define HANG_S 120

static const struct conf_scripts limits = { 100000, 1024, 500 };

static void check_box(const struct sandbox *box, const char *name)
{
	if (box->peak > (size_t)limits.memory_kb * 1024)
		fail_msg("%s: %zu bytes of memory", name, box->peak);
	if (box->left < -(int64_t)limits.instructions)
		fail_msg("%s: %lld steps over the budget", name, (long long)-box->left);
}

struct top {
	const char *source;
	size_t size;
};

static int run_top(lua_State *L)
{
	struct top *top = lua_touserdata(L, 1);
	sandbox_load(L, top->source, top->size);
	sandbox_of(L)->loading = true;
	lua_call(L, 0, 1);
	return 0;
}

static void attack_top(const char *name, const char *source, size_t size)
{
	struct sandbox *box;
	struct script_error error;
	struct top top = { source, size };
	assert_int_equal(sandbox_create(&box, name, &limits, &error), 0);
	sandbox_run(box, run_top, &top, &error);
	check_box(box, name);
	sandbox_destroy(box);
	/* As a file it is an error, unless it happens to return what a script returns. */
	struct fixture fixture;
	if (fixture_load(&fixture, source, size, &limits) < 0)
		fixture_expect(&fixture, "test.lua");
	fixture_finish(&fixture);
}

static void attack_decode(const char *name, const char *source, size_t size)
{
	struct buffer text = BUFFER_EMPTY;
	struct fixture fixture;
	buffer_put_text(&text,
		"return { decode = function(reading, device)\n"
		"if reading.bytes == 'good' then\n"
		"	return { points = { a = 1 } } end\n");
	buffer_put(&text, source, size);
	buffer_put_text(&text, "\nend }\n");
	if (fixture_load(&fixture, buffer_text(&text), text.size, &limits) == 0) {
		fixture_device(&fixture, NULL);
		for (int i = 0; i < 3; i++) {
			if (fixture_decode(&fixture, "bad", 3) < 0)
				fixture_expect(&fixture, "test.lua");
			check_box(fixture.script->program.box, name);
			if (fixture_decode(&fixture, "good", 4) < 0)
				fail_msg("%s: then %s", name, fixture.error.text);
			assert_string_equal(fixture_report(&fixture, 0), "points {\"a\":1}");
		}
	}
	fixture_finish(&fixture);
	buffer_finish(&text);
	fixture_check("return { decode = function(r) return { points = { ok = true } } end }",
		"points {\"ok\":true}", NULL);
}

static void attack(const char *name, const char *source, size_t size)
{
	alarm(HANG_S);
	attack_top(name, source, size);
	attack_decode(name, source, size);
	alarm(0);
}

static int is_script(const struct dirent *entry)
{
	return strstr(entry->d_name, ".lua") != NULL;
}

static void test_files(void **state)
{
	const char *top = getenv("srcdir");
	char dir[512];
	snprintf(dir, sizeof(dir), "%s/tests/hostile", top ? top : ".");
	struct dirent **entries;
	int count = scandir(dir, &entries, is_script, alphasort);
	assert_true(count >= 25);
	for (int i = 0; i < count; i++) {
		char path[1024], source[4096];
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		FILE *file = fopen(path, "r");
		assert_non_null(file);
		size_t size = fread(source, 1, sizeof(source), file);
		fclose(file);
		attack(entries[i]->d_name, source, size);
		free(entries[i]);
	}
	free(entries);
}

/* The source that is begin, count times middle, end. */
static void attack_source(
	const char *name, const char *begin, const char *middle, size_t count, const char *end)
{
	struct buffer text = BUFFER_EMPTY;
	buffer_put_text(&text, begin);
	for (size_t i = 0; i < count; i++)
		buffer_put_text(&text, middle);
	buffer_put_text(&text, end);
	attack(name, buffer_text(&text), text.size);
	buffer_finish(&text);
}

/* What takes the parser long, or deep. */
static void test_sources(void **state)
{
	attack_source("and-chain", "local a return a ", "and a ", 150000, "");
	attack_source("parentheses", "return ", "(", 100000, "");
	attack_source("tables", "return ", "{", 100000, "");
	attack_source("functions", "", "return function() ", 10000, "");
	attack_source("blocks", "", "do ", 100000, "");
	attack_source("locals", "", "local a ", 10000, "");
	attack_source("gotos", "", "goto a ", 100000, "");
	attack_source("minus", "return ", "- ", 100000, "1");
	attack_source("power", "return 2", " ^ 2", 100000, "");
	attack_source("concat", "return ''", " .. ''", 100000, "");
	attack_source("comment", "--[[", "x", 1000000, "");
	attack_source("long-name", "local ", "x", 1000000, " = 1");
	attack_source("long-text", "return '", "x", 1000000, "'");
	attack_source("long-bracket", "return [", "=", 1000000, "[");
	attack_source("long-number", "return 1", "0", 1000000, "");
	attack_source("escapes", "return '", "\\u{7fffffff}", 50000, "'");
	attack_source("empty-statements", "", ";", 1000000, "");
	attack_source("constants", "local t = {", "0.1,'a',", 100000, "}");
}

/* A file that keeps what it is given fills its memory in the course of many calls. */
static void test_slow_leak(void **state)
{
	static const char source[] =
		"local kept = {}\n"
		"return { decode = function(reading, device)\n"
		"	device.state.calls = (device.state.calls or 0) + 1\n"
		"	for i = 1, 100 do kept[#kept + 1] = { reading.bytes } end\n"
		"	return { points = { calls = device.state.calls } } end }";
	struct fixture fixture;
	assert_int_equal(fixture_load(&fixture, source, sizeof(source) - 1, &limits), 0);
	fixture_device(&fixture, NULL);
	int failed = 0, good = 0;
	for (int i = 0; i < 1000; i++) {
		if (fixture_decode(&fixture, "x", 1) < 0) {
			fixture_expect(&fixture, "needs more than 1024 KiB of memory");
			fixture_expect(&fixture, "the file was run afresh");
			assert_true(fixture.error.budget);
			failed++;
			continue;
		}
		char report[64];
		snprintf(report, sizeof(report), "points {\"calls\":%d}", ++good);
		assert_string_equal(fixture_report(&fixture, 0), report);
		check_box(fixture.script->program.box, "slow leak");
	}
	assert_in_range(failed, 2, 200);
	assert_int_equal(failed + good, 1000);
	fixture_finish(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_slow_leak),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
