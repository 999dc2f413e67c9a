/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SQLite file of ours alone, in WAL mode with synced commits; database.c alone knows the library.
 * Functions return 0 or what they say, -EIO for what the disk or another program did, which may pass,
 * and -EBADMSG for bytes that make no sense.
 */
#ifndef EB_CLOUD_DATABASE_H
#define EB_CLOUD_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sqlite3;
struct sqlite3_stmt;

struct database {
	struct sqlite3 *file; /* NULL: closed */
	char reason[200]; /* why the last call failed */
};

/* A statement that was made ready; reset after each use. */
struct statement {
	struct database *database;
	struct sqlite3_stmt *handle; /* NULL: not made */
};

/* Opens the file, which is made with mode 0600 where there is none. */
int database_open(struct database *database, const char *path);
/* A database that is nowhere. */
int database_open_memory(struct database *database);
/* All statements are finished by then; harmless where it is closed. */
void database_close(struct database *database);
/* Statements without results. */
int database_run(struct database *database, const char *text);
/* The number, not below 0, in the first column of the first row; 0 where there is none. */
int64_t database_ask(struct database *database, const char *text);
/* Gives back pages that were kept in memory; harmless while it is closed. */
void database_shrink(struct database *database);
/* Copies the log into the file, synced, and begins it anew. */
int database_checkpoint(struct database *database);
/* Keeps the reason and returns -EBADMSG. */
int database_blame(struct database *database, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

int statement_make(struct statement *statement, struct database *database, const char *text);
void statement_finish(struct statement *statement);
/* Parameters and columns are counted from 0. */
void statement_bind(struct statement *statement, int place, int64_t number);
/* The bytes must stay until the statement is reset. */
void statement_bind_text(struct statement *statement, int place, const char *text);
void statement_bind_bytes(struct statement *statement, int place, const void *bytes, size_t size);
/* 1: there is a row; 0: no more. */
int statement_step(struct statement *statement);
void statement_reset(struct statement *statement);
/* A step and a reset. */
int statement_run(struct statement *statement);
int64_t statement_number(const struct statement *statement, int column);
/* NULL where there is none; valid until the next step. */
const char *statement_text(const struct statement *statement, int column);
const void *statement_bytes(const struct statement *statement, int column, size_t *size);

#endif
