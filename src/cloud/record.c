/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cloud/row.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/hex.h"
#include "util/json.h"

#define COLUMNS                                                                                  \
	"id, device, origin, state, repeat, came, ended, spent, code, name, topic, ident, why, " \
	"payload, reply, hash"
#define INSERT \
	"INSERT OR REPLACE INTO commands(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"

enum column {
	COLUMN_ID,
	COLUMN_DEVICE,
	COLUMN_ORIGIN,
	COLUMN_STATE,
	COLUMN_REPEAT,
	COLUMN_CAME,
	COLUMN_ENDED,
	COLUMN_SPENT,
	COLUMN_CODE,
	NUMBERS, /* of columns that are numbers: the first ones */
	COLUMN_NAME = NUMBERS,
	COLUMN_TOPIC,
	COLUMN_IDENT,
	COLUMN_WHY,
	COLUMN_PAYLOAD,
	COLUMN_REPLY,
	COLUMN_HASH,
};

static_assert(ORIGIN_CLOUD == 0 && ORIGIN_BROKER == 1 && ORIGIN_CONTROL == 2, "");
static_assert(RECORD_BEGUN == 0 && RECORD_ANSWERED == 1 && RECORD_DELIVERED == 2, "");

/* In front of the text of an id: a raw command has none, which is not the same as an empty one. */
#define ID_MARK "="

const char *record_state_name(enum record_state state)
{
	static const char *const names[] = {
		[RECORD_BEGUN] = "running",
		[RECORD_ANSWERED] = "answered",
		[RECORD_DELIVERED] = "delivered",
	};
	return names[state];
}

static char *copy_text(const char *text)
{
	return text ? must_strdup(text) : NULL;
}

struct record *record_copy(const struct record *record)
{
	struct record *copy = must_alloc(sizeof(*copy));
	*copy = *record;
	copy->device = copy_text(record->device);
	copy->topic = copy_text(record->topic);
	copy->command_id = copy_text(record->command_id);
	copy->why = copy_text(record->why);
	copy->payload = copy->reply = (struct buffer)BUFFER_EMPTY;
	buffer_put(&copy->payload, record->payload.data, record->payload.size);
	buffer_put(&copy->reply, record->reply.data, record->reply.size);
	return copy;
}

void record_finish(struct record *record)
{
	free(record->device);
	free(record->topic);
	free(record->command_id);
	free(record->why);
	buffer_finish(&record->payload);
	buffer_finish(&record->reply);
}

void record_destroy(struct record *record)
{
	if (!record)
		return;
	record_finish(record);
	free(record);
}

/* ---- for people ----------------------------------------------------------------------------- */

static void put_text(struct buffer *json, const char *key, const char *text)
{
	buffer_printf(json, ",\"%s\":", key);
	json_put_text(json, text);
}

/* JSON as what it is, all else in hex, under keys of their own. */
static void put_payload(
	struct buffer *json, const char *key, const char *raw_key, const struct buffer *payload)
{
	char error[80];
	OWNED_BUFFER value = BUFFER_EMPTY;
	size_t before = json->size;
	if (!payload->size)
		return;
	if (json_parse(&value, payload->data, payload->size, error, sizeof(error)) == 0) {
		buffer_printf(json, ",\"%s\":", key);
		if (json_print_value(json, value.data, value.size) == 0)
			return;
		buffer_cut(json, before);
	}
	buffer_printf(json, ",\"%s\":\"", raw_key);
	hex_put(json, payload->data, payload->size);
	buffer_put_byte(json, '"');
}

void record_print(const struct record *record, bool whole, struct buffer *json)
{
	buffer_printf(json, "{\"time\":%jd", (intmax_t)record->came_ms);
	put_text(json, "device", record->device);
	put_text(json, "origin", command_origin_name(record->origin));
	put_text(json, "topic", record->topic);
	if (record->command_id)
		put_text(json, "id", record->command_id);
	put_text(json, "state", record_state_name(record->state));
	buffer_printf(json, ",\"repeat\":%s", record->repeat ? "true" : "false");
	if (record->state != RECORD_BEGUN) {
		buffer_printf(json, ",\"ended\":%jd,\"ms\":%jd,\"code\":%d",
			(intmax_t)record->ended_ms, (intmax_t)(record->spent_us / USEC_PER_MSEC),
			record->code);
		if (record->why)
			put_text(json, "why", record->why);
	}
	if (whole) {
		put_payload(json, "payload", "raw", &record->payload);
		put_payload(json, "reply", "raw_reply", &record->reply);
	}
	buffer_put_byte(json, '}');
}

/* ---- rows ----------------------------------------------------------------------------------- */

