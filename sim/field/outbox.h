/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that wait for their time and then go out, byte by byte as the line lets them. */
#ifndef EB_SIM_FIELD_OUTBOX_H
#define EB_SIM_FIELD_OUTBOX_H

#include "sim/field/answer.h"
#include "sim/field/wire.h"
#include "util/list.h"
#include "util/loop.h"

/* More answers than these are dropped: nobody who waits for answers gets there. */
#define OUTBOX_MAX 1000

struct departure {
	struct list link;
	int64_t due_us;
	bool started;
	struct sending sending;
	size_t sent;
	size_t request_size; /* bytes that it answers */
	struct answer answer;
};

struct outbox {
	struct loop *loop; /* borrowed, as is the wire */
	struct wire *wire;
	struct list waiting; /* struct departure, by rising due_us; the first may be on its way */
	size_t count;
	struct timer next;
	/* The next bytes of an answer are through. */
	void (*put)(struct outbox *outbox, const uint8_t *bytes, size_t size);
	/* All of them are. */
	void (*sent)(struct outbox *outbox, const struct departure *departure);
	/* The timer has run and some of the above may have been called; may free the outbox. */
	void (*rested)(struct outbox *outbox);
};

/* Sets up what the owner has not: it sets the three functions, and rested may be NULL. */
void outbox_init(struct outbox *outbox, struct loop *loop, struct wire *wire);
/* Drops all that waits. */
void outbox_clear(struct outbox *outbox);
/* Copies an answer, to begin at due_us at the earliest, behind all that are due sooner. */
void outbox_add(
	struct outbox *outbox, const struct answer *answer, int64_t due_us, size_t request_size);

#endif
