/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with a fake endpoint, a fake cloud played by the test, and time moved by hand.  Helpers are
 * static inline: a test uses the ones that it needs.
 */
#ifndef EB_TESTS_SESSION_FIXTURE_H
#define EB_TESTS_SESSION_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/delivery.h"
#include "cloud/session.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

#define OK CODE(2, 4)
#define CONTENT CODE(2, 5)
#define TOPIC "/sys/pk1/dk1/"
#define TOKEN "4270dccfa5b341b0846434a8"

struct sent {
	enum request_method method;
	uint64_t token;
	int format;
	char path[256], signature[200];
	uint8_t payload[2048];
	size_t size;
	struct block block1, block2;
	int64_t at_us;
};

struct told {
	enum report_fate fate;
	int64_t mark; /* the report's wall_ms */
	char reason[200];
};

struct bench {
	struct clock clock;
	struct loop *loop;
	struct conf_enos enos;
	struct conf_device device;
	struct server server;
	struct plane plane;
	struct session *session;
	struct endpoint endpoint;
	/* the fake endpoint */
	struct sent sent; /* the last request */
	int requests, connects, cancels;
	bool in_flight;
	int send_error, connect_error;
	union address connected_to;
	bool secured;
	char identity[300]; /* of the last handshake */
	uint8_t key[CRYPTO_KEY_SIZE];
	/* the fake listener */
	struct told fates[300];
	int fate_count;
	struct command *commands[100];
	char why[100][160];
	int command_count, bad_count;
	int changes;
	enum session_state state;
	char reason[200];
	int64_t next_mark;
};

static struct bench *bench;

static inline int fake_connect(struct endpoint *endpoint, const union address *address,
	const struct endpoint_secret *secret)
{
	if (secret) {
		snprintf(bench->identity, sizeof(bench->identity), "%s", secret->identity);
		assert_int_equal(secret->size, CRYPTO_KEY_SIZE);
		memcpy(bench->key, secret->key, CRYPTO_KEY_SIZE);
	}
	bench->connects++;
	bench->connected_to = *address;
	return bench->connect_error;
}

static inline int fake_send(struct endpoint *endpoint, const struct cloud_request *request)
{
	/* The rule that all of this stands on: one at a time. */
	assert_false(bench->in_flight);
	assert_int_not_equal(request->token, 0);
	assert_int_not_equal(request->token, bench->sent.token);
	if (bench->send_error)
		return bench->send_error;
	struct sent *sent = &bench->sent;
	sent->method = request->method;
	sent->token = request->token;
	sent->format = request->content_format;
	snprintf(sent->path, sizeof(sent->path), "%s", request->path);
	snprintf(sent->signature, sizeof(sent->signature), "%s",
		request->signature ? request->signature : "");
	assert_true(request->size < sizeof(sent->payload));
	if (request->size)
		memcpy(sent->payload, request->payload, request->size);
	sent->payload[request->size] = 0;
	sent->size = request->size;
	sent->block1 = request->block1;
	sent->block2 = request->block2;
	sent->at_us = bench->clock.mono_us;
	bench->requests++;
	bench->in_flight = true;
	return 0;
}

static inline void fake_cancel(struct endpoint *endpoint)
{
	bench->cancels++;
	bench->in_flight = false;
}

static inline void fake_destroy(struct endpoint *endpoint)
{
}

static inline struct endpoint *fake_open(void *context, bool secured,
	const struct endpoint_listener *listener, void *listener_context)
{
	bench->secured = secured;
	static const struct endpoint_class class = {
		.connect = fake_connect,
		.send = fake_send,
		.cancel = fake_cancel,
		.destroy = fake_destroy,
	};
	bench->endpoint = (struct endpoint){ &class, listener, listener_context };
	return &bench->endpoint;
}

static inline void hear_command(void *context, struct command *command)
{
	bench->commands[bench->command_count++] = command;
}

static inline void hear_bad_command(void *context, struct command *command, const char *why)
{
	snprintf(bench->why[bench->bad_count++], 160, "%s", why);
	bench->commands[bench->command_count++] = command;
}

