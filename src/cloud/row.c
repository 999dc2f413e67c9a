/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/row.h"

#include <assert.h>
#include <string.h>

#include "util/value.h"

/* The numbers of kinds stand in files. */
static_assert(REPORT_POINTS == 0 && REPORT_EVENT == 1, "");
static_assert(REPORT_ATTRIBUTES == 2 && REPORT_RAW == 3, "");

uint32_t row_hash(uint32_t hash, const void *bytes, size_t size)
{
	/* FNV-1a: each step can be undone, so that one changed byte always changes the hash. */
	for (const uint8_t *at = bytes; size; size--)
		hash = (hash ^ *at++) * 16777619u;
	return hash;
}

/* What stands in the column synced. */
enum { STAMP_SYNCED = 1, STAMP_UNSET = 2 };

static int64_t flags_of(const struct stamp *stamp)
{
	return (stamp->synced ? STAMP_SYNCED : 0) | (stamp->unset ? STAMP_UNSET : 0);
}

static uint32_t hash_row(uint64_t id, uint64_t device, uint64_t boot, const struct report *report)
{
	const int64_t numbers[] = { (int64_t)id, (int64_t)device, report->kind,
		report->stamp.wall_ms, report->stamp.mono_us, flags_of(&report->stamp),
		(int64_t)boot };
	/* Rows of version 1 have no boot. */
	size_t size = sizeof(numbers) - (boot ? 0 : sizeof(*numbers));
	uint32_t hash = row_hash(ROW_HASH_START, numbers, size);
	hash = row_hash(hash, report->name, strlen(report->name) + 1);
	return row_hash(hash, report->data, report->size);
}

void row_bind(struct statement *insert, uint64_t id, uint64_t device, uint64_t boot,
	const struct report *report)
{
	if (report->stamp.boot)
		boot = report->stamp.boot;
	statement_bind(insert, 0, (int64_t)id);
	statement_bind(insert, 1, (int64_t)device);
	statement_bind(insert, 2, report->kind);
	statement_bind(insert, 3, report->stamp.wall_ms);
	statement_bind(insert, 4, report->stamp.mono_us);
	statement_bind(insert, 5, flags_of(&report->stamp));
	statement_bind_text(insert, 6, report->name);
	statement_bind_bytes(insert, 7, report->data, report->size);
	statement_bind(insert, 8, hash_row(id, device, boot, report));
	statement_bind(insert, 9, (int64_t)boot);
}

struct stamp row_stamp(const struct statement *row)
{
	int64_t flags = statement_number(row, ROW_SYNCED);
	return (struct stamp){ .wall_ms = statement_number(row, ROW_WALL),
		.mono_us = statement_number(row, ROW_MONO),
		.synced = flags & STAMP_SYNCED,
		.unset = flags & STAMP_UNSET,
		.boot = (uint64_t)statement_number(row, ROW_BOOT) };
}

struct report *row_report(const struct statement *row)
{
	size_t size;
	int64_t id = statement_number(row, 0), kind = statement_number(row, 2);
	const char *name = statement_text(row, 6);
	const void *data = statement_bytes(row, 7, &size);
	const struct stamp stamp = row_stamp(row);
	if (id <= 0 || id > ROW_ID_MAX || kind < REPORT_POINTS || kind > REPORT_RAW || !name ||
		strlen(name) > REPORT_NAME_MAX || (size && !data))
		return NULL;
	if (kind != REPORT_RAW && !value_valid(data, size))
		return NULL;
	struct report *report = report_create(0, (enum report_kind)kind, &stamp, data, size);
	strcpy(report->name, name);
	if (hash_row((uint64_t)id, (uint64_t)statement_number(row, 1), stamp.boot, report) ==
		statement_number(row, ROW_HASH))
		return report;
	report_release(report);
	return NULL;
}
