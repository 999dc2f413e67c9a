/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cloud plane: a session for each device, over shards of libcoap contexts, on the main thread's
 * loop.  Reports and replies go in; commands, acknowledgements and changes of state come out.
 */
#ifndef EB_CLOUD_CLOUD_H
#define EB_CLOUD_CLOUD_H

#include "core/conf.h"
#include "core/message.h"
#include "core/resolver.h"
#include "util/loop.h"

struct cloud;
struct ledger;

enum session_state {
	SESSION_IDLE, /* not begun */
	SESSION_RESOLVING,
	SESSION_AUTHENTICATING,
	SESSION_ONLINE,
	SESSION_WAITING, /* backing off, or trying again: nothing was answered yet */
	SESSION_OFFLINE, /* its device is down: it says nothing, and EnOS shows it offline */
	SESSION_STATES,
};
const char *session_state_name(enum session_state state);

enum report_fate { REPORT_ACKNOWLEDGED, REPORT_REJECTED, REPORT_DROPPED, REPORT_REPLACED };

/* What the cloud tells the bridge; never called from within cloud_report() and its like. */
struct cloud_listener {
	void *context;
	/* command is owned by the listener from then on; exactly one cloud_reply() is owed. */
	void (*command)(void *context, struct command *command);
	/* The payload of a command was no JSON: command has topic and payload. Owned, as above. */
	void (*bad_command)(void *context, struct command *command, const char *why);
	void (*state)(void *context, uint32_t device, enum session_state state, const char *reason);
	void (*fate)(void *context, const struct report *report, enum report_fate fate,
		const char *reason);
};

struct cloud_setup {
	const struct conf *conf;
	int64_t built_ms; /* when the program was: no clock is right that is before it */
	struct loop *loop;
	struct resolver_client *resolver;
	struct cloud_listener listener;
};

/* The longest payload of a report that is not split, and of a reply. */
uint32_t cloud_payload_max(const struct conf_enos *enos);

int cloud_create(struct cloud **cloud, const struct cloud_setup *setup);
void cloud_destroy(struct cloud *cloud);
/* Begins the sessions, spread over conf->enos.start_spread_ms. */
void cloud_start(struct cloud *cloud);

/* The secret in the configuration of the device was replaced: authenticate anew with it. */
void cloud_secret_changed(struct cloud *cloud, uint32_t device);

/*
 * The device is down, or well again: its session says what it still has to say, if that is possible,
 * and then nothing until it is well; then it authenticates anew.  What is queued meanwhile is kept.
 */
void cloud_device_pause(struct cloud *cloud, uint32_t device, bool paused);

/* Queues a report; takes a reference of its own. */
void cloud_report(struct cloud *cloud, struct report *report);
/* Sends the result of a command ahead of all reports; owns the reply from then on. */
void cloud_reply(struct cloud *cloud, struct reply *reply);

/* From now on no command is asked for; one that comes all the same is still owed its reply. */
void cloud_stop(struct cloud *cloud);
/* How many reports and replies would be lost if all ended now. */
size_t cloud_pending(const struct cloud *cloud);
/*
 * Puts on the disk what is in memory alone, and ends the spool; returns how many reports and replies
 * are lost.
 * To be called last but for cloud_destroy().
 */
size_t cloud_save(struct cloud *cloud);
/* JSON objects: totals; one device's session with its counters. */
void cloud_status(const struct cloud *cloud, struct buffer *json);
void cloud_device_status(const struct cloud *cloud, uint32_t device, struct buffer *json);
/* What is known of commands; it ends with the cloud. */
struct ledger *cloud_ledger(struct cloud *cloud);
enum session_state cloud_device_state(const struct cloud *cloud, uint32_t device);

#endif
