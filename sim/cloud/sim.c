/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "block.h"
#include "command.h"
#include "util/alloc.h"

#define TOPIC_MAX 400
#define TOPIC_PREFIX_SEGMENTS 4 /* topic sys {pk} {dk} */

void sim_settings_init(struct sim_settings *settings)
{
	*settings = (struct sim_settings){
		.empty_get = CODE_CONTENT,
		.payload_max = 1024,
		.block_size = 1024,
		.duplicate_window = 4000000,
		.command_timeout_us = 30 * USEC_PER_SEC,
		.command_resends = 3,
		.seed = 1,
		.transcript = -1,
	};
}

void call_answer(struct call *call, uint8_t code)
{
	call->answer->code = code;
	buffer_clear(&call->answer->payload);
}

void call_violate(struct call *call, uint8_t code, enum violation violation, const char *text)
{
	journal_violation(call->sim->journal, call->device, violation, call->topic, text);
	call_answer(call, code);
	buffer_put_text(&call->answer->payload, text);
}

static bool is_auth(const struct packet *packet)
{
	return packet->segments == 3 && bytes_are(packet->path[0], "auth");
}

static bool is_topic(const struct packet *packet)
{
	return packet->segments > TOPIC_PREFIX_SEGMENTS &&
		packet->segments <= PACKET_SEGMENTS_MAX && bytes_are(packet->path[0], "topic") &&
		bytes_are(packet->path[1], "sys");
}

/* topic ext session {pk} {dk} thing activate info */
static bool is_activation(const struct packet *packet)
{
	static const char *const words[] = { "topic", "ext", "session", NULL, NULL, "thing",
		"activate", "info" };
	if (packet->segments != sizeof(words) / sizeof(*words))
		return false;
	for (size_t i = 0; i < packet->segments; i++) {
		if (words[i] && !bytes_are(packet->path[i], words[i]))
			return false;
	}
	return true;
}

static struct device *device_of(struct sim *sim, const struct packet *packet)
{
	if (is_auth(packet))
		return devices_find(sim->devices, packet->path[1], packet->path[2]);
	if (is_topic(packet))
		return devices_find(sim->devices, packet->path[2], packet->path[3]);
	if (is_activation(packet))
		return devices_find(sim->devices, packet->path[3], packet->path[4]);
	return NULL;
}

/* The segments from the given one on, "/" between them; false where that is too long. */
static bool join_path(const struct packet *packet, size_t from, char *text, size_t room)
{
	size_t at = 0;
	for (size_t i = from; i < packet->segments && i < PACKET_SEGMENTS_MAX; i++) {
		struct bytes segment = packet->path[i];
		if (at + segment.size + 2 > room || memchr(segment.data, 0, segment.size))
			return false;
		if (i > from)
			text[at++] = '/';
		memcpy(text + at, segment.data, segment.size);
		at += segment.size;
	}
	text[at] = 0;
	return true;
}

static struct fault_source faults_of(void *context, const struct packet *packet)
{
	struct sim *sim = context;
	struct device *device = device_of(sim, packet);
	static struct fault_plan none;
	struct fault_plan *plan = device && device->has_faults ? &device->faults : &sim->faults;
	char topic[TOPIC_MAX];
	if (plan->topic[0] &&
		(!join_path(packet, 0, topic, sizeof(topic)) || !strstr(topic, plan->topic)))
		plan = &none;
	return (struct fault_source){ plan, device ? &device->dice : &sim->dice };
}

static void disturbed(void *context, const struct packet *packet)
{
	struct device *device = device_of(context, packet);
	if (device)
		device->disturbed = true;
}

static void violated(
	void *context, const struct packet *packet, enum violation violation, const char *text)
{
	struct sim *sim = context;
	char topic[TOPIC_MAX];
	bool known = packet && join_path(packet, 0, topic, sizeof(topic));
	journal_violation(sim->journal, packet ? device_of(sim, packet) : NULL, violation,
		known ? topic : NULL, text);
}