static inline void hear_state(
	void *context, uint32_t device, enum session_state state, const char *reason)
{
	assert_int_equal(device, 7);
	bench->changes++;
	bench->state = state;
	snprintf(bench->reason, sizeof(bench->reason), "%s", reason);
}

static inline void hear_fate(
	void *context, const struct report *report, enum report_fate fate, const char *reason)
{
	struct told *told = &bench->fates[bench->fate_count++];
	told->fate = fate;
	told->mark = report->stamp.wall_ms;
	snprintf(told->reason, sizeof(told->reason), "%s", reason);
}

static inline void addresses_changed(struct server *server)
{
	session_addresses_changed(bench->session);
}

static inline void set_address(struct server *server, const char *last)
{
	server->count = 1;
	server->addresses[0].v4 = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(5683),
		.sin_addr.s_addr = htonl(0x7f000000u | (uint32_t)atoi(last)) };
}

/*
 * A session that has not begun, of a server whose address is known; with the secret of its product, which
 * goes with DTLS, it has none of its own.
 */
static inline void bench_create_with(enum conf_security security, const char *product_secret)
{
	bench = must_alloc(sizeof(*bench));
	bench->clock = (struct clock){ .manual = true, .mono_us = 1000 * USEC_PER_SEC };
	assert_int_equal(loop_create(&bench->loop, &bench->clock), 0);
	bench->enos = (struct conf_enos){
		.security = security,
		.host = (char *)"cloud.test",
		.port = 5683,
		.dialect = DIALECT_SIGNED,
		.lifetime_s = 300,
		.command_poll_s = 30,
		.keepalive_topic = (char *)"thing/tag/query",
		.max_payload = 1024,
		.batch = true,
		.queue_reports = 100,
		.response_timeout_ms = 30000,
		.retry_min_ms = 1000,
		.retry_max_ms = 60000,
	};
	bench->device = (struct conf_device){ .name = (char *)"meter-1",
		.product_key = (char *)"pk1",
		.device_key = (char *)"dk1",
		.secret = product_secret ? NULL : (char *)"s3cret",
		.product_secret = (char *)product_secret };
	bench->plane.state_dir = "/nowhere/that/exists";
	bench->server.loop = bench->loop;
	bench->server.host = "cloud.test";
	bench->server.changed = addresses_changed;
	server_init(&bench->server);
	set_address(&bench->server, "1");
	bench->server.asked_us = bench->clock.mono_us; /* no resolver: never ask */
	bench->plane.loop = bench->loop;
	bench->plane.listener = (struct cloud_listener){ .command = hear_command,
		.bad_command = hear_bad_command,
		.state = hear_state,
		.fate = hear_fate };
	bench->plane.endpoints.open = fake_open;
	bench->plane.chatter = (struct log_limit){ .window_us = USEC_PER_SEC, .burst = 0 };
	assert_int_equal(crypto_create(&bench->plane.crypto), 0);
	struct session_setup setup = { .plane = &bench->plane,
		.server = &bench->server,
		.enos = &bench->enos,
		.device = &bench->device,
		.number = 7 };
	assert_int_equal(session_create(&bench->session, &setup), 0);
}

static inline void bench_create(void)
{
	bench_create_with(SECURITY_NONE, NULL);
}

static inline void bench_destroy(void)
{
	for (int i = 0; i < bench->command_count; i++)
		command_destroy(bench->commands[i]);
	session_destroy(bench->session);
	server_finish(&bench->server);
	crypto_destroy(bench->plane.crypto);
	payload_finish(&bench->plane.payload);
	buffer_finish(&bench->plane.path);
	buffer_finish(&bench->plane.scratch);
	loop_destroy(bench->loop);
	free(bench);
	bench = NULL;
}

static inline void advance_ms(int64_t ms)
{
	bench->server.asked_us = bench->clock.mono_us + ms * USEC_PER_MSEC;
	loop_advance(bench->loop, bench->clock.mono_us + ms * USEC_PER_MSEC);
}

