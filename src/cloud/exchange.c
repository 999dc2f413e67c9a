/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cloud/handshake.h"
#include "util/alloc.h"
#include "util/log.h"

#define DOWN_RAW "thing/model/down_raw"

/* A token is refused this often in a row before the message is suspected instead. */
#define SUSPECT_MESSAGE_AFTER 4

int exchange_connect(struct session *session, const struct endpoint_secret *secret)
{
	const union address *address = server_address(session->server, session->address_number);
	if (!address)
		return -EHOSTUNREACH;
	int result = session->endpoint->class->connect(session->endpoint, address, secret);
	if (result == 0) {
		session->address = *address;
		session->connected = true;
	}
	return result;
}

int exchange_transmit(struct session *session, struct cloud_request *request)
{
	if (!session->connected) {
		int result = session_secure(session) ? -ENOTCONN : exchange_connect(session, NULL);
		if (result < 0)
			return result;
	}
	do {
		crypto_random(&request->token, sizeof(request->token));
	} while (!request->token);
	int result = session->endpoint->class->send(session->endpoint, request);
	if (result < 0)
		return result;
	session->sent_token = request->token;
	session->sent_us = loop_now(session->plane->loop);
	session->in_flight = true;
	session->answered = false;
	session->counters[COUNT_REQUESTS]++;
	return 0;
}

int exchange_login(struct session *session)
{
	const struct conf_device *device = session->device;
	struct plane *plane = session->plane;
	char sign[65];
	crypto_auth_sign(sign, device->product_key, device->device_key, session->enos->lifetime_s,
		device->secret);
	payload_write_login(&plane->payload, session->enos->lifetime_s, sign);
	buffer_clear(&plane->path);
	buffer_printf(&plane->path, "auth/%s/%s", device->product_key, device->device_key);
	struct cloud_request request = {
		.method = REQUEST_POST,
		.path = buffer_text(&plane->path),
		.content_format = CONTENT_JSON,
		.payload = plane->payload.body.data,
		.size = plane->payload.body.size,
	};
	session->login = true;
	session->counters[COUNT_LOGINS]++;
	return exchange_transmit(session, &request);
}

/* Sends a message on a topic of the device's, signed where the dialect wants it. */
static int transmit_message(
	struct session *session, struct cloud_request *request, const char *topic, const char *tail)
{
	const struct conf_enos *enos = session->enos;
	struct plane *plane = session->plane;
	char signature[CRYPTO_SIGNATURE_ROOM];
	buffer_clear(&plane->path);
	buffer_put_text(&plane->path, "topic/sys/");
	buffer_put_text(&plane->path, session->device->product_key);
	buffer_put_byte(&plane->path, '/');
	buffer_put_text(&plane->path, session->device->device_key);
	buffer_put_byte(&plane->path, '/');
	buffer_put_text(&plane->path, topic);
	buffer_put_text(&plane->path, tail);
	request->path = buffer_text(&plane->path);
	if (enos->block_wise)
		blocks_cut(&session->blocks, request, enos->max_payload);
	if (enos->dialect == DIALECT_SIGNED && !session_secure(session)) {
		enum crypto_cipher cipher = enos->signature_cipher == CIPHER_AES_128_ECB
			? CRYPTO_AES_128_ECB
			: CRYPTO_AES_128_CBC;
		crypto_sign(plane->crypto, cipher, enos->signature_iv, session->key, session->token,
			++session->sequence, signature);
		request->signature = signature;
	}
	session->login = false;
	return exchange_transmit(session, request);
}

static int send_reply(struct session *session)
{
	const struct reply *reply = queue_first_reply(&session->queue);
	bool raw = strcmp(reply->topic, DOWN_RAW) == 0;
	struct cloud_request request = {
		.method = REQUEST_POST,
		.content_format = raw ? CONTENT_OCTETS : CONTENT_JSON,
		.payload = reply->payload.data,
		.size = reply->payload.size,
	};
	return transmit_message(session, &request, reply->topic, "_reply");
}

static int send_get(struct session *session, const char *topic)
{
	struct cloud_request request = { .method = REQUEST_GET, .content_format = CONTENT_NONE };
	blocks_ask(&session->blocks, &request);
	return transmit_message(session, &request, topic, "");
}

