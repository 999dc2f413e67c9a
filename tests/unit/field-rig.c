/* SPDX-License-Identifier: Apache-2.0 */
#include "field-rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../plugins/modbus/modbus.h"
#include "core/message.h"
#include "util/alloc.h"
#include "util/log.h"
#include "util/value.h"

extern const struct eb_plugin eb_plugin;
uint16_t rtu_crc(const uint8_t *bytes, size_t size);

/* ---- the line ------------------------------------------------------------------------------- */

static struct rig *rig_of(struct link *link)
{
	return container_of(link, struct rig, link);
}

int64_t rig_char_us(const struct rig *rig)
{
	return rig->setup.baud ? 10 * USEC_PER_SEC / rig->setup.baud : 0;
}

static bool is_tcp(const struct rig *rig)
{
	return !rig->setup.baud && !rig->setup.framing;
}

static void arm_arrival(struct rig *rig)
{
	if (list_empty(&rig->chunks))
		return;
	const struct chunk *first = container_of(rig->chunks.next, struct chunk, link);
	loop_arm(rig->loop, &rig->arrival, first->at_us);
}

void rig_say(struct rig *rig, int64_t at_us, const void *bytes, size_t size)
{
	int64_t now = loop_now(rig->loop);
	int64_t end_us = at_us + (rig->setup.paced ? (int64_t)size * rig_char_us(rig) : 0);
	struct chunk *chunk = must_alloc(sizeof(*chunk) + size);
	chunk->at_us = end_us > now ? end_us : now;
	chunk->size = size;
	memcpy(chunk->bytes, bytes, size);
	struct list *place = &rig->chunks;
	while (place->prev != &rig->chunks &&
		container_of(place->prev, struct chunk, link)->at_us > chunk->at_us)
		place = place->prev;
	list_insert(place, &chunk->link);
	if (end_us > rig->line_end_us)
		rig->line_end_us = end_us;
	arm_arrival(rig);
}

static void arrived(struct timer *timer, int64_t now_us)
{
	struct rig *rig = container_of(timer, struct rig, arrival);
	if (rig->open)
		rig->link.events->readable(rig->link.owner);
	arm_arrival(rig);
}

static ssize_t rig_read(struct link *link, void *bytes, size_t room)
{
	struct rig *rig = rig_of(link);
	size_t size = 0;
	if (rig->read_error)
		return -rig->read_error;
	while (!list_empty(&rig->chunks)) {
		struct chunk *chunk = container_of(rig->chunks.next, struct chunk, link);
		if (chunk->at_us > loop_now(rig->loop) || size + chunk->size > room)
			break;
		memcpy((uint8_t *)bytes + size, chunk->bytes, chunk->size);
		size += chunk->size;
		list_remove(&chunk->link);
		free(chunk);
	}
	loop_disarm(rig->loop, &rig->arrival);
	arm_arrival(rig);
	return (ssize_t)size;
}

size_t rig_answer(const struct heard_request *request, bool tcp, uint8_t *frame)
{
	uint8_t pdu[256];
	size_t size = 0;
	pdu[size++] = request->function;
	if (request->function <= 4) {
		pdu[size++] = (uint8_t)(2 * request->count);
		for (uint16_t i = 0; i < request->count; i++) {
			pdu[size++] = request->unit;
			pdu[size++] = (uint8_t)(request->address + i);
		}
	} else {
		memcpy(pdu, request->frame + (tcp ? 7 : 1), 5);
		size = 5;
	}
	size_t head = 0;
	if (tcp) {
		memcpy(frame, request->frame, 4);
		put16(frame + 4, (uint32_t)size + 1);
		head = 6;
	}
	frame[head] = request->unit;
	memcpy(frame + head + 1, pdu, size);
	if (!tcp) {
		uint16_t crc = rtu_crc(frame, size + 1);
		frame[size + 1] = (uint8_t)crc;
		frame[size + 2] = (uint8_t)(crc >> 8);
		return size + 3;
	}
	return head + 1 + size;
}

size_t rig_refusal(const struct heard_request *request, bool tcp, uint8_t code, uint8_t *frame)
{
	size_t head = 0;
	if (tcp) {
		memcpy(frame, request->frame, 4);
		put16(frame + 4, 3);
		head = 6;
	}
	frame[head] = request->unit;
	frame[head + 1] = (uint8_t)(request->function | EXCEPTION_FLAG);
	frame[head + 2] = code;
	if (tcp)
		return head + 3;
	uint16_t crc = rtu_crc(frame, 3);
	frame[3] = (uint8_t)crc;
	frame[4] = (uint8_t)(crc >> 8);
	return 5;
}

