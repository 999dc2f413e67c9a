/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of commands, as they stand in the spool's database: one row for each command that came,
 * also where it was refused or was one that came again.  A row tells who wanted what of which device,
 * and what came of it; and with its payload and reply it makes sure across restarts that nothing runs
 * twice and everything is answered.
 */
#ifndef EB_CLOUD_RECORD_H
#define EB_CLOUD_RECORD_H

#include "cloud/database.h"
#include "core/message.h"

/* The numbers stand in files. */
enum record_state {
	RECORD_BEGUN, /* on its way to the device; nothing is known of its end */
	RECORD_ANSWERED, /* the reply is there; the cloud has not acknowledged it */
	RECORD_DELIVERED, /* nothing more is owed */
};
const char *record_state_name(enum record_state state);

struct record {
	uint64_t id; /* in the order in which they came; 0: none yet */
	uint64_t key; /* of the device (census.h) */
	char *device; /* its name when the command came */
	enum command_origin origin;
	enum record_state state;
	bool repeat; /* came again: nothing was run, the first one's reply answers */
	int64_t came_ms, ended_ms; /* wall clock */
	int64_t spent_us; /* from its arrival to its reply */
	char *topic;
	char *command_id; /* NULL: a raw command */
	struct buffer payload; /* as it came; of a repeat nothing */
	int code; /* of the reply */
	char *why; /* what went wrong; NULL: nothing did */
	struct buffer reply; /* its payload; of a repeat nothing */
};

struct record *record_copy(const struct record *record);
/* Frees what it owns, and, for record_destroy(), itself. */
void record_finish(struct record *record);
void record_destroy(struct record *record);
/* Appends a JSON object for people and other programs; whole: with payload and reply. */
void record_print(const struct record *record, bool whole, struct buffer *json);

enum batch_kind {
	BATCH_WRITE, /* puts all of records, and takes away what is more than keep */
	BATCH_LOAD, /* reads what is begun or unanswered, and what ended after since_ms */
	BATCH_LIST, /* reads the last ones, the newest first */
};

/* What is done with records in one transaction. */
struct batch {
	enum batch_kind kind;
	struct record **records; /* owned */
	size_t count;
	uint64_t keep; /* BATCH_WRITE: rows that stay, beside those that are only begun */
	int64_t since_ms; /* BATCH_LOAD */
	uint64_t last_id; /* BATCH_LOAD: the greatest that there is */
	uint64_t key; /* BATCH_LIST: of this device alone; 0: of all */
	size_t room; /* BATCH_LIST: at most so many */
};

struct batch *batch_create(enum batch_kind kind);
void batch_destroy(struct batch *batch);
/* Appends the record, which is the batch's from then on. */
void batch_add(struct batch *batch, struct record *record);
/* Runs it in the transaction that is open.  0, or an error as of database.h. */
int batch_run(struct batch *batch, struct database *database);
/* Copies what can be read of the database at path into the other one. */
int records_rescue(const char *path, struct database *database);

/* What makes the table. */
#define RECORD_TABLE                                                                            \
	"CREATE TABLE commands(id INTEGER PRIMARY KEY, device INTEGER NOT NULL,"                \
	" origin INTEGER NOT NULL, state INTEGER NOT NULL, repeat INTEGER NOT NULL,"            \
	" came INTEGER NOT NULL, ended INTEGER NOT NULL, spent INTEGER NOT NULL,"               \
	" code INTEGER NOT NULL, name TEXT NOT NULL, topic TEXT NOT NULL, ident TEXT NOT NULL," \
	" why TEXT NOT NULL, payload BLOB NOT NULL, reply BLOB NOT NULL, hash INTEGER NOT NULL)"

#endif
