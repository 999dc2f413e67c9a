/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/rescue.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cloud/row.h"
#include "util/alloc.h"

/* Files that were set aside: more of them would fill the disk. */
#define KEPT_ASIDE 4

static int move(const char *from, const char *to, const char *tail)
{
	OWNED char *old = must_printf("%s%s", from, tail);
	OWNED char *new = must_printf("%s%s", to, tail);
	return rename(old, new) < 0 ? -errno : 0;
}

int rescue_set_aside(const char *path, char **aside)
{
	OWNED char *name = NULL;
	for (time_t now = time(NULL); !name || access(name, F_OK) == 0; now++) {
		free(name);
		name = must_printf("%s.damaged-%jd", path, (intmax_t)now);
	}
	/* The log first: a database without it is a database, a log without one would be replayed. */
	int result = move(path, name, "-wal");
	if (result < 0 && result != -ENOENT)
		return -EIO;
	if (move(path, name, "") < 0) {
		move(name, path, "-wal");
		return -EIO;
	}
	*aside = TAKE(name);
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	const char *const *one = a, *const *other = b;
	/* The newer the longer, or the later in the alphabet. */
	size_t size = strlen(*one), other_size = strlen(*other);
	return size < other_size ? -1 : size > other_size ? 1 : strcmp(*one, *other);
}

static bool is_log(const char *path)
{
	size_t size = strlen(path);
	return size > 4 && strcmp(path + size - 4, "-wal") == 0;
}

void rescue_prune(const char *path)
{
	OWNED char *pattern = must_printf("%s.damaged-*", path);
	glob_t found = { .gl_pathc = 0 };
	if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
		size_t count = 0;
		for (size_t i = 0; i < found.gl_pathc; i++) {
			if (is_log(found.gl_pathv[i]))
				continue;
			char *file = found.gl_pathv[i];
			found.gl_pathv[i] = found.gl_pathv[count];
			found.gl_pathv[count++] = file;
		}
		qsort(found.gl_pathv, count, sizeof(*found.gl_pathv), compare_paths);
		for (size_t i = 0; i + KEPT_ASIDE < count; i++) {
			OWNED char *log = must_printf("%s-wal", found.gl_pathv[i]);
			unlink(log);
			unlink(found.gl_pathv[i]);
		}
	}
	globfree(&found);
}

void rescue_put_back(const char *path, const char *aside)
{
	OWNED char *log = must_printf("%s-wal", path);
	unlink(log);
	unlink(path);
	move(aside, path, "");
	move(aside, path, "-wal");
}

/*
 * Reads until a place that cannot be read, then looks behind it in growing steps: a leaf of the tree
 * has some ten rows, a branch some thousands.
 */
int rescue_rows(const char *path,
	int (*keep)(void *context, uint64_t id, uint64_t device, const struct report *report),
	void *context)
{
	struct database database = { .file = NULL };
	struct statement row;
	int result = 0, found = 1;
	int64_t next = 1, step = 1;
	bool readable = database_open(&database, path) == 0 &&
		statement_make(&row, &database, ROW_READ) == 0;
	while (readable && found && result == 0 && step < ROW_ID_MAX && next < ROW_ID_MAX) {
		statement_bind(&row, 0, next);
		while (result == 0 && (found = statement_step(&row)) > 0 &&
			statement_number(&row, ROW_ID) >= next) {
			struct report *report = row_report(&row);
			next = statement_number(&row, ROW_ID) + 1;
			step = 1;
			if (report)
				result = keep(context, (uint64_t)next - 1,
					(uint64_t)statement_number(&row, ROW_DEVICE), report);
			report_release(report);
		}
		statement_reset(&row);
		next += step;
		step *= 2;
	}
	if (readable)
		statement_finish(&row);
	database_close(&database);
	return result;
}