static void answer_exception(
	struct rig *rig, const struct heard_request *request, uint8_t code, int64_t at_us)
{
	uint8_t frame[9];
	rig->units[request->unit].refused++;
	rig_say(rig, at_us, frame, rig_refusal(request, is_tcp(rig), code, frame));
}

/* What it says to this request instead of an answer; 0: nothing against it. */
static uint8_t exception_of(const struct unit *unit, const struct heard_request *request)
{
	if (unit->exception || request->function > 4)
		return unit->exception;
	if (unit->most && request->count > unit->most)
		return 3;
	bool bad = request->address < unit->bad_end &&
		request->address + request->count > unit->bad_begin;
	return bad ? 2 : 0;
}

static void answer(struct rig *rig, const struct heard_request *request)
{
	struct unit *unit = &rig->units[request->unit];
	uint8_t frame[300];
	unit->asked++;
	unit->asked_us = loop_now(rig->loop);
	unit->address = request->address;
	unit->count = request->count;
	if (rig->notes && request->unit == 1)
		buffer_printf(
			&rig->heard, "%c%u ", request->function > 4 ? 'w' : 'r', request->address);
	if (rig->behave) {
		rig->behave(rig, request);
		return;
	}
	if (unit->dead || !request->unit)
		return;
	int64_t gap_us = rig->setup.baud ? rig->bus->gap_us : 0;
	int64_t at_us = request->end_us + gap_us + unit->delay_us;
	uint8_t exception = exception_of(unit, request);
	if (exception) {
		answer_exception(rig, request, exception, at_us);
		return;
	}
	if (request->function >= 5)
		unit->written++;
	rig_say(rig, at_us, frame, rig_answer(request, is_tcp(rig), frame));
}

static void hear(struct rig *rig, const uint8_t *frame, size_t size)
{
	int64_t now = loop_now(rig->loop);
	const uint8_t *pdu = frame + (is_tcp(rig) ? 7 : 1);
	int64_t gap_us = now - rig->line_end_us;
	if (gap_us < rig->least_gap_us)
		rig->least_gap_us = gap_us;
	struct heard_request request = {
		.frame = frame,
		.size = size,
		.unit = pdu[-1],
		.function = pdu[0],
		.address = get16(pdu + 1),
		.count = get16(pdu + 3),
		.end_us = now + (int64_t)size * rig_char_us(rig),
	};
	rig->line_end_us = request.end_us;
	if (rig->echoes)
		rig_say(rig, now, frame, size);
	answer(rig, &request);
}

static ssize_t rig_write(struct link *link, const void *bytes, size_t size)
{
	struct rig *rig = rig_of(link);
	if (rig->write_error)
		return -rig->write_error;
	if (rig->takes) {
		size = size < rig->takes ? size : rig->takes;
		buffer_put(&rig->taken, bytes, size);
	} else if (rig->setup.plugin) {
		rig->hear_raw(rig, bytes, size);
	} else {
		hear(rig, bytes, size);
	}
	return (ssize_t)size;
}

static int rig_open(struct link *link, char *why)
{
	struct rig *rig = rig_of(link);
	rig->opens++;
	if (rig->open_result < 0 && rig->open_result != -EINPROGRESS)
		snprintf(why, LINK_WHY_MAX, "the test says no");
	link->paced = rig->setup.paced;
	rig->open = rig->open_result == 0;
	return rig->open_result;
}

static void rig_close(struct link *link)
{
	struct rig *rig = rig_of(link);
	rig->closes += rig->open;
	rig->open = false;
	while (!list_empty(&rig->chunks))
		free(container_of(list_take_first(&rig->chunks), struct chunk, link));
}

static void rig_explain(const struct link *link, int error, char *why)
{
	snprintf(why, LINK_WHY_MAX, "the test unplugged it (%d)", error);
}

static void rig_forget(struct link *link)
{
	rig_close(link);
}

static const struct link_ops rig_ops = {
	.open = rig_open,
	.read = rig_read,
	.write = rig_write,
	.close = rig_close,
	.destroy = rig_forget,
	.explain = rig_explain,
};

void rig_take(struct rig *rig)
{
	rig->link.events->writable(rig->link.owner);
}

