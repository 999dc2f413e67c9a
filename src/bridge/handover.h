/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans on their way to the field.  One that finds no room in the field's mailbox is kept, and tried again
 * until it is there: nobody else would send it a second time.
 */
#ifndef EB_BRIDGE_HANDOVER_H
#define EB_BRIDGE_HANDOVER_H

#include "bridge/fleet.h"
#include "core/mailbox.h"
#include "util/loop.h"

struct handover;

struct handover *handover_create(
	const struct fleet *fleet, struct loop *loop, struct mailbox *to_field);
void handover_destroy(struct handover *handover);
/* Gives the field the plan of the device, unless it has that one: now or as soon as it has room. */
void handover_send(struct handover *handover, struct member *device);

#endif
