/* SPDX-License-Identifier: Apache-2.0 */
#include "operation.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "util/hex.h"
#include "util/json.h"

const char *operation_text(const struct operation *operation, const char *key)
{
	struct value value;
	return value_find(operation->request, operation->size, key, &value, NULL) &&
			value.type == VALUE_STRING
		? value.text
		: NULL;
}

double operation_number(const struct operation *operation, const char *key, double otherwise)
{
	struct value value;
	if (!value_find(operation->request, operation->size, key, &value, NULL))
		return otherwise;
	return value.type == VALUE_INTEGER ? (double)value.integer
		: value.type == VALUE_REAL ? value.real
					   : otherwise;
}

bool operation_flag(const struct operation *operation, const char *key)
{
	struct value value;
	return value_find(operation->request, operation->size, key, &value, NULL) &&
		value.type == VALUE_TRUE;
}

/* The member whatever it is, as its encoding. */
static bool find_any(const struct operation *operation, const char *key, struct bytes *found)
{
	struct value_reader reader = value_reader(operation->request, operation->size);
	struct value map, name;
	if (!value_next(&reader, &map) || map.type != VALUE_MAP)
		return false;
	for (size_t i = 0; i < map.size; i++) {
		if (!value_next(&reader, &name))
			return false;
		const uint8_t *begin = reader.at;
		value_skip(&reader);
		if (strcmp(name.text, key) == 0) {
			*found = (struct bytes){ begin, (size_t)(reader.at - begin) };
			return true;
		}
	}
	return false;
}

static enum operated refuse(struct operation *operation, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static enum operated refuse(struct operation *operation, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(operation->error, sizeof(operation->error), format, arguments);
	va_end(arguments);
	return OPERATED_REFUSED;
}

/* The device that is named, NULL with the error set where it is none. */
static struct device *named_device(struct operation *operation)
{
	const char *name = operation_text(operation, "device");
	struct device *device = name ? devices_named(operation->sim->devices, name) : NULL;
	if (!device)
		refuse(operation,
			"device \"%s\": not registered, or the key of several products: name it product/key",
			name ? name : "");
	return device;
}

static enum operated stats(struct operation *operation)
{
	sim_print_stats(operation->sim, operation->result);
	return OPERATED_DONE;
}

static enum operated violations(struct operation *operation)
{
	journal_print_violations(operation->sim->journal, operation->result);
	return OPERATED_DONE;
}

static void print_device(const struct operation *operation, const struct device *device)
{
	struct buffer *json = operation->result;
	size_t waiting = 0;
	list_for_each (link, &device->commands)
		waiting += !command_ended(container_of(link, struct command, link));
	bool online = device->token[0] && loop_now(operation->sim->loop) <= device->until_us;
	buffer_put_text(json, "{\"device\":");
	json_put_text(json, device->name);
	buffer_printf(json,
		",\"online\":%s,\"authentications\":%u,\"sequence\":%lld,\"messages\":%llu,"
		"\"readings\":%llu,\"points\":%zu,\"commands\":%zu,\"violations\":%llu}",
		online ? "true" : "false", device->tokens_given, (long long)device->sequence,
		(unsigned long long)device->messages, (unsigned long long)device->readings,
		device->point_count, waiting, (unsigned long long)device->violations);
}

static enum operated list_devices(struct operation *operation)
{
	const struct devices *devices = operation->sim->devices;
	buffer_put_byte(operation->result, '[');
	for (size_t i = 0; i < devices_count(devices); i++) {
		if (i)
			buffer_put_byte(operation->result, ',');
		print_device(operation, devices_at(devices, i));
	}
	buffer_put_byte(operation->result, ']');
	return OPERATED_DONE;
}

/* A topic that a device can fetch and reply to: another one would keep those behind it waiting. */
static bool command_topic_fits(const char *topic)
{
	return topic && strlen(topic) < 200 && topic_is_command(topic);
}

static enum operated queue_text(struct operation *operation, struct device *device,
	const char *topic, const char *text, struct command **command)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct value id = { .type = VALUE_NULL };
	char error[120];
	if (json_parse(&value, text, strlen(text), error, sizeof(error)) == 0)
		value_find(value.data, value.size, "id", &id, NULL);
	/* Broken payloads may be sent on purpose; their replies carry whatever id was meant. */
	*command = commands_queue(operation->sim->commands, device, topic,
		id.type == VALUE_STRING ? id.text : "", text, strlen(text));
	return OPERATED_DONE;
}