void rig_lose(struct rig *rig, int error)
{
	rig->read_error = error;
	rig->link.events->readable(rig->link.owner);
	rig->read_error = 0;
}

/* ---- the bus -------------------------------------------------------------------------------- */

static void set_conf(struct rig *rig)
{
	const struct rig_setup *setup = &rig->setup;
	struct conf_bus *bus = must_alloc(sizeof(*bus));
	bus->name = must_strdup("bus");
	bus->plugin = setup->plugin ? setup->plugin : &eb_plugin;
	bus->link.type = setup->baud ? CONF_LINK_SERIAL : CONF_LINK_TCP;
	bus->link.baud = setup->baud;
	bus->link.echo = setup->echo;
	bus->link.connect_timeout_ms = 3000;
	bus->link.reopen_min_ms = 500;
	bus->link.reopen_max_ms = 8000;
	bus->line = (struct eb_line){
		.transport = setup->baud ? EB_SERIAL : EB_TCP,
		.baud = setup->baud,
		.char_bits = setup->baud ? 10 : 0,
	};
	bus->timeout_ms = setup->timeout_ms ? setup->timeout_ms : 500;
	bus->retries = setup->retries;
	bus->in_flight = setup->in_flight;
	bus->turnaround_us = 100000;
	bus->merge = setup->merge;
	bus->merge_hole = setup->merge_hole;
	uint32_t count = (setup->framing ? 1 : 0) + (setup->listen ? 1 : 0);
	value_put_map(&bus->options, count);
	if (setup->framing)
		value_pair_text(&bus->options, "framing", setup->framing);
	if (setup->listen)
		value_pair_bool(&bus->options, "listen", true);
	rig->conf.buses = bus;
	rig->conf.bus_count = 1;
	rig->conf.device_count = setup->devices;
	rig->conf.devices = must_array(setup->devices, sizeof(struct conf_device));
	for (uint32_t i = 0; i < setup->devices; i++)
		rig->conf.devices[i] = (struct conf_device){ .name = must_printf("unit-%u", i + 1),
			.merge_hole = CONF_AS_BUS };
}

static void gather_log(enum log_level level, const char *line, void *context)
{
	struct rig *rig = context;
	buffer_printf(&rig->log, "%s\n", line);
}

static void *open_state(const struct conf_bus *conf)
{
	void *state = must_alloc(conf->plugin->state_size);
	struct eb_timing timing = { .gap_us = 0 };
	struct eb_error error;
	struct settings settings;
	struct problems problems = PROBLEMS_NONE;
	assert_int_equal(0,
		settings_from_value(&settings, conf->plugin->bus_keys, NULL, conf->options.data,
			conf->options.size, SETTINGS_CONFIGURATION, conf->place, &problems));
	assert_int_equal(
		0, conf->plugin->open(state, &settings.view, &conf->line, &timing, &error));
	settings_finish(&settings);
	return state;
}

/* The main plane takes readings as they come. */
static void mail_came(struct watch *watch, uint32_t events)
{
	rig_collect(container_of(watch, struct rig, mail));
}

struct rig *rig_create(const struct rig_setup *setup)
{
	struct rig *rig = must_alloc(sizeof(*rig));
	struct eb_error error = { "" };
	rig->setup = *setup;
	rig->clock = (struct clock){ .manual = true,
		.synced = true,
		.mono_us = 1000 * USEC_PER_SEC,
		.wall_ms = INT64_C(1700000000000) };
	log_set_sink(gather_log, rig);
	assert_int_equal(0, loop_create(&rig->loop, &rig->clock));
	assert_int_equal(0, mailbox_create(&rig->outbox, 1000));
	list_init(&rig->chunks);
	rig->arrival.expired = arrived;
	rig->mail = (struct watch){
		.fd = mailbox_fd(rig->outbox), .events = EPOLLIN, .ready = mail_came
	};
	assert_int_equal(0, loop_add(rig->loop, &rig->mail));
	rig->least_gap_us = INT64_MAX;
	rig->link.ops = &rig_ops;
	set_conf(rig);
	rig->plane = must_alloc(sizeof(*rig->plane));
	plane_init(rig->plane, rig->loop, rig->outbox, NULL, &rig->conf);
	assert_int_equal(0, bus_create(&rig->bus, rig->plane, 0, &rig->link, &error));
	rig->plan_state = open_state(&rig->conf.buses[0]);
	rig->devices = must_array(setup->devices, sizeof(struct device *));
	for (uint32_t i = 0; i < setup->devices; i++)
		rig->devices[i] = device_create(rig->bus, i);
	bus_start(rig->bus, loop_now(rig->loop));
	return rig;
}

