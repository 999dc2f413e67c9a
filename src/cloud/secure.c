/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/secure.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cloud/crypto.h"
#include "cloud/dtls.h"
#include "cloud/pdu.h"
#include "util/alloc.h"

/* RFC 7252, 4.8: the first wait is one to one and a half times that long. */
#define ACK_TIMEOUT_MS 2000
/*
 * A peer that forgot us drops what we send, as the protocol wants it: sooner than over plain CoAP
 * silence means that only a new handshake helps.
 */
#define RETRANSMISSIONS 2
/* Datagrams handled in one turn, so that one peer cannot keep the others waiting. */
#define BURST 16

/* RFC 5246, 7.2 and RFC 4279, 2. */
enum alert {
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_HANDSHAKE_FAILURE = 40,
	ALERT_ILLEGAL_PARAMETER = 47,
	ALERT_ACCESS_DENIED = 49,
	ALERT_DECRYPT_ERROR = 51,
	ALERT_INSUFFICIENT_SECURITY = 71,
	ALERT_UNKNOWN_IDENTITY = 115,
};

struct secure {
	struct loop *loop;
	struct dtls *dtls;
	uint32_t timeout_ms;
	uint8_t datagram[DTLS_MESSAGE_MAX + 256];
};

struct secure_endpoint {
	struct endpoint base;
	struct secure *owner;
	struct watch watch;
	struct timer timer; /* of the handshake, then of the request in flight */
	struct dtls_link *link; /* NULL: not connected */
	int64_t deadline_us; /* of the handshake */
	bool ready;
	bool *gone; /* set where the link goes while something of it is handled; NULL */
	/* the request in flight */
	uint64_t token; /* 0: none */
	struct buffer message;
	uint16_t id;
	uint32_t resent;
	int64_t wait_us;
};

static void ended(struct secure_endpoint *endpoint)
{
	if (!endpoint->token)
		return;
	endpoint->token = 0;
	loop_disarm(endpoint->owner->loop, &endpoint->timer);
	buffer_finish(&endpoint->message);
}

static void cut(struct secure_endpoint *endpoint)
{
	ended(endpoint);
	if (!endpoint->link)
		return;
	loop_disarm(endpoint->owner->loop, &endpoint->timer);
	loop_remove(endpoint->owner->loop, &endpoint->watch);
	dtls_close(TAKE(endpoint->link));
	close(endpoint->watch.fd);
	endpoint->watch.fd = -1;
	endpoint->ready = false;
	if (endpoint->gone)
		*endpoint->gone = true;
	endpoint->gone = NULL;
}

static void fail(struct secure_endpoint *endpoint, enum endpoint_failure failure)
{
	uint64_t token = endpoint->token;
	cut(endpoint);
	endpoint->base.listener->failed(endpoint->base.context, failure, token);
}

/* The association, or the handshake, has ended. */
static void end_link(struct secure_endpoint *endpoint)
{
	if (endpoint->ready) {
		fail(endpoint, ENDPOINT_CLOSED);
		return;
	}
	switch (dtls_alert(endpoint->link)) {
	case ALERT_UNKNOWN_IDENTITY:
	case ALERT_ACCESS_DENIED:
		fail(endpoint, ENDPOINT_IDENTITY_REFUSED);
		break;
	case ALERT_BAD_RECORD_MAC:
	case ALERT_DECRYPT_ERROR:
		fail(endpoint, ENDPOINT_KEY_REFUSED);
		break;
	case ALERT_HANDSHAKE_FAILURE:
	case ALERT_ILLEGAL_PARAMETER:
	case ALERT_INSUFFICIENT_SECURITY:
		fail(endpoint, ENDPOINT_CIPHER_REFUSED);
		break;
	default:
		fail(endpoint, ENDPOINT_HANDSHAKE_FAILED);
	}
}

static void send_empty(struct secure_endpoint *endpoint, coap_pdu_type_t type, uint16_t id)
{
	uint8_t bytes[PDU_EMPTY_SIZE];
	pdu_put_empty(bytes, type, id);
	dtls_write(endpoint->link, bytes, sizeof(bytes));
}

static void take_response(
	struct secure_endpoint *endpoint, const coap_pdu_t *pdu, coap_pdu_type_t type, uint16_t id)
{
	const struct endpoint_listener *listener = endpoint->base.listener;
	struct cloud_response response;
	const bool *gone = endpoint->gone;
	pdu_read(pdu, &response);
	if (response.token == endpoint->token)
		ended(endpoint);
	bool known = listener->response(endpoint->base.context, &response);
	if (!*gone && type == COAP_MESSAGE_CON)
		send_empty(endpoint, known ? COAP_MESSAGE_ACK : COAP_MESSAGE_RST, id);
}

