/* SPDX-License-Identifier: Apache-2.0 */
/* What serial and TCP lines have in common: a name, units, counters, and how a request is answered. */
#ifndef EB_SIM_FIELD_LINE_H
#define EB_SIM_FIELD_LINE_H

#include "sim/field/answer.h"
#include "sim/field/unit.h"
#include "util/list.h"

struct sim;
struct line;

struct line_kind {
	bool stream;
	int (*plug)(struct line *line); /* opens it; 0 or -errno */
	void (*unplug)(struct line *line); /* closes all that is open */
	/* Appends members with a comma in front: where it is reached, how busy it is. */
	void (*describe)(struct line *line, struct buffer *json);
	/* The port that a plugged line listens on, 0: none; NULL where it never has one. */
	uint16_t (*port)(const struct line *line);
	/* What is spoken there; NULL where it is Modbus in the line's framing. */
	const char *(*protocol)(const struct line *line);
	void (*destroy)(struct line *line); /* the kind's own part; it is unplugged then */
};

struct tally {
	uint64_t requests; /* whole, with a unit of this line or not */
	uint64_t answers; /* that were put on the line, spoilt ones too */
	uint64_t exceptions; /* among them */
	uint64_t faults; /* requests and connections that a fault befell */
	uint64_t unheard; /* to a unit that is not there */
	uint64_t bad; /* bytes that were no request */
	uint64_t violations; /* of the silence before a request */
	uint64_t bytes_in, bytes_out;
	int64_t busy_ns; /* that characters took of the line */
	int64_t least_ns; /* that whole, unspoilt transactions have to take, with their silences */
};

struct line {
	struct list link; /* in the simulation */
	const struct line_kind *kind;
	struct sim *sim;
	char *name; /* owned */
	enum framing framing;
	bool plugged;
	struct unit *units; /* by rising id */
	size_t unit_count;
	struct tally total, marked; /* marked: total when the window began */
	int64_t first_us, last_us; /* of the window: first request began, last answer was through */
};

static inline uint16_t line_port(const struct line *line)
{
	return line->kind->port ? line->kind->port(line) : 0;
}

/* Sets up the common part and puts the line at the end of the simulation's. */
void line_init(struct line *line, struct sim *sim, const struct line_kind *kind, const char *name,
	enum framing framing);
/* Adds a unit with the id; -EEXIST where the line has it. */
int line_add_unit(struct line *line, const struct unit *unit);
struct unit *line_unit(const struct line *line, uint8_t id);
void line_destroy(struct line *line);

/* 0, -EALREADY, or -errno. */
int line_plug(struct line *line);
int line_unplug(struct line *line);

/*
 * Serves a request that was received between began_us and ended_us and puts together the answer;
 * answer->size is 0 where nothing is to be sent.
 */
void line_serve(struct line *line, const struct adu *request, const uint8_t *frame, size_t size,
	int64_t began_us, int64_t ended_us, struct answer *answer);
/* Counts and records an answer whose last byte is through. */
void line_answered(
	struct line *line, const struct answer *answer, int64_t began_us, int64_t ended_us);
/* Counts and records bytes that were no request, or came too early. */
void line_bad(struct line *line, const uint8_t *bytes, size_t size);
void line_violated(struct line *line, int64_t silence_us, bool dropped);
/* Records an event without details. */
void line_event(struct line *line, const char *event);

/* Begins a new window for the shares. */
void line_mark(struct line *line);
/* Appends a JSON object of all counters. */
void line_print(struct line *line, struct buffer *json);

#endif
