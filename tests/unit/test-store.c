/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "cloud/census.h"
#include "cloud/database.h"
#include "cloud/store.h"
#include "spool-rig.h"

#define ROWS 40

static void hush(enum log_level level, const char *line, void *context)
{
}

static struct report *make(uint32_t device, int64_t mark)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct stamp stamp = { .wall_ms = mark, .mono_us = mark };
	value_put_map(&value, 2);
	value_pair_integer(&value, "mark", mark);
	value_pair_text(&value, "text", "a text that takes some room, so that the rows fill pages");
	return report_create(device, REPORT_POINTS, &stamp, value.data, value.size);
}

static int append(struct store *store, uint64_t first, size_t count, uint32_t device)
{
	struct store_row *rows = must_array(count, sizeof(*rows));
	for (size_t i = 0; i < count; i++)
		rows[i] = (struct store_row){ first + i, make(device, (int64_t)(first + i)) };
	const struct store_write write = { .rows = rows, .count = count, .max_bytes = UINT64_MAX };
	int result = store_write(store, &write);
	for (size_t i = 0; i < count; i++)
		report_release(rows[i].report);
	free(rows);
	return result;
}

/* Reads all rows; each must be as it was written.  Returns how many. */
static size_t read_all(struct store *store, const bool *wanted)
{
	struct store_row rows[100];
	struct store_read read = { .from = 1, .wanted = wanted, .room = 100, .rows = rows };
	size_t count = 0;
	do {
		assert_int_equal(store_read(store, &read), 0);
		for (size_t i = 0; i < read.count; i++) {
			struct report *expected = make(rows[i].report->device, (int64_t)rows[i].id);
			assert_int_equal(rows[i].report->size, expected->size);
			assert_memory_equal(rows[i].report->data, expected->data, expected->size);
			assert_int_equal(rows[i].report->stamp.wall_ms, rows[i].id);
			report_release(expected);
			report_release(rows[i].report);
		}
		count += read.count;
		read.from = read.next;
	} while (!read.end);
	return count;
}

static const bool all[DEVICES] = { true, true, true };

/* A file of the store, and its log, as they were at some time. */
struct copy {
	uint8_t *bytes;
	size_t size;
};

static struct copy load(const char *path, const char *tail)
{
	OWNED char *name = must_printf("%s%s", path, tail);
	struct stat stat_of;
	int fd = open(name, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &stat_of) == 0);
	struct copy copy = { must_alloc((size_t)stat_of.st_size + 1), (size_t)stat_of.st_size };
	assert_int_equal(read(fd, copy.bytes, copy.size), copy.size);
	close(fd);
	return copy;
}

static void save(const char *path, const char *tail, struct copy copy)
{
	OWNED char *name = must_printf("%s%s", path, tail);
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, copy.bytes, copy.size), copy.size);
	close(fd);
}

static size_t flipped;

/* However the files are, the store opens, reads, takes new rows and gives them back. */
static size_t survives(struct rig *rig)
{
	struct store *store = store_create(rig->directory, rig->devices, DEVICES);
	if (store_open(store) < 0)
		fail_msg("byte %zu: %s", flipped, store_reason(store));
	size_t count = read_all(store, all);
	uint64_t next = store_next_id(store);
	if (append(store, next, 3, 1) < 0)
		fail_msg("byte %zu: %s", flipped, store_reason(store));
	size_t more = read_all(store, all);
	assert_true(more >= 3 && more <= count + 3);
	assert_true(store_next_id(store) == next + 3);
	store_destroy(store);
	return more - 3;
}

/* The files of a store with ROWS rows: after a clean end, and as a kill leaves them. */
static void make_files(struct rig *rig, struct copy *file, struct copy *log)
{
	struct store *store = store_create(rig->directory, rig->devices, DEVICES);
	assert_int_equal(append(store, 1, ROWS, 0), 0);
	*log = load(rig->path, "-wal");
	store_destroy(store);
	*file = load(rig->path, "");
}

