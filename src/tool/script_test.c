/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "script/fixture.h"
#include "tool/script.h"
#include "tool/script_watch.h"
#include "util/alloc.h"
#include "util/plural.h"

/* The fixtures beside a script. */
static char *fixture_path(const char *name)
{
	size_t size = strlen(name);
	if (size > 4 && strcmp(name + size - 4, ".lua") == 0)
		return must_printf("%.*s.test", (int)size - 4, name);
	return must_strdup(name);
}

/* The script that the fixtures are beside, unless they name another. */
static char *script_path_of(const char *fixtures)
{
	size_t size = strlen(fixtures);
	if (size > 5 && strcmp(fixtures + size - 5, ".test") == 0)
		return must_printf("%.*s.lua", (int)size - 5, fixtures);
	return must_strdup(fixtures);
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
		printf("%s: %d of %zu case%s failed\n", path, failed, fixture.case_count,
			plural(fixture.case_count, "s"));
	else
		printf("%s: %zu case%s passed\n", path, fixture.case_count,
			plural(fixture.case_count, "s"));
	problems_finish(&problems);
	fixture_finish(&fixture);
	return failed == 0;
}

/* Both halves of each: what was saved is tried. */
static int watch_files(char **files, size_t count, struct plugins *plugins)
{
	char **paths = must_array(2 * count, sizeof(*paths));
	bool *changed = must_array(2 * count, sizeof(*changed));
	for (size_t i = 0; i < count; i++) {
		paths[2 * i] = fixture_path(files[i]);
		paths[2 * i + 1] = script_path_of(paths[2 * i]);
	}
	struct script_watch *watch = script_watch_create(paths, 2 * count);
	int result = watch ? 0 : -errno;
	while (result == 0) {
		puts("waiting for a change; Ctrl-C ends it");
		fflush(stdout);
		result = script_watch_wait(watch, changed);
		for (size_t i = 0; i < count && result == 0; i++) {
			if (changed[2 * i] || changed[2 * i + 1])
				test_file(files[i], plugins);
		}
	}
	fprintf(stderr, "enos-bridge: the files cannot be watched: %s\n", strerror(-result));
	script_watch_destroy(watch);
	for (size_t i = 0; i < 2 * count; i++)
		free(paths[i]);
	free(paths);
	free(changed);
	return SCRIPT_FAILED;
}

static int complain(void)
{
	fputs("enos-bridge: script test needs a FILE: NAME.test, or NAME.lua beside it\n", stderr);
	return SCRIPT_USAGE;
}

int script_test(int argc, char **argv)
{
	static const struct option names[] = { { "plugins", required_argument, NULL, 'p' },
		{ "watch", no_argument, NULL, 'w' }, { NULL, 0, NULL, 0 } };
	const char *directory = PLUGIN_DIR;
	bool watch = false;
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, "p:w", names, NULL)) != -1;) {
		if (option == 'p')
			directory = optarg;
		else if (option == 'w')
			watch = true;
		else
			return SCRIPT_USAGE;
	}
	if (optind == argc)
		return complain();
	struct plugins *plugins = plugins_create(directory);
	bool passed = true;
	for (int i = optind; i < argc; i++)
		passed = test_file(argv[i], plugins) && passed;
	int status = passed ? 0 : SCRIPT_FAILED;
	if (watch)
		status = watch_files(argv + optind, (size_t)(argc - optind), plugins);
	plugins_destroy(plugins);
	return status;
}