void rig_destroy(struct rig *rig)
{
	bus_abort(rig->bus);
	rig_collect(rig);
	bus_destroy(rig->bus);
	loop_remove(rig->loop, &rig->mail);
	loop_disarm(rig->loop, &rig->arrival);
	if (rig->outcome)
		message_destroy(&rig->outcome->mail);
	free(rig->devices);
	free(rig->plan_state);
	free(rig->plane);
	for (uint32_t i = 0; i < rig->conf.device_count; i++)
		free(rig->conf.devices[i].name);
	free(rig->conf.devices);
	free(rig->conf.buses[0].name);
	buffer_finish(&rig->conf.buses[0].options);
	free(rig->conf.buses);
	mailbox_destroy(rig->outbox);
	loop_destroy(rig->loop);
	log_set_sink(NULL, NULL);
	buffer_finish(&rig->log);
	buffer_finish(&rig->heard);
	buffer_finish(&rig->taken);
	free(rig);
}

/* ---- plans and orders ----------------------------------------------------------------------- */

static void put_request(struct buffer *map, const struct rig_poll *poll, bool as_poll)
{
	value_put_map(map,
		(poll->text ? 1 : 3) + (as_poll ? 3 : 0) + (poll->timeout ? 1 : 0) +
			(poll->retry_safe ? 1 : 0));
	if (poll->retry_safe)
		value_pair_bool(map, "retry_safe", true);
	if (poll->timeout)
		value_pair_real(map, "timeout", poll->timeout);
	if (as_poll) {
		value_pair_text(map, "name", poll->name ? poll->name : "live");
		value_pair_real(map, "period", poll->period);
		value_pair_text(map, "priority", poll->urgent ? "high" : "normal");
	}
	if (poll->text) {
		value_pair_text(map, poll->write ? "write" : "read", poll->text);
		return;
	}
	value_pair_text(map, poll->write ? "write" : "read", "holding_registers");
	value_pair_integer(map, "address", poll->address);
	if (poll->write) {
		value_put_text(map, "values");
		value_put_list(map, 1);
		value_put_integer(map, 7);
	} else {
		value_pair_integer(map, "count", poll->count ? poll->count : 1);
	}
}

static struct eb_address address_of(uint32_t device)
{
	return (struct eb_address){ .size = 1, .bytes = { (uint8_t)(device + 1) } };
}

static void check_problems(struct problems *problems)
{
	problems_print(problems, stderr);
	assert_int_equal(0, problems->count);
	problems_finish(problems);
}

struct plan *rig_plan(struct rig *rig, uint32_t device, const struct rig_poll *polls, size_t count)
{
	struct eb_address address = address_of(device);
	struct plan *plan = plan_create(device, &address, count);
	for (size_t i = 0; i < count; i++) {
		OWNED_BUFFER map = BUFFER_EMPTY;
		struct problems problems = PROBLEMS_NONE;
		put_request(&map, &polls[i], true);
		poll_init(&plan->polls[i], rig->conf.buses[0].plugin, rig->plan_state, &address,
			map.data, map.size, SETTINGS_SCRIPT, (struct place){ "rig", 0 }, &problems);
		check_problems(&problems);
	}
	return plan;
}

void rig_run_plan(struct rig *rig, uint32_t device, const struct rig_poll *polls, size_t count)
{
	device_change_plan(rig->devices[device], rig_plan(rig, device, polls, count));
	bus_turn(rig->bus);
}

void rig_run_setup(struct rig *rig, uint32_t device, const struct rig_poll *polls, size_t count,
	const struct rig_poll *setup, size_t setup_count)
{
	struct plan *plan = rig_plan(rig, device, polls, count);
	struct request **requests = must_array(setup_count, sizeof(*requests));
	for (size_t i = 0; i < setup_count; i++)
		requests[i] = rig_request(rig, device, &setup[i]);
	plan_take_setup(plan, requests, setup_count);
	device_change_plan(rig->devices[device], plan);
	bus_turn(rig->bus);
}

void rig_poll_all(struct rig *rig, const struct rig_poll *poll)
{
	for (uint32_t i = 0; i < rig->setup.devices; i++)
		rig_run_plan(rig, i, poll, 1);
}