/* Until the session sends something; it must, within two minutes. */
static inline void await_request(void)
{
	for (int i = 0; i < 120000 && !bench->in_flight; i++)
		advance_ms(1);
	assert_true(bench->in_flight);
}

static inline bool respond(struct cloud_response response)
{
	if (response.token == bench->sent.token)
		bench->in_flight = false;
	return bench->endpoint.listener->response(bench->endpoint.context, &response);
}

/* The answer to the last request. */
static inline void answer(uint8_t code, const char *payload)
{
	assert_true(respond((struct cloud_response){ .token = bench->sent.token,
		.code = code,
		.payload = payload,
		.size = strlen(payload) }));
}

/* The same with a waiting command's topic, and its payload where that is not NULL. */
static inline void answer_command(uint8_t code, const char *topic, const char *command)
{
	assert_true(respond((struct cloud_response){ .token = bench->sent.token,
		.code = code,
		.topic = topic,
		.topic_size = strlen(topic),
		.command = command,
		.command_size = command ? strlen(command) : 0 }));
}

static inline void accept_login(void)
{
	assert_true(bench->in_flight);
	assert_string_equal(bench->sent.path, "auth/pk1/dk1");
	answer(OK, "{\"token\":\"" TOKEN "\"}");
}

static inline void bench_online(void)
{
	bench_create();
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	accept_login();
	assert_int_equal(bench->session->state, SESSION_ONLINE);
}

/* Queues a report and lets the session see it; its mark is its time. */
static inline int64_t put_json(enum report_kind kind, const char *json)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[120];
	struct stamp stamp = { .wall_ms = ++bench->next_mark, .mono_us = bench->next_mark };
	assert_int_equal(json_parse(&value, json, strlen(json), error, sizeof(error)), 0);
	struct report *report = report_create(7, kind, &stamp, value.data, value.size), *gone;
	if (kind == REPORT_EVENT)
		strcpy(report->name, "Alarm");
	queue_put(&bench->session->queue, report, bench->enos.queue_reports, &gone);
	report_release(report);
	if (gone)
		report_release(gone);
	return bench->next_mark;
}

static inline int64_t put_raw(const char *text)
{
	struct stamp stamp = { .wall_ms = ++bench->next_mark, .mono_us = bench->next_mark };
	struct report *report = report_create(7, REPORT_RAW, &stamp, text, strlen(text)), *gone;
	queue_put(&bench->session->queue, report, bench->enos.queue_reports, &gone);
	report_release(report);
	if (gone)
		report_release(gone);
	return bench->next_mark;
}

static inline void work(void)
{
	session_work(bench->session);
}

/* That the last request went there, and is in flight. */
static inline void assert_sent(enum request_method method, const char *topic)
{
	char path[300];
	snprintf(path, sizeof(path), "topic/sys/pk1/dk1/%s", topic);
	assert_true(bench->in_flight);
	assert_int_equal(bench->sent.method, method);
	assert_string_equal(bench->sent.path, path);
}

static inline void assert_fate(int number, enum report_fate fate, int64_t mark)
{
	assert_true(number < bench->fate_count);
	assert_int_equal(bench->fates[number].fate, fate);
	assert_int_equal(bench->fates[number].mark, mark);
}

/* That the last request is signed as message n under the token. */
static inline void assert_signed(const char *token, uint64_t n)
{
	static const uint8_t iv[16];
	uint8_t key[CRYPTO_KEY_SIZE];
	char signature[CRYPTO_SIGNATURE_ROOM];
	crypto_key(key, "s3cret");
	crypto_sign(bench->plane.crypto, CRYPTO_AES_128_CBC, iv, key, token, n, signature);
	assert_string_equal(bench->sent.signature, signature);
}

static inline uint64_t count_of(enum counter counter)
{
	return bench->session->counters[counter];
}

static inline void reply_to(const struct command *command, const char *payload)
{
	struct reply *reply = reply_create(command, 200);
	buffer_put_text(&reply->payload, payload);
	queue_put_reply(&bench->session->queue, reply);
	work();
}

#endif
