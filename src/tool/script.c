/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/script.h"

#include <stdio.h>
#include <string.h>

const struct conf_scripts script_limits = {
	.instructions = 1000000,
	.memory_kb = 16384,
	.wall_ms = 250,
};

static const struct {
	const char *name, *arguments, *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "test", "[--plugins DIR] [--watch] FILE...",
		"runs the fixtures of scripts (NAME.test or NAME.lua); --watch: at each save",
		script_test },
	{ "run", "FILE --poll NAME --hex BYTES", "what a script makes of one reading", script_run },
	{ "run", "FILE --command JSON [--topic TOPIC]", "what it makes of one command",
		script_run },
	{ "run", "FILE --polls",
		"what it polls; all three take --parameters JSON and --points LIST", script_run },
	{ "new", "NAME", "writes NAME.lua and NAME.test to begin with", script_new },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

static void print_help(FILE *to)
{
	fputs("usage: enos-bridge script COMMAND\n\ncommands:\n", to);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(to, "  %-4s %-37s %s\n", commands[i].name, commands[i].arguments,
			commands[i].summary);
	fputs("\nexit status: 0; 1 a fixture or a script failed; 2 usage\n", to);
}

int script_main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return SCRIPT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
		print_help(stdout);
		return 0;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, argv[1]) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "enos-bridge: no such command: script %s\n", argv[1]);
	print_help(stderr);
	return SCRIPT_USAGE;
}
