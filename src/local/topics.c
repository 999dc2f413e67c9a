/* SPDX-License-Identifier: Apache-2.0 */
#include "local/topics.h"

#include <string.h>

#include "util/hex.h"
#include "util/json.h"

void publication_finish(struct publication *publication)
{
	buffer_finish(&publication->topic);
	buffer_finish(&publication->payload);
}

static void begin(struct publication *to, const struct conf *conf, uint8_t qos, bool retain)
{
	to->qos = qos;
	to->retain = retain;
	buffer_clear(&to->topic);
	buffer_clear(&to->payload);
	buffer_put_text(&to->topic, conf->mqtt.prefix);
	buffer_put_byte(&to->topic, '/');
	buffer_put_text(&to->topic, conf->gateway.name);
	buffer_put_byte(&to->topic, '/');
}

static void begin_device(struct publication *to, const struct conf *conf, uint32_t device,
	const char *leaf, uint8_t qos, bool retain)
{
	begin(to, conf, qos, retain);
	buffer_put_text(&to->topic, "device/");
	buffer_put_text(&to->topic, conf->devices[device].name);
	buffer_put_text(&to->topic, leaf);
}

/*
 * A name that scripts choose as a level of a topic: what would be another level, a wildcard or no
 * plain character becomes '_', since the broker would refuse the message or cut the connection.
 */
static void put_level(struct buffer *topic, const char *name)
{
	if (!*name)
		buffer_put_byte(topic, '_');
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;
		bool plain = c > ' ' && c < 0x7f && c != '/' && c != '+' && c != '#';
		buffer_put_byte(topic, plain ? c : '_');
	}
}

static void put_key(struct buffer *json, const char *key)
{
	buffer_put_byte(json, json->size ? ',' : '{');
	buffer_put_byte(json, '"');
	buffer_put_text(json, key);
	buffer_put_text(json, "\":");
}

static void pair_text(struct buffer *json, const char *key, const char *text)
{
	put_key(json, key);
	if (text)
		json_put_text(json, text);
	else
		buffer_put_text(json, "null");
}

static void pair_integer(struct buffer *json, const char *key, int64_t integer)
{
	put_key(json, key);
	json_put_integer(json, integer);
}

static void pair_time(struct buffer *json, const char *key, int64_t ms)
{
	if (ms)
		pair_integer(json, key, ms);
	else
		pair_text(json, key, NULL);
}

static void pair_hex(struct buffer *json, const char *key, const void *bytes, size_t size)
{
	put_key(json, key);
	buffer_put_byte(json, '"');
	hex_put(json, bytes, size);
	buffer_put_byte(json, '"');
}

/* The time of a reading, and whether the clock that gave it could be trusted. */
static void pair_stamp(struct buffer *json, const struct stamp *stamp)
{
	pair_integer(json, "time", stamp->wall_ms);
	put_key(json, "synced");
	buffer_put_text(json, stamp->synced ? "true" : "false");
}

static void end(struct publication *to)
{
	buffer_put_byte(&to->payload, '}');
}

void topic_status(struct publication *to, const struct conf *conf, const char *state,
	const char *reason, int64_t now_ms)
{
	begin(to, conf, 1, true);
	buffer_put_text(&to->topic, "status");
	pair_integer(&to->payload, "time", now_ms);
	pair_text(&to->payload, "state", state);
	if (reason)
		pair_text(&to->payload, "reason", reason);
	pair_integer(&to->payload, "devices", conf->device_count);
	pair_integer(&to->payload, "buses", conf->bus_count);
	end(to);
}

void topic_reading(struct publication *to, const struct conf *conf, const struct reading *reading)
{
	const char *poll = reading->plan->polls[reading->poll].request->name;
	begin_device(to, conf, reading->device, "/reading/", 0, false);
	put_level(&to->topic, poll);
	pair_stamp(&to->payload, &reading->stamp);
	pair_text(&to->payload, "poll", poll);
	pair_hex(&to->payload, "bytes", reading->bytes, reading->size);
	end(to);
}

