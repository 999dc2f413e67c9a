/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/field/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim/field/description.h"
#include "sim/field/map.h"
#include "sim/field/plan.h"
#include "util/alloc.h"

#define OVERRIDES_MAX 64
#define FAULTS_MAX 64
#define USAGE_STATUS 64

enum {
	OPT_TCP = 256,
	OPT_PTY,
	OPT_NAME,
	OPT_UNITS,
	OPT_LISTENERS,
	OPT_FRAMING,
	OPT_BAUD,
	OPT_BITS,
	OPT_STRICT,
	OPT_DELAY,
	OPT_RULE,
	OPT_REGISTERS,
	OPT_REPLAY,
	OPT_AT_ONCE,
	OPT_PATH,
	OPT_PORT,
	OPT_FAULT,
	OPT_SEED,
	OPT_SOCKET,
	OPT_TRANSCRIPT,
	OPT_PORT_FILE,
	OPT_CONTROL,
	OPT_HELP,
	OPT_VERSION
};

static const struct option longs[] = {
	{ "tcp", required_argument, NULL, OPT_TCP },
	{ "pty", required_argument, NULL, OPT_PTY },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "units", required_argument, NULL, OPT_UNITS },
	{ "listeners", required_argument, NULL, OPT_LISTENERS },
	{ "framing", required_argument, NULL, OPT_FRAMING },
	{ "baud", required_argument, NULL, OPT_BAUD },
	{ "bits", required_argument, NULL, OPT_BITS },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "delay", required_argument, NULL, OPT_DELAY },
	{ "rule", required_argument, NULL, OPT_RULE },
	{ "registers", required_argument, NULL, OPT_REGISTERS },
	{ "replay", required_argument, NULL, OPT_REPLAY },
	{ "at-once", no_argument, NULL, OPT_AT_ONCE },
	{ "path", required_argument, NULL, OPT_PATH },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "transcript", required_argument, NULL, OPT_TRANSCRIPT },
	{ "port-file", required_argument, NULL, OPT_PORT_FILE },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
	"usage: enos-field-sim [OPTIONS] [DESCRIPTION.json...]\n"
	"       enos-field-sim --control SOCKET COMMAND...\n"
	"Simulates Modbus units on pseudo-terminals and TCP ports; see enos-field-sim(1).\n"
	"\n"
	"A line, and then what belongs to it:\n"
	"  --pty PATH          a serial line, its terminal linked at PATH\n"
	"  --tcp HOST:PORT     a TCP port; 0 lets the system choose\n"
	"    --name NAME       (serial-1, tcp-2...)\n"
	"    --units IDS       1-10,20 (1)\n"
	"    --framing WORD    rtu, ascii or tcp\n"
	"    --baud N          of a serial line, 0 for no pace (9600)\n"
	"    --bits N          of a character: start, data, parity, stop (10)\n"
	"    --strict          drop requests that begin within 3.5 characters' silence\n"
	"    --listeners N     as many TCP lines, on successive ports (1)\n"
	"    --delay MS[+MS]   before each answer, and jitter on top (0)\n"
	"    --rule WORD       carry, fixed, counter, sine, walk, toggle, clock (carry)\n"
	"    --registers N     of each table (1000)\n"
	"    --replay FILE     play the devices' side of a recording back, in place of units\n"
	"    --at-once         the same without its delays\n"
	"\n"
	"  --path NAME=PATH    where the terminal of a described line is linked\n"
	"  --port NAME=PORT    what port a described line listens on\n"
	"  --fault 'WORDS'     something that goes wrong, e.g. 'unit=3 silence p=0.1'\n"
	"  --seed N            of faults, jitter and random walks (0)\n"
	"  --socket PATH       take commands there\n"
	"  --transcript FILE   write what happens, - for standard output\n"
	"  --port-file FILE    write \"NAME PORT\" of each TCP line, once all are open\n"
	"  --control SOCKET    be the other side: send each COMMAND, print its result\n"
	"  --help, --version\n";

/* What stands between two --pty or --tcp, and what waits for all lines to be there. */
struct reading {
	struct sim *sim;
	struct plan *plan; /* owned; NULL before the first line */
	char *host; /* owned; the plan's */
	struct ids ids;
	struct unit like;
	enum rule_kind rule;
	uint32_t registers;
	uint64_t seed;
	const char *faults[FAULTS_MAX];
	size_t fault_count;
	struct override overrides[OVERRIDES_MAX];
	size_t override_count;
	char error[320];
};