/* What the server does wrong on purpose. Returns whether that was all there is to the request. */
static bool misbehave(struct call *call)
{
	struct stats *stats = journal_stats(call->sim->journal);
	const struct fault_source *source = &call->source;
	if (fault_strikes(source->plan, source->dice, FAULT_FORGET) && call->device)
		sim_forget_tokens(call->sim, call->device);
	if (fault_strikes(source->plan, source->dice, FAULT_SILENCE)) {
		stats->silences++;
		call->answer->silent = true;
	} else if (fault_strikes(source->plan, source->dice, FAULT_ERROR)) {
		stats->errors++;
		call_answer(call, CODE_SERVER_ERROR);
	} else if (fault_strikes(source->plan, source->dice, FAULT_FORBID)) {
		stats->forbidden++;
		call_answer(call, CODE_FORBIDDEN);
	} else {
		return false;
	}
	if (call->device)
		call->device->disturbed = true;
	return true;
}

static void serve(struct call *call)
{
	const struct packet *packet = call->packet;
	char text[80];
	if (packet->unknown_critical) {
		snprintf(text, sizeof(text), "critical option %u is not known",
			packet->unknown_critical);
		call_violate(call, CODE_BAD_OPTION, VIOLATION_OPTION, text);
	} else if (call->sim->tunnels && !session_admit_identity(call)) {
		return;
	} else if (is_activation(packet)) {
		session_activate(call);
	} else if (is_auth(packet)) {
		session_authenticate(call);
	} else if (call->sim->tunnels || session_admit(call)) {
		struct packet whole = *packet;
		call->device->until_us = loop_now(call->sim->loop) + call->device->lifetime_us;
		call->packet = &whole;
		if (block_take(call, &whole)) {
			topic_serve(call);
			block_answer(call);
		}
		call->packet = packet;
		commands_announce(call);
	}
}

static void request(void *context, const struct packet *packet, bool late, struct answer *answer)
{
	struct sim *sim = context;
	char topic[TOPIC_MAX] = "";
	struct call call = {
		.sim = sim,
		.packet = packet,
		.answer = answer,
		.device = device_of(sim, packet),
		.late = late,
		.source = faults_of(sim, packet),
	};
	size_t prefix = is_topic(packet) ? TOPIC_PREFIX_SEGMENTS : 0;
	bool known = join_path(packet, prefix, topic, sizeof(topic)) &&
		packet->segments <= PACKET_SEGMENTS_MAX;
	call.topic = topic;
	if (misbehave(&call))
		return;
	bool activation = sim->tunnels && is_activation(packet);
	if (!known || (!is_topic(packet) && !activation && (!is_auth(packet) || sim->tunnels)))
		call_violate(&call, CODE_NOT_FOUND, VIOLATION_PATH, "the path does not exist");
	else if (!call.device)
		call_violate(&call, CODE_FORBIDDEN, VIOLATION_DEVICE, "no such device");
	else
		serve(&call);
}

static void drained(void *context)
{
	struct sim *sim = context;
	if (sim->changed)
		sim->changed(sim->changed_context);
	journal_flush(sim->journal);
}

static size_t key_of(void *context, const char *identity, uint8_t key[TUNNEL_KEY_MAX])
{
	return session_key(context, identity, key);
}

static void emit(void *context, const struct address *to, const void *bytes, size_t size)
{
	struct sim *sim = context;
	datagrams_emit(sim->datagrams, to, bytes, size);
}

static void deliver(void *context, const struct address *from, const uint8_t *bytes, size_t size)
{
	struct sim *sim = context;
	datagrams_deliver(sim->datagrams, from, bytes, size);
}

