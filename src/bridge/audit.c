/* SPDX-License-Identifier: Apache-2.0 */
/* The records of commands: as they are made, and when somebody asks for them. */
#include "bridge/parts.h"

#include "util/alloc.h"
#include "util/plural.h"

/* So many records are shown where nobody says how many, and at most; an answer holds 4 MiB. */
#define SHOWN_DEFAULT 100
#define SHOWN_MAX 1000
/* So many commands are logged in such a time, each in a line. */
#define SAY_S 60
#define SAY_MAX 60

void audit_init(struct bridge *bridge)
{
	bridge->audit = (struct log_limit){ .window_us = SAY_S * USEC_PER_SEC, .burst = SAY_MAX };
}

void audit_take(struct bridge *bridge, const struct record *record)
{
	uint64_t held;
	OWNED_BUFFER json = BUFFER_EMPTY;
	record_print(record, false, &json);
	broker_audit(
		bridge->broker, (uint32_t)conf_find_device(bridge->conf, record->device), &json);
	if (record->repeat || !log_limit_pass(&bridge->audit, loop_now(bridge->loop), &held))
		return;
	log_info("device %s: command %s from the %s: code %d%s%s", record->device, record->topic,
		command_origin_name(record->origin), record->code, record->why ? ": " : "",
		record->why ? record->why : "");
	if (held)
		log_info(
			"bridge: %ju command%s more ended and %s not logged: see enos-bridge audit",
			(uintmax_t)held, plural(held, "s"), held == 1 ? "was" : "were");
}

static void told(
	void *context, uint64_t token, struct record *const *records, size_t count, const char *why)
{
	struct bridge *bridge = context;
	OWNED_BUFFER json = BUFFER_EMPTY;
	if (why) {
		control_refuse(bridge->control, token, "%s/spool.db cannot be read: %s",
			bridge->conf->gateway.state_dir, why);
		return;
	}
	buffer_put_byte(&json, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_put_byte(&json, ',');
		record_print(records[i], true, &json);
	}
	buffer_put_byte(&json, ']');
	control_answer(bridge->control, token, buffer_text(&json));
}

void audit_run(struct bridge *bridge, const struct control_request *request)
{
	struct value value;
	const char *name = admin_argument(request, "name");
	int64_t count = SHOWN_DEFAULT;
	int64_t device = name ? admin_find_device(bridge, request, name) : -1;
	if (name && device < 0)
		return;
	if (value_find(request->arguments, request->size, "count", &value, NULL))
		count = value.type == VALUE_INTEGER ? value.integer : 0;
	if (count < 1 || count > SHOWN_MAX)
		control_refuse(bridge->control, request->token,
			"\"count\" must be a number from 1 to %d", SHOWN_MAX);
	else if (ledger_list(cloud_ledger(bridge->cloud), device, (size_t)count, told, bridge,
			 request->token) < 0)
		control_refuse(bridge->control, request->token,
			"others ask for the same just now: ask again");
}