static int wrong(struct reading *reading, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(struct reading *reading, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reading->error, sizeof(reading->error), format, arguments);
	va_end(arguments);
	return -1;
}

static int take_number(struct reading *reading, const char *text, uint64_t max, uint64_t *number)
{
	char *end;
	*number = strtoull(text, &end, 10);
	if (end == text || *end || *text == '-' || *number > max)
		return wrong(reading, "'%s': a number from 0 to %llu is wanted", text,
			(unsigned long long)max);
	return 0;
}

/* Builds the line that was begun, if any. */
static int finish_line(struct reading *reading)
{
	OWNED struct plan *plan = TAKE(reading->plan);
	OWNED char *host = TAKE(reading->host);
	if (!plan)
		return 0;
	plan->host = host;
	struct rule rule = rule_default(reading->rule, reading->seed);
	struct map *map = map_uniform(&rule, reading->registers);
	sim_keep_map(reading->sim, map);
	reading->like.map = map;
	plan_add_units(plan, &reading->ids, &reading->like);
	return plan_build(plan, reading->sim, reading->error, sizeof(reading->error));
}

static int begin_line(struct reading *reading, bool serial, const char *place)
{
	int result = finish_line(reading);
	if (result < 0)
		return result;
	reading->plan = must_alloc(sizeof(*reading->plan));
	plan_init(reading->plan);
	reading->ids = (struct ids){ .ids = { 1 }, .count = 1 };
	reading->like = (struct unit){ .id = 0 };
	reading->rule = RULE_CARRY;
	reading->registers = 1000;
	if (serial) {
		reading->plan->path = place;
		return 0;
	}
	const char *colon = strrchr(place, ':');
	uint64_t port;
	if (!colon)
		return wrong(reading, "--tcp %s: HOST:PORT is wanted", place);
	if (take_number(reading, colon + 1, UINT16_MAX, &port) < 0)
		return -1;
	bool bracketed = place[0] == '[' && colon > place + 1 && colon[-1] == ']';
	const char *end = bracketed ? colon - 1 : colon;
	place += bracketed;
	reading->plan->port = (uint16_t)port;
	reading->host = must_printf("%.*s", (int)(end - place), place);
	return 0;
}

static int take_delay(struct reading *reading, const char *text)
{
	char *end;
	double delay = strtod(text, &end), jitter = 0;
	bool good = end != text;
	if (*end == '+') {
		const char *second = end + 1;
		jitter = strtod(second, &end);
		good = good && end != second;
	}
	if (!good || *end || !(delay >= 0 && delay <= 3.6e6 && jitter >= 0 && jitter <= 3.6e6))
		return wrong(reading, "--delay %s: ms, or ms+ms of jitter", text);
	reading->like.delay_us = (uint32_t)(delay * USEC_PER_MSEC);
	reading->like.jitter_us = (uint32_t)(jitter * USEC_PER_MSEC);
	return 0;
}

static int take_word(struct reading *reading, int option, const char *text)
{
	if (option == OPT_UNITS)
		return ids_parse(text, &reading->ids) < 0
			? wrong(reading, "--units %s: ids read 1-10,20", text)
			: 0;
	if (option == OPT_FRAMING) {
		reading->plan->framing = framing_parse(text);
		return reading->plan->framing < 0
			? wrong(reading, "--framing %s: rtu, ascii or tcp", text)
			: 0;
	}
	int rule = rule_parse(text);
	if (rule < 0)
		return wrong(reading, "--rule %s: no rule of that name", text);
	reading->rule = (enum rule_kind)rule;
	return 0;
}

