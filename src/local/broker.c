/* SPDX-License-Identifier: Apache-2.0 */
#include "local/broker.h"

#include <errno.h>
#include <string.h>

#include "local/connection.h"
#include "local/outbox.h"
#include "local/topics.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

/* Memory that messages may hold while the broker takes none. */
#define OUTBOX_BYTES_MAX (4u << 20)
/* Most messages that one turn of the loop sends. */
#define BURST 256
/* Changes of state that follow one another this soon are published as one. */
#define STATE_DELAY_US (20 * USEC_PER_MSEC)
/* A device's state is published again while readings come, so that its last times are true. */
#define STATE_REFRESH_MS 60000

/* A device or bus whose retained state is to be published; states are made when they are sent. */
struct subject {
	struct list dirty; /* alone: the broker has it */
	bool bus;
	uint32_t number;
	bool known; /* something was said of it */
	int64_t sent_ms;
};

struct in_flight {
	int number;
	struct outbox_message *message; /* NULL: a retained state, made anew when it is lost */
};

struct broker {
	const struct conf *conf;
	struct loop *loop;
	struct connection *connection;
	struct outbox outbox;
	struct publication scratch;
	struct subject *subjects; /* devices, then buses */
	struct device_state *devices;
	struct bus_state *buses;
	struct list dirty;
	bool status_due;
	struct timer pump; /* goes on in the next turn of the loop */
	struct in_flight in_flight[CONNECTION_IN_FLIGHT_MAX]; /* in the order of sending */
	size_t in_flight_count;
	uint64_t refused;
	struct log_limit limit;
};

static int64_t now_ms(const struct broker *broker)
{
	return clock_wall_ms(loop_clock(broker->loop));
}

/* ---- sending ---------------------------------------------------------------------------------- */

static void refuse(struct broker *broker, const char *topic, const char *why)
{
	uint64_t held = 0;
	broker->refused++;
	if (log_limit_pass(&broker->limit, loop_now(broker->loop), &held)) {
		log_warning(
			"broker: message on %s dropped: %s (%llu more since the last such line)",
			topic, why, (unsigned long long)held);
	}
}

/*
 * Sends what is in the scratch publication, or message where it is not NULL.  False where it has to
 * wait.  Owns the message where it returns true.
 */
static bool send_one(struct broker *broker, const char *topic, const void *payload, size_t size,
	uint8_t qos, bool retain, struct outbox_message *message)
{
	int number = 0;
	int result = connection_publish(
		broker->connection, topic, payload, size, qos, retain, &number);
	if (result == -EAGAIN)
		return false;
	if (result < 0)
		refuse(broker, topic, "the library cannot send it");
	if (result < 0 || !qos) {
		free(message);
		return true;
	}
	broker->in_flight[broker->in_flight_count++] = (struct in_flight){ .number = number,
		.message = message };
	return true;
}

static bool send_scratch(struct broker *broker)
{
	const struct publication *scratch = &broker->scratch;
	return send_one(broker, buffer_text(&scratch->topic), scratch->payload.data,
		scratch->payload.size, scratch->qos, scratch->retain, NULL);
}

static bool send_status(struct broker *broker)
{
	if (!broker->status_due)
		return false;
	topic_status(&broker->scratch, broker->conf, "online", NULL, now_ms(broker));
	broker->status_due = !send_scratch(broker);
	return !broker->status_due;
}

static bool send_state(struct broker *broker)
{
	if (list_empty(&broker->dirty) || !connection_ready(broker->connection, 1))
		return false;
	struct subject *subject = container_of(broker->dirty.next, struct subject, dirty);
	int64_t now = now_ms(broker);
	if (subject->bus)
		topic_bus(&broker->scratch, broker->conf, subject->number,
			&broker->buses[subject->number], now);
	else
		topic_device(&broker->scratch, broker->conf, subject->number,
			&broker->devices[subject->number], now);
	if (!send_scratch(broker))
		return false;
	subject->sent_ms = now;
	list_remove(&subject->dirty);
	return true;
}