struct texts {
	const char *device, *topic, *id, *why;
};

static uint32_t hash_row(const int64_t *numbers, const struct texts *texts, const void *payload,
	size_t payload_size, const void *reply, size_t reply_size)
{
	uint32_t hash = row_hash(ROW_HASH_START, numbers, NUMBERS * sizeof(*numbers));
	const char *const all[] = { texts->device, texts->topic, texts->id, texts->why };
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		hash = row_hash(hash, all[i], strlen(all[i]) + 1);
	hash = row_hash(hash, payload, payload_size);
	return row_hash(hash, reply, reply_size);
}

static int put(struct statement *insert, const struct record *record)
{
	const int64_t numbers[NUMBERS] = { (int64_t)record->id, (int64_t)record->key,
		record->origin, record->state, record->repeat, record->came_ms, record->ended_ms,
		record->spent_us, record->code };
	OWNED char *id = record->command_id ? must_printf(ID_MARK "%s", record->command_id)
					    : must_strdup("");
	const struct texts texts = { record->device, record->topic, id,
		record->why ? record->why : "" };
	for (int i = 0; i < NUMBERS; i++)
		statement_bind(insert, i, numbers[i]);
	statement_bind_text(insert, COLUMN_NAME, texts.device);
	statement_bind_text(insert, COLUMN_TOPIC, texts.topic);
	statement_bind_text(insert, COLUMN_IDENT, texts.id);
	statement_bind_text(insert, COLUMN_WHY, texts.why);
	statement_bind_bytes(insert, COLUMN_PAYLOAD, record->payload.data, record->payload.size);
	statement_bind_bytes(insert, COLUMN_REPLY, record->reply.data, record->reply.size);
	statement_bind(insert, COLUMN_HASH,
		hash_row(numbers, &texts, record->payload.data, record->payload.size,
			record->reply.data, record->reply.size));
	return statement_run(insert);
}

static bool is_sound(const int64_t *numbers)
{
	return numbers[COLUMN_ID] > 0 && numbers[COLUMN_ID] <= ROW_ID_MAX &&
		numbers[COLUMN_ORIGIN] >= ORIGIN_CLOUD &&
		numbers[COLUMN_ORIGIN] <= ORIGIN_CONTROL && numbers[COLUMN_STATE] >= RECORD_BEGUN &&
		numbers[COLUMN_STATE] <= RECORD_DELIVERED;
}

/* The record of a row with COLUMNS; NULL: it is not as it was written. */
static struct record *take(const struct statement *row)
{
	int64_t numbers[NUMBERS];
	for (int i = 0; i < NUMBERS; i++)
		numbers[i] = statement_number(row, i);
	size_t payload_size, reply_size;
	const struct texts texts = { statement_text(row, COLUMN_NAME),
		statement_text(row, COLUMN_TOPIC), statement_text(row, COLUMN_IDENT),
		statement_text(row, COLUMN_WHY) };
	const void *payload = statement_bytes(row, COLUMN_PAYLOAD, &payload_size);
	const void *reply = statement_bytes(row, COLUMN_REPLY, &reply_size);
	if (!is_sound(numbers) || !texts.device || !texts.topic || !texts.id || !texts.why ||
		(payload_size && !payload) || (reply_size && !reply) ||
		hash_row(numbers, &texts, payload, payload_size, reply, reply_size) !=
			statement_number(row, COLUMN_HASH))
		return NULL;
	struct record *record = must_alloc(sizeof(*record));
	*record = (struct record){ .id = (uint64_t)numbers[COLUMN_ID],
		.key = (uint64_t)numbers[COLUMN_DEVICE],
		.device = must_strdup(texts.device),
		.origin = (enum command_origin)numbers[COLUMN_ORIGIN],
		.state = (enum record_state)numbers[COLUMN_STATE],
		.repeat = numbers[COLUMN_REPEAT] != 0,
		.came_ms = numbers[COLUMN_CAME],
		.ended_ms = numbers[COLUMN_ENDED],
		.spent_us = numbers[COLUMN_SPENT],
		.topic = must_strdup(texts.topic),
		.command_id = *texts.id ? must_strdup(texts.id + strlen(ID_MARK)) : NULL,
		.code = (int)numbers[COLUMN_CODE],
		.why = *texts.why ? must_strdup(texts.why) : NULL };
	buffer_put(&record->payload, payload, payload_size);
	buffer_put(&record->reply, reply, reply_size);
	return record;
}

/* ---- batches -------------------------------------------------------------------------------- */

struct batch *batch_create(enum batch_kind kind)
{
	struct batch *batch = must_alloc(sizeof(*batch));
	batch->kind = kind;
	return batch;
}

