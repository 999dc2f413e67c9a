/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/conf_grammar.h"
#include "util/json.h"

struct sample {
	const char *text;
	const char *json; /* the whole file; NULL: it could not be parsed */
	const char *said;
};

#define SMALL "-9223372036854775808L to 9223372036854775807L"

static const struct sample integers[] = {
	{ "a = 2147483647; b = -2147483648; c = +7; d = 007;",
		"{\"a\":2147483647,\"b\":-2147483648,\"c\":7,\"d\":7}", "" },
	{ "a = 5000000000;", "{\"a\":null}",
		"f:1: 5000000000 does not fit into 32 bits: write 5000000000L\n" },
	{ "a = 2147483648;\nb = -2147483649;\nc = 1;", "{\"a\":null,\"b\":null,\"c\":1}",
		"f:1: 2147483648 does not fit into 32 bits: write 2147483648L\n"
		"f:2: -2147483649 does not fit into 32 bits: write -2147483649L\n" },
	{ "a = 5000000000L; b = -9223372036854775808L; c = 9223372036854775807LL;",
		"{\"a\":5000000000,\"b\":-9223372036854775808,\"c\":9223372036854775807}", "" },
	{ "a = 9223372036854775808L;", "{\"a\":null}",
		"f:1: 9223372036854775808L does not fit into 64 bits: the range is " SMALL "\n" },
	{ "a = -9223372036854775809L;", "{\"a\":null}",
		"f:1: -9223372036854775809L does not fit into 64 bits: the range is " SMALL "\n" },
	{ "a = 99999999999999999999999999;", "{\"a\":null}",
		"f:1: 99999999999999999999999999 does not fit into 64 bits: the range is " SMALL
		"\n" },
	{ "a = 0x7fffffff; b = 0xffL; c = 0X10;", "{\"a\":2147483647,\"b\":255,\"c\":16}", "" },
	{ "a = 0xFFFFFFFF;", "{\"a\":null}",
		"f:1: 0xFFFFFFFF does not fit into 32 bits: write 0xFFFFFFFFL\n" },
	{ "a = 0x7fffffffffffffffL; b = 0xffffffffffffffffL;",
		"{\"a\":9223372036854775807,\"b\":null}",
		"f:1: 0xffffffffffffffffL does not fit into 64 bits: the range is " SMALL "\n" },
	{ "a = 0x10000000000000000L;", "{\"a\":null}",
		"f:1: 0x10000000000000000L does not fit into 64 bits: the range is " SMALL "\n" },
	{ "a = [ 1, 5000000000 ]; b = [ 1L, 99999999999999999999L ];",
		"{\"a\":[1,null],\"b\":[1,null]}",
		"f:1: 5000000000 does not fit into 32 bits: write 5000000000L\n"
		"f:1: 99999999999999999999L does not fit into 64 bits: the range is " SMALL "\n" },
	{ "a = 5000000000.0; b = 5000000000e0; c = .5; d = 1.; e = -1.5e-3; f = +5e1;",
		"{\"a\":5000000000.0,\"b\":5000000000.0,\"c\":0.5,\"d\":1.0,\"e\":-0.0015,\"f\":50.0}",
		"" },
	{ "a = \"5000000000\"; # 5000000000\nb5000000000 = 1; // 5000000000\n/* 5000000000\n*/ c-9 = 2;",
		"{\"a\":\"5000000000\",\"b5000000000\":1,\"c-9\":2}", "" },
	{ "device_secret = 5000000000;", "{\"device_secret\":null}",
		"f:1: this is a number that does not fit: write a text, between quotes\n" },
};

