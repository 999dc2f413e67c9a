/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages that travel: between the planes by mailbox, and within the main plane from hand to
 * hand.  Constant after they were handed over; the receiver destroys them with message_destroy().
 * Devices and buses are numbered as in the configuration.
 */
#ifndef EB_CORE_MESSAGE_H
#define EB_CORE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/mailbox.h"
#include "core/plan.h"
#include "util/buffer.h"

enum message_kind {
	/* field to main */
	MESSAGE_READING,
	MESSAGE_OUTCOME,
	MESSAGE_HEALTH,
	MESSAGE_LINK,
	MESSAGE_ANSWER,
	MESSAGE_EVIDENCE,
	/* main to field */
	MESSAGE_PLAN,
	MESSAGE_ORDER,
	MESSAGE_QUERY,
};

static inline void message_destroy(struct mail *mail)
{
	if (mail)
		mail->destroy(mail);
}

/* When something was read. */
struct stamp {
	int64_t wall_ms; /* since 1970-01-01 UTC */
	int64_t mono_us; /* since the machine's boot (CLOCK_BOOTTIME) */
	bool synced; /* the kernel held the wall clock for synchronised */
	bool unset; /* the wall clock was not set: wall_ms is not the time (cloud/calendar.h) */
	uint64_t boot; /* 0: the present one; else clock_boot_id() of an earlier one */
};

/* ---- field to main -------------------------------------------------------------------------- */

/* The bytes that a poll read. Droppable. */
struct reading {
	struct mail mail;
	uint32_t device;
	uint32_t poll; /* of plan->polls */
	struct plan *plan; /* referenced */
	struct stamp stamp; /* when the last byte of the answer came */
	uint32_t size;
	uint8_t bytes[];
};

struct reading *reading_create(struct plan *plan, uint32_t poll, const struct stamp *stamp,
	const void *bytes, size_t size);

enum outcome_status {
	OUTCOME_DONE,
	OUTCOME_EXCEPTION, /* the device refused: code */
	OUTCOME_TIMEOUT, /* no answer: a write may have been executed */
	OUTCOME_ECHO, /* only our own bytes came back: nothing says that the device heard them */
	OUTCOME_EXPIRED, /* the deadline passed before it was sent */
	OUTCOME_LINK, /* the port or connection is down: not sent */
	OUTCOME_SKIPPED, /* one before it failed: not sent */
	OUTCOME_BUSY, /* too many wait already: not sent */
	OUTCOME_SUPERSEDED, /* a newer order of the same places came: not sent */
};

const char *outcome_name(enum outcome_status status);

struct step_outcome {
	enum outcome_status status;
	uint32_t code; /* OUTCOME_EXCEPTION */
	uint32_t error; /* enum eb_error_class of the last try */
	struct buffer bytes; /* what was read, empty for a write */
};

/* What became of an order: one outcome for each of its requests.  Its place was reserved. */
struct outcome {
	struct mail mail;
	uint32_t device;
	uint64_t order; /* its serial */
	size_t count;
	struct step_outcome steps[];
};

struct outcome *outcome_create(uint32_t device, uint64_t order, size_t count);

enum health_state { HEALTH_UNKNOWN, HEALTH_OK, HEALTH_SUSPECT, HEALTH_DOWN };
const char *health_name(enum health_state state);

/* A device's state changed. */
struct health {
	struct mail mail;
	uint32_t device;
	enum health_state state;
	uint32_t error; /* enum eb_error_class that brought it there */
	uint32_t code;
	struct stamp stamp;
};

struct health *health_create(uint32_t device, enum health_state state);

/* A bus's port or connection came up or went down. */
struct link_change {
	struct mail mail;
	uint32_t bus;
	bool up;
	char reason[160]; /* why it went down; "" */
	struct stamp stamp;
};

struct link_change *link_change_create(uint32_t bus, bool up);

/* The answer to a query: JSON text. */
struct answer {
	struct mail mail;
	uint64_t serial; /* the query's */
	struct buffer text;
};

struct answer *answer_create(uint64_t serial);

/* The last frames of a bus, with the first error of a kind among them.  Droppable. */
struct evidence {
	struct mail mail;
	uint32_t bus;
	uint32_t error; /* enum eb_error_class */
	struct stamp stamp;
	struct buffer text; /* a recording: core/recording.h */
};

