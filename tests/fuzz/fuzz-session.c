/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole session, driven by what a network can do to it.  The input is a run of steps, each a byte
 * that says what, and what that takes: datagrams are parsed by the library and read as an endpoint
 * reads them.  Whatever happens, one request is in flight at most and no report goes astray.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/delivery.h"
#include "cloud/pdu.h"
#include "cloud/session.h"
#include "util/alloc.h"
#include "util/log.h"

#define COMMANDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
	STEP_ANSWER,
	STEP_DATAGRAM,
	STEP_TIME,
	STEP_REPORT,
	STEP_FAILURE,
	STEP_REPLY,
	STEP_ADDRESS,
	STEP_BREAK,
	STEPS
};

static struct clock manual;
static struct conf_enos enos;
static struct plane plane;
static struct server server;
static struct endpoint endpoint;
static bool in_flight, broken, handshake;
static uint64_t sent_token, put, told;
static struct command *commands[COMMANDS];
static size_t command_count;

static void check(bool truth)
{
	if (!truth)
		abort();
}

static int fake_connect(
	struct endpoint *self, const union address *address, const struct endpoint_secret *secret)
{
	check((secret != NULL) == (enos.security == SECURITY_DTLS));
	if (broken)
		return -ENETUNREACH;
	/* A handshake is under way until it is said how it ended. */
	if (secret)
		handshake = in_flight = true;
	return 0;
}

static int fake_send(struct endpoint *self, const struct cloud_request *request)
{
	check(!in_flight && !handshake && request->token && request->path[0]);
	check(request->size <= enos.max_payload || request->content_format == CONTENT_JSON);
	if (broken)
		return -ENETUNREACH;
	in_flight = true;
	sent_token = request->token;
	return 0;
}

static void fake_cancel(struct endpoint *self)
{
	in_flight = handshake = false;
}

static void fake_destroy(struct endpoint *self)
{
}

static struct endpoint *fake_open(void *context, bool secured,
	const struct endpoint_listener *listener, void *listener_context)
{
	static const struct endpoint_class class = { fake_connect, fake_send, fake_cancel,
		fake_destroy };
	endpoint = (struct endpoint){ &class, listener, listener_context };
	return &endpoint;
}

static void hear_command(void *context, struct command *command)
{
	check(command->topic[0] && command->received_us);
	if (command_count < COMMANDS)
		commands[command_count++] = command;
	else
		command_destroy(command);
}

static void hear_bad_command(void *context, struct command *command, const char *why)
{
	check(why[0]);
	hear_command(context, command);
}

static void hear_state(void *context, uint32_t device, enum session_state state, const char *reason)
{
}

static void hear_fate(
	void *context, const struct report *report, enum report_fate fate, const char *reason)
{
	told++;
}

static void nothing_changed(struct server *self)
{
}

/* The next byte, or 0 behind the end. */
static uint8_t take(const uint8_t **at, const uint8_t *end)
{
	return *at < end ? *(*at)++ : 0;
}

static void respond(struct cloud_response *response, bool ours)
{
	/* The association before it is gone. */
	if (handshake)
		return;
	if (ours && sent_token)
		response->token = sent_token;
	if (response->token == sent_token)
		in_flight = false;
	endpoint.listener->response(endpoint.context, response);
}

/* A code and a payload, as answer to the last request. */
static void step_answer(const uint8_t **at, const uint8_t *end)
{
	struct cloud_response response = { .code = take(at, end) };
	uint8_t size = take(at, end);
	response.size = size < end - *at ? size : (size_t)(end - *at);
	response.payload = *at;
	*at += response.size;
	respond(&response, true);
}

static void step_datagram(const uint8_t **at, const uint8_t *end)
{
	uint8_t ours = take(at, end), length = take(at, end);
	size_t size = length < end - *at ? length : (size_t)(end - *at);
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_EMPTY_CODE, 0, 1152);
	struct cloud_response response;
	if (coap_pdu_parse(COAP_PROTO_UDP, *at, size, pdu)) {
		pdu_read(pdu, &response);
		respond(&response, ours & 1);
	}
	coap_delete_pdu(pdu);
	*at += size;
}

static void step_report(struct session *session, uint8_t what)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct stamp stamp = { .mono_us = manual.mono_us };
	enum report_kind kind = what & 3;
	uint32_t items = (what >> 2 & 7) * (what & 32 ? 20 : 1);
	value_put_map(&value, items);
	for (uint32_t i = 0; i < items; i++) {
		char name[32];
		snprintf(name, sizeof(name), "point_of_a_name_%u", i);
		value_pair_integer(&value, name, i);
	}
	struct report *report = report_create(0, kind, &stamp, value.data, value.size), *gone;
	strcpy(report->name, what & 64 ? "" : "Alarm");
	report->replaces = what >> 7;
	queue_put(&session->queue, report, enos.queue_reports, &gone);
	report_release(report);
	put++;
	if (gone) {
		told++;
		report_release(gone);
	}
	session_work(session);
}

static void step_reply(struct session *session)
{
	if (!command_count)
		return;
	struct command *command = commands[--command_count];
	struct reply *reply = reply_create(command, 200);
	buffer_put_text(&reply->payload, "{}");
	queue_put_reply(&session->queue, reply);
	command_destroy(command);
	session_work(session);
}

