/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands on their way: from whoever gave them through the script to the field, and back through the
 * script as exactly one reply, whatever happens.  The ledger (cloud/ledger.h) tells which came before,
 * and has each on the disk before it goes to its device.
 */
#ifndef EB_BRIDGE_PIPELINE_H
#define EB_BRIDGE_PIPELINE_H

#include "bridge/result.h"
#include "bridge/fleet.h"
#include "cloud/ledger.h"
#include "core/mailbox.h"
#include "core/message.h"
#include "util/loop.h"

struct pipeline;

struct pipeline_setup {
	struct fleet *fleet;
	struct loop *loop;
	struct ledger *ledger;
	struct mailbox *to_field;
	struct mailbox *from_field; /* where a place for each outcome is reserved */
	void *context;
	/* A command that is no repeat; borrowed. */
	void (*taken)(void *context, const struct command *command);
	/* The reply of a command, exactly once; owns the reply, borrows the command. */
	void (*reply)(void *context, const struct command *command, struct reply *reply);
	/* A reply that was given before goes out again; owned. */
	void (*again)(void *context, struct reply *reply);
	/* The record of a command that ended, or that came again. */
	void (*audit)(void *context, const struct record *record);
};

struct pipeline *pipeline_create(const struct pipeline_setup *setup);
/* Commands that are still under way are answered first, as expired. */
void pipeline_destroy(struct pipeline *pipeline);
/* Reads what is known of commands from before the start. */
void pipeline_start(struct pipeline *pipeline);
/* Owns the command from then on. */
void pipeline_submit(struct pipeline *pipeline, struct command *command);
/* Answers a command without asking the script. Owns it. */
void pipeline_refuse(struct pipeline *pipeline, struct command *command, int code, const char *why);
/* The field is ending: no command reaches it any more, and all that come are answered so. */
void pipeline_stop(struct pipeline *pipeline);
/* What the field made of an order; owns it. */
void pipeline_outcome(struct pipeline *pipeline, struct outcome *outcome);
size_t pipeline_running(const struct pipeline *pipeline);

#endif
