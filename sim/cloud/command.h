/* SPDX-License-Identifier: Apache-2.0 */
/* The commands to devices: queued, announced, given out, given out again, replied to. */
#ifndef SIM_CLOUD_COMMAND_H
#define SIM_CLOUD_COMMAND_H

#include "sim.h"

enum command_state {
	COMMAND_WAITING,
	COMMAND_DELIVERED,
	COMMAND_DONE, /* the reply is there */
	COMMAND_EXPIRED, /* given out as often as is allowed, no reply */
};

struct command {
	struct list link; /* of the device */
	uint64_t number; /* from 1 */
	struct commands *owner;
	struct device *device;
	char *topic;
	char *id; /* of the JSON payload; NULL: a raw one */
	struct buffer payload;
	enum command_state state;
	struct timer timer;
	unsigned deliveries, sure_deliveries; /* sure: we know of nothing that kept it back */
	unsigned replies;
	bool delivery_unsure, reply_unsure; /* the last of each may not have reached the device */
	bool late; /* the reply came after it had expired */
	int64_t code; /* of the reply; 0 for a raw one */
	struct buffer reply;
	int64_t queued_ms, delivered_ms, replied_ms; /* wall clock; 0: not yet */
};

struct commands;
struct commands *commands_create(struct sim *sim);
void commands_destroy(struct commands *commands);
size_t commands_count(const struct commands *commands);

/* Queues bytes as they are. id: that of a JSON payload, NULL for a raw one. Copies all. */
struct command *commands_queue(struct commands *commands, struct device *device, const char *topic,
	const char *id, const void *payload, size_t size);
/* Queues the params (JSON text) in the envelope of the topic, with an id of its own. */
struct command *commands_queue_params(
	struct commands *commands, struct device *device, const char *topic, const char *params);
/* NULL where there is none of that number. */
struct command *commands_find(const struct commands *commands, uint64_t number);
/* Appends what is known of it as a JSON object. */
void command_print(const struct command *command, struct buffer *json);
static inline bool command_ended(const struct command *command)
{
	return command->state == COMMAND_DONE || command->state == COMMAND_EXPIRED;
}

/* Puts the waiting command, or word of it, into the answer. */
void commands_announce(struct call *call);
/* The answer to a GET of the call's topic. */
void commands_fetch(struct call *call);
/* A reply to a command of topic; id NULL and code 0 for a raw one. */
void commands_reply(struct call *call, const char *topic, const char *id, int64_t code);

#endif
