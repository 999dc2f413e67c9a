/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Some adapters give back what is sent through them.  An answer to a write may look the same, so on a
 * line of which nothing is known yet, our own bytes alone never count as one.
 */
#ifndef EB_FIELD_ECHO_H
#define EB_FIELD_ECHO_H

#include "field/transaction.h"

enum echo_finding {
	ECHO_PASS, /* not our own bytes: they go to the plugin */
	ECHO_WAIT, /* not known yet: wait for more */
	ECHO_STRIP, /* the whole frame came back: it is dropped */
};

/* What the bytes are that came first after the frame was sent; silent: nothing more followed. */
enum echo_finding echo_examine(struct bus *bus, struct transaction *transaction,
	const uint8_t *bytes, size_t size, bool silent);
/* The transaction was answered well: what this says of the line. */
void echo_answered(struct bus *bus, const struct transaction *transaction);

#endif
