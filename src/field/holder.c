/* SPDX-License-Identifier: Apache-2.0 */
#include "field/holder.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void print_process(long process, char *text, size_t room)
{
	char path[64], name[32] = "?";
	snprintf(path, sizeof(path), "/proc/%ld/comm", process);
	FILE *file = fopen(path, "re");
	if (file) {
		if (fgets(name, sizeof(name), file))
			name[strcspn(name, "\n")] = 0;
		fclose(file);
	}
	snprintf(text, room, "%s (process %ld)", name, process);
}

/* The kernel lists who has flock()ed which inode: one short file. */
static long find_locker(const struct stat *port)
{
	FILE *locks = fopen("/proc/locks", "re");
	if (!locks)
		return 0;
	char line[160];
	long found = 0;
	while (!found && fgets(line, sizeof(line), locks)) {
		long process;
		unsigned device_major, device_minor;
		unsigned long inode;
		const char *kind = strstr(line, "FLOCK");
		if (kind &&
			sscanf(kind, "FLOCK %*s %*s %ld %x:%x:%lu", &process, &device_major,
				&device_minor, &inode) == 4 &&
			inode == port->st_ino &&
			makedev(device_major, device_minor) == port->st_dev)
			found = process;
	}
	fclose(locks);
	return found;
}

static bool has_open(long process, const struct stat *port)
{
	char path[320];
	snprintf(path, sizeof(path), "/proc/%ld/fd", process);
	DIR *descriptors = opendir(path);
	if (!descriptors)
		return false;
	bool found = false;
	const struct dirent *entry;
	while (!found && (entry = readdir(descriptors))) {
		struct stat target;
		snprintf(path, sizeof(path), "/proc/%ld/fd/%s", process, entry->d_name);
		found = entry->d_name[0] != '.' && stat(path, &target) == 0 &&
			S_ISCHR(target.st_mode) && target.st_rdev == port->st_rdev;
	}
	closedir(descriptors);
	return found;
}

static long find_opener(const struct stat *port)
{
	DIR *processes = opendir("/proc");
	if (!processes)
		return 0;
	long found = 0;
	const struct dirent *entry;
	while (!found && (entry = readdir(processes))) {
		long process = strtol(entry->d_name, NULL, 10);
		if (process > 0 && process != getpid() && has_open(process, port))
			found = process;
	}
	closedir(processes);
	return found;
}

void holder_find(const char *path, char *text, size_t room)
{
	text[0] = 0;
	struct stat port;
	if (stat(path, &port) < 0)
		return;
	long process = find_locker(&port);
	if (process <= 0)
		process = find_opener(&port);
	if (process > 0)
		print_process(process, text, room);
}
