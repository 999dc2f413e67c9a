/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the polls of devices whose script asks them for it: rounds of orders to the field, when the
 * device answers for the first time, when it is back, and when its script was loaded anew.  Until the
 * polls are found, or found again, readings wait.
 */
#ifndef EB_BRIDGE_DISCOVERY_H
#define EB_BRIDGE_DISCOVERY_H

#include "bridge/fleet.h"
#include "core/mailbox.h"
#include "core/message.h"
#include "util/loop.h"

/* Orders of discovery have serials from here on, those of commands below. */
#define DISCOVERY_SERIALS (UINT64_C(1) << 63)

struct discoveries;

struct discoveries_setup {
	struct fleet *fleet;
	struct loop *loop;
	struct mailbox *to_field;
	struct mailbox *from_field; /* where a place for each outcome is reserved */
	void *context;
	/* The device's polls are known now: its plan is to be sent. */
	void (*found)(void *context, struct member *device);
	/* A reading that waited for that, to be decoded now; borrowed. */
	void (*reading)(void *context, const struct reading *reading);
};

struct discoveries *discoveries_create(const struct discoveries_setup *setup);
void discoveries_destroy(struct discoveries *discoveries);
/* The device's health changed. */
void discoveries_health(struct discoveries *discoveries, uint32_t device, enum health_state state);
/* The device's script was loaded anew. */
void discoveries_restart(struct discoveries *discoveries, uint32_t device);
/* What the field made of an order of discovery; owns it. */
void discoveries_outcome(struct discoveries *discoveries, struct outcome *outcome);
/*
 * Takes a reading that is not to be decoded now: it owns it then, and returns true.  Of all others it
 * returns false.
 */
bool discoveries_hold(struct discoveries *discoveries, struct reading *reading);
/* No order is made any more. */
void discoveries_stop(struct discoveries *discoveries);

#endif