static int send_payload(struct session *session)
{
	const struct payload *payload = &session->plane->payload;
	struct cloud_request request = {
		.method = REQUEST_POST,
		.content_format = payload->format,
		.payload = payload->body.data,
		.size = payload->body.size,
	};
	return transmit_message(session, &request, buffer_text(&payload->topic), "");
}

static int send_poll(struct session *session)
{
	session->counters[COUNT_POLLS]++;
	if (session->enos->dialect == DIALECT_SIGNED)
		return send_get(session, DOWN_RAW);
	payload_write_query(
		&session->plane->payload, session->enos->keepalive_topic, ++session->message_id);
	return send_payload(session);
}

/*
 * The time from before which points would set the current value back: they are old, or behind newer ones.
 * Where the clock went back, the newest are of a future that never was.
 */
static int64_t late_ms(struct session *session)
{
	const struct plane *plane = session->plane;
	int64_t now_ms = clock_wall_ms(loop_clock(plane->loop));
	int64_t late_ms = now_ms - plane->late_after_ms;
	if (!plane->late_after_ms)
		return 0;
	if (session->newest_ms > now_ms)
		session->newest_ms = 0;
	return session->newest_ms > late_ms ? session->newest_ms : late_ms;
}

static void note_newest(struct session *session, const struct report *report)
{
	int64_t wall_ms = calendar_time(&session->plane->calendar, &report->stamp);
	if (report->kind == REPORT_POINTS && wall_ms > session->newest_ms)
		session->newest_ms = wall_ms;
}

static int send_reports(struct session *session)
{
	const struct report *reports[PAYLOAD_BATCH_MAX];
	const struct plane *plane = session->plane;
	const struct payload_terms terms = {
		.max_size = session->enos->max_payload,
		.max_whole = cloud_payload_max(session->enos),
		.batch = session->enos->batch && !session->singly,
		.late_ms = late_ms(session),
		.calendar = &plane->calendar,
	};
	size_t count = queue_peek(&session->queue, reports, PAYLOAD_BATCH_MAX);
	struct payload *payload = &session->plane->payload;
	if (payload_write(payload, reports, count, &session->draft, &terms) < 0) {
		char reason[sizeof(payload->reason)];
		memcpy(reason, payload->reason, sizeof(reason));
		exchange_refused(session, reason);
		return -ENOMSG;
	}
	queue_hold(&session->queue, session->draft.count);
	return send_payload(session);
}

bool exchange_choose(struct session *session)
{
	struct queue *queue = &session->queue;
	if (session->purpose != PURPOSE_NONE) {
		bool message = session->purpose != PURPOSE_POLL;
		if (message && session->locked_out >= SUSPECT_MESSAGE_AFTER) {
			/* A poll first: is it the token, or the message? */
			session->aside = session->purpose;
			session->purpose = PURPOSE_POLL;
		}
		return true;
	}
	/* A cloud that names commands without end must not keep reports from going. */
	bool ready = queue_ready(queue);
	bool fetch = session->waiting_command && !session->plane->stopping &&
		!(session->fetched && ready);
	/* What is on the disk comes when the cloud is known to answer. */
	bool probe = queue->disk_from && !queue->online && !session->plane->stopping;
	session->purpose = queue->reply_count ? PURPOSE_REPLY
		: fetch                       ? PURPOSE_FETCH
		: ready                       ? PURPOSE_REPORT
		: probe                       ? PURPOSE_POLL
					      : PURPOSE_NONE;
	if (session->purpose == PURPOSE_REPORT)
		session->draft.id = ++session->message_id;
	session->fetched = session->purpose == PURPOSE_FETCH;
	return session->purpose != PURPOSE_NONE;
}

static int send_purpose(struct session *session)
{
	switch (session->purpose) {
	case PURPOSE_REPLY:
		return send_reply(session);
	case PURPOSE_FETCH:
		return send_get(session, session->waiting_command);
	case PURPOSE_REPORT:
		return send_reports(session);
	case PURPOSE_POLL:
		return send_poll(session);
	case PURPOSE_NONE:
		break;
	}
	return -ENOMSG;
}

