/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/result.h"

#include <stdio.h>

#include "util/alloc.h"
#include "util/json.h"

void result_print(struct buffer *json, const struct command *command, int code, const char *message,
	const struct buffer *data)
{
	buffer_put_byte(json, '{');
	if (command->id) {
		buffer_put_text(json, "\"id\":");
		json_put_text(json, command->id);
		buffer_put_byte(json, ',');
	}
	buffer_printf(json, "\"code\":%d,\"data\":", code);
	size_t before = json->size;
	if (message && *message) {
		buffer_put_text(json, "{\"message\":");
		json_put_text(json, message);
		buffer_put_byte(json, '}');
	} else if (!data || !data->size || json_print_value(json, data->data, data->size) < 0) {
		json->size = before;
		buffer_put_text(json, "{}");
	}
	buffer_put_byte(json, '}');
}

struct reply *result_create(const struct command *command, int code, const char *why)
{
	struct reply *reply = reply_create(command, code);
	reply->why = why ? must_strdup(why) : NULL;
	result_print(&reply->payload, command, code, why, NULL);
	return reply;
}

void result_fit(struct reply *reply, const struct command *command, size_t room)
{
	size_t size = reply->payload.size;
	char why[120];
	if (size <= room)
		return;
	snprintf(why, sizeof(why), "the reply of %zu bytes does not fit into a message (%zu)", size,
		room);
	buffer_clear(&reply->payload);
	result_print(&reply->payload, command, reply->code, why, NULL);
}

int result_code(const struct step_outcome *step, char *why, size_t room)
{
	why[0] = 0;
	switch (step ? step->status : OUTCOME_DONE) {
	case OUTCOME_DONE:
		return REPLY_DONE;
	case OUTCOME_EXCEPTION:
		snprintf(why, room, "the device refused: exception %u", step->code);
		return REPLY_DEVICE;
	case OUTCOME_TIMEOUT:
		snprintf(why, room, "no answer (%s): a write may have been executed",
			error_class_name(step->error));
		return REPLY_TIMEOUT;
	case OUTCOME_ECHO:
		snprintf(why, room,
			"only our own bytes came back: the line echoes, and nothing says that the "
			"device heard them; check the wiring, or set link.echo = false if the "
			"device answers with what it was told");
		return REPLY_DEVICE;
	case OUTCOME_EXPIRED:
		snprintf(why, room, "not sent: its deadline passed while it waited for the bus");
		return REPLY_EXPIRED;
	case OUTCOME_SUPERSEDED:
		snprintf(why, room,
			"not sent: a newer command writes the same (newest_wins of the device)");
		return REPLY_SUPERSEDED;
	case OUTCOME_LINK:
		snprintf(why, room, "not sent: the port or connection is down");
		return REPLY_BUSY;
	case OUTCOME_SKIPPED:
		snprintf(why, room, "not sent: a request before it failed");
		return REPLY_DEVICE;
	case OUTCOME_BUSY:
		snprintf(why, room, "busy: too many commands wait for this bus; nothing was sent");
		return REPLY_BUSY;
	}
	return REPLY_DEVICE;
}