static bool send_waiting(struct broker *broker, enum outbox_class class)
{
	struct outbox_message *message = outbox_first(&broker->outbox, class);
	uint8_t qos = class == OUTBOX_KEPT ? 1 : 0;
	if (!message || !connection_ready(broker->connection, qos))
		return false;
	outbox_take(&broker->outbox, message);
	if (send_one(broker, message->topic, message->payload, message->size, qos, false, message))
		return true;
	outbox_return(&broker->outbox, message);
	return false;
}

/* Whether something waits that could be sent at once. */
static bool sendable(const struct broker *broker)
{
	bool kept = broker->status_due || !list_empty(&broker->dirty) ||
		outbox_first(&broker->outbox, OUTBOX_KEPT);
	return (kept && connection_ready(broker->connection, 1)) ||
		(outbox_first(&broker->outbox, OUTBOX_TELEMETRY) &&
			connection_ready(broker->connection, 0));
}

static void pump_after(struct broker *broker, int64_t span_us)
{
	int64_t due_us = loop_now(broker->loop) + span_us;
	if (!timer_armed(&broker->pump) || broker->pump.due_us > due_us)
		loop_arm(broker->loop, &broker->pump, due_us);
}

/*
 * Results before states before telemetry: a full window of unacknowledged messages holds up only
 * what needs acknowledging.
 */
static void pump(struct broker *broker)
{
	for (int i = 0; i < BURST; i++) {
		if (!send_status(broker) && !send_waiting(broker, OUTBOX_KEPT) &&
			!send_state(broker) && !send_waiting(broker, OUTBOX_TELEMETRY))
			return;
	}
	if (sendable(broker))
		pump_after(broker, 0);
}

static void pump_again(struct timer *timer, int64_t now_us)
{
	pump(container_of(timer, struct broker, pump));
}

/* Sends the scratch publication now where nothing of its class waits, else queues it. */
static void put(struct broker *broker, enum outbox_class class)
{
	const struct publication *scratch = &broker->scratch;
	if (!outbox_first(&broker->outbox, class) && class == OUTBOX_TELEMETRY &&
		connection_ready(broker->connection, 0) && send_scratch(broker))
		return;
	outbox_put(&broker->outbox, class, buffer_text(&scratch->topic), scratch->payload.data,
		scratch->payload.size);
	pump(broker);
}

/* ---- what the connection says ------------------------------------------------------------------- */

static void mark(struct broker *broker, struct subject *subject)
{
	subject->known = true;
	if (list_empty(&subject->dirty))
		list_append(&broker->dirty, &subject->dirty);
}

static void mark_all(struct broker *broker)
{
	uint32_t count = broker->conf->device_count + broker->conf->bus_count;
	for (uint32_t i = 0; i < count; i++) {
		if (broker->subjects[i].known)
			mark(broker, &broker->subjects[i]);
	}
}

static void write_will(void *context, struct buffer *topic, struct buffer *payload)
{
	struct broker *broker = context;
	topic_status(&broker->scratch, broker->conf, "offline", "connection lost", now_ms(broker));
	buffer_put(topic, broker->scratch.topic.data, broker->scratch.topic.size);
	buffer_put(payload, broker->scratch.payload.data, broker->scratch.payload.size);
}

/* A broker that restarted may have forgotten what it retained: all states are said again. */
static void came_up(void *context)
{
	struct broker *broker = context;
	broker->status_due = true;
	mark_all(broker);
	pump(broker);
}

static void went_down(void *context)
{
	struct broker *broker = context;
	while (broker->in_flight_count > 0) {
		struct in_flight *last = &broker->in_flight[--broker->in_flight_count];
		if (last->message)
			outbox_return(&broker->outbox, last->message);
	}
}

static void was_acknowledged(void *context, int number)
{
	struct broker *broker = context;
	for (size_t i = 0; i < broker->in_flight_count; i++) {
		if (broker->in_flight[i].number != number)
			continue;
		free(broker->in_flight[i].message);
		broker->in_flight_count--;
		memmove(&broker->in_flight[i], &broker->in_flight[i + 1],
			(broker->in_flight_count - i) * sizeof(*broker->in_flight));
		break;
	}
	if (sendable(broker))
		pump_after(broker, 0);
}

