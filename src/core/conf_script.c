/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_parts.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"

static bool is_readable_file(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, R_OK) == 0;
}

static char *search(const struct conf *conf, const char *name)
{
	for (char **dir = conf->gateway.script_dirs; dir && *dir; dir++) {
		char *path = must_printf("%s/%s", *dir, name);
		if (is_readable_file(path))
			return path;
		free(path);
	}
	return NULL;
}

/* Where the name stands in the table, or where it would. */
static size_t place_of(const struct conf_parts *parts, const char *name, bool *known)
{
	size_t low = 0, high = parts->script_count;
	*known = false;
	while (low < high && !*known) {
		size_t middle = (low + high) / 2;
		int order = strcmp(parts->scripts[middle].name, name);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
		*known = order == 0;
	}
	return *known ? high : low;
}

char *script_blocked(const struct conf *conf, const char *name)
{
	for (char **dir = conf->gateway.script_dirs; dir && *dir; dir++) {
		char *path = must_printf("%s/%s", *dir, name);
		if (access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

const char *script_find(struct conf_parts *parts, const char *name)
{
	bool known;
	size_t at = place_of(parts, name, &known);
	if (known)
		return parts->scripts[at].path;
	parts->scripts = must_realloc(
		parts->scripts, (parts->script_count + 1) * sizeof(*parts->scripts));
	memmove(parts->scripts + at + 1, parts->scripts + at,
		(parts->script_count - at) * sizeof(*parts->scripts));
	parts->scripts[at] = (struct script_place){ .name = must_strdup(name),
		.path = search(parts->conf, name) };
	parts->script_count++;
	return parts->scripts[at].path;
}

void scripts_finish(struct conf_parts *parts)
{
	for (size_t i = 0; i < parts->script_count; i++) {
		free(parts->scripts[i].name);
		free(parts->scripts[i].path);
	}
	free(parts->scripts);
	parts->scripts = NULL;
	parts->script_count = 0;
}
