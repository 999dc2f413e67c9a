/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/shard.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cloud/clock.h"
#include "cloud/crypto.h"
#include "cloud/pdu.h"
#include "util/alloc.h"
#include "util/list.h"
#include "util/log.h"

/* Header, token, path and signature, on top of the payload. */
#define ROOM_FOR_OPTIONS 2048
/* The soonest that the library sends a message again (RFC 7252, 4.8: ACK_TIMEOUT). */
#define ACK_TIMEOUT_US (2 * USEC_PER_SEC)
#define EVENTS 64

struct shards {
	struct loop *loop;
	struct list list;
	size_t count;
	unsigned mtu;
	uint16_t retransmissions;
};

struct shard {
	struct list link;
	struct shards *shards;
	coap_context_t *context;
	struct watch watch;
	/* Due no later than the library's next retransmission, while anything is in flight. */
	struct timer timer;
	uint32_t endpoints, in_flight;
	/* Within the library: sessions must not go, since its events point to them. */
	bool running;
	struct list closed;
};

/* A session of the library that is to be released when that is safe. */
struct closed_session {
	struct list link;
	coap_session_t *session;
};

struct coap_endpoint {
	struct endpoint base;
	struct shard *shard;
	coap_session_t *session; /* NULL until connected */
	uint64_t token; /* of the request in flight; 0: none */
};

static void ended(struct coap_endpoint *endpoint)
{
	if (!endpoint->token)
		return;
	endpoint->token = 0;
	struct shard *shard = endpoint->shard;
	if (--shard->in_flight == 0)
		loop_disarm(shard->shards->loop, &shard->timer);
}

static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent,
	const coap_pdu_t *received, const coap_mid_t id)
{
	(void)id;
	struct coap_endpoint *endpoint = coap_session_get_app_data(session);
	if (!endpoint)
		return COAP_RESPONSE_OK;
	struct cloud_response response;
	pdu_read(received, &response);
	/*
	 * The library chose sent by the message id alone, stopped its retransmission, and takes the
	 * true acknowledgement for a copy of this one.
	 */
	uint64_t token = endpoint->token;
	bool spoofed = sent && token && response.token != token && pdu_token(sent) == token;
	if (spoofed || response.token == token)
		ended(endpoint);
	const struct endpoint_listener *listener = endpoint->base.listener;
	void *context = endpoint->base.context;
	bool known = listener->response(context, &response);
	if (spoofed)
		listener->failed(context, ENDPOINT_SPOOFED, token);
	/* Only a confirmable message may be reset. */
	return known || coap_pdu_get_type(received) != COAP_MESSAGE_CON ? COAP_RESPONSE_OK
									: COAP_RESPONSE_FAIL;
}

static enum endpoint_failure failure_of(coap_nack_reason_t reason)
{
	switch (reason) {
	case COAP_NACK_TOO_MANY_RETRIES:
		return ENDPOINT_SILENT;
	case COAP_NACK_RST:
		return ENDPOINT_RESET;
	case COAP_NACK_ICMP_ISSUE:
		return ENDPOINT_UNREACHABLE;
	case COAP_NACK_NOT_DELIVERABLE:
	case COAP_NACK_TLS_FAILED:
		break;
	}
	return ENDPOINT_BROKEN;
}

static void on_nack(coap_session_t *session, const coap_pdu_t *sent,
	const coap_nack_reason_t reason, const coap_mid_t id)
{
	(void)id;
	struct coap_endpoint *endpoint = coap_session_get_app_data(session);
	/* No endpoint: we cancelled it ourselves. */
	if (!endpoint)
		return;
	enum endpoint_failure failure = failure_of(reason);
	if (failure != ENDPOINT_UNREACHABLE)
		ended(endpoint);
	endpoint->base.listener->failed(endpoint->base.context, failure, pdu_token(sent));
}

static void release_closed(struct shard *shard)
{
	struct list *link;
	while ((link = list_take_first(&shard->closed))) {
		struct closed_session *closed = container_of(link, struct closed_session, link);
		coap_session_release(closed->session);
		free(closed);
	}
}

static void on_events(struct watch *watch, uint32_t ready)
{
	(void)ready;
	struct shard *shard = container_of(watch, struct shard, watch);
	struct epoll_event events[EVENTS];
	int count = epoll_wait(watch->fd, events, EVENTS, 0);
	if (count <= 0)
		return;
	shard->running = true;
	coap_io_do_epoll(shard->context, events, (size_t)count);
	shard->running = false;
	release_closed(shard);
}

