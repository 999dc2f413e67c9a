/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a fixture file: read, and where it is one, run with a script that does a bit of everything. */
#include "script/fixture_read.c"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

extern const struct eb_plugin eb_plugin; /* modbus */

static const struct conf_scripts limits = { 20000, 1024, 200 };

static const char script_text[] =
	"return {\n"
	"	polls = { { name = 'live', period = 1, read = 'holding_registers', address = 0, count = 2 } },\n"
	"	decode = function(reading, device)\n"
	"		device.state.n = (device.state.n or 0) + 1\n"
	"		local regs = registers(reading.bytes)\n"
	"		return { { points = { a = regs:u16(0), n = device.state.n } }, { raw = reading.bytes } }\n"
	"	end,\n"
	"	encode = function(command, device, results)\n"
	"		if command.raw then return { { write = 'holding_registers', address = 1, bytes = command.raw } } end\n"
	"		if not command.params.a then return nil, 'no a' end\n"
	"		return { { read = 'coils', address = 1, count = 3 }, more = #results < command.params.a }\n"
	"	end,\n"
	"	reply = function(command, results) return { data = { count = #results } } end,\n"
	"}\n";

static char path[] = "/tmp/fuzz-fixture-XXXXXX";

static void forget(void)
{
	unlink(path);
}

static void write_script(void)
{
	int fd = mkstemp(path);
	assert(fd >= 0);
	ssize_t size = write(fd, script_text, strlen(script_text));
	assert(size == (ssize_t)strlen(script_text));
	close(fd);
	atexit(forget);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct plugins *plugins;
	if (!plugins) {
		plugins = plugins_create("/nonexistent");
		plugins_add(plugins, &eb_plugin);
		write_script();
	}
	struct problems problems = PROBLEMS_NONE;
	struct fixture fixture = { .source.file = "fuzz.test" };
	conf_source_parse(&fixture.source, (const char *)data, size, &problems);
	if (!problems.errors && fill(&fixture, plugins, &problems) == 0) {
		free(fixture.script);
		fixture.script = must_strdup(path);
		int failed = fixture_run(&fixture, &limits, &problems);
		assert((failed == 0) == (problems.errors == 0));
		assert(failed <= (int)fixture.case_count);
	}
	for (size_t i = 0; i < problems.count; i++)
		assert(problems.items[i].text[0] && !strchr(problems.items[i].text, '\n'));
	problems_finish(&problems);
	fixture_finish(&fixture);
	return 0;
}
