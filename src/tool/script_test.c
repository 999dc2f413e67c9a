/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "script/fixture.h"
#include "tool/script.h"
#include "util/alloc.h"

/* The fixtures beside a script. */
static char *fixture_path(const char *name)
{
	size_t size = strlen(name);
	if (size > 4 && strcmp(name + size - 4, ".lua") == 0)
		return must_printf("%.*s.test", (int)size - 4, name);
	return must_strdup(name);
}

/* Whether all cases of the file passed. */
static bool test_file(const char *name, struct plugins *plugins)
{
	char *path OWNED = fixture_path(name);
	struct problems problems = PROBLEMS_NONE;
	struct fixture fixture;
	int failed = fixture_read(&fixture, path, plugins, &problems);
	if (failed == 0)
		failed = fixture_run(&fixture, &script_limits, &problems);
	problems_print(&problems, stdout);
	if (failed < 0)
		printf("%s: could not be run\n", path);
	else if (failed > 0)
		printf("%s: %d of %zu cases failed\n", path, failed, fixture.case_count);
	else
		printf("%s: %zu cases passed\n", path, fixture.case_count);
	problems_finish(&problems);
	fixture_finish(&fixture);
	return failed == 0;
}

int script_test(int argc, char **argv)
{
	static const struct option names[] = { { "plugins", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 } };
	const char *directory = PLUGIN_DIR;
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, "p:", names, NULL)) != -1;) {
		if (option != 'p')
			return SCRIPT_USAGE;
		directory = optarg;
	}
	if (optind == argc) {
		fputs("enos-bridge: script test needs a FILE: NAME.test, or NAME.lua beside it\n",
			stderr);
		return SCRIPT_USAGE;
	}
	struct plugins *plugins = plugins_create(directory);
	bool passed = true;
	for (int i = optind; i < argc; i++)
		passed = test_file(argv[i], plugins) && passed;
	plugins_destroy(plugins);
	return passed ? 0 : SCRIPT_FAILED;
}
