/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/hex.h"
#include "util/json.h"

struct commands {
	struct sim *sim;
	struct command **all; /* by number - 1 */
	size_t count, room;
};

struct commands *commands_create(struct sim *sim)
{
	struct commands *commands = must_alloc(sizeof(*commands));
	commands->sim = sim;
	return commands;
}

void commands_destroy(struct commands *commands)
{
	if (!commands)
		return;
	for (size_t i = 0; i < commands->count; i++) {
		struct command *command = commands->all[i];
		loop_disarm(commands->sim->loop, &command->timer);
		buffer_finish(&command->payload);
		buffer_finish(&command->reply);
		free(command->topic);
		free(command->id);
		free(command);
	}
	free(commands->all);
	free(commands);
}

size_t commands_count(const struct commands *commands)
{
	return commands->count;
}

static int64_t wall_ms(const struct commands *commands)
{
	return clock_wall_ms(loop_clock(commands->sim->loop));
}

static struct stats *stats_of(const struct commands *commands)
{
	return journal_stats(commands->sim->journal);
}

static void put_payload(struct buffer *json, const char *id, const struct buffer *payload)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[80];
	size_t before = json->size;
	buffer_put_text(json, id ? ",\"payload\":" : ",\"hex\":\"");
	if (!id) {
		hex_put(json, payload->data, payload->size);
		buffer_put_byte(json, '"');
	} else if (json_parse(&value, payload->data, payload->size, error, sizeof(error)) < 0 ||
		json_print_value(json, value.data, value.size) < 0) {
		json->size = before;
		buffer_put_text(json, ",\"text\":");
		json_put_string(json, payload->data, payload->size);
	}
}

static void note(const struct command *command, const char *event)
{
	struct journal *journal = command->owner->sim->journal;
	if (!journal_read(journal))
		return;
	struct buffer *line = journal_begin(journal, event, command->device);
	buffer_printf(line, ",\"command\":%llu,\"topic\":", (unsigned long long)command->number);
	json_put_text(line, command->topic);
	bool replied = strncmp(event, "reply", 5) == 0;
	if (replied && command->id)
		buffer_printf(line, ",\"code\":%lld", (long long)command->code);
	put_payload(line, command->id, replied ? &command->reply : &command->payload);
	journal_end(journal);
}

/* No reply came in time: it is given out again, or given up. */
static void reply_overdue(struct timer *timer, int64_t now_us)
{
	struct command *command = container_of(timer, struct command, timer);
	struct sim *sim = command->owner->sim;
	if (command->deliveries > sim->settings.command_resends) {
		command->state = COMMAND_EXPIRED;
		stats_of(command->owner)->commands_expired++;
		note(command, "command_expired");
	} else {
		command->state = COMMAND_WAITING;
		stats_of(command->owner)->commands_resent++;
	}
	if (sim->changed)
		sim->changed(sim->changed_context);
}

struct command *commands_queue(struct commands *commands, struct device *device, const char *topic,
	const char *id, const void *payload, size_t size)
{
	struct command *command = must_alloc(sizeof(*command));
	if (commands->count == commands->room) {
		commands->room = commands->room ? commands->room * 2 : 64;
		commands->all = must_realloc(
			commands->all, commands->room * sizeof(struct command *));
	}
	commands->all[commands->count++] = command;
	command->number = commands->count;
	command->owner = commands;
	command->device = device;
	command->topic = must_strdup(topic);
	command->id = id ? must_strdup(id) : NULL;
	buffer_put(&command->payload, payload, size);
	command->timer.expired = reply_overdue;
	command->queued_ms = wall_ms(commands);
	list_append(&device->commands, &command->link);
	stats_of(commands)->commands++;
	note(command, "command");
	return command;
}

struct command *commands_queue_params(
	struct commands *commands, struct device *device, const char *topic, const char *params)
{
	OWNED char *id = must_printf("%zu", commands->count + 1);
	OWNED char *method = must_strdup(topic);
	for (char *c = method; *c; c++)
		*c = *c == '/' ? '.' : *c;
	OWNED_BUFFER text = BUFFER_EMPTY;
	buffer_printf(&text, "{\"id\":\"%s\",\"version\":\"1.0\",\"method\":", id);
	json_put_text(&text, method);
	buffer_printf(&text, ",\"params\":%s}", params);
	return commands_queue(commands, device, topic, id, text.data, text.size);
}

struct command *commands_find(const struct commands *commands, uint64_t number)
{
	return number && number <= commands->count ? commands->all[number - 1] : NULL;
}

static const char *state_name(enum command_state state)
{
	static const char *const names[] = { "waiting", "delivered", "done", "expired" };
	return names[state];
}

