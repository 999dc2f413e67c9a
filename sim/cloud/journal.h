/* SPDX-License-Identifier: Apache-2.0 */
/* What happened: counters, the transcript in JSON lines, the last violations. */
#ifndef SIM_CLOUD_JOURNAL_H
#define SIM_CLOUD_JOURNAL_H

#include "device.h"
#include "util/loop.h"
#include "violation.h"

struct stats {
	uint64_t activations;
	uint64_t blocks_taken, blocks_given, blocks_incomplete;
	uint64_t authentications, signatures; /* signatures: verified */
	uint64_t messages; /* reports of all kinds, and queries, that were accepted */
	uint64_t readings; /* reports of points, each element of a batch counted */
	uint64_t points, batches, late_readings; /* late: by resume */
	uint64_t set_back; /* points whose current value was replaced by an older one */
	uint64_t events, attributes, raw, queries, polls;
	uint64_t duplicate_points, duplicate_readings;
	uint64_t unauthorized; /* 4.01 that was not the client's fault */
	uint64_t tokens_expired, tokens_forgotten;
	uint64_t errors, silences, forbidden, rejected; /* by fault */
	uint64_t commands, commands_delivered, commands_resent, commands_expired;
	uint64_t replies, replies_repeated;
	uint64_t violations, by_kind[VIOLATION_COUNT];
};

struct journal;
/* fd: where the transcript goes, owned from then on; -1: nowhere. */
struct journal *journal_create(struct loop *loop, int fd);
void journal_destroy(struct journal *journal);
struct stats *journal_stats(struct journal *journal);

/* Who gets each line as it is written, newline included. device may be NULL. */
struct follower {
	struct list link;
	void (*line)(struct follower *follower, const char *event, const struct device *device,
		const struct buffer *line);
};
void journal_follow(struct journal *journal, struct follower *follower);
void journal_unfollow(struct follower *follower);

/* Whether anybody reads; what costs time to write is left out otherwise. */
bool journal_read(const struct journal *journal);
/* Begins a line with time, event and device (may be NULL); add members with a comma in front. */
struct buffer *journal_begin(
	struct journal *journal, const char *event, const struct device *device);
void journal_end(struct journal *journal);
/* Counts, logs and writes a violation. */
void journal_violation(struct journal *journal, struct device *device, enum violation violation,
	const char *topic, const char *text);
/* Writes out what is buffered. */
void journal_flush(struct journal *journal);

/* Appends the counters as members of an object, without its braces. */
void journal_print_stats(const struct journal *journal, struct buffer *json);
/* Appends the last violations as a JSON list. */
void journal_print_violations(const struct journal *journal, struct buffer *json);

#endif