int exchange_send(struct session *session)
{
	int result = send_purpose(session);
	if (result != -EMSGSIZE || session->purpose == PURPOSE_POLL)
		return result;
	/* It never will be sent, and all that is behind it must be. */
	exchange_refused(session, "it does not fit into a message (enos.max_payload)");
	return -ENOMSG;
}

static enum input read_login(
	struct session *session, const struct cloud_response *response, char *reason, size_t room)
{
	int class = response->code >> 5, detail = response->code & 31;
	if (class == 4) {
		snprintf(reason, room,
			"login refused with %d.%02d: check product key, device key and secret",
			class, detail);
		return INPUT_SHUT_OUT;
	}
	if (class != 2) {
		session->counters[COUNT_SERVER_ERRORS]++;
		snprintf(reason, room, "login answered with %d.%02d", class, detail);
		return INPUT_LOST;
	}
	OWNED char *token = payload_read_token(
		&session->plane->scratch, response->payload, response->size);
	if (!token || strlen(token) > CRYPTO_TOKEN_MAX) {
		session->counters[COUNT_BAD_JSON]++;
		snprintf(reason, room, "login accepted without a token: check enos.host");
		return INPUT_LOST;
	}
	free(session->token);
	session->token = TAKE(token);
	session->sequence = 0;
	return INPUT_TOKEN;
}

/* The payload of a 2.xx may still say no. */
static enum input read_code(
	struct session *session, const struct cloud_response *response, char *reason, size_t room)
{
	int64_t code = payload_read_code(
		&session->plane->scratch, response->payload, response->size);
	if (code == -EINVAL) {
		session->counters[COUNT_BAD_JSON]++;
		return INPUT_DONE;
	}
	if (code == 200)
		return INPUT_DONE;
	session->counters[COUNT_REFUSED]++;
	snprintf(reason, room, "the cloud refused it with code %lld", (long long)code);
	return INPUT_REFUSED;
}

static bool report_is_raw(const struct session *session)
{
	const struct report *first;
	return queue_peek(&session->queue, &first, 1) && first->kind == REPORT_RAW;
}

static enum input read_unauthorised(struct session *session, char *reason, size_t room)
{
	session->counters[COUNT_UNAUTHORISED]++;
	free(session->token);
	session->token = NULL;
	session->secured = false;
	if (session->suspect) {
		session->counters[COUNT_REFUSED]++;
		exchange_refused(session, "4.01 to this message alone, under a token that is good");
		return INPUT_UNAUTHORISED;
	}
	if (session->aside != PURPOSE_NONE) {
		session->purpose = session->aside;
		session->aside = PURPOSE_NONE;
	}
	if (!session->locked_out++)
		return INPUT_UNAUTHORISED;
	snprintf(reason, room,
		session_secure(session)
			? "4.01 although the handshake was accepted: check the device in EnOS"
			: "4.01 although the login was accepted: check enos.dialect and the "
			  "signature's settings");
	return INPUT_SHUT_OUT;
}

static enum input read_error(
	struct session *session, uint8_t code, bool get, char *reason, size_t room)
{
	snprintf(reason, room, "the cloud answered %d.%02d", code >> 5, code & 31);
	if (code == CODE(4, 4) && get)
		return INPUT_DONE;
	/* 4.29 is Too Many Requests (RFC 8516): later is fine. */
	if (code >> 5 == 4 && code != CODE(4, 29)) {
		session->counters[COUNT_REFUSED]++;
		return INPUT_REFUSED;
	}
	session->counters[COUNT_SERVER_ERRORS]++;
	return INPUT_LOST;
}

enum input exchange_read(
	struct session *session, const struct cloud_response *response, char *reason, size_t room)
{
	*reason = 0;
	if (session->login && session_secure(session))
		return handshake_read(session, response, reason, room);
	if (session->login)
		return read_login(session, response, reason, room);
	if (response->code == CODE(4, 1))
		return read_unauthorised(session, reason, room);
	const char *why;
	switch (blocks_judge(&session->blocks, response, &why)) {
	case BLOCKS_NEXT:
		return INPUT_PART;
	case BLOCKS_REFUSED:
		session->counters[COUNT_REFUSED]++;
		snprintf(reason, room, "%s", why);
		return INPUT_REFUSED;
	case BLOCKS_WHOLE:
		break;
	}
	bool get = session->purpose == PURPOSE_FETCH ||
		(session->purpose == PURPOSE_POLL && session->enos->dialect == DIALECT_SIGNED);
	if (response->code >> 5 != 2)
		return read_error(session, response->code, get, reason, room);
	if (session->purpose == PURPOSE_REPORT && !report_is_raw(session))
		return read_code(session, response, reason, room);
	return INPUT_DONE;
}

