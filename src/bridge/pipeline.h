/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands on their way: from whoever gave them through the script to the field, and back through the
 * script as exactly one reply, whatever happens.
 */
#ifndef EB_BRIDGE_PIPELINE_H
#define EB_BRIDGE_PIPELINE_H

#include "bridge/fleet.h"
#include "core/mailbox.h"
#include "core/message.h"

/* Codes of replies besides 200; EnOS takes anything but 200 for an error of the device. */
enum reply_code {
	REPLY_DONE = 200,
	REPLY_REFUSED = 400, /* the script refuses, or the payload makes no sense */
	REPLY_UNKNOWN = 404, /* the device takes no such commands */
	REPLY_EXPIRED = 408, /* its deadline passed before it reached the device */
	REPLY_SCRIPT = 500, /* the script failed */
	REPLY_DEVICE = 502, /* the device refused, or only our own bytes came back */
	REPLY_BUSY = 503, /* too much waits already, or the line is down: nothing was sent */
	REPLY_TIMEOUT = 504, /* no answer: it may have been executed */
};

struct pipeline;

struct pipeline_setup {
	struct fleet *fleet;
	struct mailbox *to_field;
	struct mailbox *from_field; /* where a place for each outcome is reserved */
	void *context;
	/* The reply of a command, exactly once; owns the reply, borrows the command. */
	void (*reply)(void *context, const struct command *command, struct reply *reply);
};

struct pipeline *pipeline_create(const struct pipeline_setup *setup);
/* Commands that are still under way are answered first, as expired. */
void pipeline_destroy(struct pipeline *pipeline);
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
