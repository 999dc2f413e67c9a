/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cloud/boots.h"
#include "cloud/census.h"
#include "cloud/record.h"
#include "cloud/rescue.h"
#include "cloud/row.h"
#include "cloud/schema.h"
#include "util/alloc.h"
#include "util/log.h"
#include "util/plural.h"

/* Rows that one store_read() looks at, so that none takes long. */
#define LOOK_MAX 20000
#define EVICT_ROWS 500
/* Writes between two savings of the census: a start after a power cut counts what came since. */
#define CENSUS_EVERY 64
/* Rows of one transaction while a damaged file is copied. */
#define RESCUE_ROWS 5000

enum statement_name {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_INSERT,
	SQL_DELETE,
	SQL_READ,
	SQL_ATTRIBUTES,
	SQL_KEEP_COUNTS,
	STATEMENTS,
};

static const char *const texts[STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_INSERT] = ROW_INSERT,
	[SQL_DELETE] = "DELETE FROM reports WHERE id=? "
		       "RETURNING device, kind, length(CAST(name AS BLOB)) + length(data)",
	[SQL_READ] = ROW_READ,
	[SQL_ATTRIBUTES] = "SELECT " ROW_COLUMNS " FROM reports WHERE kind=2 AND id>=? ORDER BY id",
	[SQL_KEEP_COUNTS] = "INSERT OR REPLACE INTO counts(device, first, points, strict, bytes) "
			    "VALUES(?,?,?,?,?)",
};

struct store {
	char *path;
	struct database database;
	struct statement statements[STATEMENTS];
	struct census census;
	struct boots boots;
	uint64_t next_id, counted_to, evict_from;
	uint64_t evicted, damaged;
	unsigned unsaved; /* writes since the census was saved */
	/* A commit failed: until a checkpoint was synced, the end of the log may not be on the disk. */
	bool doubtful;
	uint64_t kept; /* rows that were read from a damaged file */
};

static void close_file(struct store *store)
{
	for (int i = 0; i < STATEMENTS; i++)
		statement_finish(&store->statements[i]);
	database_close(&store->database);
}

static int insert(struct store *store, uint64_t id, uint64_t device, const struct report *report)
{
	row_bind(&store->statements[SQL_INSERT], id, device, store->boots.present, report);
	int result = statement_run(&store->statements[SQL_INSERT]);
	if (result == 0)
		census_add(&store->census, device, id, report->kind,
			strlen(report->name) + report->size);
	if (id >= store->next_id)
		store->next_id = id + 1;
	return result;
}

static int open_file(struct store *store)
{
	int result = database_open(&store->database, store->path);
	if (result == 0)
		result = schema_bring(&store->database);
	for (int i = 0; result == 0 && i < STATEMENTS; i++)
		result = statement_make(&store->statements[i], &store->database, texts[i]);
	return result;
}

static uint32_t hash_counts(uint32_t hash, uint64_t device, const struct store_counts *counts)
{
	const uint64_t numbers[] = { device, counts->first, counts->points, counts->strict,
		counts->bytes };
	return row_hash(hash, numbers, sizeof(numbers));
}

/* *sound: they are as they were written, which their hash tells. */
static int read_counts(struct store *store, bool *sound)
{
	struct statement row;
	uint32_t hash = ROW_HASH_START;
	uint64_t wanted = 0;
	int result = statement_make(&row, &store->database,
		"SELECT device, first, points, strict, bytes FROM counts ORDER BY device");
	if (result == 0) {
		while ((result = statement_step(&row)) > 0) {
			uint64_t device = (uint64_t)statement_number(&row, 0);
			struct store_counts counts = {
				.first = (uint64_t)statement_number(&row, 1),
				.points = (uint64_t)statement_number(&row, 2),
				.strict = (uint64_t)statement_number(&row, 3),
				.bytes = (uint64_t)statement_number(&row, 4),
			};
			if (device) {
				census_set(&store->census, device, &counts);
			} else {
				store->counted_to = counts.first;
				wanted = counts.points;
				counts.points = 0;
			}
			hash = hash_counts(hash, device, &counts);
		}
	}
	statement_finish(&row);
	*sound = hash == wanted;
	return result;
}

/* Counts the rows that came after the census was saved. */
static int count_rest(struct store *store)
{
	struct statement row;
	int result = statement_make(&row, &store->database,
		"SELECT id, device, kind, length(CAST(name AS BLOB)) + length(data) FROM reports "
		"WHERE id>?");
	if (result == 0) {
		statement_bind(&row, 0, (int64_t)store->counted_to);
		while ((result = statement_step(&row)) > 0)
			census_add(&store->census, (uint64_t)statement_number(&row, 1),
				(uint64_t)statement_number(&row, 0),
				(enum report_kind)statement_number(&row, 2),
				(uint64_t)statement_number(&row, 3));
	}
	statement_finish(&row);
	return result;
}

