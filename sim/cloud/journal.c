/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

#define FLUSH_SIZE 65536
#define LAST_VIOLATIONS 64

struct journal {
	struct loop *loop;
	int fd;
	struct stats stats;
	struct buffer line, pending;
	const char *event; /* of the line */
	const struct device *device;
	struct list followers;
	struct timer flush; /* at the loop's next turn */
	struct log_limit limit;
	char *last[LAST_VIOLATIONS]; /* JSON, a ring */
};

static void flush_due(struct timer *timer, int64_t now_us)
{
	journal_flush(container_of(timer, struct journal, flush));
}

struct journal *journal_create(struct loop *loop, int fd)
{
	struct journal *journal = must_alloc(sizeof(*journal));
	journal->loop = loop;
	journal->fd = fd;
	journal->limit = (struct log_limit){ .window_us = USEC_PER_SEC, .burst = 20 };
	journal->flush.expired = flush_due;
	list_init(&journal->followers);
	return journal;
}

void journal_destroy(struct journal *journal)
{
	if (!journal)
		return;
	journal_flush(journal);
	if (journal->fd > STDERR_FILENO)
		close(journal->fd);
	for (int i = 0; i < LAST_VIOLATIONS; i++)
		free(journal->last[i]);
	buffer_finish(&journal->line);
	buffer_finish(&journal->pending);
	free(journal);
}

struct stats *journal_stats(struct journal *journal)
{
	return &journal->stats;
}

void journal_follow(struct journal *journal, struct follower *follower)
{
	list_append(&journal->followers, &follower->link);
}

void journal_unfollow(struct follower *follower)
{
	list_remove(&follower->link);
}

bool journal_read(const struct journal *journal)
{
	return journal->fd >= 0 || !list_empty(&journal->followers);
}

struct buffer *journal_begin(
	struct journal *journal, const char *event, const struct device *device)
{
	struct buffer *line = &journal->line;
	journal->event = event;
	journal->device = device;
	buffer_clear(line);
	buffer_put_text(line, "{\"time\":");
	json_put_integer(line, clock_wall_ms(loop_clock(journal->loop)));
	buffer_put_text(line, ",\"event\":\"");
	buffer_put_text(line, event);
	buffer_put_byte(line, '"');
	if (device) {
		buffer_put_text(line, ",\"device\":");
		json_put_text(line, device->name);
	}
	return line;
}

void journal_end(struct journal *journal)
{
	buffer_put(&journal->line, "}\n", 2);
	list_for_each (link, &journal->followers) {
		struct follower *follower = container_of(link, struct follower, link);
		follower->line(follower, journal->event, journal->device, &journal->line);
	}
	if (journal->fd < 0)
		return;
	buffer_put(&journal->pending, journal->line.data, journal->line.size);
	if (journal->pending.size >= FLUSH_SIZE)
		journal_flush(journal);
	else if (!timer_armed(&journal->flush))
		loop_arm(journal->loop, &journal->flush, loop_now(journal->loop));
}

void journal_flush(struct journal *journal)
{
	size_t done = 0;
	while (journal->fd >= 0 && done < journal->pending.size) {
		ssize_t size = write(
			journal->fd, journal->pending.data + done, journal->pending.size - done);
		if (size > 0) {
			done += (size_t)size;
		} else if (errno == EAGAIN) {
			/* A terminal or pipe that others made non-blocking. */
			poll(&(struct pollfd){ .fd = journal->fd, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			log_error("transcript: cannot write: %s; it ends here", strerror(errno));
			journal->fd = -1;
		}
	}
	buffer_clear(&journal->pending);
	loop_disarm(journal->loop, &journal->flush);
}

void journal_violation(struct journal *journal, struct device *device, enum violation violation,
	const char *topic, const char *text)
{
	uint64_t held;
	const char *name = violation_name(violation);
	uint64_t number = journal->stats.violations++;
	journal->stats.by_kind[violation]++;
	if (device)
		device->violations++;
	if (log_limit_pass(&journal->limit, loop_now(journal->loop), &held)) {
		if (held)
			log_warning("cloud: %llu more violations were not printed",
				(unsigned long long)held);
		log_warning("%s: violation %s: %s%s%s", device ? device->name : "a stranger", name,
			topic ? topic : "", topic ? ": " : "", text);
	}
	struct buffer *line = journal_begin(journal, "violation", device);
	buffer_printf(line, ",\"kind\":\"%s\"", name);
	if (topic) {
		buffer_put_text(line, ",\"topic\":");
		json_put_text(line, topic);
	}
	buffer_put_text(line, ",\"text\":");
	json_put_text(line, text);
	char **slot = &journal->last[number % LAST_VIOLATIONS];
	free(*slot);
	*slot = must_printf("%s}", buffer_text(line));
	journal_end(journal);
}

void journal_print_stats(const struct journal *journal, struct buffer *json)
{
	const struct stats *stats = &journal->stats;
	const struct {
		const char *name;
		uint64_t count;
	} rows[] = {
		{ "activations", stats->activations },
		{ "blocks_taken", stats->blocks_taken },
		{ "blocks_given", stats->blocks_given },
		{ "blocks_incomplete", stats->blocks_incomplete },
		{ "authentications", stats->authentications },
		{ "signatures", stats->signatures },
		{ "messages", stats->messages },
		{ "readings", stats->readings },
		{ "points", stats->points },
		{ "batches", stats->batches },
		{ "late_readings", stats->late_readings },
		{ "set_back", stats->set_back },
		{ "events", stats->events },
		{ "attributes", stats->attributes },
		{ "raw", stats->raw },
		{ "queries", stats->queries },
		{ "polls", stats->polls },
		{ "duplicate_points", stats->duplicate_points },
		{ "duplicate_readings", stats->duplicate_readings },
		{ "unauthorized", stats->unauthorized },
		{ "tokens_expired", stats->tokens_expired },
		{ "tokens_forgotten", stats->tokens_forgotten },
		{ "errors", stats->errors },
		{ "silences", stats->silences },
		{ "forbidden", stats->forbidden },
		{ "rejected", stats->rejected },
		{ "commands", stats->commands },
		{ "commands_delivered", stats->commands_delivered },
		{ "commands_resent", stats->commands_resent },
		{ "commands_expired", stats->commands_expired },
		{ "replies", stats->replies },
		{ "replies_repeated", stats->replies_repeated },
		{ "violations", stats->violations },
	};
	size_t followers = 0;
	list_for_each (link, &journal->followers)
		followers++;
	buffer_printf(json, "\"followers\":%zu,", followers);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		buffer_printf(
			json, "\"%s\":%llu,", rows[i].name, (unsigned long long)rows[i].count);
	buffer_put_text(json, "\"violations_by_kind\":{");
	const char *comma = "";
	for (int i = 0; i < VIOLATION_COUNT; i++) {
		if (!stats->by_kind[i])
			continue;
		buffer_printf(json, "%s\"%s\":%llu", comma, violation_name((enum violation)i),
			(unsigned long long)stats->by_kind[i]);
		comma = ",";
	}
	buffer_put_byte(json, '}');
}

void journal_print_violations(const struct journal *journal, struct buffer *json)
{
	uint64_t total = journal->stats.violations;
	uint64_t first = total > LAST_VIOLATIONS ? total - LAST_VIOLATIONS : 0;
	buffer_put_byte(json, '[');
	for (uint64_t i = first; i < total; i++)
		buffer_printf(
			json, "%s%s", i > first ? "," : "", journal->last[i % LAST_VIOLATIONS]);
	buffer_put_byte(json, ']');
}
