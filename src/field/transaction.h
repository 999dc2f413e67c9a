/* SPDX-License-Identifier: Apache-2.0 */
/* One request on a bus, from its frame to its end; it always ends, by its deadline. */
#ifndef EB_FIELD_TRANSACTION_H
#define EB_FIELD_TRANSACTION_H

#include "field/bus.h"

enum echo_state {
	ECHO_AWAITED, /* the first bytes may yet turn out to be our own */
	ECHO_HELD, /* our own bytes, or an answer that looks the same */
	ECHO_STRIPPED,
	ECHO_ABSENT,
};

struct choice;

struct transaction {
	struct list link; /* in bus->outstanding */
	struct device *device;
	const struct request *request;
	struct plan *plan; /* referenced; NULL: a step of the running order */
	uint32_t first, count; /* parts of device->merge, or the number of a setup request */
	uint32_t tag, step;
	bool probe, setup, queued; /* queued: the frame waits for the line */
	uint8_t echo; /* enum echo_state */
	bool answering; /* bytes of an answer came */
	int64_t begun_us; /* its first bit left; 0: not yet */
	int64_t sent_us; /* the first bit of this step's frame left */
	/* Of the first byte while !answering, else of the last; 0: not sent yet. */
	int64_t deadline_us;
	uint32_t timeout_us; /* that it was given */
	uint16_t frame_size, frame_sent;
	uint8_t *frame; /* NULL: sent, and cannot come back */
	struct buffer so_far; /* contents of earlier steps */
};

/* Why a request ended, and what it brought. */
struct ending {
	uint32_t error; /* enum eb_error_class; EB_NONE: good */
	uint32_t code;
	bool range_refused; /* less of it might have been answered */
	const uint8_t *content;
	size_t size;
};

/* Whether another request may be begun now. */
bool transaction_room(const struct bus *bus);
/* Begins what was chosen, or a step of the running order; it is queued. */
void transaction_begin_poll(struct bus *bus, const struct choice *choice);
void transaction_begin_step(struct bus *bus, struct device *device, const struct request *request);
/* The one that waits for the line to be sent, or NULL. */
struct transaction *transaction_queued(const struct bus *bus);
/* Sends as much of its frame as the link takes; the link may be lost then. */
void transaction_send(struct bus *bus, struct transaction *transaction);
/* Ends those whose deadline has passed. */
void transaction_expire(struct bus *bus);
/* The earliest deadline, INT64_MAX none. */
int64_t transaction_next_us(const struct bus *bus);
/* Ends it: statistics, health, and on to whoever waits for it.  Frees it. */
void transaction_end(struct bus *bus, struct transaction *transaction, const struct ending *ending);
/* Ends all that is outstanding because the link is gone. */
void transaction_abandon(struct bus *bus);
/* What was received does not answer it: nothing is asked of the device while the answer may come. */
void transaction_fail(
	struct bus *bus, struct transaction *transaction, const struct ending *ending);
/* A frame more of the same request, after EB_CONTINUE; it is in plane->frame. */
void transaction_continue(struct bus *bus, struct transaction *transaction, const uint8_t *content,
	size_t content_size, size_t frame_size);
/* Bytes came that are not our own: from now on the deadline is that of the last one. */
void transaction_answering(struct bus *bus, struct transaction *transaction);

#endif