struct evidence *evidence_create(uint32_t bus, uint32_t error);

/* ---- main to field -------------------------------------------------------------------------- */

/* From now on do this for the device, instead of what was done so far. */
struct plan_change {
	struct mail mail;
	struct plan *plan; /* referenced */
};

struct plan_change *plan_change_create(struct plan *plan);

/*
 * Requests to run for a command, one after the other with nothing of the same bus in between; the
 * first that fails ends it.  Answered by exactly one outcome, for which a place in the field's outbox
 * was reserved before the order was put.
 */
struct order {
	struct mail mail;
	uint32_t device;
	uint64_t serial;
	int64_t deadline_us; /* monotonic; not begun after it */
	/*
	 * Where the newest wins: what it writes, in words; one that waits with the same is superseded.
	 * Empty otherwise.
	 */
	struct buffer places;
	size_t count;
	struct request *requests[]; /* owned */
};

struct order *order_create(uint32_t device, uint64_t serial, int64_t deadline_us, size_t count);

enum query_kind {
	QUERY_PING, /* answered by {}: the field thread lives */
	QUERY_DUMP, /* the last frames of bus number */
	QUERY_BUS, /* statistics of bus number and its devices */
	QUERY_DEVICE, /* statistics of device number and its polls */
	QUERY_STATUS, /* totals, and one line per bus */
	QUERY_CAPTURE, /* what bus number carried since it was asked so last, by who; ends: no more */
};

struct query {
	struct mail mail;
	enum query_kind what;
	uint64_t serial;
	uint32_t number; /* of the bus or device asked about */
	uint64_t who;
	bool ends;
};

struct query *query_create(enum query_kind what, uint64_t serial, uint32_t number);

/* ---- within the main plane ------------------------------------------------------------------ */

enum report_kind { REPORT_POINTS, REPORT_EVENT, REPORT_ATTRIBUTES, REPORT_RAW };
const char *report_kind_name(enum report_kind kind);

/* What a script made of a reading, on its way to the cloud.  Shared by reference count. */
struct report {
	uint32_t references; /* of the main thread only */
	uint32_t device;
	enum report_kind kind;
	/* 1 + number of the poll with period 0 that it came from: a newer one replaces it; 0: none */
	uint32_t replaces;
	struct stamp stamp; /* of the reading */
	char name[64]; /* of an event; "" */
	uint32_t size;
	uint8_t data[]; /* a map (util/value.h): point to value; REPORT_RAW: the bytes */
};

#define REPORT_NAME_MAX 63

struct report *report_create(uint32_t device, enum report_kind kind, const struct stamp *stamp,
	const void *data, size_t size);
struct report *report_reference(struct report *report);
void report_release(struct report *report);

enum command_origin { ORIGIN_CLOUD, ORIGIN_BROKER, ORIGIN_CONTROL };
const char *command_origin_name(enum command_origin origin);

/* What somebody wants of a device. */
struct command {
	uint32_t device;
	enum command_origin origin;
	uint64_t token; /* by which the origin knows its own */
	int64_t received_us; /* monotonic */
	char *topic; /* behind /sys/{pk}/{dk}/: "thing/model/down_raw", "thing/service/..." */
	bool raw; /* down_raw: the payload is the message */
	struct buffer payload; /* as it came */
	char *id, *method; /* of the JSON payload; NULL in a raw one */
	struct buffer params; /* value: of the JSON payload, null where it has none */
};

/*
 * A command from its payload; the bytes are copied.  Returns 0, or -EINVAL with the reason in
 * error (room bytes) for a JSON payload that is none; *command then still has topic, payload and, where
 * it can be made out, the id, so that the refusal can be sent.
 */
int command_create(struct command **command, uint32_t device, enum command_origin origin,
	const char *topic, const void *payload, size_t size, char *error, size_t room);
void command_destroy(struct command *command);

/* The one result of a command, on its way back to whoever gave it. */
struct reply {
	uint32_t device;
	enum command_origin origin;
	uint64_t token;
	char *topic; /* the command's, without _reply */
	int code; /* 200, or what went wrong; of a raw reply too, for the record */
	char *why; /* what went wrong in words, for the log; NULL: nothing did */
	struct buffer payload; /* to POST to the topic with _reply behind it */
};

struct reply *reply_create(const struct command *command, int code);
void reply_destroy(struct reply *reply);

#endif
