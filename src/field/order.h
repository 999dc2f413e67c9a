/* SPDX-License-Identifier: Apache-2.0 */
/* Orders: requests for a command, which run before all polls with nothing in between. */
#ifndef EB_FIELD_ORDER_H
#define EB_FIELD_ORDER_H

#include "field/transaction.h"

/* Takes the order into the queue, or answers it at once. */
void order_take(struct bus *bus, struct order *order);
/*
 * Begins the next step of the running order, or another order, where that may be now; true if so.
 * Else *next_us is when to look again, INT64_MAX: when something ended.
 */
bool order_begin(struct bus *bus, int64_t *next_us);
/* Whether an order has or wants the bus, so that no poll may begin. */
bool order_waits(const struct bus *bus);
void order_step_ended(
	struct bus *bus, const struct transaction *transaction, const struct ending *ending);
/* Answers those whose deadline passed before they began; returns the next deadline. */
int64_t order_expire(struct bus *bus);
/* Answers every one that waits, and the running one. */
void order_fail_all(struct bus *bus);

#endif