static int take_stock(struct store *store)
{
	int64_t last = database_ask(&store->database, "SELECT max(id) FROM reports");
	if (last < 0)
		return (int)last;
	if (last > ROW_ID_MAX)
		return database_blame(&store->database, "a report has an absurd id");
	census_clear(&store->census);
	store->counted_to = 0;
	bool sound;
	int result = boots_load(&store->boots, &store->database);
	if (result == 0)
		result = read_counts(store, &sound);
	if (result == 0 && store->counted_to > ROW_ID_MAX)
		return database_blame(&store->database, "the count has an absurd id");
	uint64_t counted_to = store->counted_to;
	/* Too much of it would have rows taken away that there is room for. */
	if (result == 0 && !sound) {
		census_clear(&store->census);
		store->counted_to = 0;
	}
	/* Of an empty table the old counts say nothing, but no id may ever be below those counted. */
	if (!last)
		census_clear(&store->census);
	else if (result == 0)
		result = count_rest(store);
	if (counted_to >= store->next_id)
		store->next_id = counted_to + 1;
	if ((uint64_t)last >= store->next_id)
		store->next_id = (uint64_t)last + 1;
	return result;
}

/* ---- damage --------------------------------------------------------------------------------- */

static int begin(struct store *store)
{
	return statement_run(&store->statements[SQL_BEGIN]);
}

static int commit(struct store *store)
{
	return statement_run(&store->statements[SQL_COMMIT]);
}

static int keep_row(void *context, uint64_t id, uint64_t device, const struct report *report)
{
	struct store *store = context;
	int result = insert(store, id, device, report);
	if (result == 0 && ++store->kept % RESCUE_ROWS == 0) {
		result = commit(store);
		if (result == 0)
			result = begin(store);
	}
	return result;
}

/* Copies into a new file what can be read of the one set aside. */
static int copy_rest(struct store *store, const char *aside)
{
	census_clear(&store->census);
	store->counted_to = store->kept = 0;
	int result = open_file(store);
	if (result == 0)
		result = database_checkpoint(&store->database);
	if (result == 0)
		result = begin(store);
	/* What is known of boots, from before the damage. */
	if (result == 0)
		result = boots_keep_all(&store->boots, &store->database);
	if (result == 0)
		result = rescue_rows(aside, store->path, keep_row, store);
	if (result == 0)
		result = records_rescue(aside, &store->database);
	return result == 0 ? commit(store) : result;
}

/* Sets the file aside.  0, or -EIO with the file in its place again where no new one could be written. */
static int replace(struct store *store)
{
	OWNED char *why = must_strdup(store->database.reason);
	OWNED char *aside = NULL;
	close_file(store);
	int result = rescue_set_aside(store->path, &aside);
	if (result == 0)
		result = copy_rest(store, aside);
	if (result < 0) {
		close_file(store);
		if (aside)
			rescue_put_back(store->path, aside);
		return -EIO;
	}
	rescue_prune(store->path);
	store->damaged++;
	log_error(
		"spool: %s is damaged: %s: it is set aside as %s, %ju report%s could be read from "
		"it and kept; check the disk",
		store->path, why, aside, (uintmax_t)store->kept, plural(store->kept, "s"));
	return 0;
}

/*
 * What an error comes to: 1, the file was replaced by a good one, so that the work is to be done again;
 * or -EIO, and the file is closed.
 */
static int recover(struct store *store, int result)
{
	if (result >= 0)
		return result;
	if (result == -EBADMSG && replace(store) == 0)
		return 1;
	close_file(store);
	return -EIO;
}

