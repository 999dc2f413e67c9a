/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/proof.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "script/fixture.h"
#include "util/alloc.h"
#include "util/clock.h"

/* More differences than these say little more. */
#define SHOWN_MAX 5
/* The main thread stands still meanwhile: no session may expire over it. */
#define FIXTURES_MAX_US (2 * USEC_PER_SEC)

static void add(struct problems *problems, const struct problem *found, const char *path)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	struct place place = { found->file, found->line };
	buffer_put_text(&text, found->text);
	script_quote_line(&text, path, found->text);
	if (found->warning)
		problem_warning(problems, place, "%s", buffer_text(&text));
	else
		problem_error(problems, place, "%s", buffer_text(&text));
}

void proof_add(struct problems *problems, const struct problems *found, const char *path)
{
	for (size_t i = 0; i < found->count; i++)
		add(problems, &found->items[i], path);
}

/* "meter.lua:17: why" begins with the file's name alone: said is where it is, too. */
static void refuse(struct problems *problems, const char *path, const char *error)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	const char *slash = strrchr(path, '/'), *why = error;
	size_t size = strlen(slash ? slash + 1 : path);
	struct place place = { path, 0 };
	int behind = 0;
	if (strncmp(error, slash ? slash + 1 : path, size) == 0 && error[size] == ':') {
		why = error + size + 1;
		if (sscanf(why, "%u:%n", &place.line, &behind) == 1 && behind)
			why += behind;
		why += *why == ' ';
	} else if (strncmp(error, path, strlen(path)) == 0) {
		why = error + strlen(path);
		why += strspn(why, ": ");
	}
	buffer_put_text(&text, why);
	script_quote_line(&text, path, error);
	problem_error(problems, place, "%s", buffer_text(&text));
}

int proof_load(struct script **script, const char *path, const struct conf *conf,
	struct problems *problems)
{
	struct script_error error = { .text = "" };
	if (script_load(script, path, &conf->scripts, &error) == 0)
		return 0;
	refuse(problems, path, error.text);
	return -EINVAL;
}

/* NAME.test beside NAME.lua, or NULL where there is none. */
static char *find_fixtures(const char *path)
{
	size_t size = strlen(path);
	if (size < 4 || strcmp(path + size - 4, ".lua") != 0)
		return NULL;
	char *name = must_printf("%.*s.test", (int)size - 4, path);
	if (access(name, F_OK) == 0)
		return name;
	free(name);
	return NULL;
}

static void report(struct problems *problems, const struct problems *found, const char *path,
	const char *fixtures, bool refuse)
{
	for (size_t i = 0; i < found->count && i < SHOWN_MAX; i++) {
		struct problem problem = found->items[i];
		problem.warning = !refuse || problem.warning;
		add(problems, &problem, path);
	}
	const struct place place = { path, 0 };
	OWNED_BUFFER more = BUFFER_EMPTY;
	if (found->count > SHOWN_MAX)
		buffer_printf(&more, " (%zu more differences)", found->count - SHOWN_MAX);
	if (refuse)
		problem_error(problems, place,
			"its fixtures in %s fail%s: mend either, or set scripts.fixtures = \"warn\" to "
			"use it nevertheless",
			fixtures, buffer_text(&more));
	else
		problem_warning(problems, place,
			"its fixtures in %s fail%s: it is used nevertheless, as scripts.fixtures says",
			fixtures, buffer_text(&more));
}

int proof_run(const char *path, const struct conf *conf, struct problems *problems)
{
	enum conf_fixtures wanted = conf->scripts.fixtures;
	char *name OWNED = wanted == FIXTURES_SKIP ? NULL : find_fixtures(path);
	if (!name)
		return 0;
	struct problems found = PROBLEMS_NONE;
	struct fixture fixture;
	int failed = fixture_read(&fixture, name, conf->plugins, &found);
	fixture.time_us = FIXTURES_MAX_US;
	fixture.quiet = true;
	/* It may be about another script. */
	bool ours = failed < 0 || strcmp(fixture.script, path) == 0;
	if (failed == 0 && ours)
		failed = fixture_run(&fixture, &conf->scripts, &found);
	if (failed != 0)
		report(problems, &found, path, name, wanted == FIXTURES_REFUSE);
	problems_finish(&found);
	fixture_finish(&fixture);
	return failed != 0 && wanted == FIXTURES_REFUSE ? -EINVAL : 0;
}