static void on_timer(struct timer *timer, int64_t now_us)
{
	(void)now_us;
	struct shard *shard = container_of(timer, struct shard, timer);
	coap_tick_t now;
	coap_ticks(&now);
	shard->running = true;
	unsigned wait_ms = coap_io_prepare_epoll(shard->context, now);
	shard->running = false;
	release_closed(shard);
	if (wait_ms && shard->in_flight)
		loop_arm(shard->shards->loop, timer, (int64_t)(now + wait_ms) * USEC_PER_MSEC);
}

static void cut_session(struct coap_endpoint *endpoint)
{
	coap_session_t *session = endpoint->session;
	if (!session)
		return;
	endpoint->session = NULL;
	coap_session_set_app_data(session, NULL);
	coap_session_disconnected(session, COAP_NACK_NOT_DELIVERABLE);
	ended(endpoint);
	if (!endpoint->shard->running) {
		coap_session_release(session);
		return;
	}
	struct closed_session *closed = must_alloc(sizeof(*closed));
	closed->session = session;
	list_append(&endpoint->shard->closed, &closed->link);
}

static int endpoint_connect(
	struct endpoint *base, const union address *address, const struct endpoint_secret *secret)
{
	(void)secret;
	struct coap_endpoint *endpoint = container_of(base, struct coap_endpoint, base);
	const struct shards *shards = endpoint->shard->shards;
	cut_session(endpoint);
	coap_address_t peer;
	coap_address_init(&peer);
	if (address->any.sa_family == AF_INET6) {
		peer.size = sizeof(address->v6);
		peer.addr.sin6 = address->v6;
	} else {
		peer.size = sizeof(address->v4);
		peer.addr.sin = address->v4;
	}
	errno = 0;
	coap_session_t *session = coap_new_client_session(
		endpoint->shard->context, NULL, &peer, COAP_PROTO_UDP);
	if (!session)
		return errno ? -errno : -EIO;
	coap_session_set_mtu(session, shards->mtu);
	coap_session_set_max_retransmit(session, shards->retransmissions);
	coap_session_set_app_data(session, endpoint);
	endpoint->session = session;
	return 0;
}

static int try_send(struct coap_endpoint *endpoint, const struct cloud_request *request)
{
	coap_pdu_t *pdu = pdu_write(endpoint->session, request);
	if (!pdu)
		return -EMSGSIZE;
	errno = 0;
	if (coap_send(endpoint->session, pdu) == COAP_INVALID_MID)
		return errno ? -errno : -EIO;
	return 0;
}

static int endpoint_send(struct endpoint *base, const struct cloud_request *request)
{
	struct coap_endpoint *endpoint = container_of(base, struct coap_endpoint, base);
	struct shard *shard = endpoint->shard;
	assert(!endpoint->token && request->token);
	if (!endpoint->session)
		return -ENOTCONN;
	int result = try_send(endpoint, request);
	/* An ICMP error that came for an earlier datagram fails the next one in its place. */
	if (result == -ECONNREFUSED)
		result = try_send(endpoint, request);
	if (result < 0)
		return result;
	endpoint->token = request->token;
	shard->in_flight++;
	if (!timer_armed(&shard->timer)) {
		struct loop *loop = shard->shards->loop;
		loop_arm(loop, &shard->timer, loop_now(loop) + ACK_TIMEOUT_US);
	}
	return 0;
}

static void endpoint_cancel(struct endpoint *base)
{
	struct coap_endpoint *endpoint = container_of(base, struct coap_endpoint, base);
	if (!endpoint->session || !endpoint->token)
		return;
	coap_session_set_app_data(endpoint->session, NULL);
	/* For UDP this only empties the queues; the session goes on. */
	coap_session_disconnected(endpoint->session, COAP_NACK_NOT_DELIVERABLE);
	coap_session_set_app_data(endpoint->session, endpoint);
	ended(endpoint);
}

static void shard_destroy(struct shard *shard)
{
	assert(!shard->running);
	loop_remove(shard->shards->loop, &shard->watch);
	loop_disarm(shard->shards->loop, &shard->timer);
	release_closed(shard);
	coap_free_context(shard->context);
	list_remove(&shard->link);
	shard->shards->count--;
	free(shard);
}

static void endpoint_destroy(struct endpoint *base)
{
	struct coap_endpoint *endpoint = container_of(base, struct coap_endpoint, base);
	cut_session(endpoint);
	endpoint->shard->endpoints--;
	free(endpoint);
}