static enum operated queue_hex(struct operation *operation, struct device *device,
	const char *topic, const char *hex, struct command **command)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	if (hex_parse(&bytes, hex) < 0)
		return refuse(operation, "hex: not pairs of hexadecimal digits");
	*command = commands_queue(
		operation->sim->commands, device, topic, NULL, bytes.data, bytes.size);
	return OPERATED_DONE;
}

static enum operated queue_command(struct operation *operation)
{
	struct device *device = named_device(operation);
	const char *topic = operation_text(operation, "topic");
	const char *hex = operation_text(operation, "hex"),
		   *text = operation_text(operation, "text");
	struct bytes params;
	struct command *command = NULL;
	enum operated operated = OPERATED_DONE;
	if (!device)
		return OPERATED_REFUSED;
	if (!command_topic_fits(topic))
		return refuse(operation,
			"topic: commands come by thing/service/NAME, thing/service/measurepoint/set "
			"and thing/model/down_raw");
	bool raw = strcmp(topic, "thing/model/down_raw") == 0;
	if (raw != (hex != NULL))
		return refuse(operation,
			"thing/model/down_raw takes \"hex\", the other topics \"params\" or \"text\"");
	if (hex) {
		operated = queue_hex(operation, device, topic, hex, &command);
	} else if (text) {
		operated = queue_text(operation, device, topic, text, &command);
	} else if (find_any(operation, "params", &params)) {
		OWNED_BUFFER json = BUFFER_EMPTY;
		json_print_value(&json, params.data, params.size);
		command = commands_queue_params(
			operation->sim->commands, device, topic, buffer_text(&json));
	} else {
		return refuse(operation, "neither \"params\" nor \"text\" nor \"hex\"");
	}
	if (command)
		buffer_printf(operation->result, "%llu", (unsigned long long)command->number);
	return operated;
}

static enum operated print_command(struct operation *operation, bool wait)
{
	double number = operation_number(operation, "id", 0);
	struct command *command = number >= 1
		? commands_find(operation->sim->commands, (uint64_t)number)
		: NULL;
	if (!command)
		return refuse(operation, "id: no command has the number %.0f", number);
	if (wait && !command_ended(command)) {
		snprintf(operation->error, sizeof(operation->error),
			"timed out: command %llu has no reply yet",
			(unsigned long long)command->number);
		return OPERATED_WAITING;
	}
	command_print(command, operation->result);
	return OPERATED_DONE;
}

static enum operated result(struct operation *operation)
{
	return print_command(operation, false);
}

static enum operated wait_result(struct operation *operation)
{
	return print_command(operation, true);
}

static void print_point(struct buffer *json, const struct device *device, const struct point *point)
{
	buffer_put_text(json, "{\"device\":");
	json_put_text(json, device->name);
	buffer_put_text(json, ",\"point\":");
	json_put_text(json, point->name);
	buffer_put_text(json, ",\"value\":");
	json_print_value(json, point->value.data, point->value.size);
	if (point->quality >= 0)
		buffer_printf(json, ",\"quality\":%lld", (long long)point->quality);
	buffer_printf(json, ",\"time\":%lld,\"count\":%llu}", (long long)point->time_ms,
		(unsigned long long)point->count);
}

static enum operated readings(struct operation *operation)
{
	const struct devices *devices = operation->sim->devices;
	const struct device *only = NULL;
	const char *comma = "";
	if (operation_text(operation, "device")) {
		only = named_device(operation);
		if (!only)
			return OPERATED_REFUSED;
	}
	if (operation_flag(operation, "follow")) {
		buffer_put_text(operation->result, "[]");
		return OPERATED_FOLLOWING;
	}
	buffer_put_byte(operation->result, '[');
	for (size_t i = 0; i < devices_count(devices); i++) {
		const struct device *device = devices_at(devices, i);
		for (size_t p = 0; (!only || device == only) && p < device->point_count; p++) {
			buffer_put_text(operation->result, comma);
			print_point(operation->result, device, &device->points[p]);
			comma = ",";
		}
	}
	buffer_put_byte(operation->result, ']');
	return OPERATED_DONE;
}

static bool same_number(struct bytes encoded, double number)
{
	struct value_reader reader = value_reader(encoded.data, encoded.size);
	struct value value;
	if (!value_next(&reader, &value))
		return false;
	return (value.type == VALUE_INTEGER && (double)value.integer == number) ||
		(value.type == VALUE_REAL && value.real == number);
}