/* SPOOL_DAMAGE=full tries each byte: some minutes. */
static size_t stride(size_t usual)
{
	const char *damage = getenv("SPOOL_DAMAGE");
	return damage && strcmp(damage, "full") == 0 ? 1 : usual;
}

static void every_damage_is_survived(void **state)
{
	struct rig rig;
	struct copy file, log;
	size_t kept = 0, tried = 0;
	rig_init(&rig);
	log_set_sink(hush, NULL);
	make_files(&rig, &file, &log);
	for (size_t at = 0; at < file.size; at += stride(37), tried++) {
		rig_clean(&rig);
		uint8_t before = file.bytes[at];
		file.bytes[at] ^= (uint8_t)(1 << at % 8 | 0x40);
		save(rig.path, "", file);
		file.bytes[at] = before;
		flipped = at;
		size_t rows = survives(&rig);
		/* Another first page stands in for this one. */
		if (at < 4096 && rows != ROWS)
			fail_msg("byte %zu of the first page: %zu rows kept", at, rows);
		kept += rows;
	}
	/* Most flips cost a row, or the page that they are in. */
	print_message("%zu flips: %zu of %zu rows kept\n", tried, kept, tried * ROWS);
	assert_true(kept > tried * ROWS / 2);
	for (size_t size = 0; size < file.size; size += 512) {
		rig_clean(&rig);
		save(rig.path, "", (struct copy){ file.bytes, size });
		survives(&rig);
	}
	log_set_sink(NULL, NULL);
	free(file.bytes);
	free(log.bytes);
	rig_finish(&rig);
}

static void every_damage_of_the_log_is_survived(void **state)
{
	struct rig rig;
	struct copy file, log;
	rig_init(&rig);
	log_set_sink(hush, NULL);
	make_files(&rig, &file, &log);
	for (size_t at = 0; at < log.size; at += stride(61)) {
		rig_clean(&rig);
		uint8_t before = log.bytes[at];
		log.bytes[at] ^= (uint8_t)(1 << at % 8);
		save(rig.path, "", (struct copy){ file.bytes, 0 });
		save(rig.path, "-wal", log);
		log.bytes[at] = before;
		survives(&rig);
	}
	for (size_t size = 0; size < log.size; size += 1000) {
		rig_clean(&rig);
		save(rig.path, "", (struct copy){ file.bytes, 0 });
		save(rig.path, "-wal", (struct copy){ log.bytes, size });
		survives(&rig);
	}
	log_set_sink(NULL, NULL);
	free(file.bytes);
	free(log.bytes);
	rig_finish(&rig);
}

static void of_damaged_files_the_newest_stay(void **state)
{
	struct rig rig;
	struct copy file, log;
	rig_init(&rig);
	log_set_sink(hush, NULL);
	make_files(&rig, &file, &log);
	const struct copy nonsense = { file.bytes + 1, 5000 };
	for (int i = 0; i < 9; i++) {
		save(rig.path, "", nonsense);
		survives(&rig);
	}
	assert_in_range(rig_files(&rig, "spool.db.damaged-"), 4, 8);
	/* Those before the last four are gone. */
	OWNED char *last = must_printf("%s.damaged-99999999999", rig.path);
	save(last, "", nonsense);
	save(rig.path, "", nonsense);
	survives(&rig);
	assert_int_equal(access(last, F_OK), 0);
	assert_in_range(rig_files(&rig, "spool.db.damaged-"), 4, 8);
	log_set_sink(NULL, NULL);
	free(file.bytes);
	free(log.bytes);
	rig_finish(&rig);
}

