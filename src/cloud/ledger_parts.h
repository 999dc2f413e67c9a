/* SPDX-License-Identifier: Apache-2.0 */
/* What ledger.c, which knows the commands, and ledger_disk.c, which writes and reads them, share. */
#ifndef EB_CLOUD_LEDGER_PARTS_H
#define EB_CLOUD_LEDGER_PARTS_H

#include "cloud/census.h"
#include "cloud/ledger.h"
#include "util/list.h"

/* One command. */
struct entry {
	struct list link; /* of its device, the oldest first */
	struct list dirty; /* of the ledger, while the disk does not have it as it is */
	struct record record;
	uint64_t token;
	uint32_t device;
	uint32_t window_s;
	uint32_t hash; /* of topic and payload */
	int64_t came_us, until_us; /* until_us: the window's end, counted from the answer */
	bool began;
	bool writing; /* a job has a copy of it */
	bool waited_for; /* recorded() is owed */
	uint32_t version, written; /* counts changes; the one that the job has */
};

struct ledger {
	struct ledger_setup setup;
	struct ledger_listener listener;
	struct census census;
	struct list *devices; /* entries, by the number of the device */
	uint32_t *counts; /* of them */
	size_t count;
	struct list dirty;
	uint64_t last_token, last_id;
	struct timer timer, sweep;
	unsigned waiters; /* entries that are waited for */
	bool loading, loaded, tried; /* what the disk has */
	bool writing;
	bool failing;
	unsigned lists; /* under way */
	struct entry **slots; /* of the job that writes */
	size_t slot_count;
	uint64_t repeats, forgotten, failures;
	char reason[220]; /* why the disk failed */
};

/* ledger.c */
uint32_t ledger_hash(const char *topic, const struct buffer *payload);
/* The window that the configuration gives a command with that id. */
uint32_t ledger_window(const struct ledger *ledger, const char *id);
struct entry *ledger_add(struct ledger *ledger, uint32_t device);
/* The stored reply; the caller's. */
struct reply *ledger_reply(const struct entry *entry);

/* ledger_disk.c */
/* The entry is to be written, soon. */
void ledger_mark(struct ledger *ledger, struct entry *entry);
void ledger_set_waited_for(struct ledger *ledger, struct entry *entry, bool wanted);
/* Has what is marked written: at once where somebody waits for it. */
void ledger_plan(struct ledger *ledger);
/* Writes or reads now what there is to be, unless that is under way. */
void ledger_work(struct ledger *ledger);
void ledger_give_write(struct ledger *ledger);

#endif
