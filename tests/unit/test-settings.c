/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "core/plugin.h"

static const struct eb_key keys[] = {
	{ .name = "unit",
		.types = EB_INTEGER,
		.flags = EB_REQUIRED,
		.min = 1,
		.max = 247,
		.help = "unit id" },
	{ .name = "any", .types = EB_INTEGER },
	{ .name = "scale", .types = EB_REAL },
	{ .name = "on", .types = EB_BOOLEAN },
	{ .name = "framing", .types = EB_TEXT, .choices = "rtu|ascii|tcp" },
	{ .name = "text", .types = EB_TEXT },
	{ .name = "bytes", .types = EB_BYTES },
	{ .name = "values", .types = EB_LIST, .min = 0, .max = 10 },
	{ .name = "list", .types = EB_LIST },
	{ .name = "either", .types = EB_INTEGER | EB_LIST, .min = 0, .max = 10 },
	{ .name = NULL },
};

static const char *const others[] = { "name", "period", NULL };

struct fixture {
	struct buffer map;
	struct problems problems;
	struct settings settings;
	int result;
};

/* Checks what is in map, of which count pairs were put. */
static void check(struct fixture *fixture, enum settings_source source)
{
	fixture->result = settings_from_value(&fixture->settings, keys, others, fixture->map.data,
		fixture->map.size, source, (struct place){ "site.conf", 12 }, &fixture->problems);
}

static void finish(struct fixture *fixture)
{
	if (fixture->result == 0)
		settings_finish(&fixture->settings);
	problems_finish(&fixture->problems);
	buffer_finish(&fixture->map);
}

static const struct eb_value *find(const struct fixture *fixture, const char *key)
{
	for (size_t i = 0; i < fixture->settings.view.count; i++) {
		if (strcmp(fixture->settings.view.items[i].key, key) == 0)
			return &fixture->settings.view.items[i].value;
	}
	return NULL;
}

static void test_all_types(void **state)
{
	struct fixture fixture = { .result = 0 };
	struct buffer *map = &fixture.map;
	value_put_map(map, 10);
	value_pair_real(map, "unit", 7.0);
	value_pair_integer(map, "any", INT64_MIN);
	value_pair_integer(map, "scale", 3);
	value_pair_bool(map, "on", true);
	value_pair_text(map, "framing", "tcp");
	value_pair_text(map, "text", "");
	value_put_text(map, "bytes");
	value_put_string(map, "\0\1", 2);
	value_put_text(map, "values");
	value_put_list(map, 3);
	value_put_integer(map, 10);
	value_put_real(map, 2.0);
	value_put_bool(map, true);
	value_put_text(map, "list");
	value_put_list(map, 2);
	value_put_real(map, 0.5);
	value_put_text(map, "word");
	value_pair_text(map, "name", "the host's own");
	check(&fixture, SETTINGS_SCRIPT);
	assert_int_equal(fixture.result, 0);
	/* The map may go: the settings have a copy. */
	memset(map->data, 0xff, map->size);
	assert_int_equal(fixture.settings.view.count, 9);
	assert_null(find(&fixture, "name"));
	assert_int_equal(find(&fixture, "unit")->type, EB_INTEGER);
	assert_int_equal(find(&fixture, "unit")->integer, 7);
	assert_int_equal(find(&fixture, "any")->integer, INT64_MIN);
	assert_int_equal(find(&fixture, "scale")->type, EB_REAL);
	assert_true(find(&fixture, "scale")->real == 3.0);
	assert_int_equal(find(&fixture, "on")->integer, 1);
	assert_string_equal(find(&fixture, "framing")->data, "tcp");
	assert_int_equal(find(&fixture, "text")->size, 0);
	assert_int_equal(find(&fixture, "bytes")->type, EB_BYTES);
	assert_memory_equal(find(&fixture, "bytes")->data, "\0\1", 3);
	const struct eb_value *values = find(&fixture, "values");
	assert_int_equal(values->count, 3);
	assert_int_equal(values->items[0].integer, 10);
	assert_int_equal(values->items[1].type, EB_INTEGER);
	assert_int_equal(values->items[1].integer, 2);
	assert_int_equal(values->items[2].type, EB_BOOLEAN);
	const struct eb_value *list = find(&fixture, "list");
	assert_int_equal(list->items[0].type, EB_REAL);
	assert_string_equal(list->items[1].data, "word");
	finish(&fixture);
}

