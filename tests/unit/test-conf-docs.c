/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written about the configuration, against the tables that it is read by: each key stands in
 * docs/configuration.md with what it may be and its default, nothing else does, and the man page
 * says the same.  With --print or --print-manual it writes what should stand there.
 */
#include "core/conf_schema.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/conf.h"
#include "conf-fixture.h"
#include "util/alloc.h"

extern const struct eb_plugin eb_plugin; /* modbus */

#define TABLE_HEAD "| key | what it may be | default | meaning |\n|---|---|---|---|\n"

static void put_default(const struct field *field, struct buffer *text)
{
	bool quoted = field->kind == FIELD_TEXT || field->kind == FIELD_CHOICE ||
		field->kind == FIELD_ANSWER || field->kind == FIELD_BYTES;
	if (field->flags & FIELD_REQUIRED)
		buffer_put_text(text, "required");
	else if (field->fallback)
		buffer_printf(text, quoted ? "`\"%s\"`" : "`%s`", field->fallback);
	else if (field->otherwise)
		buffer_put_text(text, field->otherwise);
	else
		buffer_put_text(text, "none");
}

static void put_row(const struct section *section, const struct field *field, struct buffer *text)
{
	buffer_printf(text, "| `%s` | ", field->key);
	field_describe(field, text);
	buffer_put_text(text, " | ");
	put_default(field, text);
	buffer_printf(text, " | %s", field->help);
	if (field->variants) {
		buffer_put_text(text, "; only with ");
		field_describe_variants(section, field, text);
	}
	buffer_put_text(text, " |\n");
}

static void put_table(const struct section *section, struct buffer *text)
{
	buffer_put_text(text, TABLE_HEAD);
	for (const struct field *field = section->fields; field->key; field++)
		put_row(section, field, text);
}

static void read_source(const char *name, struct buffer *text)
{
	const char *srcdir = getenv("srcdir");
	char *path OWNED = must_printf("%s/%s", srcdir ? srcdir : ".", name);
	FILE *file = fopen(path, "r");
	if (!file)
		fail_msg("%s cannot be read: run it from the build tree with srcdir set", path);
	char line[4096];
	while (fgets(line, sizeof(line), file))
		buffer_put_text(text, line);
	fclose(file);
}

/* The table below the heading, to its last row. */
static void check_table(const struct section *section, const char *document)
{
	OWNED_BUFFER expected = BUFFER_EMPTY;
	char *heading OWNED = must_printf("\n## %s\n", section->name);
	const char *chapter = strstr(document, heading);
	const char *table = chapter ? strstr(chapter, TABLE_HEAD) : NULL;
	put_table(section, &expected);
	if (!table || strncmp(table, buffer_text(&expected), expected.size) != 0 ||
		table[expected.size] == '|')
		fail_msg("docs/configuration.md, chapter %s, should have the table\n%s",
			section->name, buffer_text(&expected));
}

static void documents_every_key(void **state)
{
	OWNED_BUFFER document = BUFFER_EMPTY;
	read_source("docs/configuration.md", &document);
	for (const struct section *const *section = conf_sections; *section; section++)
		check_table(*section, buffer_text(&document));
}

/* mdoc(7) takes a backslash for an escape. */
static void put_escaped(struct buffer *text, const char *plain)
{
	for (; *plain; plain++) {
		if (*plain == '\\')
			buffer_put_text(text, "\\e");
		else
			buffer_put_byte(text, (uint8_t)*plain);
	}
}

static void put_entry(const struct section *section, const struct field *field, struct buffer *text)
{
	OWNED_BUFFER plain = BUFFER_EMPTY;
	buffer_printf(text, ".It Cm %s\nTakes ", field->key);
	field_describe(field, &plain);
	if (field->flags & FIELD_REQUIRED)
		buffer_put_text(&plain, "; required.\n");
	else if (field->fallback || field->otherwise)
		buffer_printf(&plain, "; default: %s.\n",
			field->fallback ? field->fallback : field->otherwise);
	else
		buffer_put_text(&plain, ".\n");
	if (field->variants) {
		buffer_put_text(&plain, "Only with ");
		field_describe_variants(section, field, &plain);
		buffer_put_text(&plain, ".\n");
	}
	buffer_printf(&plain, "%c%s.\n", toupper((unsigned char)field->help[0]), field->help + 1);
	put_escaped(text, buffer_text(&plain));
}

static void put_entries(const struct section *section, struct buffer *text)
{
	buffer_printf(text, ".Ss %s\n.Bl -tag -width Ds\n", section->name);
	for (const struct field *field = section->fields; field->key; field++)
		put_entry(section, field, text);
	buffer_put_text(text, ".El\n");
}