static void is_writable(void *context)
{
	pump(context);
}

/* ---- life --------------------------------------------------------------------------------------- */

static void make_subjects(struct broker *broker)
{
	uint32_t devices = broker->conf->device_count, buses = broker->conf->bus_count;
	broker->subjects = must_array(devices + buses, sizeof(*broker->subjects));
	broker->devices = must_array(devices, sizeof(*broker->devices));
	broker->buses = must_array(buses, sizeof(*broker->buses));
	for (uint32_t i = 0; i < devices + buses; i++) {
		list_init(&broker->subjects[i].dirty);
		broker->subjects[i].bus = i >= devices;
		broker->subjects[i].number = i >= devices ? i - devices : i;
		/* A device that never answers has a state too: unknown. */
		broker->subjects[i].known = i < devices;
	}
}

int broker_create(struct broker **result, const struct broker_setup *setup)
{
	struct broker *broker = must_alloc(sizeof(*broker));
	broker->conf = setup->conf;
	broker->loop = setup->loop;
	broker->pump.expired = pump_again;
	broker->limit = (struct log_limit){ .window_us = 60 * USEC_PER_SEC, .burst = 3 };
	list_init(&broker->dirty);
	outbox_init(&broker->outbox, setup->conf->mqtt.queue, OUTBOX_BYTES_MAX);
	make_subjects(broker);
	struct connection_setup connection = {
		.conf = &setup->conf->mqtt,
		.loop = setup->loop,
		.resolver = setup->resolver,
		.listener = { .context = broker,
			.will = write_will,
			.up = came_up,
			.down = went_down,
			.acknowledged = was_acknowledged,
			.writable = is_writable },
	};
	int error = connection_create(&broker->connection, &connection);
	if (error < 0) {
		broker_destroy(broker);
		return error;
	}
	*result = broker;
	return 0;
}

static void say_goodbye(struct broker *broker)
{
	pump(broker);
	topic_status(&broker->scratch, broker->conf, "offline", "stopped", now_ms(broker));
	/* Nobody waits for its acknowledgement; where too many are awaited it goes without. */
	if (!connection_ready(broker->connection, 1))
		broker->scratch.qos = 0;
	send_scratch(broker);
}

void broker_destroy(struct broker *broker)
{
	if (!broker)
		return;
	if (broker->connection)
		say_goodbye(broker);
	connection_destroy(broker->connection);
	loop_disarm(broker->loop, &broker->pump);
	went_down(broker);
	outbox_finish(&broker->outbox);
	publication_finish(&broker->scratch);
	for (uint32_t i = 0; i < broker->conf->device_count; i++) {
		free(broker->devices[i].session);
		free(broker->devices[i].session_reason);
		free(broker->devices[i].script_error);
		free(broker->devices[i].script_warning);
	}
	for (uint32_t i = 0; i < broker->conf->bus_count; i++)
		free(broker->buses[i].reason);
	free(broker->devices);
	free(broker->buses);
	free(broker->subjects);
	free(broker);
}

/* ---- what is told --------------------------------------------------------------------------------- */

static void changed(struct broker *broker, struct subject *subject)
{
	mark(broker, subject);
	pump_after(broker, STATE_DELAY_US);
}

static void set_text(char **to, const char *text)
{
	free(*to);
	*to = text && *text ? must_strdup(text) : NULL;
}

/* Says a device's state again where the times in it have become old. */
static void refresh(struct broker *broker, uint32_t device, int64_t wall_ms)
{
	struct subject *subject = &broker->subjects[device];
	int64_t age_ms = wall_ms - subject->sent_ms;
	/* Readings are a little older than what was sent last; far older means a stepped clock. */
	if (age_ms >= STATE_REFRESH_MS || age_ms <= -STATE_REFRESH_MS)
		changed(broker, subject);
}