/* Options that belong to the line before. */
static int take_line_option(struct reading *reading, int option, const char *text)
{
	uint64_t number = 0;
	if (!reading->plan)
		return wrong(reading, "this option belongs behind --pty or --tcp");
	switch (option) {
	case OPT_NAME:
		reading->plan->name = text;
		return 0;
	case OPT_STRICT:
		reading->plan->strict = true;
		return 0;
	case OPT_REPLAY:
		reading->plan->replay = text;
		return 0;
	case OPT_AT_ONCE:
		reading->plan->at_once = true;
		return 0;
	case OPT_DELAY:
		return take_delay(reading, text);
	case OPT_UNITS:
	case OPT_FRAMING:
	case OPT_RULE:
		return take_word(reading, option, text);
	}
	if (take_number(reading, text, option == OPT_BAUD ? 10000000 : 65536, &number) < 0)
		return -1;
	uint32_t small = (uint32_t)number;
	if (option == OPT_BAUD)
		reading->plan->baud = small;
	else if (option == OPT_BITS && small >= 7 && small <= 12)
		reading->plan->char_bits = small;
	else if (option == OPT_LISTENERS && small)
		reading->plan->listeners = small;
	else if (option == OPT_REGISTERS && small)
		reading->registers = small;
	else
		return wrong(reading, "'%s' is out of range", text);
	return 0;
}

static int take_override(struct reading *reading, bool port, const char *text)
{
	const char *equals = strchr(text, '=');
	if (!equals || reading->override_count == OVERRIDES_MAX)
		return wrong(reading, "'%s': NAME=%s is wanted", text, port ? "PORT" : "PATH");
	reading->overrides[reading->override_count++] = (struct override){
		.line = text, .size = (size_t)(equals - text), .value = equals + 1, .port = port
	};
	return 0;
}

static int take_option(
	struct reading *reading, struct options *options, int option, const char *text)
{
	switch (option) {
	case OPT_TCP:
	case OPT_PTY:
		return begin_line(reading, option == OPT_PTY, text);
	case OPT_PATH:
	case OPT_PORT:
		return take_override(reading, option == OPT_PORT, text);
	case OPT_FAULT:
		if (reading->fault_count == FAULTS_MAX)
			return wrong(reading, "more than %d faults", FAULTS_MAX);
		reading->faults[reading->fault_count++] = text;
		return 0;
	case OPT_SEED:
		if (take_number(reading, text, INT64_MAX, &reading->seed) < 0)
			return -1;
		reading->sim->dice.state = reading->seed;
		return 0;
	case OPT_SOCKET:
		options->socket = text;
		return 0;
	case OPT_TRANSCRIPT:
		options->transcript = text;
		return 0;
	case OPT_PORT_FILE:
		options->port_file = text;
		return 0;
	case OPT_CONTROL:
		options->control = text;
		return 0;
	}
	return take_line_option(reading, option, text);
}

static int load_files(struct reading *reading, char **paths, int count)
{
	for (int i = 0; i < count; i++) {
		int result = description_load(reading->sim, paths[i], reading->overrides,
			reading->override_count, reading->error, sizeof(reading->error));
		if (result < 0)
			return result;
	}
	for (size_t i = 0; i < reading->override_count; i++) {
		if (!reading->overrides[i].used)
			return wrong(reading, "%s: no described line has that name",
				reading->overrides[i].line);
	}
	for (size_t i = 0; i < reading->fault_count; i++) {
		int result = sim_add_fault(
			reading->sim, reading->faults[i], reading->error, sizeof(reading->error));
		if (result < 0)
			return result;
	}
	return list_empty(&reading->sim->lines) ? wrong(reading, "nothing to simulate; try --help")
						: 0;
}

static int read_options(struct reading *reading, struct options *options, int argc, char **argv)
{
	int option;
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option == '?')
			return wrong(reading, "try --help");
		if (option == OPT_HELP || option == OPT_VERSION) {
			fputs(option == OPT_HELP ? usage : PACKAGE_STRING "\n", stdout);
			return 1;
		}
		if (take_option(reading, options, option, optarg) < 0)
			return -1;
	}
	if (options->control) {
		options->commands = argv + optind;
		options->command_count = argc - optind;
		return options->command_count ? 0 : wrong(reading, "no command to send");
	}
	int result = finish_line(reading);
	return result < 0 ? result : load_files(reading, argv + optind, argc - optind);
}

int options_read(struct options *options, struct sim *sim, int argc, char **argv)
{
	struct reading reading = { .sim = sim };
	*options = (struct options){ .control = NULL };
	int result = read_options(&reading, options, argc, argv);
	free(reading.plan);
	free(reading.host);
	if (result >= 0)
		return result;
	fprintf(stderr, "enos-field-sim: %s\n", reading.error);
	return USAGE_STATUS + 1;
}
