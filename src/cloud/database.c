/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/database.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The format that is needed to write the file (https://www.sqlite.org/fileformat.html, 1.3). */
#define FORMAT_PLACE 18
#define FORMAT_MAX 2

static bool is_outside(int code)
{
	switch (code & 0xff) {
	case SQLITE_PERM:
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_NOMEM:
	case SQLITE_READONLY:
	case SQLITE_INTERRUPT:
	case SQLITE_FULL:
	case SQLITE_CANTOPEN:
	case SQLITE_PROTOCOL:
	case SQLITE_NOLFS:
	case SQLITE_AUTH:
		return true;
	case SQLITE_IOERR:
		return code != SQLITE_IOERR_CORRUPTFS && code != SQLITE_IOERR_DATA;
	default:
		return false;
	}
}

static int failed(struct database *database, int code)
{
	int error = sqlite3_system_errno(database->file);
	bool outside = is_outside(code);
	snprintf(database->reason, sizeof(database->reason), "%s%s%s",
		sqlite3_errmsg(database->file), outside && error ? ": " : "",
		outside && error ? strerror(error) : "");
	return outside ? -EIO : -EBADMSG;
}

void database_shrink(struct database *database)
{
	if (database->file)
		sqlite3_db_release_memory(database->file);
}

int database_blame(struct database *database, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(database->reason, sizeof(database->reason), format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

static int configure(struct database *database)
{
	/* Sole use keeps the index of the log out of a file of its own. */
	int result = database_run(database,
		"PRAGMA locking_mode=EXCLUSIVE; PRAGMA cell_size_check=ON;"
		"PRAGMA trusted_schema=OFF; PRAGMA secure_delete=OFF; PRAGMA cache_size=-256; PRAGMA cache_spill=OFF; PRAGMA temp_store=MEMORY");
	if (result == 0)
		result = database_run(database, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
	return result;
}

int database_open(struct database *database, const char *path)
{
	/* SQLite would give it the umask's mode; its log takes the file's. */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		database_blame(database, "%s", strerror(errno));
		return -EIO;
	}
	/* A format from after our time would make SQLite open it for reading alone, which looks like the disk. */
	uint8_t format;
	bool strange = pread(fd, &format, 1, FORMAT_PLACE) == 1 && format > FORMAT_MAX;
	close(fd);
	if (strange)
		return database_blame(database, "its format is %u", format);
	int code = sqlite3_open_v2(path, &database->file,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
	if (code != SQLITE_OK)
		return failed(database, code);
	sqlite3_extended_result_codes(database->file, 1);
	return configure(database);
}

int database_open_memory(struct database *database)
{
	int code = sqlite3_open_v2(":memory:", &database->file,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
	return code == SQLITE_OK ? 0 : failed(database, code);
}

void database_close(struct database *database)
{
	sqlite3_close(database->file);
	database->file = NULL;
}

int database_run(struct database *database, const char *text)
{
	int code = sqlite3_exec(database->file, text, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : failed(database, code);
}

int64_t database_ask(struct database *database, const char *text)
{
	struct statement statement;
	int64_t answer = statement_make(&statement, database, text);
	if (answer == 0)
		answer = statement_step(&statement);
	if (answer > 0) {
		answer = statement_number(&statement, 0);
		if (answer < 0)
			answer = database_blame(database, "a number is below 0");
	}
	statement_finish(&statement);
	return answer;
}

int database_checkpoint(struct database *database)
{
	int code = sqlite3_wal_checkpoint_v2(
		database->file, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	return code == SQLITE_OK ? 0 : failed(database, code);
}

int statement_make(struct statement *statement, struct database *database, const char *text)
{
	*statement = (struct statement){ .database = database };
	int code = sqlite3_prepare_v2(database->file, text, -1, &statement->handle, NULL);
	return code == SQLITE_OK ? 0 : failed(database, code);
}

void statement_finish(struct statement *statement)
{
	sqlite3_finalize(statement->handle);
	statement->handle = NULL;
}

void statement_bind(struct statement *statement, int place, int64_t number)
{
	sqlite3_bind_int64(statement->handle, place + 1, number);
}

void statement_bind_text(struct statement *statement, int place, const char *text)
{
	sqlite3_bind_text(statement->handle, place + 1, text, -1, SQLITE_STATIC);
}

void statement_bind_bytes(struct statement *statement, int place, const void *bytes, size_t size)
{
	/* No bytes are not nothing: NULL would be refused. */
	sqlite3_bind_blob(
		statement->handle, place + 1, size ? bytes : "", (int)size, SQLITE_STATIC);
}

int statement_step(struct statement *statement)
{
	int code = sqlite3_step(statement->handle);
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : failed(statement->database, code);
}

void statement_reset(struct statement *statement)
{
	sqlite3_reset(statement->handle);
}

int statement_run(struct statement *statement)
{
	int result = statement_step(statement);
	statement_reset(statement);
	return result;
}

int64_t statement_number(const struct statement *statement, int column)
{
	return sqlite3_column_int64(statement->handle, column);
}

const char *statement_text(const struct statement *statement, int column)
{
	return (const char *)sqlite3_column_text(statement->handle, column);
}

const void *statement_bytes(const struct statement *statement, int column, size_t *size)
{
	const void *bytes = sqlite3_column_blob(statement->handle, column);
	*size = (size_t)sqlite3_column_bytes(statement->handle, column);
	return bytes;
}
