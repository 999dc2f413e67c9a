/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one typical reading costs: 20 registers in, 10 points out, as a report; and what a state
 * holds.  By the clock of the thread, the best of several rounds: a busy machine only ever adds.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "script/script.h"
#include "util/alloc.h"
#include "util/json.h"

#define ROUNDS 20
#define READINGS 20000

static const char unpacked[] =
	"local unpack = string.unpack\n"
	"return { decode = function(reading, device)\n"
	"	local v1, v2, v3, c1, c2, c3, p, f, e, i = unpack('>ffffffffff', reading.bytes)\n"
	"	return { points = { voltage_l1 = v1, voltage_l2 = v2, voltage_l3 = v3,\n"
	"		current_l1 = c1, current_l2 = c2, current_l3 = c3, power = p,\n"
	"		frequency = f, energy_export = e, energy_import = i } }\n"
	"end }\n";

/* Costs more in Lua and less in JSON: the numbers are short. */
static const char viewed[] =
	"return { decode = function(reading, device)\n"
	"	local regs = registers(reading.bytes)\n"
	"	return { points = { voltage_l1 = regs:f32(0), voltage_l2 = regs:f32(2),\n"
	"		voltage_l3 = regs:f32(4), current_l1 = regs:f32(6), current_l2 = regs:f32(8),\n"
	"		current_l3 = regs:f32(10), power = regs:f32(12), frequency = regs:f32(14),\n"
	"		energy_export = regs:f32(16), energy_import = regs:f32(18) } }\n"
	"end }\n";

/* Scaled by what the configuration says of the device, and of a quality. */
static const char declared[] =
	"return { parameters = { ct = { type = 'number', default = 40, min = 1 },\n"
	"	phases = { type = 'integer', default = 3, values = { 1, 3 } } },\n"
	"decode = function(reading, device)\n"
	"	local ct = device.parameters.ct\n"
	"	local v1, v2, v3, c1, c2, c3, p, f, e, i = string.unpack('>ffffffffff', reading.bytes)\n"
	"	return { points = { voltage_l1 = v1, voltage_l2 = v2, voltage_l3 = v3,\n"
	"		current_l1 = c1 * ct, current_l2 = c2 * ct, current_l3 = c3 * ct, power = p * ct,\n"
	"		frequency = f, energy_export = e * ct, energy_import = i * ct } },\n"
	"		device.parameters.phases == 1 and 'one phase' or nil\n"
	"end }\n";

static double now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct script *load_file(const char *path)
{
	struct conf_scripts limits = { 1000000, 16384, 250 };
	struct script *script;
	struct script_error error;
	if (script_load(&script, path, &limits, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
	return script;
}

static struct script *load(const char *source)
{
	char path[] = "/tmp/bench-script-XXXXXX";
	int fd = mkstemp(path);
	if (fd < 0 || write(fd, source, strlen(source)) != (ssize_t)strlen(source))
		exit(1);
	close(fd);
	struct script *script = load_file(path);
	unlink(path);
	return script;
}

static double best_us(struct script_device *device, const struct reading *reading, bool json)
{
	double best = 1e9;
	struct buffer text = BUFFER_EMPTY;
	for (int round = 0; round < ROUNDS; round++) {
		double begin = now_us();
		for (int i = 0; i < READINGS; i++) {
			struct reports reports;
			struct script_error error;
			if (script_decode(device, reading, &reports, &error) < 0) {
				fprintf(stderr, "%s\n", error.text);
				exit(1);
			}
			buffer_clear(&text);
			if (json)
				json_print_value(
					&text, reports.items[0]->data, reports.items[0]->size);
			reports_finish(&reports);
		}
		double each = (now_us() - begin) / READINGS;
		best = each < best ? each : best;
	}
	buffer_finish(&text);
	return best;
}

static void measure(const char *what, struct script *script, double loading,
	const struct conf_device *conf, const char *poll)
{
	struct script_device *device = script_device_create(script, conf);
	struct plan *plan = plan_create(0, &(struct eb_address){ 0 }, 1);
	plan->polls[0].request = must_alloc(sizeof(struct request));
	plan->polls[0].request->name = must_strdup(poll);
	plan->polls[0].period_us = 1000000;
	/* 230.1 in each pair of registers */
	uint8_t bytes[40];
	for (int i = 0; i < 10; i++)
		memcpy(bytes + i * 4, "\x43\x66\x19\x9a", 4);
	struct stamp stamp = { .wall_ms = 1700000000000 };
	struct reading *reading = reading_create(plan, 0, &stamp, bytes, sizeof(bytes));
	printf("%s\n", what);
	printf("loading a file             %8.1f us\n", loading);
	printf("a state holds, loaded      %8.1f KiB\n", (double)script_memory(script) / 1024);
	printf("reading to report          %8.2f us\n", best_us(device, reading, false));
	printf("reading to report to JSON  %8.2f us\n", best_us(device, reading, true));
	printf("a state holds, at work     %8.1f KiB\n", (double)script_memory(script) / 1024);
	message_destroy(&reading->mail);
	plan_release(plan);
	script_device_destroy(device);
	script_destroy(script);
}

static void measure_source(const char *what, const char *source)
{
	const struct conf_device conf = { .name = (char *)"meter-1" };
	double begin = now_us();
	struct script *script = load(source);
	measure(what, script, now_us() - begin, &conf, "live");
}

/* So many points of the shipped script for points: half of them scaled. */
static void measure_points(
	const char *path, int count, const char *what, const char *type, int size)
{
	struct conf_device conf = { .name = (char *)"meter-1", .points = BUFFER_EMPTY };
	value_put_list(&conf.points, (uint32_t)count);
	for (int i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof(name), "point_%d", i);
		value_put_map(&conf.points, i % 2 ? 7 : 6);
		value_pair_text(&conf.points, "name", name);
		value_pair_text(&conf.points, "read", "input_registers");
		value_pair_text(&conf.points, "type", type);
		value_pair_integer(&conf.points, "address", i * size);
		value_pair_integer(&conf.points, "count", size);
		value_pair_integer(&conf.points, "period", 10);
		if (i % 2)
			value_pair_real(&conf.points, "scale", 0.1);
	}
	double begin = now_us();
	struct script *script = load_file(path);
	measure(what, script, now_us() - begin, &conf, "input_registers-0-10s");
	buffer_finish(&conf.points);
}

/* The argument: the shipped script for points. */
int main(int argc, char **argv)
{
	measure_source("with string.unpack()", unpacked);
	measure_source("with registers():f32()", viewed);
	measure_source("with declared parameters", declared);
	if (argc < 2)
		return 0;
	measure_points(argv[1], 10, "with 10 points f32 of the configuration", "f32", 2);
	measure_points(argv[1], 20, "with 20 points u16 of the configuration", "u16", 1);
	return 0;
}