int topic_report(struct publication *to, const struct conf *conf, const struct report *report)
{
	static const char *const keys[] = {
		[REPORT_POINTS] = "points",
		[REPORT_EVENT] = "values",
		[REPORT_ATTRIBUTES] = "attributes",
	};
	begin_device(to, conf, report->device, "/report", 0, false);
	pair_stamp(&to->payload, &report->stamp);
	pair_text(&to->payload, "kind", report_kind_name(report->kind));
	if (report->kind == REPORT_EVENT)
		pair_text(&to->payload, "event", report->name);
	if (report->kind == REPORT_RAW) {
		pair_hex(&to->payload, "raw", report->data, report->size);
		end(to);
		return 0;
	}
	put_key(&to->payload, keys[report->kind]);
	int result = json_print_value(&to->payload, report->data, report->size);
	end(to);
	return result;
}

static void pair_command(struct buffer *json, const struct command *command)
{
	pair_text(json, "origin", command_origin_name(command->origin));
	pair_text(json, "topic", command->topic);
	if (command->id)
		pair_text(json, "id", command->id);
}

/* A payload as the JSON that it is, or in hex where it is none. */
static void pair_payload(struct buffer *json, const struct buffer *payload, bool raw)
{
	char error[80];
	OWNED_BUFFER value = BUFFER_EMPTY;
	size_t before = json->size;
	if (!raw && json_parse(&value, payload->data, payload->size, error, sizeof(error)) == 0) {
		put_key(json, "payload");
		if (json_print_value(json, value.data, value.size) == 0)
			return;
		json->size = before;
	}
	pair_hex(json, "raw", payload->data, payload->size);
}

void topic_command(struct publication *to, const struct conf *conf, const struct command *command,
	int64_t now_ms)
{
	begin_device(to, conf, command->device, "/command", 1, false);
	pair_integer(&to->payload, "time", now_ms);
	pair_command(&to->payload, command);
	pair_payload(&to->payload, &command->payload, command->raw);
	end(to);
}

void topic_result(struct publication *to, const struct conf *conf, const struct command *command,
	const struct reply *reply, int64_t now_ms)
{
	begin_device(to, conf, command->device, "/result", 1, false);
	pair_integer(&to->payload, "time", now_ms);
	pair_command(&to->payload, command);
	pair_integer(&to->payload, "code", reply->code);
	pair_payload(&to->payload, &reply->payload, command->raw);
	end(to);
}

void topic_audit(struct publication *to, const struct conf *conf, uint32_t device,
	const struct buffer *record)
{
	begin_device(to, conf, device, "/audit", 1, false);
	buffer_put(&to->payload, record->data, record->size);
}

void topic_device(struct publication *to, const struct conf *conf, uint32_t device,
	const struct device_state *state, int64_t now_ms)
{
	begin_device(to, conf, device, "/state", 1, true);
	struct buffer *json = &to->payload;
	pair_integer(json, "time", now_ms);
	pair_text(json, "health", health_name(state->health));
	pair_time(json, "health_since", state->health_ms);
	if (state->error)
		pair_text(json, "error", error_class_name(state->error));
	if (state->error == EB_EXCEPTION)
		pair_integer(json, "code", state->code);
	pair_text(json, "session", state->session);
	pair_time(json, "session_since", state->session_ms);
	if (state->session_reason)
		pair_text(json, "session_reason", state->session_reason);
	if (state->script_error) {
		pair_text(json, "script_error", state->script_error);
		pair_time(json, "script_error_since", state->script_ms);
	}
	if (state->script_warning)
		pair_text(json, "script_warning", state->script_warning);
	pair_time(json, "last_reading", state->reading_ms);
	pair_time(json, "last_report", state->report_ms);
	end(to);
}

void topic_reload(struct publication *to, const struct conf *conf, const char *script,
	const char *result, int64_t now_ms)
{
	begin(to, conf, 1, false);
	buffer_put_text(&to->topic, "script/");
	put_level(&to->topic, script);
	buffer_put_text(&to->topic, "/reload");
	pair_integer(&to->payload, "time", now_ms);
	buffer_printf(&to->payload, ",%s", result);
	end(to);
}

void topic_bus(struct publication *to, const struct conf *conf, uint32_t bus,
	const struct bus_state *state, int64_t now_ms)
{
	begin(to, conf, 1, true);
	buffer_put_text(&to->topic, "bus/");
	buffer_put_text(&to->topic, conf->buses[bus].name);
	buffer_put_text(&to->topic, "/state");
	pair_integer(&to->payload, "time", now_ms);
	pair_text(&to->payload, "link", state->up ? "up" : "down");
	pair_time(&to->payload, "since", state->since_ms);
	if (state->reason)
		pair_text(&to->payload, "reason", state->reason);
	end(to);
}