void broker_reading(struct broker *broker, const struct reading *reading)
{
	if (!broker)
		return;
	topic_reading(&broker->scratch, broker->conf, reading);
	put(broker, OUTBOX_TELEMETRY);
	broker->devices[reading->device].reading_ms = reading->stamp.wall_ms;
	refresh(broker, reading->device, reading->stamp.wall_ms);
}

void broker_report(struct broker *broker, const struct report *report)
{
	if (!broker)
		return;
	broker->devices[report->device].report_ms = report->stamp.wall_ms;
	if (topic_report(&broker->scratch, broker->conf, report) < 0)
		refuse(broker, buffer_text(&broker->scratch.topic), "a value in it is not JSON");
	else
		put(broker, OUTBOX_TELEMETRY);
}

void broker_command(struct broker *broker, const struct command *command)
{
	if (!broker)
		return;
	topic_command(&broker->scratch, broker->conf, command, now_ms(broker));
	put(broker, OUTBOX_KEPT);
}

void broker_reply(struct broker *broker, const struct command *command, const struct reply *reply)
{
	if (!broker)
		return;
	topic_result(&broker->scratch, broker->conf, command, reply, now_ms(broker));
	put(broker, OUTBOX_KEPT);
}

void broker_audit(struct broker *broker, uint32_t device, const struct buffer *record)
{
	if (!broker)
		return;
	topic_audit(&broker->scratch, broker->conf, device, record);
	put(broker, OUTBOX_KEPT);
}

void broker_health(struct broker *broker, const struct health *health)
{
	if (!broker)
		return;
	struct device_state *state = &broker->devices[health->device];
	state->health = health->state;
	state->health_ms = health->stamp.wall_ms;
	state->error = health->error;
	state->code = health->code;
	changed(broker, &broker->subjects[health->device]);
}

void broker_session(struct broker *broker, uint32_t device, const char *session, const char *reason)
{
	if (!broker)
		return;
	struct device_state *state = &broker->devices[device];
	/* Another reason is not another state. */
	if (!state->session || strcmp(state->session, session) != 0)
		state->session_ms = now_ms(broker);
	set_text(&state->session, session);
	set_text(&state->session_reason, reason);
	changed(broker, &broker->subjects[device]);
}

void broker_link(struct broker *broker, const struct link_change *change)
{
	if (!broker)
		return;
	struct bus_state *state = &broker->buses[change->bus];
	state->up = change->up;
	state->since_ms = change->stamp.wall_ms;
	set_text(&state->reason, change->reason);
	changed(broker, &broker->subjects[broker->conf->device_count + change->bus]);
}

void broker_script(struct broker *broker, uint32_t device, const char *error)
{
	if (!broker)
		return;
	struct device_state *state = &broker->devices[device];
	set_text(&state->script_error, error);
	state->script_ms = now_ms(broker);
	changed(broker, &broker->subjects[device]);
}

void broker_reload(struct broker *broker, const char *script, const char *result)
{
	if (!broker)
		return;
	topic_reload(&broker->scratch, broker->conf, script, result, now_ms(broker));
	put(broker, OUTBOX_KEPT);
}

void broker_warning(struct broker *broker, uint32_t device, const char *warning)
{
	if (!broker)
		return;
	set_text(&broker->devices[device].script_warning, warning);
	changed(broker, &broker->subjects[device]);
}

void broker_status(const struct broker *broker, struct buffer *json)
{
	if (!broker) {
		buffer_put_text(json, "null");
		return;
	}
	buffer_put_byte(json, '{');
	connection_status(broker->connection, json);
	const struct outbox *outbox = &broker->outbox;
	buffer_printf(json, ",\"queued\":%zu,\"queued_bytes\":%zu,\"in_flight\":%zu", outbox->count,
		outbox->bytes, broker->in_flight_count);
	buffer_printf(json,
		",\"dropped_telemetry\":%llu,\"dropped_results\":%llu,\"refused\":%llu}",
		(unsigned long long)outbox->dropped[OUTBOX_TELEMETRY],
		(unsigned long long)outbox->dropped[OUTBOX_KEPT],
		(unsigned long long)broker->refused);
}
