/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the bridge share: the parts, as bridge.c holds them. */
#ifndef EB_BRIDGE_PARTS_H
#define EB_BRIDGE_PARTS_H

#include "bridge/absence.h"
#include "bridge/bridge.h"
#include "bridge/discovery.h"
#include "bridge/evidence.h"
#include "bridge/handover.h"
#include "bridge/pipeline.h"
#include "bridge/rejection.h"
#include "cloud/cloud.h"
#include "core/mailbox.h"
#include "core/resolver.h"
#include "field/field.h"
#include "local/broker.h"
#include "local/control.h"
#include "util/log.h"

/* Of every ping; the serials of other queries count up from 1. */
#define PING_SERIAL UINT64_MAX

/* A control request that waits for the field's part of its answer. */
struct inquiry {
	struct list link;
	uint64_t serial; /* of the query */
	uint64_t token; /* of the control request */
	enum query_kind what;
	uint32_t number;
};

struct bridge {
	struct bridge_setup setup;
	const struct conf *conf;
	struct loop *loop;
	struct fleet *fleet;
	struct resolver *resolver;
	struct resolver_client *resolving;
	struct mailbox *to_field, *from_field;
	struct field *field;
	bool field_runs;
	struct pipeline *pipeline;
	struct discoveries *discoveries;
	struct absences *absences;
	struct handover *handover; /* of plans to the field */
	struct rejections *rejections; /* lines about them */
	struct cloud *cloud;
	struct broker *broker; /* NULL: no echo */
	struct control *control; /* NULL: no socket */
	struct evidence_keeper *evidence;
	struct watch mail;
	struct list readings; /* struct mail; taken from the field, not yet decoded */
	size_t waiting; /* of them */
	uint64_t dropped; /* of them, the oldest first */
	struct timer more_mail;

	struct list inquiries;
	uint64_t query_serial;
	int64_t started_us;

	struct timer saving; /* of what scripts keep */
	struct timer trimming; /* once, after the start */

	struct timer watchdog;
	bool ping_answered; /* since the last one was sent */

	struct timer stopping; /* armed once bridge_stop() was called */
	int64_t stop_by_us;
	bool stop_asked;

	struct log_limit audit; /* lines about commands */
	struct log_limit warnings; /* lines about what scripts warn of */
	struct log_limit scripts; /* lines about scripts that fail and work again */
	struct log_limit overflow;
	uint64_t overflow_seen; /* readings dropped, as last reported */
};

/* admin.c: requests of the control socket, and the field's answers to what they asked. */
void admin_request(void *context, const struct control_request *request);
void admin_answer(struct bridge *bridge, struct answer *answer);
void admin_finish(struct bridge *bridge);
/* The text argument of that key, or NULL. */
const char *admin_argument(const struct control_request *request, const char *key);
/* The number of the device of that name (NULL: none given); -1 after the refusal. */
int64_t admin_find_device(
	struct bridge *bridge, const struct control_request *request, const char *name);
/* audit.c: records of commands, to the broker and the log; and the last ones for who asks. */
void audit_init(struct bridge *bridge);
void audit_take(struct bridge *bridge, const struct record *record);
void audit_run(struct bridge *bridge, const struct control_request *request);
/* Readings that came faster than scripts and cloud took them. */
uint64_t bridge_readings_dropped(const struct bridge *bridge);

#endif
