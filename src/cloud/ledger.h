/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of commands: those that run, those that were answered not long ago, and which replies
 * the cloud has not acknowledged.  So one that comes again within its window does not run twice but
 * gets the reply that was given; and with a spool all of it stands on the disk (record.h), a command
 * before it goes to its device, so that after a restart it is answered and not run again.
 *
 * Each command is known by its token, which also its reply has.
 */
#ifndef EB_CLOUD_LEDGER_H
#define EB_CLOUD_LEDGER_H

#include "cloud/record.h"
#include "core/conf.h"
#include "util/loop.h"

/* The most answered commands that are remembered, of one device and of all; the oldest go first. */
#define LEDGER_DEVICE_MAX 4096
#define LEDGER_MAX 65536

struct ledger;
struct writer;

struct ledger_setup {
	const struct conf *conf;
	struct loop *loop;
	struct writer *writer; /* NULL: there is no disk, memory is all */
};

/* What the ledger tells; never from within a call of it, but for ledger_save(). */
struct ledger_listener {
	void *context;
	/* Commands can be judged from now on. */
	void (*ready)(void *context);
	/* What LEDGER_WAIT was said of is on the disk, or why it cannot be (then not NULL). */
	void (*recorded)(void *context, uint64_t token, const char *why);
	/* Found at the start: it was begun, and how it ended is not known.  Owned; ledger_end() is owed. */
	void (*interrupted)(void *context, struct command *command);
	/* Found at the start: the cloud has not acknowledged this reply.  Owned. */
	void (*unsent)(void *context, struct reply *reply);
	/* A command ended, or came again: for the audit. */
	void (*ended)(void *context, const struct record *record);
};

enum ledger_verdict {
	LEDGER_NEW, /* to be run: ledger_end() is owed */
	LEDGER_RUNNING, /* the first one runs still: its reply answers */
	LEDGER_ANSWERED, /* send *reply again */
};

enum ledger_answer {
	LEDGER_GO, /* nothing to wait for */
	LEDGER_WAIT, /* until it is recorded */
};

struct ledger *ledger_create(const struct ledger_setup *setup);
void ledger_destroy(struct ledger *ledger);
/* Reads what the disk has. */
void ledger_start(struct ledger *ledger, const struct ledger_listener *listener);
/* Whether commands can be judged: what the disk has was read, or could not be. */
bool ledger_ready(const struct ledger *ledger);

/*
 * Judges a command that came, and sets its token.  A repeat has the same device, topic and payload as
 * one that runs, or was answered within the window that the configuration gives commands with and
 * without an id.  *reply is the caller's.
 */
enum ledger_verdict ledger_judge(
	struct ledger *ledger, struct command *command, struct reply **reply);
/* The command is about to go to its device for the first time: not before it is recorded. */
enum ledger_answer ledger_begin(struct ledger *ledger, const struct command *command);
/*
 * Its reply is there; it goes out when it is recorded, or cannot be.  What never began need not wait.
 */
enum ledger_answer ledger_end(struct ledger *ledger, const struct reply *reply);
/* The cloud has the reply, or will never take it.  Harmless for what is not known, and for NULL. */
void ledger_delivered(struct ledger *ledger, const struct reply *reply);

/*
 * The last records, the newest first; device below 0: of all.  told is called once, with why not NULL
 * where the disk cannot be read, perhaps before this returns.  -EBUSY: too many ask already.
 */
int ledger_list(struct ledger *ledger, int64_t device, size_t room,
	void (*told)(void *context, uint64_t token, struct record *const *records, size_t count,
		const char *why),
	void *context, uint64_t token);

/* Whether there is a disk, and it took the last that was written. */
bool ledger_durable(const struct ledger *ledger);
/* Writes all that is not yet on the disk; what comes from then on stays in memory. */
void ledger_save(struct ledger *ledger);
/* A JSON object. */
void ledger_status(const struct ledger *ledger, struct buffer *json);

#endif
