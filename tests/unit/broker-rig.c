/* SPDX-License-Identifier: Apache-2.0 */
#include "broker-rig.h"

#include <assert.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

static void keep_line(enum log_level level, const char *line, void *context)
{
	buffer_printf(context, "%s\n", line);
}

static struct poll make_poll(const char *name)
{
	struct request *request = must_alloc(sizeof(*request));
	request->name = must_strdup(name);
	return (struct poll){ .request = request, .period_us = USEC_PER_SEC };
}

void rig_start(struct rig *rig)
{
	alarm(120); /* a test that hangs is killed */
	*rig = (struct rig){ .clock = { .manual = true,
				     .synced = true,
				     .mono_us = 1000 * USEC_PER_SEC,
				     .wall_ms = RIG_NOW_MS } };
	rig->devices[0] = (struct conf_device){ .name = (char *)"meter-1" };
	rig->devices[1] = (struct conf_device){ .name = (char *)"meter-2" };
	rig->buses[0] = (struct conf_bus){ .name = (char *)"rs485-1" };
	rig->conf = (struct conf){ .gateway.name = (char *)"gw-1",
		.mqtt = { .enabled = true,
			.host = (char *)"127.0.0.1",
			.client_id = (char *)"enos-bridge-gw-1",
			.prefix = (char *)"enos-bridge",
			.keepalive_s = 60,
			.queue = 1000 },
		.buses = rig->buses,
		.bus_count = 1,
		.devices = rig->devices,
		.device_count = 2 };
	log_set_sink(keep_line, &rig->log);
	int created = loop_create(&rig->loop, &rig->clock);
	assert(created == 0);
	created = resolver_create(&rig->resolver, NULL);
	assert(created == 0);
	created = resolver_client_create(&rig->client, rig->resolver, rig->loop);
	assert(created == 0);
	rig->plan = plan_create(0, &(struct eb_address){ .size = 0 }, 2);
	rig->plan->polls[0] = make_poll("live");
	rig->plan->polls[1] = make_poll("odd/name #+");
}

void rig_connect(struct rig *rig, uint16_t port)
{
	rig->conf.mqtt.port = port;
	struct broker_setup setup = {
		.conf = &rig->conf, .loop = rig->loop, .resolver = rig->client
	};
	int created = broker_create(&rig->broker, &setup);
	assert(created == 0);
}

void rig_stop(struct rig *rig)
{
	broker_destroy(rig->broker);
	plan_release(rig->plan);
	resolver_client_destroy(rig->client);
	resolver_destroy(rig->resolver);
	loop_destroy(rig->loop);
	buffer_finish(&rig->status);
	log_set_sink(NULL, NULL);
	buffer_finish(&rig->log);
	alarm(0);
}

void rig_turn(struct loop *loop)
{
	if (loop_step(loop, 0) == 0)
		sched_yield();
}

void rig_pass(struct rig *rig, int64_t us)
{
	loop_advance(rig->loop, rig->clock.mono_us + us);
}

void rig_reading(struct rig *rig, uint32_t poll, uint32_t sequence)
{
	struct stamp stamp = { .wall_ms = RIG_READ_MS, .synced = true };
	uint8_t bytes[4] = { (uint8_t)(sequence >> 24), (uint8_t)(sequence >> 16),
		(uint8_t)(sequence >> 8), (uint8_t)sequence };
	struct reading *reading = reading_create(rig->plan, poll, &stamp, bytes, sizeof(bytes));
	broker_reading(rig->broker, reading);
	message_destroy(&reading->mail);
}

void rig_points(struct rig *rig, const char *json)
{
	char error[100];
	struct stamp stamp = { .wall_ms = RIG_READ_MS, .synced = true };
	OWNED_BUFFER value = BUFFER_EMPTY;
	int parsed = json_parse(&value, json, strlen(json), error, sizeof(error));
	assert(parsed == 0);
	struct report *report = report_create(0, REPORT_POINTS, &stamp, value.data, value.size);
	broker_report(rig->broker, report);
	report_release(report);
}

struct command *rig_command(uint32_t sequence)
{
	char error[100];
	struct command *command = NULL;
	OWNED_BUFFER payload = BUFFER_EMPTY;
	buffer_printf(&payload,
		"{\"id\":\"%" PRIu32 "\",\"version\":\"1.0\",\"method\":\"thing.service.set\","
		"\"params\":{\"setpoint\":42}}",
		sequence);
	int created = command_create(&command, 0, ORIGIN_CLOUD, "thing/service/set", payload.data,
		payload.size, error, sizeof(error));
	assert(created == 0);
	return command;
}

void rig_result(struct rig *rig, const struct command *command, int code, const char *payload)
{
	struct reply *reply = reply_create(command, code);
	buffer_put_text(&reply->payload, payload);
	broker_reply(rig->broker, command, reply);
	reply_destroy(reply);
}

static bool find(struct rig *rig, const char *key, struct value *value)
{
	char error[100];
	OWNED_BUFFER json = BUFFER_EMPTY;
	broker_status(rig->broker, &json);
	buffer_clear(&rig->status);
	int parsed = json_parse(&rig->status, json.data, json.size, error, sizeof(error));
	assert(parsed == 0);
	return value_find(rig->status.data, rig->status.size, key, value, NULL);
}

int64_t rig_count(struct rig *rig, const char *key)
{
	struct value value;
	bool found = find(rig, key, &value);
	assert(found && value.type == VALUE_INTEGER);
	return value.integer;
}

const char *rig_state(struct rig *rig)
{
	struct value value;
	bool found = find(rig, "state", &value);
	assert(found && value.type == VALUE_STRING);
	return value.text;
}