/* Without a response in it: the request was received, or refused, or the peer wants a sign of life. */
static void take_empty(struct secure_endpoint *endpoint, coap_pdu_type_t type, uint16_t id)
{
	if (type == COAP_MESSAGE_CON)
		send_empty(endpoint, COAP_MESSAGE_RST, id);
	if (!endpoint->token || id != endpoint->id)
		return;
	uint64_t token = endpoint->token;
	if (type == COAP_MESSAGE_ACK) {
		/* The response comes by itself; whoever asked has a deadline. */
		loop_disarm(endpoint->owner->loop, &endpoint->timer);
	} else if (type == COAP_MESSAGE_RST) {
		ended(endpoint);
		endpoint->base.listener->failed(endpoint->base.context, ENDPOINT_RESET, token);
	}
}

static void take_message(struct secure_endpoint *endpoint, const uint8_t *bytes, size_t size)
{
	coap_pdu_t *pdu = pdu_parse(bytes, size);
	if (!pdu)
		return;
	coap_pdu_type_t type = coap_pdu_get_type(pdu);
	uint16_t id = (uint16_t)coap_pdu_get_mid(pdu);
	unsigned code = coap_pdu_get_code(pdu);
	if (!code)
		take_empty(endpoint, type, id);
	else if (code >> 5 >= 2)
		take_response(endpoint, pdu, type, id);
	else if (type == COAP_MESSAGE_CON)
		send_empty(endpoint, COAP_MESSAGE_RST, id);
	coap_delete_pdu(pdu);
}

static void wait_for_handshake(struct secure_endpoint *endpoint)
{
	struct loop *loop = endpoint->owner->loop;
	int64_t wait_us = dtls_wait_us(endpoint->link);
	int64_t due_us = loop_now(loop) + (wait_us > 0 ? wait_us : USEC_PER_MSEC);
	loop_arm(loop, &endpoint->timer,
		wait_us >= 0 && due_us < endpoint->deadline_us ? due_us : endpoint->deadline_us);
}

/* A datagram came.  False: the link is gone. */
static bool take_datagram(struct secure_endpoint *endpoint, const uint8_t *bytes, size_t size)
{
	const uint8_t *message;
	bool gone = false;
	ssize_t got;
	dtls_put(endpoint->link, bytes, size);
	while ((got = dtls_read(endpoint->link, &message)) > 0) {
		endpoint->gone = &gone;
		take_message(endpoint, message, (size_t)got);
		if (gone)
			return false;
		endpoint->gone = NULL;
	}
	if (got < 0) {
		end_link(endpoint);
		return false;
	}
	if (endpoint->ready)
		return true;
	if (!dtls_ready(endpoint->link)) {
		wait_for_handshake(endpoint);
		return true;
	}
	loop_disarm(endpoint->owner->loop, &endpoint->timer);
	endpoint->ready = true;
	endpoint->gone = &gone;
	endpoint->base.listener->connected(endpoint->base.context);
	if (!gone)
		endpoint->gone = NULL;
	return !gone;
}

static void on_readable(struct watch *watch, uint32_t events)
{
	(void)events;
	struct secure_endpoint *endpoint = container_of(watch, struct secure_endpoint, watch);
	struct secure *secure = endpoint->owner;
	for (int i = 0; i < BURST; i++) {
		ssize_t size = recv(
			watch->fd, secure->datagram, sizeof(secure->datagram), MSG_DONTWAIT);
		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size < 0) {
			/* An ICMP error; what was sent is sent again. */
			endpoint->base.listener->failed(
				endpoint->base.context, ENDPOINT_UNREACHABLE, endpoint->token);
			return;
		}
		if (!take_datagram(endpoint, secure->datagram, (size_t)size))
			return;
	}
}

static void resend(struct secure_endpoint *endpoint, int64_t now_us)
{
	if (endpoint->resent++ == RETRANSMISSIONS) {
		uint64_t token = endpoint->token;
		ended(endpoint);
		endpoint->base.listener->failed(endpoint->base.context, ENDPOINT_SILENT, token);
		return;
	}
	endpoint->wait_us *= 2;
	loop_arm(endpoint->owner->loop, &endpoint->timer, now_us + endpoint->wait_us);
	dtls_write(endpoint->link, endpoint->message.data, endpoint->message.size);
}

