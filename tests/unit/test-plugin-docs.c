/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What docs/plugins.md says of each plugin's keys, against the plugins' own tables.  With --print it writes
 * the tables that should stand there.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <enos-bridge/plugin.h>

#include "util/alloc.h"
#include "util/buffer.h"

#define TABLE_HEAD "| key | what it may be | meaning |\n|---|---|---|\n"

static const char *const names[] = { "modbus", "frame", "dlt645" };

static const struct eb_plugin *load(const char *name)
{
	char *path OWNED = must_printf("%s/%s.so", PLUGINS, name);
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct eb_plugin *plugin = object ? dlsym(object, "eb_plugin") : NULL;
	if (!plugin)
		fail_msg("%s: %s", path, dlerror());
	return plugin;
}

static void put_choices(const char *choices, struct buffer *text)
{
	while (*choices) {
		size_t size = strcspn(choices, "|");
		buffer_printf(text, "\"%.*s\"", (int)size, choices);
		choices += size + (choices[size] != 0);
		if (*choices)
			buffer_put_text(text, strchr(choices, '|') ? ", " : " or ");
	}
}

static void put_types(const struct eb_key *key, struct buffer *text)
{
	static const char *const types[] = { "an integer", "a number", "true or false", "a text",
		"hexadecimal digits", "a list" };
	bool first = true, ranged = key->min || key->max;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (!(key->types & 1u << i))
			continue;
		buffer_put_text(text, first ? "" : " or ");
		first = false;
		if (key->choices && 1u << i == EB_TEXT)
			put_choices(key->choices, text);
		else
			buffer_put_text(text, types[i]);
		if (ranged && (1u << i == EB_INTEGER || 1u << i == EB_LIST))
			buffer_printf(text, "%s %" PRId64 " to %" PRId64,
				1u << i == EB_LIST ? " of" : ",", key->min, key->max);
	}
	if (key->flags & EB_REQUIRED)
		buffer_put_text(text, "; required");
}

static void put_table(const struct eb_key *key, struct buffer *text)
{
	buffer_put_text(text, TABLE_HEAD);
	for (; key->name; key++) {
		buffer_printf(text, "| `%s` | ", key->name);
		put_types(key, text);
		buffer_printf(text, " | %s |\n", key->help);
	}
}

static void put_tables(const struct eb_plugin *plugin, struct buffer *text)
{
	const struct {
		const char *heading;
		const struct eb_key *keys;
	} tables[] = { { "On a bus", plugin->bus_keys }, { "On a device", plugin->device_keys },
		{ "On a poll or a request", plugin->request_keys } };
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		buffer_printf(text, "%s### %s\n\n", i ? "\n" : "", tables[i].heading);
		put_table(tables[i].keys, text);
	}
}

static void read_document(struct buffer *text)
{
	const char *srcdir = getenv("srcdir");
	char *path OWNED = must_printf("%s/docs/plugins.md", srcdir ? srcdir : ".");
	FILE *file = fopen(path, "r");
	char line[4096];
	if (!file)
		fail_msg("%s cannot be read: run it from the build tree with srcdir set", path);
	while (fgets(line, sizeof(line), file))
		buffer_put_text(text, line);
	fclose(file);
}

static void documents_every_key(void **state)
{
	OWNED_BUFFER document = BUFFER_EMPTY;
	read_document(&document);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		OWNED_BUFFER expected = BUFFER_EMPTY;
		char *heading OWNED = must_printf("\n## %s\n", names[i]);
		const char *chapter = strstr(buffer_text(&document), heading);
		put_tables(load(names[i]), &expected);
		const char *tables = chapter ? strstr(chapter, buffer_text(&expected)) : NULL;
		const char *next = chapter ? strstr(chapter + 1, "\n## ") : NULL;
		if (!tables || (next && tables > next) || tables[expected.size] == '|')
			fail_msg("docs/plugins.md, chapter %s, should have the tables\n%s",
				names[i], buffer_text(&expected));
	}
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(documents_every_key) };
	if (count < 2 || strcmp(arguments[1], "--print") != 0)
		return cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		OWNED_BUFFER text = BUFFER_EMPTY;
		put_tables(load(names[i]), &text);
		printf("## %s\n\n%s\n", names[i], buffer_text(&text));
	}
	return 0;
}