void command_print(const struct command *command, struct buffer *json)
{
	buffer_printf(json, "{\"id\":%llu,\"device\":", (unsigned long long)command->number);
	json_put_text(json, command->device->name);
	buffer_put_text(json, ",\"topic\":");
	json_put_text(json, command->topic);
	buffer_printf(json, ",\"state\":\"%s\",\"deliveries\":%u,\"replies\":%u",
		state_name(command->state), command->deliveries, command->replies);
	put_payload(json, command->id, &command->payload);
	buffer_printf(json, ",\"queued\":%lld,\"delivered\":%lld,\"replied\":%lld",
		(long long)command->queued_ms, (long long)command->delivered_ms,
		(long long)command->replied_ms);
	if (command->late)
		buffer_put_text(json, ",\"late\":true");
	if (command->replies) {
		if (command->id)
			buffer_printf(json, ",\"code\":%lld", (long long)command->code);
		buffer_put_text(json, ",\"reply\":{\"at\":");
		json_put_integer(json, command->replied_ms);
		put_payload(json, command->id, &command->reply);
		buffer_put_byte(json, '}');
	}
	buffer_put_byte(json, '}');
}

/* The first that waits, of the topic unless that is NULL. */
static struct command *first_waiting(const struct device *device, const char *topic)
{
	list_for_each (link, &device->commands) {
		struct command *command = container_of(link, struct command, link);
		if (command->state == COMMAND_WAITING &&
			(!topic || strcmp(topic, command->topic) == 0))
			return command;
	}
	return NULL;
}

static void give_out(struct command *command, struct answer *answer, struct buffer *place)
{
	struct commands *commands = command->owner;
	if (command->deliveries && !command->delivery_unsure)
		command->sure_deliveries++;
	command->delivery_unsure = false;
	command->deliveries++;
	command->state = COMMAND_DELIVERED;
	command->delivered_ms = wall_ms(commands);
	buffer_put(place, command->payload.data, command->payload.size);
	answer->unsure[1] = &command->delivery_unsure;
	loop_arm(commands->sim->loop, &command->timer,
		loop_now(commands->sim->loop) + commands->sim->settings.command_timeout_us);
	stats_of(commands)->commands_delivered++;
	note(command, "delivered");
}

void commands_announce(struct call *call)
{
	const struct sim_settings *settings = &call->sim->settings;
	struct command *command = first_waiting(call->device, NULL);
	if (!command || call->answer->silent)
		return;
	buffer_printf(&call->answer->notice, "%s/sys/%s/%s", settings->bare_topics ? "" : "/topic",
		call->device->name, command->topic);
	if (settings->piggyback)
		give_out(command, call->answer, &call->answer->command);
}

void commands_fetch(struct call *call)
{
	struct command *command = first_waiting(call->device, call->topic);
	journal_stats(call->sim->journal)->polls++;
	if (!command) {
		call_answer(call, call->sim->settings.empty_get);
		return;
	}
	call_answer(call, CODE_CONTENT);
	give_out(command, call->answer, &call->answer->payload);
}

static bool matches(const struct command *command, const char *topic, const char *id)
{
	return command->deliveries && strcmp(command->topic, topic) == 0 &&
		(id ? command->id && strcmp(command->id, id) == 0 : !command->id);
}

/*
 * Which command a reply means.  Raw ones carry no id: they answer the oldest one that was given out
 * and lacks a reply.
 */
static struct command *replied_command(
	const struct call *call, const char *topic, const char *id, bool *known)
{
	struct command *spare = NULL;
	*known = false;
	list_for_each (link, &call->device->commands) {
		struct command *command = container_of(link, struct command, link);
		if (!matches(command, topic, id))
			continue;
		*known = true;
		bool sure = command->deliveries && !command->delivery_unsure;
		if (command->replies < command->sure_deliveries + sure || !command->replies)
			return command;
		if (command->replies < command->deliveries || command->reply_unsure ||
			call->sim->settings.lossy)
			spare = command;
	}
	return spare;
}

void commands_reply(struct call *call, const char *topic, const char *id, int64_t code)
{
	bool known;
	struct command *command = replied_command(call, topic, id, &known);
	struct stats *stats = journal_stats(call->sim->journal);
	if (!command) {
		call_violate(call, CODE_BAD_REQUEST,
			known ? VIOLATION_REPLY_SECOND : VIOLATION_REPLY_UNKNOWN,
			known ? "the command has its reply already"
			      : "no such command was given out");
		return;
	}
	call->answer->unsure[0] = &command->reply_unsure;
	if (command->replies++) {
		stats->replies_repeated++;
	} else {
		stats->replies++;
		command->late = command->state == COMMAND_EXPIRED;
		command->code = code;
		command->replied_ms = wall_ms(command->owner);
		buffer_clear(&command->reply);
		buffer_put(&command->reply, call->packet->payload.data, call->packet->payload.size);
	}
	loop_disarm(call->sim->loop, &command->timer);
	command->state = COMMAND_DONE;
	note(command, command->replies > 1 ? "reply_repeated" : "reply");
}