static void drop_records(struct batch *batch)
{
	while (batch->count)
		record_destroy(batch->records[--batch->count]);
}

void batch_destroy(struct batch *batch)
{
	if (!batch)
		return;
	drop_records(batch);
	free(batch->records);
	free(batch);
}

void batch_add(struct batch *batch, struct record *record)
{
	/* A power of two is a full array. */
	if ((batch->count & (batch->count - 1)) == 0)
		batch->records = must_realloc(batch->records,
			(batch->count ? 2 * batch->count : 1) * sizeof(*batch->records));
	batch->records[batch->count++] = record;
}

/* Ids have no gaps, so that counting them is enough. */
static int trim(const struct batch *batch, struct database *database)
{
	uint64_t last = 0;
	for (size_t i = 0; i < batch->count; i++)
		last = batch->records[i]->id > last ? batch->records[i]->id : last;
	if (last <= batch->keep)
		return 0;
	struct statement delete;
	int result = statement_make(
		&delete, database, "DELETE FROM commands WHERE id<=? AND state!=0");
	if (result == 0) {
		statement_bind(&delete, 0, (int64_t)(last - batch->keep));
		result = statement_run(&delete);
	}
	statement_finish(&delete);
	return result;
}

static int write_batch(const struct batch *batch, struct database *database)
{
	struct statement insert;
	int result = statement_make(&insert, database, INSERT);
	for (size_t i = 0; result == 0 && i < batch->count; i++)
		result = put(&insert, batch->records[i]);
	statement_finish(&insert);
	return result == 0 ? trim(batch, database) : result;
}

static int read_rows(struct batch *batch, struct statement *rows, struct database *database)
{
	int result;
	/* What an earlier try brought. */
	drop_records(batch);
	while ((result = statement_step(rows)) > 0) {
		struct record *record = take(rows);
		if (!record)
			return database_blame(database, "command %jd is not as it was written",
				(intmax_t)statement_number(rows, COLUMN_ID));
		batch_add(batch, record);
	}
	return result;
}

static int load_batch(struct batch *batch, struct database *database)
{
	struct statement rows;
	int64_t last = database_ask(database, "SELECT max(id) FROM commands");
	if (last < 0)
		return (int)last;
	if (last > ROW_ID_MAX)
		return database_blame(database, "a command has an absurd id");
	batch->last_id = (uint64_t)last;
	int result = statement_make(&rows, database,
		"SELECT " COLUMNS " FROM commands WHERE state<2 OR (ended>=? AND NOT repeat) "
		"ORDER BY id");
	if (result == 0) {
		statement_bind(&rows, 0, batch->since_ms);
		result = read_rows(batch, &rows, database);
	}
	statement_finish(&rows);
	return result;
}

static int list_batch(struct batch *batch, struct database *database)
{
	struct statement rows;
	int result = statement_make(&rows, database,
		"SELECT " COLUMNS " FROM commands WHERE ?=0 OR device=? ORDER BY id DESC LIMIT ?");
	if (result == 0) {
		statement_bind(&rows, 0, (int64_t)batch->key);
		statement_bind(&rows, 1, (int64_t)batch->key);
		statement_bind(&rows, 2, (int64_t)batch->room);
		result = read_rows(batch, &rows, database);
	}
	statement_finish(&rows);
	return result;
}

int batch_run(struct batch *batch, struct database *database)
{
	switch (batch->kind) {
	case BATCH_WRITE:
		return write_batch(batch, database);
	case BATCH_LOAD:
		return load_batch(batch, database);
	case BATCH_LIST:
		return list_batch(batch, database);
	}
	return -EINVAL;
}

/* A row that cannot be read ends it: those behind it are looked for from the other end. */
int records_rescue(const char *path, struct database *database)
{
	static const char *const orders[] = {
		"SELECT " COLUMNS " FROM commands ORDER BY id",
		"SELECT " COLUMNS " FROM commands ORDER BY id DESC",
	};
	struct database damaged = { .file = NULL };
	struct statement insert;
	int result = statement_make(&insert, database, INSERT);
	bool readable = database_open(&damaged, path) == 0;
	for (int i = 0; readable && result == 0 && i < 2; i++) {
		struct statement rows;
		int found = statement_make(&rows, &damaged, orders[i]) == 0;
		while (found > 0 && result == 0 && (found = statement_step(&rows)) > 0) {
			struct record *record = take(&rows);
			if (record)
				result = put(&insert, record);
			record_destroy(record);
		}
		statement_finish(&rows);
	}
	statement_finish(&insert);
	database_close(&damaged);
	return result;
}
