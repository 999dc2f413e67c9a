/* SPDX-License-Identifier: Apache-2.0 */
/* A report as a row of the spool: the columns, and a hash that tells whether they are as written. */
#ifndef EB_CLOUD_ROW_H
#define EB_CLOUD_ROW_H

#include "cloud/database.h"
#include "core/message.h"

#define ROW_COLUMNS "id, device, kind, wall, mono, synced, name, data, hash, boot"
#define ROW_READ "SELECT " ROW_COLUMNS " FROM reports WHERE id>=? ORDER BY id"
#define ROW_INSERT "INSERT OR REPLACE INTO reports(" ROW_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?)"

/* Ids are from 1 to this. */
#define ROW_ID_MAX (INT64_C(1) << 62)
/* What a row takes beside name and data, about. */
#define ROW_BYTES 40

enum row_column {
	ROW_ID,
	ROW_DEVICE,
	ROW_KIND,
	ROW_WALL,
	ROW_MONO,
	ROW_SYNCED,
	ROW_NAME,
	ROW_DATA,
	ROW_HASH,
	ROW_BOOT
};

#define ROW_HASH_START 2166136261u
/* The hash of bytes behind those that gave the hash so far. */
uint32_t row_hash(uint32_t hash, const void *bytes, size_t size);
/* For ROW_INSERT; boot is the present one, for a report whose stamp names none. */
void row_bind(struct statement *insert, uint64_t id, uint64_t device, uint64_t boot,
	const struct report *report);
/* The report of a row with ROW_COLUMNS, its device not set; NULL: it is not as it was written. */
struct report *row_report(const struct statement *row);
/* Its stamp alone, of whatever is in the row. */
struct stamp row_stamp(const struct statement *row);

#endif