static void what_can_be_read_is_kept(void **state)
{
	struct rig rig;
	rig_init(&rig);
	log_set_sink(hush, NULL);
	struct store *store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(append(store, 1, 2000, 0), 0);
	store_destroy(store);
	/* A page in the middle of the rows. */
	struct copy file = load(rig.path, "");
	memset(file.bytes + file.size / 2 / 4096 * 4096, 0xa5, 4096);
	save(rig.path, "", file);
	store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(store_open(store), 0);
	size_t count = read_all(store, all);
	assert_in_range(count, 1900, 1999);
	assert_int_equal(store_totals(store).damaged, 1);
	assert_int_equal(store_totals(store).rows, count);
	assert_int_equal(store_counts(store, 0).points, count);
	assert_int_equal(rig_files(&rig, "spool.db.damaged-"), 1);
	assert_int_equal(append(store, store_next_id(store), 10, 0), 0);
	assert_int_equal(read_all(store, all), count + 10);
	store_destroy(store);
	log_set_sink(NULL, NULL);
	free(file.bytes);
	rig_finish(&rig);
}

static void a_file_of_a_later_version_is_set_aside(void **state)
{
	struct rig rig;
	struct database database;
	rig_init(&rig);
	log_set_sink(hush, NULL);
	assert_int_equal(database_open(&database, rig.path), 0);
	assert_int_equal(database_run(&database, "PRAGMA user_version=1000"), 0);
	database_close(&database);
	assert_int_equal(survives(&rig), 0);
	assert_true(rig_files(&rig, "spool.db.damaged-") >= 1);
	log_set_sink(NULL, NULL);
	rig_finish(&rig);
}

static uint32_t fnv(uint32_t hash, const void *bytes, size_t size)
{
	for (const uint8_t *at = bytes; size; size--)
		hash = (hash ^ *at++) * 16777619u;
	return hash;
}

/* As version 1 wrote it: neither boots, nor the column, nor its share of the hash. */
static void a_file_of_version_1_is_upgraded(void **state)
{
	struct rig rig;
	struct database database;
	struct statement insert;
	struct census census;
	rig_init(&rig);
	census_init(&census, rig.devices, DEVICES);
	assert_int_equal(database_open(&database, rig.path), 0);
	assert_int_equal(
		database_run(&database,
			"CREATE TABLE reports(id INTEGER PRIMARY KEY, device INTEGER NOT NULL, kind INTEGER NOT NULL,"
			" wall INTEGER NOT NULL, mono INTEGER NOT NULL, synced INTEGER NOT NULL, name TEXT NOT NULL,"
			" data BLOB NOT NULL, hash INTEGER NOT NULL);"
			"CREATE INDEX attributes ON reports(id) WHERE kind=2;"
			"CREATE TABLE counts(device INTEGER PRIMARY KEY, first INTEGER NOT NULL,"
			" points INTEGER NOT NULL, strict INTEGER NOT NULL, bytes INTEGER NOT NULL);"
			"PRAGMA user_version=1"),
		0);
	assert_int_equal(statement_make(&insert, &database,
				 "INSERT INTO reports VALUES(?, ?, 0, ?, ?, 0, '', ?, ?)"),
		0);
	for (int64_t id = 1; id <= 2000; id++) {
		struct report *report = make(1, id);
		const int64_t numbers[] = { id, (int64_t)census_key(&census, 1), REPORT_POINTS, id,
			id, 0 };
		uint32_t hash = fnv(2166136261u, numbers, sizeof(numbers));
		hash = fnv(fnv(hash, "", 1), report->data, report->size);
		statement_bind(&insert, 0, id);
		statement_bind(&insert, 1, numbers[1]);
		statement_bind(&insert, 2, id);
		statement_bind(&insert, 3, id);
		statement_bind_bytes(&insert, 4, report->data, report->size);
		statement_bind(&insert, 5, hash);
		assert_int_equal(statement_run(&insert), 0);
		report_release(report);
	}
	statement_finish(&insert);
	database_close(&database);
	assert_int_equal(survives(&rig), 2000);
	assert_int_equal(rig_files(&rig, "damaged"), 0);
	census_finish(&census);
	rig_finish(&rig);
}

