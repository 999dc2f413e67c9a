/* SPDX-License-Identifier: Apache-2.0 */
#include "field/alias.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Adapters that get the next free number when they are plugged in. */
static bool is_numbered(const char *path)
{
	const char *name = strrchr(path, '/');
	return name && (strncmp(name, "/ttyUSB", 7) == 0 || strncmp(name, "/ttyACM", 7) == 0);
}

static bool find_in(
	const char *folder, const char *kind, const struct stat *port, char *name, size_t room)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", folder, kind);
	DIR *entries = opendir(path);
	if (!entries)
		return false;
	bool found = false;
	const struct dirent *entry;
	while (!found && (entry = readdir(entries))) {
		struct stat target;
		int size = snprintf(path, sizeof(path), "%s/%s/%s", folder, kind, entry->d_name);
		found = size < (int)sizeof(path) && stat(path, &target) == 0 &&
			S_ISCHR(target.st_mode) && target.st_rdev == port->st_rdev;
	}
	closedir(entries);
	if (found)
		snprintf(name, room, "%s", path);
	return found;
}

void alias_advise(const char *folder, const char *path, char *text, size_t room)
{
	struct stat port;
	char name[512] = "";
	text[0] = 0;
	if (!is_numbered(path))
		return;
	bool there = stat(path, &port) == 0 && S_ISCHR(port.st_mode);
	if (there && !find_in(folder, "by-id", &port, name, sizeof(name)))
		find_in(folder, "by-path", &port, name, sizeof(name));
	snprintf(text, room,
		"%s may be another port after replugging or a restart: write %s%s instead", path,
		name[0] ? name : "a name of ", name[0] ? "" : ALIAS_FOLDER "/by-id or by-path");
}