static void manual_has_every_key(void **state)
{
	OWNED_BUFFER manual = BUFFER_EMPTY;
	read_source("docs/enos-bridge.conf.5", &manual);
	for (const struct section *const *section = conf_sections; *section; section++) {
		OWNED_BUFFER expected = BUFFER_EMPTY;
		put_entries(*section, &expected);
		if (!strstr(buffer_text(&manual), buffer_text(&expected)))
			fail_msg("docs/enos-bridge.conf.5 should have\n%s", buffer_text(&expected));
	}
}

/* A default that its own field refuses would only show when somebody writes it down. */
static void check_default(
	struct fixture *fixture, const struct section *section, const struct field *field)
{
	if (!field->fallback)
		return;
	bool bare = field->kind == FIELD_NUMBER || field->kind == FIELD_BOOLEAN;
	bool piggyback = strcmp(field->key, "keepalive_topic") == 0;
	char *value OWNED = must_printf(bare ? "%s" : "\"%s\"", field->fallback);
	char *pair OWNED = must_printf("%s = %s;", field->key, value);
	bool gateway = section == &gateway_section, enos = section == &enos_section;
	char *text OWNED = must_printf(
		"gateway = { name = \"g\"; %s };\nenos = { host = \"h\"; %s %s };\n"
		"mqtt = { %s };\nscripts = { %s };\nspool = { %s };\n",
		gateway ? pair : "", piggyback ? "dialect = \"piggyback\";" : "", enos ? pair : "",
		section == &mqtt_section ? pair : "", section == &scripts_section ? pair : "",
		section == &spool_section ? pair : "");
	struct conf *conf = fixture_load_text(fixture, text);
	assert_string_equal(fixture->said, "");
	conf_destroy(conf);
}

static void defaults_are_allowed(void **state)
{
	static const struct section *const groups[] = { &gateway_section, &scripts_section,
		&enos_section, &mqtt_section, &spool_section };
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		for (const struct field *field = groups[i]->fields; field->key; field++)
			check_default(*state, groups[i], field);
	}
}

/* What a fresh installation starts with. */
static void shipped_file_is_accepted(void **state)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	read_source("etc/enos-bridge.conf", &text);
	struct conf *conf = fixture_load_text(*state, buffer_text(&text));
	assert_string_equal(((struct fixture *)*state)->said, "");
	assert_int_equal(conf->device_count, 0);
	assert_false(conf->mqtt.enabled);
	conf_destroy(conf);
}

/* The example of a document: from that word to the end of its list of devices. */
static void check_example(struct fixture *fixture, const char *name, const char *first,
	const char *head, unsigned count)
{
	OWNED_BUFFER document = BUFFER_EMPTY;
	read_source(name, &document);
	const char *begin = strstr(buffer_text(&document), first);
	assert_non_null(begin);
	const char *devices = strstr(begin, "\ndevices = (");
	assert_non_null(devices);
	const char *end = strstr(devices, "\n);");
	assert_non_null(end);
	char *text OWNED = must_printf("%s%.*s\n);\n", head, (int)(end - begin), begin);
	struct conf *conf = fixture_load_text(fixture, text);
	assert_string_equal(fixture->said, "");
	assert_int_equal(conf->bus_count, 2);
	assert_int_equal(conf->device_count, count);
	conf_destroy(conf);
}

static void examples_are_accepted(void **state)
{
	struct fixture *fixture = *state;
	const struct eb_plugin *const plugins[] = { &eb_plugin, NULL };
	fixture->defaults.builtin = plugins;
	fixture_write(fixture, "scripts/eastron-sdm630.lua", 0644, "return {}");
	fixture_write(fixture, "scripts/generic.lua", 0644, "return {}");
	fixture_write(fixture, "secrets/dk3", 0640, "third");
	fixture_write(fixture, "secrets/pk3", 0640, "product");
	check_example(fixture, "etc/devices.d/README", "buses = (", HEAD, 4);
	check_example(
		fixture, "docs/configuration.md", "gateway = { name = \"gw-1\"; };\nenos", "", 2);
}

static int print_all(
	void (*put)(const struct section *section, struct buffer *text), const char *heading)
{
	for (const struct section *const *section = conf_sections; *section; section++) {
		OWNED_BUFFER text = BUFFER_EMPTY;
		put(*section, &text);
		if (heading)
			printf("%s%s\n\n", heading, (*section)->name);
		printf("%s\n", buffer_text(&text));
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_every_key),
		cmocka_unit_test(manual_has_every_key),
		cmocka_unit_test_setup_teardown(
			defaults_are_allowed, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			shipped_file_is_accepted, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			examples_are_accepted, fixture_setup, fixture_teardown),
	};
	if (argc > 1 && strcmp(argv[1], "--print") == 0)
		return print_all(put_table, "## ");
	if (argc > 1 && strcmp(argv[1], "--print-manual") == 0)
		return print_all(put_entries, NULL);
	return cmocka_run_group_tests_name("conf-docs", tests, NULL, NULL);
}
