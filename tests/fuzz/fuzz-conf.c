/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a configuration file, through scanner, libconfig and all checks. */
#include "core/conf.c"

#include <assert.h>

/* A plugin with a key of each kind, which believes everything. */
static const struct eb_key keys[] = {
	{ .name = "unit", .types = EB_INTEGER, .flags = EB_REQUIRED, .max = 255 },
	{ .name = "ratio", .types = EB_REAL },
	{ .name = "swap", .types = EB_BOOLEAN },
	{ .name = "framing", .types = EB_TEXT, .choices = "rtu|ascii" },
	{ .name = "bytes", .types = EB_BYTES },
	{ .name = "values", .types = EB_LIST, .min = -9, .max = 9 },
	{ .name = "read", .types = EB_TEXT, .choices = "coils|holding_registers" },
	{ .name = "write", .types = EB_TEXT, .choices = "coils|holding_registers" },
	{ .name = "address", .types = EB_INTEGER, .max = 65535 },
	{ .name = "count", .types = EB_INTEGER, .min = 1, .max = 125 },
	{ .name = NULL },
};

static int open_bus(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error)
{
	return 0;
}

static int address(const void *state, const struct eb_settings *device, struct eb_address *to,
	struct eb_error *error)
{
	to->size = 1;
	return device->count > 3 ? -EINVAL : 0;
}

static int request(const void *state, const struct eb_settings *settings, struct eb_request *to,
	struct eb_error *error)
{
	return settings->count > 3 ? -EINVAL : 0;
}

static int encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame)
{
	return 0;
}

static void receive(void *state, const struct eb_input *input, struct eb_verdict *verdict)
{
	verdict->kind = EB_MORE;
}

static const struct eb_plugin plugin = { .abi = EB_PLUGIN_ABI,
	.size = sizeof(plugin),
	.name = "toy",
	.summary = "for fuzzing",
	.transports = EB_SERIAL | EB_TCP,
	.state_size = 8,
	.bus_keys = keys + 1,
	.device_keys = keys,
	.request_keys = keys + 1,
	.open = open_bus,
	.address = address,
	.request = request,
	.encode = encode,
	.receive = receive };

static const struct eb_plugin *const builtin[] = { &plugin, NULL };

static const struct conf_defaults defaults = { .plugin_dir = "/nonexistent",
	.script_dirs = { "/nonexistent" },
	.state_dir = "/nonexistent",
	.control_socket = "",
	.builtin = builtin };

/* Each is one line of text that stands somewhere in the file. */
static void check_problems(const struct problems *problems, const uint8_t *data, size_t size)
{
	unsigned lines = 1;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	for (size_t i = 0; i < problems->count; i++) {
		assert(problems->items[i].line <= lines);
		assert(problems->items[i].text[0]);
		assert(!strchr(problems->items[i].text, '\n'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems problems = PROBLEMS_NONE;
	struct conf *conf = must_alloc(sizeof(*conf));
	conf->path = must_strdup("fuzz.conf");
	conf->files = must_array(2, sizeof(*conf->files));
	conf->files[0] = must_strdup("fuzz.conf");
	struct conf_source source = { .file = conf->files[0] };
	struct sources sources = { &source, 1 };
	conf_source_parse(&source, (const char *)data, size, &problems);
	assert(source.root.type == NODE_GROUP || problems.errors);
	build(conf, &sources, "/nonexistent", &defaults, &problems);
	conf_source_finish(&source);
	check_problems(&problems, data, size);
	for (uint32_t i = 0; i < conf->device_count; i++) {
		assert(value_valid(
			conf->devices[i].parameters.data, conf->devices[i].parameters.size));
		assert(value_valid(conf->devices[i].polls.data, conf->devices[i].polls.size));
		assert(value_valid(conf->devices[i].points.data, conf->devices[i].points.size));
	}
	conf_destroy(conf);
	problems_finish(&problems);
	return 0;
}