static void test_hex_in_the_configuration(void **state)
{
	struct fixture fixture = { .result = 0 };
	value_put_map(&fixture.map, 3);
	value_pair_text(&fixture.map, "bytes", "00 fE7f");
	value_pair_integer(&fixture.map, "unit", 1);
	value_pair_text(&fixture.map, "text", "after");
	check(&fixture, SETTINGS_CONFIGURATION);
	assert_int_equal(fixture.result, 0);
	assert_int_equal(find(&fixture, "bytes")->size, 3);
	assert_memory_equal(find(&fixture, "bytes")->data, "\0\xfe\x7f", 4);
	assert_string_equal(find(&fixture, "text")->data, "after");
	finish(&fixture);
}

static void test_empty(void **state)
{
	struct settings settings;
	struct problems problems = PROBLEMS_NONE;
	OWNED_BUFFER list = BUFFER_EMPTY;
	/* Lua's empty table may come as a list. */
	value_put_list(&list, 0);
	assert_int_equal(settings_from_value(&settings, NULL, NULL, list.data, list.size,
				 SETTINGS_SCRIPT, (struct place){ NULL, 0 }, &problems),
		0);
	assert_int_equal(settings.view.count, 0);
	settings_finish(&settings);
	problems_finish(&problems);
}

/* One pair beside a good unit; the one problem must say this. */
static void expect(struct fixture *fixture, enum settings_source source, const char *says)
{
	value_pair_integer(&fixture->map, "unit", 1);
	check(fixture, source);
	assert_int_equal(fixture->result, -EINVAL);
	assert_int_equal(fixture->problems.count, 1);
	assert_int_equal(fixture->problems.items[0].line, 12);
	if (!strstr(fixture->problems.items[0].text, says))
		fail_msg("\"%s\" does not say \"%s\"", fixture->problems.items[0].text, says);
	assert_int_equal(fixture->settings.view.count, 0);
	finish(fixture);
}

#define EXPECT(source, says, ...)                         \
	do {                                              \
		struct fixture fixture = { .result = 0 }; \
		struct buffer *map = &fixture.map;        \
		value_put_map(map, 2);                    \
		__VA_ARGS__;                              \
		expect(&fixture, source, says);           \
	} while (0)

static void test_refusals(void **state)
{
	EXPECT(SETTINGS_SCRIPT, "\"unti\" is not known here: known are unit, any",
		value_pair_integer(map, "unti", 1));
	EXPECT(SETTINGS_SCRIPT, "list, either, name, period", value_pair_integer(map, "unti", 1));
	EXPECT(SETTINGS_SCRIPT, "any is a text, it must be an integer",
		value_pair_text(map, "any", "1"));
	EXPECT(SETTINGS_SCRIPT, "any is a real number", value_pair_real(map, "any", 1.5));
	EXPECT(SETTINGS_SCRIPT, "any is a real number", value_pair_real(map, "any", 0x1p63));
	EXPECT(SETTINGS_SCRIPT, "any is a real number", value_pair_real(map, "any", NAN));
	EXPECT(SETTINGS_SCRIPT, "no finite number", value_pair_real(map, "scale", INFINITY));
	EXPECT(SETTINGS_SCRIPT, "it must be a boolean", value_pair_integer(map, "on", 1));
	EXPECT(SETTINGS_SCRIPT, "one of rtu|ascii|tcp", value_pair_text(map, "framing", "rt"));
	EXPECT(SETTINGS_SCRIPT, "one of rtu|ascii|tcp", value_pair_text(map, "framing", ""));
	EXPECT(SETTINGS_SCRIPT, "NUL", value_put_text(map, "text"),
		value_put_string(map, "a\0b", 3));
	EXPECT(SETTINGS_CONFIGURATION, "pairs of hexadecimal digits",
		value_pair_text(map, "bytes", "012"));
	EXPECT(SETTINGS_CONFIGURATION, "it must be bytes (a text of hexadecimal digits)",
		value_pair_integer(map, "bytes", 12));
	EXPECT(SETTINGS_SCRIPT, "either is 11, it must be 0 to 10",
		value_pair_integer(map, "either", 11));
	EXPECT(SETTINGS_SCRIPT, "an integer or a list", value_pair_bool(map, "either", true));
	EXPECT(SETTINGS_SCRIPT, "unit stands twice", value_pair_integer(map, "unit", 2));
	EXPECT(SETTINGS_SCRIPT, "null", value_put_text(map, "any"), value_put_null(map));
}

