/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports on disk: one SQLite database, used by one thread.  Rows stand in the order of their ids,
 * those of all devices side by side, so that appending touches the last page alone.  A device is
 * known by a hash of its keys, since its number changes with the configuration.
 *
 * A file that cannot be understood is renamed, and what can be read of it is kept; a disk that does not
 * take what is written makes single calls fail, and the next call tries again.
 */
#ifndef EB_CLOUD_STORE_H
#define EB_CLOUD_STORE_H

#include "core/conf.h"
#include "core/message.h"

struct store;

/* What there is of a device; may be more than there is, after a power cut, but never less. */
struct store_counts {
	uint64_t first; /* no row has a smaller id */
	uint64_t points, strict; /* rows; strict: raw bytes and events */
	uint64_t bytes;
};

struct store_row {
	uint64_t id;
	/*
	 * Its device is a number of the configuration.  One of the present boot that was read has stamp.boot
	 * 0, one of an earlier whose clock was never set has not; all others have the right time.
	 */
	struct report *report;
};

struct store_totals {
	uint64_t rows, bytes, evicted, damaged; /* evicted and damaged: since the start */
	uint64_t strangers; /* rows of devices that the configuration has not */
};

struct store_write {
	const struct store_row *rows; /* to append */
	size_t count;
	const uint64_t *gone; /* ids to delete */
	size_t gone_count;
	int64_t boot_ms; /* the wall time of the present boot, to be kept; 0: not known */
	uint64_t max_bytes; /* more than that is taken away, the oldest first */
	int64_t oldest_ms; /* and what is from before that; 0: nothing */
};

struct store_read {
	uint64_t from; /* the first id */
	const bool *wanted; /* one for each device of the configuration */
	bool untimed; /* without what waits for the clock */
	size_t room; /* of rows */
	struct store_row *rows; /* owned by the caller, with a reference to each report */
	size_t count;
	uint64_t next; /* all up to it, exclusive, was looked at */
	bool end; /* nothing stands behind it */
};

/* The devices are borrowed.  Nothing is opened yet. */
struct store *store_create(
	const char *directory, const struct conf_device *devices, uint32_t count);
void store_destroy(struct store *store);
/* Gives back the memory that only makes the next call quicker. */
void store_shrink(struct store *store);
/* The machine's present boot, by which rows are marked; to be set before the store is opened. */
void store_set_boot(struct store *store, uint64_t boot);

/*
 * Opens the database, or makes it.  0, or -EIO with the reason in store_reason().  All that follow open
 * it again where it was closed because of an error.
 */
int store_open(struct store *store);
/* In one transaction, on the disk when it returns 0; -EIO: nothing of it may be relied on. */
int store_write(struct store *store, const struct store_write *write);
int store_read(struct store *store, struct store_read *read);
/* Reports of attributes of all devices, as store_read() gives them. */
int store_read_attributes(struct store *store, struct store_read *read);

/* What is done with the records of commands, in a transaction of its own: as store_write(). */
struct batch;
int store_batch(struct store *store, struct batch *batch);

const char *store_reason(const struct store *store);
struct store_counts store_counts(const struct store *store, uint32_t device);
struct store_totals store_totals(const struct store *store);
/* Greater than all ids that ever were. */
uint64_t store_next_id(const struct store *store);

#endif
