/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the configuration share: a directory of their own, and two plugins that do little. */
#ifndef CONF_FIXTURE_H
#define CONF_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/conf.h"
#include "util/alloc.h"

/* ---- plugins -------------------------------------------------------------------------------- */

static const struct eb_key toy_bus_keys[] = {
	{ .name = "framing", .types = EB_TEXT, .choices = "rtu|ascii|tcp", .help = "the framing" },
	{ .name = "broadcast_unit", .types = EB_INTEGER, .max = 255, .help = "0 by default" },
	{ .name = NULL },
};
static const struct eb_key toy_device_keys[] = {
	{ .name = "unit",
		.types = EB_INTEGER,
		.flags = EB_REQUIRED,
		.max = 247,
		.help = "unit id, 0 to 247" },
	{ .name = NULL },
};
static const struct eb_key toy_request_keys[] = {
	{ .name = "read",
		.types = EB_TEXT,
		.flags = EB_REQUIRED,
		.choices = "coils|holding_registers",
		.help = "what to read" },
	{ .name = "address", .types = EB_INTEGER, .max = 65535, .help = "of the first" },
	{ .name = "count", .types = EB_INTEGER, .min = 1, .max = 65535, .help = "how many" },
	{ .name = "values", .types = EB_LIST, .max = 65535, .help = "what to write" },
	{ .name = NULL },
};

static const struct eb_value *toy_find(const struct eb_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->items[i].key, key) == 0)
			return &settings->items[i].value;
	}
	return NULL;
}

static int toy_open(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error)
{
	const struct eb_value *framing = toy_find(options, "framing");
	memset(state, 1, 16);
	if (!framing || strcmp(framing->data, "tcp") != 0 || line->transport == EB_TCP)
		return 0;
	snprintf(error->text, sizeof(error->text), "framing tcp needs a tcp link");
	return -22;
}

static int toy_address(const void *state, const struct eb_settings *device,
	struct eb_address *address, struct eb_error *error)
{
	const struct eb_value *unit = toy_find(device, "unit");
	if (unit->integer == 13) {
		snprintf(error->text, sizeof(error->text), "unit 13 brings bad luck: take 14");
		return -22;
	}
	address->size = 1;
	address->bytes[0] = (uint8_t)unit->integer;
	return 0;
}

static int toy_request(const void *state, const struct eb_settings *settings,
	struct eb_request *request, struct eb_error *error)
{
	const struct eb_value *count = toy_find(settings, "count");
	if (!count || count->integer <= 125)
		return 0;
	snprintf(error->text, sizeof(error->text), "a frame holds at most 125 registers");
	return -7;
}

static int toy_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame)
{
	return 0;
}

static void toy_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict)
{
	verdict->kind = EB_MORE;
}

/* One device on the line: it has no address. */
static int lone_address(const void *state, const struct eb_settings *device,
	struct eb_address *address, struct eb_error *error)
{
	return 0;
}

static const struct eb_plugin toy_plugin = { .abi = EB_PLUGIN_ABI,
	.size = sizeof(struct eb_plugin),
	.name = "toy",
	.summary = "for tests",
	.transports = EB_SERIAL | EB_TCP,
	.state_size = 16,
	.bus_keys = toy_bus_keys,
	.device_keys = toy_device_keys,
	.request_keys = toy_request_keys,
	.open = toy_open,
	.address = toy_address,
	.request = toy_request,
	.encode = toy_encode,
	.receive = toy_receive };

static const struct eb_plugin lone_plugin = { .abi = EB_PLUGIN_ABI,
	.size = sizeof(struct eb_plugin),
	.name = "lone",
	.summary = "for tests",
	.transports = EB_SERIAL,
	.state_size = 16,
	.open = toy_open,
	.address = lone_address,
	.request = toy_request,
	.encode = toy_encode,
	.receive = toy_receive };

static const struct eb_plugin *const fixture_plugins[] = { &toy_plugin, &lone_plugin, NULL };

/* ---- files ---------------------------------------------------------------------------------- */

struct fixture {
	char dir[64];
	char *main, *scripts;
	struct conf_defaults defaults;
	struct problems problems;
	char *said; /* the problems as printed, without the directory */
};

/* Writes a file below the fixture's directory; mode is set whatever the umask. */
static inline void fixture_write(
	const struct fixture *fixture, const char *name, mode_t mode, const char *text)
{
	char *path OWNED = must_printf("%s/%s", fixture->dir, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static inline void fixture_mkdir(const struct fixture *fixture, const char *name)
{
	char *path OWNED = must_printf("%s/%s", fixture->dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static inline int fixture_setup(void **state)
{
	struct fixture *fixture = must_alloc(sizeof(*fixture));
	strcpy(fixture->dir, "/tmp/eb-conf-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	fixture->main = must_printf("%s/main.conf", fixture->dir);
	fixture->scripts = must_printf("%s/scripts", fixture->dir);
	fixture_mkdir(fixture, "scripts");
	fixture_mkdir(fixture, "secrets");
	fixture_write(fixture, "scripts/meter.lua", 0644, "return {}\n");
	fixture_write(fixture, "secrets/dk1", 0640, "s3cret\n");
	fixture_write(fixture, "secrets/dk2", 0640, "other");
	fixture->defaults = (struct conf_defaults){ .plugin_dir = fixture->dir,
		.script_dirs = { fixture->scripts },
		.state_dir = "/var/lib/enos-bridge",
		.control_socket = "/run/enos-bridge/control",
		.builtin = fixture_plugins };
	*state = fixture;
	return 0;
}

static inline void fixture_forget(struct fixture *fixture)
{
	problems_finish(&fixture->problems);
	free(fixture->said);
	fixture->said = NULL;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	char *command OWNED = must_printf("rm -rf '%s'", fixture->dir);
	int result = system(command);
	fixture_forget(fixture);
	free(fixture->main);
	free(fixture->scripts);
	free(fixture);
	return result;
}

/* Takes the directory out of what was printed, wherever it stands. */
static inline void strip(char *text, const char *dir)
{
	size_t size = strlen(dir);
	for (char *at = strstr(text, dir); at; at = strstr(at, dir)) {
		size_t drop = at[size] == '/' ? size + 1 : size;
		memmove(at, at + drop, strlen(at + drop) + 1);
	}
}

/* Loads the main file as it is; what was said about it is in fixture->said. */
static inline struct conf *fixture_load(struct fixture *fixture)
{
	size_t size;
	fixture_forget(fixture);
	struct conf *conf = conf_load(fixture->main, &fixture->defaults, &fixture->problems);
	FILE *stream = open_memstream(&fixture->said, &size);
	problems_print(&fixture->problems, stream);
	fclose(stream);
	strip(fixture->said, fixture->dir);
	assert_int_equal(conf == NULL, fixture->problems.errors > 0);
	return conf;
}

static inline struct conf *fixture_load_text(struct fixture *fixture, const char *text)
{
	fixture_write(fixture, "main.conf", 0640, text);
	return fixture_load(fixture);
}

/* The groups that most tests need in front of what they are about, in one line. */
#define HEAD "gateway = { name = \"gw\"; }; enos = { host = \"cloud\"; };\n"
#define TCP_LINK "link = { type = \"tcp\"; host = \"h\"; port = 502; };"
#define BUS "buses = ( { name = \"b\"; plugin = \"toy\"; " TCP_LINK " } );\n"
#define SECRET "secret_file = \"secrets/dk1\";"

#endif
