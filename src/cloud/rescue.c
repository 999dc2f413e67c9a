/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cloud/row.h"
#include "util/alloc.h"

/* Files that were set aside: more of them would fill the disk. */
#define KEPT_ASIDE 4
/* SQLite's, where nothing else is said. */
#define PAGE_SIZE 4096

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

/* "-wal" or "-page1": what belongs to a file that was set aside. */
static bool is_beside(const char *path)
{
	return strchr(strstr(path, ".damaged-") + strlen(".damaged-"), '-') != NULL;
}

void rescue_prune(const char *path)
{
	OWNED char *pattern = must_printf("%s.damaged-*", path);
	glob_t found = { .gl_pathc = 0 };
	if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
		size_t count = 0;
		for (size_t i = 0; i < found.gl_pathc; i++) {
			if (is_beside(found.gl_pathv[i]))
				continue;
			char *file = found.gl_pathv[i];
			found.gl_pathv[i] = found.gl_pathv[count];
			found.gl_pathv[count++] = file;
		}
		qsort(found.gl_pathv, count, sizeof(*found.gl_pathv), compare_paths);
		for (size_t i = 0; i + KEPT_ASIDE < count; i++) {
			OWNED char *log = must_printf("%s-wal", found.gl_pathv[i]);
			OWNED char *page = must_printf("%s-page1", found.gl_pathv[i]);
			unlink(log);
			unlink(page);
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

static void put_number(uint8_t *at, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* The size of its pages stands in the file (https://www.sqlite.org/fileformat.html, 1.3). */
static bool read_page(const char *path, uint8_t *page, off_t *size)
{
	struct stat stat_of;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && fstat(fd, &stat_of) == 0 && stat_of.st_size >= PAGE_SIZE &&
		pread(fd, page, PAGE_SIZE, 0) == PAGE_SIZE;
	if (good)
		*size = stat_of.st_size;
	if (fd >= 0)
		close(fd);
	return good;
}

static bool write_page(const char *path, int flags, const uint8_t *page)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	bool good = fd >= 0 && pwrite(fd, page, PAGE_SIZE, 0) == PAGE_SIZE;
	if (fd >= 0)
		close(fd);
	return good;
}

/*
 * The first page says where each table begins, which is the same in all files of ours: so that of a good
 * one stands in for one that is damaged, which is kept beside the file.
 */
static bool lend_first_page(const char *path, const char *model)
{
	uint8_t page[PAGE_SIZE], lent[PAGE_SIZE];
	off_t size, model_size;
	OWNED char *old = must_printf("%s-page1", path);
	if (!read_page(path, page, &size) || !read_page(model, lent, &model_size) ||
		(lent[16] << 8 | lent[17]) != PAGE_SIZE || memcmp(page, lent, PAGE_SIZE) == 0)
		return false;
	put_number(lent + 28, (uint32_t)(size / PAGE_SIZE));
	memset(lent + 32, 0, 8); /* no list of free pages */
	memcpy(lent + 92, lent + 24, 4); /* so that the number of pages is believed */
	return write_page(old, O_CREAT | O_TRUNC, page) && write_page(path, 0, lent);
}

/*
 * Reads until a place that cannot be read, then looks behind it in growing steps: a leaf of the tree
 * has some ten rows, a branch some thousands.
 */
static int read_rows(const char *path, rescue_keep *keep, void *context, uint64_t *kept)
{
	struct database database = { .file = NULL };
	struct statement row;
	int result = 0, found = 1;
	int64_t next = 1, step = 1;
	bool readable = database_open(&database, path) == 0 &&
		statement_make(&row, &database, ROW_READ) == 0;
	while (readable && found && result == 0 && step < ROW_ID_MAX && next < ROW_ID_MAX) {
		statement_bind(&row, 0, next);
		/* An id beyond all that we give comes of damage, and nothing would stand behind it. */
		while (result == 0 && (found = statement_step(&row)) > 0 &&
			statement_number(&row, ROW_ID) >= next &&
			statement_number(&row, ROW_ID) <= ROW_ID_MAX) {
			struct report *report = row_report(&row);
			next = statement_number(&row, ROW_ID) + 1;
			step = 1;
			*kept += report != NULL;
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

int rescue_rows(const char *path, const char *model, rescue_keep *keep, void *context)
{
	uint64_t kept = 0;
	int result = read_rows(path, keep, context, &kept);
	if (result == 0 && !kept && lend_first_page(path, model))
		result = read_rows(path, keep, context, &kept);
	return result;
}