/* Whether the point has the wanted value; 42 and 42.0 are the same. */
static bool has_value(const struct point *point, struct bytes wanted)
{
	struct value_reader reader = value_reader(wanted.data, wanted.size);
	struct value value;
	struct bytes have = { point->value.data, point->value.size };
	if (!value_next(&reader, &value))
		return false;
	if (value.type == VALUE_INTEGER || value.type == VALUE_REAL)
		return same_number(
			have, value.type == VALUE_INTEGER ? (double)value.integer : value.real);
	return have.size == wanted.size && memcmp(have.data, wanted.data, wanted.size) == 0;
}

static enum operated wait_reading(struct operation *operation)
{
	const struct device *device = named_device(operation);
	const char *name = operation_text(operation, "point");
	struct bytes wanted;
	if (!device || !name)
		return device ? refuse(operation, "point: which one?") : OPERATED_REFUSED;
	const struct point *point = device_find_point(device, name);
	if (!operation->tried && operation_flag(operation, "new"))
		operation->baseline = point ? point->count : 0;
	if (point && point->count > operation->baseline &&
		(!find_any(operation, "value", &wanted) || has_value(point, wanted))) {
		print_point(operation->result, device, point);
		return OPERATED_DONE;
	}
	snprintf(operation->error, sizeof(operation->error), "timed out: no such reading of %s %s",
		device->name, name);
	return OPERATED_WAITING;
}

static enum operated wait_stat(struct operation *operation)
{
	const char *name = operation_text(operation, "name");
	OWNED_BUFFER json = BUFFER_EMPTY;
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct value counter;
	char error[80];
	sim_print_stats(operation->sim, &json);
	json_parse(&value, json.data, json.size, error, sizeof(error));
	if (!name || !value_find(value.data, value.size, name, &counter, NULL))
		return refuse(operation, "name: \"%s\" is no counter of stats", name ? name : "");
	if ((double)counter.integer >= operation_number(operation, "count", 1)) {
		buffer_printf(operation->result, "%lld", (long long)counter.integer);
		return OPERATED_DONE;
	}
	snprintf(operation->error, sizeof(operation->error), "timed out: %s is %lld", name,
		(long long)counter.integer);
	return OPERATED_WAITING;
}

static enum operated set_faults(struct operation *operation)
{
	struct fault_plan *plan = &operation->sim->faults;
	struct bytes settings;
	if (operation_text(operation, "device")) {
		struct device *device = named_device(operation);
		if (!device)
			return OPERATED_REFUSED;
		plan = &device->faults;
		device->has_faults = !operation_flag(operation, "clear") ||
			find_any(operation, "settings", &settings);
	}
	if (operation_flag(operation, "clear"))
		fault_plan_init(plan);
	if (find_any(operation, "settings", &settings) &&
		fault_plan_set(plan, settings.data, settings.size, operation->error,
			sizeof(operation->error)) < 0)
		return OPERATED_REFUSED;
	fault_plan_print(plan, operation->result);
	return OPERATED_DONE;
}

static enum operated forget(struct operation *operation)
{
	struct device *device = NULL;
	if (operation_text(operation, "device")) {
		device = named_device(operation);
		if (!device)
			return OPERATED_REFUSED;
	}
	buffer_printf(operation->result, "%zu", sim_forget_tokens(operation->sim, device));
	return OPERATED_DONE;
}

static enum operated restart(struct operation *operation)
{
	sim_restart(operation->sim);
	buffer_put_text(operation->result, "true");
	return OPERATED_DONE;
}

static enum operated quit(struct operation *operation)
{
	buffer_put_text(operation->result, "true");
	return OPERATED_QUITTING;
}

enum operated operate(struct operation *operation)
{
	static const struct {
		const char *name;
		enum operated (*run)(struct operation *operation);
	} commands[] = {
		{ "stats", stats },
		{ "violations", violations },
		{ "devices", list_devices },
		{ "command", queue_command },
		{ "result", result },
		{ "wait", wait_result },
		{ "readings", readings },
		{ "wait-reading", wait_reading },
		{ "wait-stat", wait_stat },
		{ "fault", set_faults },
		{ "forget", forget },
		{ "restart", restart },
		{ "quit", quit },
	};
	const char *name = operation_text(operation, "command");
	operation->error[0] = 0;
	for (size_t i = 0; name && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		enum operated operated = commands[i].run(operation);
		operation->tried = true;
		return operated;
	}
	return refuse(operation, "command: \"%s\" is not known", name ? name : "");
}