struct request *rig_request(struct rig *rig, uint32_t device, const struct rig_poll *poll)
{
	OWNED_BUFFER map = BUFFER_EMPTY;
	struct problems problems = PROBLEMS_NONE;
	struct eb_address address = address_of(device);
	struct request *request = NULL;
	put_request(&map, poll, false);
	request_create(&request, rig->conf.buses[0].plugin, rig->plan_state, &address, map.data,
		map.size, SETTINGS_SCRIPT, (struct place){ "rig", 0 }, &problems);
	check_problems(&problems);
	return request;
}

void rig_order(struct rig *rig, uint32_t device, int64_t within_us, const struct rig_poll *polls,
	size_t count)
{
	struct order *order = order_create(device, 77, loop_now(rig->loop) + within_us, count);
	for (size_t i = 0; i < count; i++)
		order->requests[i] = rig_request(rig, device, &polls[i]);
	assert_true(mailbox_reserve(rig->outbox));
	bus_order(rig->bus, order);
}

/* ---- what comes out ------------------------------------------------------------------------- */

/* Whether some unit has these registers in a row. */
static bool is_anyones(const struct reading *reading)
{
	for (uint32_t i = 0; i + 1 < reading->size; i += 2) {
		if (reading->bytes[i] != reading->bytes[0] ||
			reading->bytes[i + 1] != (uint8_t)(reading->bytes[1] + i / 2))
			return false;
	}
	return true;
}

static void take_reading(struct rig *rig, const struct reading *reading)
{
	const uint8_t *pdu = reading->plan->polls[reading->poll].request->wire.data;
	uint16_t address = rig->setup.plugin ? 0 : get16(pdu + 1);
	bool right = rig->setup.plugin || reading->size == 2u * get16(pdu + 3);
	for (uint32_t i = 0; !rig->setup.plugin && i + 1 < reading->size; i += 2)
		right = right && reading->bytes[i] == reading->device + 1 &&
			reading->bytes[i + 1] == (uint8_t)(address + i / 2);
	rig->readings++;
	rig->wrong += !right;
	rig->forged += !right && !is_anyones(reading);
	rig->device_readings[reading->device]++;
	rig->device_last_us[reading->device] = reading->stamp.mono_us;
	if (rig->on_reading)
		rig->on_reading(rig, reading);
}

static void take_health(struct rig *rig, const struct health *health)
{
	rig->healths++;
	rig->health[health->device] = health->state;
	rig->health_error[health->device] = health->error;
}

static void take_change(struct rig *rig, const struct link_change *change)
{
	rig->changes++;
	rig->link_up = change->up;
	snprintf(rig->link_reason, sizeof(rig->link_reason), "%s", change->reason);
}

static bool take_outcome(struct rig *rig, struct outcome *outcome)
{
	rig->outcomes++;
	if (outcome->steps[0].status == OUTCOME_SUPERSEDED) {
		rig->superseded++;
		rig->gave_way = outcome->order;
	}
	if (rig->outcome)
		message_destroy(&rig->outcome->mail);
	rig->outcome = outcome;
	return true;
}

void rig_collect(struct rig *rig)
{
	struct list mails;
	list_init(&mails);
	mailbox_take_all(rig->outbox, &mails);
	for (struct list *link; (link = list_take_first(&mails));) {
		struct mail *mail = container_of(link, struct mail, link);
		bool kept = false;
		if (mail->kind == MESSAGE_READING)
			take_reading(rig, container_of(mail, struct reading, mail));
		else if (mail->kind == MESSAGE_HEALTH)
			take_health(rig, container_of(mail, struct health, mail));
		else if (mail->kind == MESSAGE_LINK)
			take_change(rig, container_of(mail, struct link_change, mail));
		else if (mail->kind == MESSAGE_EVIDENCE && rig->on_evidence)
			rig->on_evidence(rig, container_of(mail, struct evidence, mail));
		else if (mail->kind == MESSAGE_OUTCOME)
			kept = take_outcome(rig, container_of(mail, struct outcome, mail));
		if (!kept)
			message_destroy(mail);
	}
}

void rig_run(struct rig *rig, int64_t us)
{
	int64_t until_us = loop_now(rig->loop) + us;
	while (loop_now(rig->loop) < until_us) {
		int64_t next_us = loop_now(rig->loop) + USEC_PER_SEC;
		loop_advance(rig->loop, next_us < until_us ? next_us : until_us);
		rig_collect(rig);
	}
}
