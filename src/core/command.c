/* SPDX-License-Identifier: Apache-2.0 */
/* Commands out of their payloads, and the replies to them. */
#include "core/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/alloc.h"
#include "util/json.h"

const char *command_origin_name(enum command_origin origin)
{
	static const char *const names[] = {
		[ORIGIN_CLOUD] = "cloud",
		[ORIGIN_BROKER] = "broker",
		[ORIGIN_CONTROL] = "control",
	};
	return (size_t)origin < sizeof(names) / sizeof(*names) ? names[origin] : "unknown";
}

/* Whether the topic's last levels are these. */
static bool ends_in(const char *topic, const char *levels)
{
	size_t size = strlen(topic), tail = strlen(levels);
	if (size < tail || strcmp(topic + size - tail, levels) != 0)
		return false;
	return size == tail || topic[size - tail - 1] == '/';
}

/* The id in the text that the reply prints: a number keeps its digits. */
static int read_id(struct command *command, const struct buffer *map, char *error, size_t room)
{
	struct value id;
	if (!value_find(map->data, map->size, "id", &id, NULL) || id.type == VALUE_NULL) {
		command->id = must_strdup("");
		return 0;
	}
	OWNED_BUFFER text = BUFFER_EMPTY;
	switch (id.type) {
	case VALUE_STRING:
		buffer_put(&text, id.text, id.size);
		break;
	case VALUE_INTEGER:
		json_put_integer(&text, id.integer);
		break;
	case VALUE_REAL:
		json_put_real(&text, id.real);
		break;
	default:
		snprintf(error, room, "the command's \"id\" must be a string or a number");
		return -EINVAL;
	}
	command->id = must_strdup(buffer_text(&text));
	return 0;
}

static int read_method(struct command *command, const struct buffer *map, char *error, size_t room)
{
	struct value method;
	if (!value_find(map->data, map->size, "method", &method, NULL) ||
		method.type == VALUE_NULL) {
		command->method = must_strdup("");
		return 0;
	}
	if (method.type != VALUE_STRING) {
		snprintf(error, room, "the command's \"method\" must be a string");
		return -EINVAL;
	}
	command->method = must_strdup(method.text);
	return 0;
}

/* Copies the value of "params" as it stands, header and items. */
static void read_params(struct command *command, const struct buffer *map)
{
	struct value pairs, key;
	struct value_reader reader = value_reader(map->data, map->size);
	value_next(&reader, &pairs);
	for (size_t i = 0; i < pairs.size; i++) {
		value_next(&reader, &key);
		const uint8_t *from = reader.at;
		value_skip(&reader);
		if (strcmp(key.text, "params") != 0)
			continue;
		buffer_put(&command->params, from, (size_t)(reader.at - from));
		return;
	}
	value_put_null(&command->params);
}

/*
 * The id in a text that is no JSON, where one can be made out: without it the cloud cannot tell whose
 * refusal it gets.  NULL: none.
 */
static char *salvage_id(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-_.:";
	const char *at = strstr(text, "\"id\"");
	if (!at)
		return NULL;
	at += strlen("\"id\"");
	at += strspn(at, " \t\r\n");
	if (*at++ != ':')
		return NULL;
	at += strspn(at, " \t\r\n");
	bool quoted = *at == '"';
	at += quoted;
	size_t size = strspn(at, plain);
	if (!size || (quoted && at[size] != '"'))
		return NULL;
	return must_printf("%.*s", (int)size, at);
}

static int read_json(struct command *command, char *error, size_t room)
{
	OWNED_BUFFER map = BUFFER_EMPTY;
	int result = json_parse(&map, command->payload.data, command->payload.size, error, room);
	if (result < 0) {
		command->id = salvage_id(buffer_text(&command->payload));
		return result;
	}
	if (map.data[0] != VALUE_MAP) {
		snprintf(error, room,
			"the command's payload must be a JSON object "
			"{\"id\":...,\"method\":...,\"params\":...}");
		return -EINVAL;
	}
	read_params(command, &map);
	result = read_id(command, &map, error, room);
	int method = read_method(command, &map, error, room);
	return result < 0 ? result : method;
}

int command_create(struct command **result, uint32_t device, enum command_origin origin,
	const char *topic, const void *payload, size_t size, char *error, size_t room)
{
	struct command *command = must_alloc(sizeof(*command));
	command->device = device;
	command->origin = origin;
	command->topic = must_strdup(topic);
	command->raw = ends_in(topic, "thing/model/down_raw");
	buffer_put(&command->payload, payload, size);
	*result = command;
	return command->raw ? 0 : read_json(command, error, room);
}

void command_destroy(struct command *command)
{
	if (!command)
		return;
	free(command->topic);
	free(command->id);
	free(command->method);
	buffer_finish(&command->payload);
	buffer_finish(&command->params);
	free(command);
}

struct reply *reply_create(const struct command *command, int code)
{
	struct reply *reply = must_alloc(sizeof(*reply));
	reply->device = command->device;
	reply->origin = command->origin;
	reply->token = command->token;
	reply->topic = must_strdup(command->topic);
	reply->code = code;
	return reply;
}

void reply_destroy(struct reply *reply)
{
	if (!reply)
		return;
	free(reply->topic);
	free(reply->why);
	buffer_finish(&reply->payload);
	free(reply);
}