int sim_create(struct sim **result, struct loop *loop, const struct sim_settings *settings)
{
	struct sim *sim = must_alloc(sizeof(*sim));
	sim->loop = loop;
	sim->settings = *settings;
	fault_plan_init(&sim->faults);
	dice_seed(&sim->dice, settings->seed, "");
	sim->devices = devices_create(settings->seed);
	sim->journal = journal_create(loop, settings->transcript);
	sim->commands = commands_create(sim);
	sim->opener = opener_create(settings->ecb, settings->signature_iv);
	sim->seen = seen_create(settings->duplicate_window);
	struct exchange_listener listener = { sim, faults_of, disturbed, request, violated,
		drained };
	int error = exchanges_create(
		&sim->exchanges, loop, &settings->listen, settings->seed, &listener);
	if (error < 0) {
		sim_destroy(sim);
		return error;
	}
	exchanges_set_lossy(sim->exchanges, settings->lossy);
	if (settings->dtls) {
		struct tunnel_listener below = { sim, key_of, emit, deliver };
		sim->tunnels = tunnels_create(loop, settings->ciphers, &below);
		sim->datagrams = exchanges_secure(sim->exchanges, sim->tunnels);
	}
	*result = sim;
	return 0;
}

void sim_destroy(struct sim *sim)
{
	if (!sim)
		return;
	tunnels_destroy(sim->tunnels);
	exchanges_destroy(sim->exchanges);
	commands_destroy(sim->commands);
	devices_destroy(sim->devices);
	journal_destroy(sim->journal);
	opener_destroy(sim->opener);
	seen_destroy(sim->seen);
	payload_finish(&sim->payload);
	free(sim);
}

size_t sim_forget_tokens(struct sim *sim, struct device *only)
{
	size_t count = 0;
	if (sim->tunnels)
		count = only ? tunnels_forget(sim->tunnels, only->product, only->key)
			     : tunnels_forget(sim->tunnels, NULL, NULL);
	for (size_t i = 0; i < devices_count(sim->devices); i++) {
		struct device *device = only ? only : devices_at(sim->devices, i);
		if (device->token[0]) {
			device_forget_token(device);
			count++;
			journal_begin(sim->journal, "forgotten", device);
			journal_end(sim->journal);
		}
		if (only)
			break;
	}
	journal_stats(sim->journal)->tokens_forgotten += count;
	return count;
}

void sim_restart(struct sim *sim)
{
	sim_forget_tokens(sim, NULL);
	exchanges_forget(sim->exchanges);
	journal_begin(sim->journal, "restarted", NULL);
	journal_end(sim->journal);
}

void sim_print_stats(const struct sim *sim, struct buffer *json)
{
	static const struct tunnel_counts none;
	const struct exchange_counts *counts = exchanges_counts(sim->exchanges);
	const struct tunnel_counts *tunnels = sim->tunnels ? tunnels_counts(sim->tunnels) : &none;
	const struct {
		const char *name;
		uint64_t count;
	} rows[] = {
		{ "devices", devices_count(sim->devices) },
		{ "clients", exchanges_peers(sim->exchanges) },
		{ "datagrams", counts->datagrams },
		{ "ignored", counts->ignored },
		{ "requests", counts->requests },
		{ "repeated", counts->repeated },
		{ "pings", counts->pings },
		{ "resets", counts->resets },
		{ "lost_requests", counts->lost_requests },
		{ "lost_answers", counts->lost_answers },
		{ "delayed", counts->delayed },
		{ "reordered", counts->reordered },
		{ "duplicated", counts->duplicated },
		{ "separate", counts->separate },
		{ "unacknowledged", counts->unacknowledged },
		{ "spoofed", counts->spoofed },
		{ "wrong_tokens", counts->wrong_tokens },
		{ "tunnels", sim->tunnels ? tunnels_count(sim->tunnels) : 0 },
		{ "handshakes", tunnels->handshakes },
		{ "handshake_failures", tunnels->failures },
		{ "strangers", tunnels->strangers },
	};
	buffer_put_byte(json, '{');
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		buffer_printf(
			json, "\"%s\":%llu,", rows[i].name, (unsigned long long)rows[i].count);
	journal_print_stats(sim->journal, json);
	buffer_put_byte(json, '}');
}