static void a_quiet_device_keeps_its_rows(void **state)
{
	struct rig rig;
	rig_init(&rig);
	struct store *store = store_create(rig.directory, rig.devices, DEVICES);
	/* The quiet one's are the oldest. */
	assert_int_equal(append(store, 1, 10, 0), 0);
	uint64_t id = 11;
	const struct store_write evict = { .max_bytes = 100000 };
	for (int i = 0; i < 40; i++, id += 100) {
		assert_int_equal(append(store, id, 50, 1), 0);
		assert_int_equal(append(store, id + 50, 50, 2), 0);
		assert_int_equal(store_write(store, &evict), 0);
	}
	struct store_totals totals = store_totals(store);
	assert_int_equal(store_counts(store, 0).points, 10);
	assert_true(totals.bytes <= 100000);
	assert_true(totals.evicted > 3000);
	assert_int_equal(totals.rows + totals.evicted, 4010);
	struct store_counts one = store_counts(store, 1), other = store_counts(store, 2);
	assert_in_range(one.points * 100 / other.points, 50, 200);
	store_destroy(store);
	rig_finish(&rig);
}

static void what_is_too_old_goes(void **state)
{
	struct rig rig;
	rig_init(&rig);
	struct store *store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(append(store, 1, 1200, 0), 0);
	const struct store_write evict = { .max_bytes = UINT64_MAX, .oldest_ms = 1101 };
	for (int i = 0; i < 3; i++)
		assert_int_equal(store_write(store, &evict), 0);
	assert_int_equal(read_all(store, all), 100);
	assert_int_equal(store_totals(store).evicted, 1100);
	store_destroy(store);
	rig_finish(&rig);
}

static void counts_outlive_a_kill(void **state)
{
	struct rig rig;
	rig_init(&rig);
	struct store *store = store_create(rig.directory, rig.devices, DEVICES);
	/* More transactions than lie between two savings of the counts. */
	for (uint64_t i = 0; i < 150; i++)
		assert_int_equal(append(store, 1 + 10 * i, 10, i % 3), 0);
	struct copy file = load(rig.path, ""), log = load(rig.path, "-wal");
	store_destroy(store);
	save(rig.path, "", file);
	save(rig.path, "-wal", log);
	store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(store_open(store), 0);
	for (uint32_t i = 0; i < DEVICES; i++) {
		assert_int_equal(store_counts(store, i).points, 500);
		assert_int_equal(store_counts(store, i).first, 1 + 10 * i);
	}
	assert_int_equal(store_next_id(store), 1501);
	store_destroy(store);
	/* A device that is not configured any more keeps its rows for the day that it is. */
	store = store_create(rig.directory, rig.devices + 1, DEVICES - 1);
	assert_int_equal(store_open(store), 0);
	assert_int_equal(store_totals(store).strangers, 500);
	assert_int_equal(store_counts(store, 0).first, 11);
	store_destroy(store);
	free(file.bytes);
	free(log.bytes);
	rig_finish(&rig);
}

static int delete (struct store *store, uint64_t first, size_t count)
{
	OWNED uint64_t *gone = must_array(count, sizeof(*gone));
	for (size_t i = 0; i < count; i++)
		gone[i] = first + i;
	const struct store_write write = {
		.gone = gone, .gone_count = count, .max_bytes = UINT64_MAX
	};
	return store_write(store, &write);
}

