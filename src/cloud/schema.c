/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/schema.h"

#include <stdio.h>
#include <string.h>

#include "cloud/boots.h"
#include "cloud/record.h"
#include "util/buffer.h"

/* What brings a file of version n to version n + 1. */
static const char *const upgrades[] = {
	"CREATE TABLE reports(id INTEGER PRIMARY KEY, device INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" wall INTEGER NOT NULL, mono INTEGER NOT NULL, synced INTEGER NOT NULL, name TEXT NOT NULL,"
	" data BLOB NOT NULL, hash INTEGER NOT NULL);"
	"CREATE INDEX attributes ON reports(id) WHERE kind=2;"
	"CREATE TABLE counts(device INTEGER PRIMARY KEY, first INTEGER NOT NULL,"
	" points INTEGER NOT NULL, strict INTEGER NOT NULL, bytes INTEGER NOT NULL)",
	"ALTER TABLE reports ADD COLUMN boot INTEGER NOT NULL DEFAULT 0;" BOOTS_TABLE,
	RECORD_TABLE,
};
#define VERSION ((int)(sizeof(upgrades) / sizeof(*upgrades)))

/* The application id is the version that a file was made with; its user version goes on from there. */
static int set_version(struct database *database, bool made)
{
	char text[80];
	int length = snprintf(text, sizeof(text), "PRAGMA user_version=%d", VERSION);
	if (made)
		snprintf(text + length, sizeof(text) - (size_t)length, ";PRAGMA application_id=%d",
			VERSION);
	return database_run(database, text);
}

static int upgrade(struct database *database)
{
	int64_t version = database_ask(database, "PRAGMA user_version");
	if (version < 0)
		return (int)version;
	if (version > VERSION)
		return database_blame(database, "it is of version %jd, and this program knows %d",
			(intmax_t)version, VERSION);
	if (version == VERSION)
		return 0;
	bool made = version == 0;
	int result = database_run(database, "BEGIN EXCLUSIVE");
	for (; result == 0 && version < VERSION; version++)
		result = database_run(database, upgrades[version]);
	if (result == 0)
		result = set_version(database, made);
	return result ? result : database_run(database, "COMMIT");
}

/* All that the file says of its tables, and where it is asked for the pages where they begin. */
static int describe(struct database *database, bool pages, struct buffer *text)
{
	struct statement row;
	int result = statement_make(
		&row, database, "SELECT rootpage, name, sql FROM sqlite_schema ORDER BY rowid");
	if (result == 0) {
		while ((result = statement_step(&row)) > 0) {
			const char *name = statement_text(&row, 1), *sql = statement_text(&row, 2);
			intmax_t page = pages ? (intmax_t)statement_number(&row, 0) : 0;
			buffer_printf(text, "%jd %s %s\n", page, name ? name : "", sql ? sql : "");
		}
	}
	statement_finish(&row);
	return result;
}

/*
 * A page number that was changed by damage would make a table look empty, and a changed condition an
 * index; so the file's own words are compared with those of a new database.  In a file of an older
 * version, tables that came later begin where its rows happened to end.
 */
static int check(struct database *database)
{
	OWNED_BUFFER text = BUFFER_EMPTY, wanted = BUFFER_EMPTY;
	struct database model = { .file = NULL };
	bool pages = database_ask(database, "PRAGMA application_id") == VERSION;
	int result = describe(database, pages, &text);
	if (result < 0)
		return result;
	result = database_open_memory(&model);
	if (result == 0)
		result = upgrade(&model);
	if (result == 0)
		result = describe(&model, pages, &wanted);
	database_close(&model);
	if (result < 0 || text.size != wanted.size ||
		memcmp(text.data, wanted.data, text.size) != 0)
		return database_blame(database, "its tables are not as they were made");
	return 0;
}

int schema_bring(struct database *database)
{
	int result = upgrade(database);
	return result ? result : check(database);
}