static void on_timer(struct timer *timer, int64_t now_us)
{
	struct secure_endpoint *endpoint = container_of(timer, struct secure_endpoint, timer);
	if (endpoint->ready)
		resend(endpoint, now_us);
	else if (now_us >= endpoint->deadline_us || dtls_resend(endpoint->link) < 0)
		fail(endpoint,
			dtls_key_used(endpoint->link) ? ENDPOINT_KEY_DOUBTED : ENDPOINT_MUTE);
	else
		wait_for_handshake(endpoint);
}

static int open_socket(const union address *address)
{
	bool v6 = address->any.sa_family == AF_INET6;
	int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 &&
		connect(fd, &address->any, v6 ? sizeof(address->v6) : sizeof(address->v4)) == 0)
		return fd;
	int error = errno;
	if (fd >= 0)
		close(fd);
	return -error;
}

static int endpoint_connect(
	struct endpoint *base, const union address *address, const struct endpoint_secret *secret)
{
	struct secure_endpoint *endpoint = container_of(base, struct secure_endpoint, base);
	struct secure *secure = endpoint->owner;
	const struct dtls_secret shown = { secret->identity, secret->key, secret->size };
	cut(endpoint);
	int fd = open_socket(address);
	if (fd < 0)
		return fd;
	endpoint->watch.fd = fd;
	int result = loop_add(secure->loop, &endpoint->watch);
	if (result == 0) {
		endpoint->link = dtls_open(secure->dtls, fd, &shown);
		result = endpoint->link ? 0 : -EPROTO;
	}
	if (result < 0) {
		loop_remove(secure->loop, &endpoint->watch);
		close(fd);
		endpoint->watch.fd = -1;
		return result;
	}
	endpoint->deadline_us = loop_now(secure->loop) + secure->timeout_ms * USEC_PER_MSEC;
	wait_for_handshake(endpoint);
	return 0;
}

static int endpoint_send(struct endpoint *base, const struct cloud_request *request)
{
	struct secure_endpoint *endpoint = container_of(base, struct secure_endpoint, base);
	struct loop *loop = endpoint->owner->loop;
	assert(!endpoint->token && request->token);
	if (!endpoint->ready)
		return -ENOTCONN;
	pdu_encode(&endpoint->message, request, ++endpoint->id);
	if (endpoint->message.size > DTLS_MESSAGE_MAX) {
		buffer_finish(&endpoint->message);
		return -EMSGSIZE;
	}
	int result = dtls_write(endpoint->link, endpoint->message.data, endpoint->message.size);
	if (result < 0) {
		buffer_finish(&endpoint->message);
		return result;
	}
	endpoint->token = request->token;
	endpoint->resent = 0;
	endpoint->wait_us = (ACK_TIMEOUT_MS + crypto_random_below(ACK_TIMEOUT_MS / 2)) *
		USEC_PER_MSEC;
	loop_arm(loop, &endpoint->timer, loop_now(loop) + endpoint->wait_us);
	return 0;
}

static void endpoint_cancel(struct endpoint *base)
{
	struct secure_endpoint *endpoint = container_of(base, struct secure_endpoint, base);
	ended(endpoint);
	if (!endpoint->ready)
		cut(endpoint);
}

static void endpoint_destroy(struct endpoint *base)
{
	struct secure_endpoint *endpoint = container_of(base, struct secure_endpoint, base);
	cut(endpoint);
	free(endpoint);
}

static const struct endpoint_class secure_endpoint_class = {
	.connect = endpoint_connect,
	.send = endpoint_send,
	.cancel = endpoint_cancel,
	.destroy = endpoint_destroy,
};

struct endpoint *secure_open(
	struct secure *secure, const struct endpoint_listener *listener, void *context)
{
	struct secure_endpoint *endpoint = must_alloc(sizeof(*endpoint));
	endpoint->base = (struct endpoint){ &secure_endpoint_class, listener, context };
	endpoint->owner = secure;
	endpoint->watch = (struct watch){ .fd = -1, .events = EPOLLIN, .ready = on_readable };
	endpoint->timer.expired = on_timer;
	crypto_random(&endpoint->id, sizeof(endpoint->id));
	return &endpoint->base;
}

int secure_create(struct secure **result, struct loop *loop, uint32_t response_timeout_ms)
{
	struct secure *secure = must_alloc(sizeof(*secure));
	secure->loop = loop;
	secure->timeout_ms = response_timeout_ms;
	int error = dtls_create(&secure->dtls);
	if (error < 0) {
		free(secure);
		return error;
	}
	*result = secure;
	return 0;
}

void secure_destroy(struct secure *secure)
{
	if (!secure)
		return;
	dtls_destroy(secure->dtls);
	free(secure);
}