int store_open(struct store *store)
{
	if (store->database.file)
		return 0;
	int result = open_file(store);
	if (result == 0)
		result = take_stock(store);
	return recover(store, result) < 0 ? -EIO : 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Deletes the row and forgets it in the census; harmless where there is none. */
static int delete_row(struct store *store, uint64_t id)
{
	struct statement *statement = &store->statements[SQL_DELETE];
	statement_bind(statement, 0, (int64_t)id);
	int result = statement_step(statement);
	if (result > 0) {
		census_take(&store->census, (uint64_t)statement_number(statement, 0),
			(enum report_kind)statement_number(statement, 1),
			(uint64_t)statement_number(statement, 2));
		result = statement_step(statement);
	}
	statement_reset(statement);
	return result;
}

/* The oldest rows that must go: too old, or of devices that have more than their share. */
static int choose_victims(struct store *store, const struct store_write *write, bool full,
	uint64_t *victims, size_t *count)
{
	struct statement *row = &store->statements[SQL_READ];
	uint64_t share = census_share(&store->census);
	int result, looked = 0;
	if (!full)
		store->evict_from = 0;
	statement_bind(row, 0, (int64_t)store->evict_from);
	while ((result = statement_step(row)) > 0 && *count < EVICT_ROWS && looked++ < LOOK_MAX) {
		uint64_t device = (uint64_t)statement_number(row, ROW_DEVICE);
		struct stamp stamp = row_stamp(row);
		bool timed = boots_correct(&store->boots, &stamp);
		bool old = timed && stamp.wall_ms < write->oldest_ms;
		if (timed && !old && !full)
			break;
		if (old || census_find(&store->census, device)->bytes >= share)
			victims[(*count)++] = (uint64_t)statement_number(row, ROW_ID);
		store->evict_from = (uint64_t)statement_number(row, ROW_ID) + 1;
	}
	/* What was spared at the front may have become too much meanwhile. */
	if (result == 0)
		store->evict_from = 0;
	statement_reset(row);
	return result < 0 ? result : 0;
}

static int evict(struct store *store, const struct store_write *write)
{
	uint64_t victims[EVICT_ROWS];
	uint64_t over = store->census.bytes > write->max_bytes;
	size_t count = 0;
	if (!over && !write->oldest_ms)
		return 0;
	int result = choose_victims(store, write, over, victims, &count);
	for (size_t i = 0; result == 0 && i < count; i++)
		result = delete_row(store, victims[i]);
	if (result == 0)
		store->evicted += count;
	return result;
}

static int keep_counts(struct store *store, uint64_t device, const struct store_counts *counts)
{
	struct statement *statement = &store->statements[SQL_KEEP_COUNTS];
	statement_bind(statement, 0, (int64_t)device);
	statement_bind(statement, 1, (int64_t)counts->first);
	statement_bind(statement, 2, (int64_t)counts->points);
	statement_bind(statement, 3, (int64_t)counts->strict);
	statement_bind(statement, 4, (int64_t)counts->bytes);
	return statement_run(statement);
}

static int keep_census(struct store *store)
{
	const struct census *census = &store->census;
	struct store_counts mark = { .first = store->next_id - 1 };
	uint32_t hash = hash_counts(ROW_HASH_START, 0, &mark);
	int result = 0;
	for (size_t i = 0; result == 0 && i < census->count; i++) {
		const struct census_item *item = &census->items[i];
		result = keep_counts(store, item->device, &item->counts);
		hash = hash_counts(hash, item->device, &item->counts);
	}
	mark.points = hash;
	return result ? result : keep_counts(store, 0, &mark);
}

static int write_all(struct store *store, void *what)
{
	const struct store_write *write = what;
	int result = begin(store);
	for (size_t i = 0; result == 0 && i < write->count; i++) {
		const struct store_row *row = &write->rows[i];
		result = insert(store, row->id, census_key(&store->census, row->report->device),
			row->report);
	}
	for (size_t i = 0; result == 0 && i < write->gone_count; i++)
		result = delete_row(store, write->gone[i]);
	if (result == 0)
		result = evict(store, write);
	if (result == 0 && write->boot_ms)
		result = boots_keep(&store->boots, &store->database, write->boot_ms);
	bool save = store->unsaved + 1 >= CENSUS_EVERY;
	if (result == 0 && save)
		result = keep_census(store);
	if (result == 0)
		result = commit(store);
	if (result == 0)
		store->unsaved = save ? 0 : store->unsaved + 1;
	return result;
}

/*
 * After a failed sync the kernel may hold pages for written that are not.  What is in the log is
 * copied into the database and synced, and the log begun anew, before anything is built on it.
 */
static int make_sure(struct store *store)
{
	if (!store->doubtful)
		return 0;
	int result = database_checkpoint(&store->database);
	store->doubtful = result < 0;
	return result;
}

static int run_batch(struct store *store, void *batch)
{
	int result = begin(store);
	if (result == 0)
		result = batch_run(batch, &store->database);
	return result == 0 ? commit(store) : result;
}

static int try_change(
	struct store *store, int (*change)(struct store *store, void *what), void *what)
{
	int result = store_open(store);
	if (result < 0)
		return result;
	result = make_sure(store);
	if (result == 0)
		result = change(store, what);
	if (result < 0) {
		store->doubtful = true;
		/* The census is read anew when the file is opened again. */
		if (result == -EIO)
			close_file(store);
	}
	return recover(store, result);
}

static int change_twice(
	struct store *store, int (*change)(struct store *store, void *what), void *what)
{
	int result = try_change(store, change, what);
	if (result > 0)
		result = try_change(store, change, what);
	return result ? -EIO : 0;
}

int store_write(struct store *store, const struct store_write *write)
{
	return change_twice(store, write_all, (void *)(uintptr_t)write);
}

int store_batch(struct store *store, struct batch *batch)
{
	return change_twice(store, run_batch, batch);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int bad_row(struct store *store, const struct statement *row)
{
	return database_blame(&store->database, "report %jd is not as it was written",
		(intmax_t)statement_number(row, ROW_ID));
}

/* Takes the row if it is wanted. */
static int take_row(struct store *store, const struct statement *row, struct store_read *read)
{
	int64_t number = census_number(&store->census, (uint64_t)statement_number(row, ROW_DEVICE));
	if (number < 0 || !read->wanted[number])
		return 0;
	struct report *report = row_report(row);
	if (!report)
		return bad_row(store, row);
	report->device = (uint32_t)number;
	bool timed = boots_correct(&store->boots, &report->stamp) || report->stamp.boot ||
		report->kind == REPORT_RAW || report->kind == REPORT_ATTRIBUTES;
	if (read->untimed && !timed) {
		report_release(report);
		return 0;
	}
	read->rows[read->count++] = (struct store_row){
		.id = (uint64_t)statement_number(row, ROW_ID), .report = report
	};
	return 0;
}

static int read_rows(struct store *store, enum statement_name which, struct store_read *read)
{
	struct statement *row = &store->statements[which];
	int result, looked = 0;
	statement_bind(row, 0, (int64_t)read->next);
	while (read->count < read->room && looked++ < LOOK_MAX &&
		(result = statement_step(row)) != 0) {
		uint64_t id = (uint64_t)statement_number(row, ROW_ID);
		if (result > 0)
			result = id < read->next ? bad_row(store, row) : take_row(store, row, read);
		if (result < 0) {
			statement_reset(row);
			return result;
		}
		read->next = id + 1;
	}
	read->end = read->count < read->room && looked <= LOOK_MAX;
	statement_reset(row);
	return 0;
}

static void drop_rows(struct store_read *read)
{
	while (read->count)
		report_release(read->rows[--read->count].report);
}

static int try_read(struct store *store, enum statement_name which, struct store_read *read)
{
	int result = store_open(store);
	if (result < 0)
		return result;
	read->next = read->from;
	read->end = false;
	result = read_rows(store, which, read);
	if (result < 0)
		drop_rows(read);
	return recover(store, result);
}

static int read_twice(struct store *store, enum statement_name which, struct store_read *read)
{
	read->count = 0;
	int result = try_read(store, which, read);
	if (result > 0)
		result = try_read(store, which, read);
	return result ? -EIO : 0;
}

int store_read(struct store *store, struct store_read *read)
{
	return read_twice(store, SQL_READ, read);
}

int store_read_attributes(struct store *store, struct store_read *read)
{
	return read_twice(store, SQL_ATTRIBUTES, read);
}

/* ---- the whole ------------------------------------------------------------------------------ */

struct store *store_create(const char *directory, const struct conf_device *devices, uint32_t count)
{
	struct store *store = must_alloc(sizeof(*store));
	store->path = must_printf("%s/spool.db", directory);
	store->next_id = 1;
	store->boots.present = 1;
	census_init(&store->census, devices, count);
	return store;
}

void store_destroy(struct store *store)
{
	if (!store)
		return;
	/* So that the next start need not count. */
	if (store->database.file && store->unsaved && !store->doubtful && begin(store) == 0 &&
		keep_census(store) == 0)
		commit(store);
	close_file(store);
	census_finish(&store->census);
	free(store->path);
	free(store);
}

void store_shrink(struct store *store)
{
	database_shrink(&store->database);
}

void store_set_boot(struct store *store, uint64_t boot)
{
	store->boots.present = boot;
}

const char *store_reason(const struct store *store)
{
	return store->database.reason;
}

uint64_t store_next_id(const struct store *store)
{
	return store->next_id;
}

struct store_counts store_counts(const struct store *store, uint32_t device)
{
	return census_counts(&store->census, census_key(&store->census, device));
}

struct store_totals store_totals(const struct store *store)
{
	struct store_totals totals = {
		.bytes = store->census.bytes, .evicted = store->evicted, .damaged = store->damaged
	};
	for (size_t i = 0; i < store->census.count; i++) {
		const struct census_item *item = &store->census.items[i];
		uint64_t rows = item->counts.points + item->counts.strict;
		totals.rows += rows;
		if (census_number(&store->census, item->device) < 0)
			totals.strangers += rows;
	}
	return totals;
}