static void end_handshake(void)
{
	handshake = in_flight = false;
	endpoint.listener->connected(endpoint.context);
}

static void step_failure(uint8_t what)
{
	if (handshake) {
		enum endpoint_failure why = ENDPOINT_MUTE +
			what % (ENDPOINT_HANDSHAKE_FAILED - ENDPOINT_MUTE + 1);
		handshake = in_flight = false;
		endpoint.listener->failed(endpoint.context, why, 0);
		return;
	}
	if (enos.security == SECURITY_DTLS && what & 16) {
		uint64_t token = in_flight ? sent_token : 0;
		in_flight = false;
		endpoint.listener->failed(endpoint.context, ENDPOINT_CLOSED, token);
		return;
	}
	enum endpoint_failure failure = what % (ENDPOINT_SPOOFED + 1);
	if (failure != ENDPOINT_UNREACHABLE && !(what & 8))
		in_flight = false;
	endpoint.listener->failed(endpoint.context, failure, what & 8 ? 1 : sent_token);
}

static void run_step(
	struct session *session, struct loop *loop, const uint8_t **at, const uint8_t *end)
{
	uint8_t what = take(at, end);
	switch ((enum step)(what % STEPS)) {
	case STEP_ANSWER:
		step_answer(at, end);
		break;
	case STEP_DATAGRAM:
		step_datagram(at, end);
		break;
	case STEP_TIME:
		what = take(at, end);
		server.asked_us = manual.mono_us + ((int64_t)1 << (what & 31)) + 1;
		loop_advance(loop, manual.mono_us + ((int64_t)1 << (what & 31)));
		break;
	case STEP_REPORT:
		step_report(session, take(at, end));
		break;
	case STEP_FAILURE:
		step_failure(take(at, end));
		break;
	case STEP_REPLY:
		step_reply(session);
		break;
	case STEP_ADDRESS:
		server.addresses[0].v4.sin_addr.s_addr = take(at, end);
		session_addresses_changed(session);
		break;
	case STEP_BREAK:
	case STEPS:
		what = take(at, end);
		broken = what & 1;
		if (handshake && what & 2)
			end_handshake();
		if (what & 4)
			session_pause(session, what & 8);
		if (what & 16)
			session_rekey(session);
		if (what & 32)
			plane.stopping = what & 64;
	}
	check(session->queue.count <= enos.queue_reports + PAYLOAD_BATCH_MAX);
	check(session->queue.held <= session->queue.count);
	check(put == told + session->queue.count);
	check(!session->in_flight || in_flight);
}

static void set_up(uint8_t options)
{
	manual = (struct clock){ .manual = true, .mono_us = USEC_PER_SEC };
	enos = (struct conf_enos){ .dialect = options & 1 ? DIALECT_PIGGYBACK : DIALECT_SIGNED,
		.lifetime_s = 300,
		.command_poll_s = 30,
		.keepalive_topic = (char *)"thing/tag/query",
		.max_payload = options & 2 ? 1024 : 256,
		.batch = options & 4,
		.queue_reports = 8,
		.response_timeout_ms = 30000,
		.retry_min_ms = 1000,
		.retry_max_ms = 60000,
		.command_repeat_s = 60,
		.command_repeat_raw_s = options & 8 ? 60 : 0 };
	enos.security = options & 16 ? SECURITY_DTLS : SECURITY_NONE;
	enos.block_wise = options & 64;
	enos.host = (char *)"cloud.test";
	plane.stopping = false;
	in_flight = broken = handshake = false;
	sent_token = put = told = 0;
	server.count = 1;
	server.addresses[0].v4.sin_family = AF_INET;
	server.changed = nothing_changed;
	server_init(&server);
	server.count = 1;
	plane.chatter.window_us = USEC_PER_SEC;
	plane.listener = (struct cloud_listener){ .command = hear_command,
		.bad_command = hear_bad_command,
		.state = hear_state,
		.fate = hear_fate };
	plane.endpoints.open = fake_open;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data, *end = data + size;
	struct loop *loop;
	struct session *session;
	struct conf_device device = { .name = (char *)"d",
		.product_key = (char *)"pk1",
		.device_key = (char *)"dk1",
		.secret = (char *)"s3cret" };
	if (size && (*data & 48) == 48) {
		device.secret = NULL;
		device.product_secret = (char *)"pr0duct";
		plane.state_dir = "/nowhere/that/exists";
	}
	struct session_setup setup = { &plane, &server, &enos, &device, 0 };
	log_set_level(LOG_LEVEL_ERROR);
	coap_set_log_level(LOG_EMERG);
	set_up(take(&at, end));
	check(loop_create(&loop, &manual) == 0);
	check(crypto_create(&plane.crypto) == 0);
	plane.loop = server.loop = loop;
	check(session_create(&session, &setup) == 0);
	session_start(session, manual.mono_us);
	loop_advance(loop, manual.mono_us);
	while (at < end)
		run_step(session, loop, &at, end);
	session_destroy(session);
	while (command_count)
		command_destroy(commands[--command_count]);
	crypto_destroy(plane.crypto);
	payload_finish(&plane.payload);
	buffer_finish(&plane.path);
	buffer_finish(&plane.scratch);
	loop_destroy(loop);
	return 0;
}