static const struct endpoint_class coap_endpoint_class = {
	.connect = endpoint_connect,
	.send = endpoint_send,
	.cancel = endpoint_cancel,
	.destroy = endpoint_destroy,
};

static struct shard *add_shard(struct shards *shards)
{
	struct shard *shard = must_alloc(sizeof(*shard));
	shard->shards = shards;
	list_init(&shard->closed);
	errno = 0;
	shard->context = coap_new_context(NULL);
	if (!shard->context) {
		errno = errno ? errno : EIO;
		free(shard);
		return NULL;
	}
	/* No resource, no request handler, and the library's own block-wise transfer stays off. */
	coap_register_response_handler(shard->context, on_response);
	coap_register_nack_handler(shard->context, on_nack);
	/* A response with a critical option that is unknown would vanish without a word. */
	coap_register_option(shard->context, OPTION_SIGNATURE);
	shard->timer.expired = on_timer;
	shard->watch = (struct watch){
		.fd = coap_context_get_coap_fd(shard->context),
		.events = EPOLLIN,
		.ready = on_events,
	};
	int result = loop_add(shards->loop, &shard->watch);
	if (result < 0) {
		coap_free_context(shard->context);
		free(shard);
		errno = -result;
		return NULL;
	}
	list_prepend(&shards->list, &shard->link);
	shards->count++;
	return shard;
}

static struct shard *shard_with_room(struct shards *shards)
{
	list_for_each (link, &shards->list) {
		struct shard *shard = container_of(link, struct shard, link);
		if (shard->endpoints < SHARD_SESSIONS)
			return shard;
	}
	return add_shard(shards);
}

struct endpoint *shards_open(
	struct shards *shards, const struct endpoint_listener *listener, void *context)
{
	struct shard *shard = shard_with_room(shards);
	if (!shard)
		return NULL;
	struct coap_endpoint *endpoint = must_alloc(sizeof(*endpoint));
	endpoint->base.class = &coap_endpoint_class;
	endpoint->base.listener = listener;
	endpoint->base.context = context;
	endpoint->shard = shard;
	shard->endpoints++;
	return &endpoint->base;
}

/*
 * What the library says.  A line that shows a message ends at its token: options and payload hold
 * signatures, tokens and what devices measure.
 */
static void on_library_log(coap_log_t level, const char *line)
{
	if (strncmp(line, "<<", 2) == 0)
		return;
	size_t size = strcspn(line, "\n");
	if (strncmp(line, "v:", 2) == 0)
		size = strcspn(line, "{[");
	(void)level; /* what matters of it reaches us as an event, and is said there */
	log_debug("libcoap: %.*s", (int)size, line);
}

/* It would ask the kernel for the random time of each message's retransmission. */
static int random_bytes(void *bytes, size_t size)
{
	crypto_random(bytes, size);
	return 1;
}

/* How many retransmissions are sent before the deadline, at the longest spacing (RFC 7252, 4.2). */
static uint16_t retransmissions_within(uint32_t deadline_ms)
{
	uint16_t count = 0;
	while (count < COAP_DEFAULT_MAX_RETRANSMIT && 3000u * ((2u << count) - 1) < deadline_ms)
		count++;
	return count;
}

int shards_create(struct shards **result, const struct shards_setup *setup)
{
	coap_set_log_handler(on_library_log);
	coap_set_show_pdu_output(0);
	coap_set_log_level(log_enabled(LOG_LEVEL_DEBUG) ? LOG_DEBUG : LOG_EMERG);
	coap_set_prng(random_bytes);
	coap_startup();
	if (!cloud_clock_bound())
		return -ELIBACC;
	struct shards *shards = must_alloc(sizeof(*shards));
	shards->loop = setup->loop;
	shards->mtu = setup->max_payload + ROOM_FOR_OPTIONS;
	shards->retransmissions = retransmissions_within(setup->response_timeout_ms);
	list_init(&shards->list);
	cloud_clock_use(loop_clock(setup->loop));
	*result = shards;
	return 0;
}

void shards_destroy(struct shards *shards)
{
	if (!shards)
		return;
	list_for_each (link, &shards->list)
		shard_destroy(container_of(link, struct shard, link));
	cloud_clock_use(NULL);
	free(shards);
}

size_t shards_count(const struct shards *shards)
{
	return shards->count;
}