static void test_refused_lists(void **state)
{
	EXPECT(SETTINGS_SCRIPT, "values: item 2 is 11, it must be 0 to 10",
		value_put_text(map, "values"), value_put_list(map, 2), value_put_integer(map, 1),
		value_put_integer(map, 11));
	EXPECT(SETTINGS_SCRIPT, "values: item 1 is a real number, it must be an integer",
		value_put_text(map, "values"), value_put_list(map, 2), value_put_real(map, 0.5),
		value_put_integer(map, 11));
	EXPECT(SETTINGS_SCRIPT, "scale is a text, it must be a number",
		value_pair_text(map, "scale", "5"));
	EXPECT(SETTINGS_SCRIPT, "values: item 1 is a text", value_put_text(map, "values"),
		value_put_list(map, 1), value_put_text(map, "1"));
	EXPECT(SETTINGS_SCRIPT, "list: item 1 is a list", value_put_text(map, "list"),
		value_put_list(map, 1), value_put_list(map, 1), value_put_integer(map, 1));
	EXPECT(SETTINGS_SCRIPT, "list is a group", value_put_text(map, "list"),
		value_put_map(map, 1), value_pair_integer(map, "a", 1));
}

/* All faults are said, each once; what is missing too, but not what is there and wrong. */
static void test_all_at_once(void **state)
{
	struct fixture fixture = { .result = 0 };
	value_put_map(&fixture.map, 3);
	value_pair_text(&fixture.map, "on", "yes");
	value_pair_integer(&fixture.map, "what", 1);
	value_pair_text(&fixture.map, "framing", "x");
	check(&fixture, SETTINGS_CONFIGURATION);
	assert_int_equal(fixture.problems.errors, 4);
	assert_string_equal(fixture.problems.items[3].text, "unit is missing: unit id");
	finish(&fixture);
	fixture = (struct fixture){ .result = 0 };
	value_put_map(&fixture.map, 1);
	value_pair_integer(&fixture.map, "unit", 0);
	check(&fixture, SETTINGS_CONFIGURATION);
	assert_int_equal(fixture.problems.errors, 1);
	finish(&fixture);
}

static void test_no_map(void **state)
{
	struct fixture fixture = { .result = 0 };
	value_put_list(&fixture.map, 1);
	value_put_integer(&fixture.map, 1);
	check(&fixture, SETTINGS_SCRIPT);
	assert_int_equal(fixture.result, -EINVAL);
	assert_non_null(strstr(fixture.problems.items[0].text, "not a list"));
	finish(&fixture);
	/* A damaged encoding. */
	fixture = (struct fixture){ .result = 0 };
	value_put_map(&fixture.map, 2);
	value_pair_integer(&fixture.map, "unit", 1);
	check(&fixture, SETTINGS_SCRIPT);
	assert_int_equal(fixture.result, -EINVAL);
	finish(&fixture);
}

static void test_error_classes(void **state)
{
	for (uint32_t class = 0; class < EB_ERROR_CLASSES; class ++)
		assert_string_not_equal(error_class_name(class), "unknown");
	assert_string_equal(error_class_name(EB_CRC), "crc");
	assert_string_equal(error_class_name(EB_ERROR_CLASSES), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_types),
		cmocka_unit_test(test_hex_in_the_configuration),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_refused_lists),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_no_map),
		cmocka_unit_test(test_error_classes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