/* SQLite has no sums of its pages, so counts that were changed have to be found out. */
static void counts_that_are_damaged_are_counted_anew(void **state)
{
	static const char *const damages[] = {
		"UPDATE counts SET bytes=bytes+4611686018427387904 WHERE device!=0",
		"UPDATE counts SET points=points+1000000 WHERE device!=0",
		"UPDATE counts SET first=first+1 WHERE device!=0",
		"UPDATE counts SET first=first-1 WHERE device=0",
		"UPDATE counts SET points=points+1 WHERE device=0",
		"DELETE FROM counts WHERE device=0",
		"DELETE FROM counts WHERE device!=0",
	};
	struct rig rig;
	rig_init(&rig);
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		struct store *store = store_create(rig.directory, rig.devices, DEVICES);
		assert_int_equal(store_open(store), 0);
		uint64_t first = store_next_id(store);
		assert_int_equal(append(store, first, 10, 1), 0);
		store_destroy(store);
		struct database database = { .file = NULL };
		assert_int_equal(database_open(&database, rig.path), 0);
		assert_int_equal(database_run(&database, damages[i]), 0);
		database_close(&database);
		store = store_create(rig.directory, rig.devices, DEVICES);
		assert_int_equal(store_open(store), 0);
		struct store_counts counts = store_counts(store, 1);
		assert_int_equal(counts.points, 10 * (i + 1));
		assert_int_equal(counts.first, 1);
		assert_in_range(counts.bytes, 10 * (i + 1), 10000 * (i + 1));
		assert_int_equal(store_totals(store).damaged, 0);
		assert_int_equal(store_next_id(store), first + 10);
		store_destroy(store);
	}
	rig_finish(&rig);
}

/* Its number is valid for SQLite, and the last that there is. */
static void a_row_with_an_absurd_id_ends_the_rescue(void **state)
{
	struct rig rig;
	rig_init(&rig);
	log_set_sink(hush, NULL);
	struct store *store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(append(store, 1, 10, 0), 0);
	store_destroy(store);
	struct database database = { .file = NULL };
	assert_int_equal(database_open(&database, rig.path), 0);
	assert_int_equal(
		database_run(&database, "UPDATE reports SET id=9223372036854775807 WHERE id=10"),
		0);
	database_close(&database);
	store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(store_open(store), 0);
	assert_int_equal(store_totals(store).damaged, 1);
	assert_int_equal(store_counts(store, 0).points, 9);
	store_destroy(store);
	log_set_sink(NULL, NULL);
	rig_finish(&rig);
}

/* Else what comes later would stand before the counts of what was there once, and never be found. */
static void ids_never_go_back(void **state)
{
	struct rig rig;
	rig_init(&rig);
	struct store *store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(append(store, 1, 500, 0), 0);
	store_destroy(store);
	store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(delete (store, 1, 500), 0);
	store_destroy(store);
	store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(store_open(store), 0);
	uint64_t next = store_next_id(store);
	assert_int_equal(next, 501);
	assert_int_equal(append(store, next, 5, 1), 0);
	struct copy file = load(rig.path, ""), log = load(rig.path, "-wal");
	store_destroy(store);
	save(rig.path, "", file);
	save(rig.path, "-wal", log);
	store = store_create(rig.directory, rig.devices, DEVICES);
	assert_int_equal(store_open(store), 0);
	assert_int_equal(store_counts(store, 1).points, 5);
	assert_int_equal(store_counts(store, 1).first, next);
	assert_int_equal(store_counts(store, 0).points, 0);
	store_destroy(store);
	free(file.bytes);
	free(log.bytes);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_damage_is_survived),
		cmocka_unit_test(every_damage_of_the_log_is_survived),
		cmocka_unit_test(what_can_be_read_is_kept),
		cmocka_unit_test(of_damaged_files_the_newest_stay),
		cmocka_unit_test(a_file_of_a_later_version_is_set_aside),
		cmocka_unit_test(a_file_of_version_1_is_upgraded),
		cmocka_unit_test(a_quiet_device_keeps_its_rows),
		cmocka_unit_test(what_is_too_old_goes),
		cmocka_unit_test(counts_outlive_a_kill),
		cmocka_unit_test(counts_that_are_damaged_are_counted_anew),
		cmocka_unit_test(a_row_with_an_absurd_id_ends_the_rescue),
		cmocka_unit_test(ids_never_go_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