static void end_message(struct session *session)
{
	session->purpose = PURPOSE_NONE;
	session->suspect = false;
	blocks_finish(&session->blocks);
	session->failures = session->silences = session->locked_out = 0;
}

/* A part of the report is done with; what is left goes as a message of its own. */
static void next_part(struct session *session)
{
	session->draft = (struct draft){ .from = session->draft.to };
	queue_hold(&session->queue, 1);
}

static void end_reports(struct session *session, enum report_fate fate, const char *reason)
{
	const struct cloud_listener *listener = &session->plane->listener;
	uint32_t count = session->draft.count;
	session->draft = (struct draft){ .count = 0 };
	session->part_refused = false;
	queue_hold(&session->queue, count);
	session->singly -= session->singly ? 1 : 0;
	for (; count; count--) {
		struct report *report = queue_take(&session->queue);
		if (fate == REPORT_ACKNOWLEDGED)
			note_newest(session, report);
		session->counters[fate == REPORT_ACKNOWLEDGED ? COUNT_ACKNOWLEDGED
							      : COUNT_REJECTED]++;
		listener->fate(listener->context, report, fate, reason);
		report_release(report);
	}
}

static void accept_report(struct session *session)
{
	if (!session->draft.last)
		next_part(session);
	else if (session->part_refused)
		end_reports(session, REPORT_REJECTED, "a part of it was refused");
	else
		end_reports(session, REPORT_ACKNOWLEDGED, "");
}

static void refuse_report(struct session *session, const char *reason)
{
	if (session->draft.count > 1) {
		/* One bad element fails all of a batch: each goes alone now. */
		session->counters[COUNT_REFUSED_BATCHES]++;
		session->singly = session->draft.count;
		session->draft = (struct draft){ .count = 0 };
		queue_hold(&session->queue, 0);
		return;
	}
	session->part_refused = true;
	if (session->draft.last)
		end_reports(session, REPORT_REJECTED, reason);
	else
		next_part(session);
}

/* The poll has shown that the token is good: another 4.01 to the message now is meant for it. */
static void end_poll(struct session *session)
{
	session->purpose = session->aside;
	session->aside = PURPOSE_NONE;
	session->suspect = session->purpose != PURPOSE_NONE;
}

/* The cloud has it, or never will: after a restart it is not sent again. */
static void end_reply(struct session *session)
{
	struct reply *reply = queue_take_reply(&session->queue);
	ledger_delivered(session->plane->ledger, reply);
	reply_destroy(reply);
}

void exchange_accepted(struct session *session)
{
	enum purpose purpose = session->purpose;
	end_message(session);
	switch (purpose) {
	case PURPOSE_REPLY:
		session->counters[COUNT_REPLIES]++;
		end_reply(session);
		break;
	case PURPOSE_REPORT:
		accept_report(session);
		break;
	case PURPOSE_POLL:
		end_poll(session);
		break;
	case PURPOSE_FETCH: /* delivery.c has seen to it */
	case PURPOSE_NONE:
		break;
	}
}

static void refuse_reply(struct session *session, const char *reason)
{
	session->counters[COUNT_REFUSED_REPLIES]++;
	log_warning("cloud: %s: the reply to %s is lost: %s", session->device->name,
		queue_first_reply(&session->queue)->topic, reason);
	end_reply(session);
}

void exchange_refused(struct session *session, const char *reason)
{
	enum purpose purpose = session->purpose;
	end_message(session);
	switch (purpose) {
	case PURPOSE_REPLY:
		refuse_reply(session, reason);
		break;
	case PURPOSE_REPORT:
		refuse_report(session, reason);
		break;
	case PURPOSE_FETCH:
		free(session->waiting_command);
		session->waiting_command = NULL;
		break;
	case PURPOSE_POLL:
		end_poll(session);
		break;
	case PURPOSE_NONE:
		break;
	}
}
