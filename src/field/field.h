/* SPDX-License-Identifier: Apache-2.0 */
/* The field plane: buses, their links and devices, in a thread of its own. */
#ifndef EB_FIELD_FIELD_H
#define EB_FIELD_FIELD_H

#include "core/conf.h"
#include "core/mailbox.h"
#include "core/resolver.h"
#include "util/clock.h"

struct field;

/*
 * inbox carries plan changes, orders and queries to the field; outbox what the field has to say.
 * All are borrowed and outlive the field.  Polling of a device begins with its first plan.
 */
struct field_setup {
	const struct conf *conf;
	struct clock *clock;
	struct resolver *resolver;
	struct mailbox *inbox, *outbox;
};

int field_create(struct field **field, const struct field_setup *setup);
/* Starts the thread. 0 or -errno. */
int field_start(struct field *field);
/* Ends the thread after the transactions on the wire, at most 500 ms, and joins it. */
void field_stop(struct field *field);
void field_destroy(struct field *field);
/* For tests: the loop, to be stepped instead of field_start(). */
struct loop *field_loop(struct field *field);

#endif
