/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that the cloud sends again because it heard no reply: the same topic, payload and so id,
 * within a window.  They do not run twice; the reply that was given once is given again.
 */
#ifndef EB_CLOUD_REPEAT_H
#define EB_CLOUD_REPEAT_H

#include "core/message.h"
#include "util/list.h"

/* The most commands of one device that are remembered; the oldest answered one goes. */
#define REPEAT_MAX 32

struct repeats {
	struct list list;
	uint32_t count;
	uint64_t serial;
};

enum repeat_verdict {
	REPEAT_NEW, /* to be run */
	REPEAT_RUNNING, /* the first one runs still: its reply answers */
	REPEAT_ANSWERED, /* send *reply again */
};

void repeats_init(struct repeats *repeats);
void repeats_finish(struct repeats *repeats);
/*
 * Judges the command by those that run, or were answered in the last window_s seconds (0: none is a
 * repeat).  A new one is remembered, and command->token set, by which repeat_answered() knows it.  *reply is the caller's.
 */
enum repeat_verdict repeat_judge(struct repeats *repeats, struct command *command, int64_t now_us,
	uint32_t window_s, struct reply **reply);
/* Keeps a copy of the reply with its command. */
void repeat_answered(struct repeats *repeats, const struct reply *reply, int64_t now_us);

#endif