static const struct sample texts[] = {
	{ "a = \"x\\\"y\\\\\"; b = \"#\"; c = \"/*\"; d = \"*/\";",
		"{\"a\":\"x\\\"y\\\\\",\"b\":\"#\",\"c\":\"/*\",\"d\":\"*/\"}", "" },
	{ "a = \"one\" /* and */ \"two\"\n\"three\"; b = \"\\x41\\n\\t\";",
		"{\"a\":\"onetwothree\",\"b\":\"A\\n\\u0009\"}", "" },
	{ "a = 1; /* \" */ # \"\nb = 2; // \"\nc = 3", "{\"a\":1,\"b\":2,\"c\":3}", "" },
	{ "a = TRUE; b = False;", "{\"a\":true,\"b\":false}", "" },
	{ "a : 1, b = 2 c = 3", "{\"a\":1,\"b\":2,\"c\":3}", "" },
	{ "a = (); b = []; c = {}; d = ( [], (), {} );",
		"{\"a\":[],\"b\":[],\"c\":{},\"d\":[[],[],{}]}", "" },
	{ "a = 1;\r\nb = 2;\r\n", "{\"a\":1,\"b\":2}", "" },
	{ "a = \"a\\x00b\";", "{\"a\":\"ab\"}",
		"f:1: a text cannot hold \\x00: leave it out, or write bytes as hexadecimal digits\n" },
	{ "\n\n/* a = 1;", NULL, "f:3: this comment never ends: close it with */\n" },
	{ "a = 1;\nb = \"x;\nc = \"y\";", NULL,
		"f:2: this text does not end on its line: close it with \", write a line break as \\n\n" },
	{ "a = \"x\\", NULL,
		"f:1: this text does not end on its line: close it with \", write a line break as \\n\n" },
	{ "a = 1;\n@include \"x\"", NULL,
		"f:2: @include is not supported: put buses and devices into a *.conf file of devices.d, "
		"which is read by itself\n" },
	{ "a = ( 1,\n2, );", NULL, "f:2: a comma stands before the closing ')': remove it\n" },
	{ "a = [ 1, ];", NULL, "f:1: a comma stands before the closing ']': remove it\n" },
	{ "a = ( { b = 1; }\n{ c = 2; } );", NULL,
		"f:2: ',' between two items is expected here, not '{'\n" },
	{ "a = {\n b = 1;\n", NULL,
		"f:3: the '{' of line 1 is never closed: write '}' where it ends\n" },
	{ "a = (\n{ b = 1; );", NULL, "f:2: the '{' of line 2 must be closed with '}' first\n" },
	{ "a = 1; }", NULL, "f:1: nothing is open that this '}' could close\n" },
	{ "a = hello;", NULL, "f:1: a text must stand between quotes, like \"this\"\n" },
	{ "a = 1 2;", NULL, "f:1: ';' is expected here, not a number\n" },
	{ "a = 1;;", NULL, "f:1: a key is expected here, not ';'\n" },
	{ "a 1;", NULL, "f:1: '=' behind a key is expected here, not a number\n" },
	{ "a = ;", NULL,
		"f:1: a number, true, false, a text between quotes, { }, ( ) or [ ] is expected here, "
		"not ';'\n" },
	{ "a = [ ( ) ];", NULL,
		"f:1: a number, true, false or a text between quotes is expected here, not '('\n" },
	{ "a =", NULL,
		"f:1: a number, true, false, a text between quotes, { }, ( ) or [ ] is expected here, "
		"not the end of the file\n" },
	{ "a = -;", NULL, "f:1: this is no number: it has no digits\n" },
	{ "a = 0x;", NULL, "f:1: this is no number: it has no digits\n" },
	{ "1 = 2;", NULL, "f:1: a key is expected here, not a number\n" },
	{ "_a = 2;", NULL, "f:1: a key is expected here, not '_'\n" },
	{ "a = 1;\v", NULL, "f:1: a key is expected here, not the byte 0x0b\n" },
	{ "\xef\xbb\xbf"
	  "a = 1;",
		NULL,
		"f:1: a key is expected here, not the byte 0xef; a byte order mark? Save the file "
		"without one\n" },
	{ "a = ((((((((((((1))))))))))));", "{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}", "" },
	{ "a = (((((((((((((1)))))))))))));", NULL,
		"f:1: brackets stand deeper than 12 in one another\n" },
	{ "a = 1;\na = 2;\n", NULL, "f:2: this key stands twice in its group: keep one of them\n" },
};

static char *print(const struct problems *problems)
{
	char *said = NULL;
	size_t size;
	FILE *stream = open_memstream(&said, &size);
	problems_print(problems, stream);
	fclose(stream);
	return said;
}

static size_t check_one(const struct sample *sample)
{
	struct problems problems = PROBLEMS_NONE;
	struct conf_source source = { .file = "f" };
	OWNED_BUFFER value = BUFFER_EMPTY, json = BUFFER_EMPTY;
	conf_source_parse(&source, sample->text, strlen(sample->text), &problems);
	bool parsed = source.root.type == NODE_GROUP;
	if (parsed) {
		node_put_value(&source.root, &value);
		assert_int_equal(json_print_value(&json, value.data, value.size), 0);
	}
	char *said = print(&problems);
	bool same = strcmp(said, sample->said) == 0 && parsed == (sample->json != NULL) &&
		(!parsed || strcmp(buffer_text(&json), sample->json) == 0);
	if (!same)
		print_error("%s\ngave %s\n%s", sample->text,
			parsed ? buffer_text(&json) : "nothing", said);
	free(said);
	problems_finish(&problems);
	conf_source_finish(&source);
	return !same;
}

static void check(const struct sample *samples, size_t count)
{
	size_t wrong = 0;
	for (size_t i = 0; i < count; i++)
		wrong += check_one(&samples[i]);
	assert_int_equal(wrong, 0);
}

static void integers_that_do_not_fit(void **state)
{
	check(integers, sizeof(integers) / sizeof(*integers));
}

static void syntax(void **state)
{
	check(texts, sizeof(texts) / sizeof(*texts));
}

static void nul_bytes(void **state)
{
	static const char text[] = "a = 1;\n\0b = 2;";
	struct problems problems = PROBLEMS_NONE;
	struct conf_source source = { .file = "f" };
	conf_source_parse(&source, text, sizeof(text) - 1, &problems);
	assert_int_equal(source.root.type, NODE_BAD);
	char *said = print(&problems);
	assert_string_equal(said, "f:2: a NUL byte stands here: this is no text file\n");
	free(said);
	problems_finish(&problems);
}

/* libconfig's own accessor for lines ends at 65535. */
static void far_lines(void **state)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	struct problems problems = PROBLEMS_NONE;
	struct conf_source source = { .file = "f" };
	for (int i = 0; i < 70000; i++)
		buffer_put_byte(&text, '\n');
	buffer_put_text(&text, "a = 1;");
	conf_source_parse(&source, buffer_text(&text), text.size, &problems);
	assert_int_equal(problems.count, 0);
	assert_int_equal(source.root.items[0].place.line, 70001);
	conf_source_finish(&source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_that_do_not_fit),
		cmocka_unit_test(syntax),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(far_lines),
	};
	return cmocka_run_group_tests_name("conf-scan", tests, NULL, NULL);
}
