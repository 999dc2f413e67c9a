/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits for the broker: messages in memory, bounded in number and in bytes.  Where it is full
 * the oldest telemetry goes first; what must arrive is dropped only when nothing else is left.
 */
#ifndef EB_LOCAL_OUTBOX_H
#define EB_LOCAL_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

enum outbox_class {
	OUTBOX_TELEMETRY, /* readings and reports: a newer one is worth more than an older one */
	OUTBOX_KEPT, /* commands and results */
	OUTBOX_CLASSES
};

struct outbox_message {
	struct list link;
	enum outbox_class class;
	size_t size; /* of the payload */
	const uint8_t *payload; /* in text, behind the topic */
	char topic[];
};

struct outbox {
	struct list waiting[OUTBOX_CLASSES]; /* oldest first */
	size_t count, count_max;
	size_t bytes, bytes_max; /* of memory, not of payloads alone */
	uint64_t dropped[OUTBOX_CLASSES];
};

void outbox_init(struct outbox *outbox, size_t count_max, size_t bytes_max);
void outbox_finish(struct outbox *outbox);

/* Copies topic and payload to the end of the class. */
void outbox_put(struct outbox *outbox, enum outbox_class class, const char *topic,
	const void *payload, size_t size);
/* The oldest message of the class, or NULL; it stays where it is. */
struct outbox_message *outbox_first(const struct outbox *outbox, enum outbox_class class);
/* Takes the message out; the caller frees it, or hands it back with outbox_return(). */
void outbox_take(struct outbox *outbox, struct outbox_message *message);
/* Puts a message that was taken in front of all others of its class; owns it again. */
void outbox_return(struct outbox *outbox, struct outbox_message *message);

#endif
