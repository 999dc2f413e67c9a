/* SPDX-License-Identifier: Apache-2.0 */
#include "tunnel.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/list.h"
#include "util/log.h"

#define BUCKETS 4096
#define COOKIE_SIZE 16
#define RECORD_HEADER 13
#define RECORD_HANDSHAKE 22
#define CLIENT_HELLO 1

struct tunnel {
	struct list link;
	struct tunnels *owner;
	struct address address;
	SSL *ssl;
	struct timer timer; /* of the handshake */
	bool ready;
	int64_t seen_us;
	struct identity identity;
	const uint8_t *in; /* the datagram at hand */
	size_t in_size;
	uint8_t cookie[COOKIE_SIZE];
};

struct tunnels {
	struct loop *loop;
	struct tunnel_listener listener;
	SSL_CTX *context;
	BIO_METHOD *method;
	struct tunnel_counts counts;
	size_t count;
	struct list buckets[BUCKETS];
};

bool identity_parse(struct identity *identity, const char *text)
{
	*identity = (struct identity){ .text = must_strdup(text) };
	char *parts[4], *rest = identity->text, *end;
	for (int i = 0; i < 4; i++)
		parts[i] = rest ? strsep(&rest, ",") : NULL;
	if (!rest && parts[3] && *parts[0] && *parts[1]) {
		identity->product = parts[0];
		identity->device = parts[1];
		identity->mode = strtoll(parts[2], &end, 10);
		bool good = !*end && (identity->mode == 2 || identity->mode == 3);
		identity->lifetime = strtoll(parts[3], &end, 10);
		if (good && !*end && *parts[3])
			return true;
	}
	identity_finish(identity);
	return false;
}

void identity_finish(struct identity *identity)
{
	free(identity->text);
	*identity = (struct identity){ .text = NULL };
}

static struct list *bucket(const struct tunnels *tunnels, const struct address *address)
{
	const uint8_t *at = (const uint8_t *)&address->any;
	uint32_t hash = 2166136261u;
	for (socklen_t i = 0; i < address->size; i++)
		hash = (hash ^ at[i]) * 16777619u;
	return (struct list *)&tunnels->buckets[(hash ^ hash >> 16) % BUCKETS];
}

static struct tunnel *find(const struct tunnels *tunnels, const struct address *address)
{
	list_for_each (link, bucket(tunnels, address)) {
		struct tunnel *tunnel = container_of(link, struct tunnel, link);
		if (tunnel->address.size == address->size &&
			memcmp(&tunnel->address.any, &address->any, address->size) == 0)
			return tunnel;
	}
	return NULL;
}

static void tunnel_destroy(struct tunnel *tunnel)
{
	tunnel->owner->count--;
	list_remove(&tunnel->link);
	loop_disarm(tunnel->owner->loop, &tunnel->timer);
	identity_finish(&tunnel->identity);
	SSL_free(tunnel->ssl);
	free(tunnel);
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
	struct tunnel *tunnel = BIO_get_data(bio);
	const struct tunnel_listener *listener = &tunnel->owner->listener;
	BIO_clear_retry_flags(bio);
	listener->send(listener->context, &tunnel->address, bytes, (size_t)size);
	return size;
}

static int bio_read(BIO *bio, char *bytes, int room)
{
	struct tunnel *tunnel = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (!tunnel->in) {
		BIO_set_retry_read(bio);
		return -1;
	}
	size_t size = tunnel->in_size < (size_t)room ? tunnel->in_size : (size_t)room;
	memcpy(bytes, tunnel->in, size);
	tunnel->in = NULL;
	return (int)size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT;
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static unsigned on_identity(SSL *ssl, const char *identity, unsigned char *key, unsigned room)
{
	struct tunnel *tunnel = SSL_get_app_data(ssl);
	const struct tunnel_listener *listener = &tunnel->owner->listener;
	uint8_t found[TUNNEL_KEY_MAX];
	size_t size = listener->key(listener->context, identity, found);
	identity_finish(&tunnel->identity);
	if (!size || size > room || !identity_parse(&tunnel->identity, identity))
		return 0;
	memcpy(key, found, size);
	return (unsigned)size;
}

static int make_cookie(SSL *ssl, unsigned char *cookie, unsigned *size)
{
	const struct tunnel *tunnel = SSL_get_app_data(ssl);
	memcpy(cookie, tunnel->cookie, COOKIE_SIZE);
	*size = COOKIE_SIZE;
	return 1;
}

static int check_cookie(SSL *ssl, const unsigned char *cookie, unsigned size)
{
	const struct tunnel *tunnel = SSL_get_app_data(ssl);
	return size == COOKIE_SIZE && memcmp(cookie, tunnel->cookie, COOKIE_SIZE) == 0;
}

static SSL_CTX *make_context(enum tunnel_ciphers ciphers)
{
	static const char *const names[] = {
		[CIPHERS_BOTH] = "PSK-AES128-CCM8:PSK-AES128-CBC-SHA256",
		[CIPHERS_CCM8] = "PSK-AES128-CCM8",
		[CIPHERS_CBC] = "PSK-AES128-CBC-SHA256",
		[CIPHERS_FOREIGN] = "PSK-AES256-GCM-SHA384",
	};
	SSL_CTX *context = SSL_CTX_new(DTLS_server_method());
	if (!context)
		return NULL;
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_options(context,
		SSL_OP_COOKIE_EXCHANGE | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
			SSL_OP_NO_QUERY_MTU);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_psk_server_callback(context, on_identity);
	SSL_CTX_set_cookie_generate_cb(context, make_cookie);
	SSL_CTX_set_cookie_verify_cb(context, check_cookie);
	SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION);
	SSL_CTX_set_cipher_list(context, names[ciphers]);
	return context;
}

struct tunnels *tunnels_create(
	struct loop *loop, enum tunnel_ciphers ciphers, const struct tunnel_listener *listener)
{
	struct tunnels *tunnels = must_alloc(sizeof(*tunnels));
	tunnels->loop = loop;
	tunnels->listener = *listener;
	tunnels->context = make_context(ciphers);
	tunnels->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "datagrams");
	BIO_meth_set_write(tunnels->method, bio_write);
	BIO_meth_set_read(tunnels->method, bio_read);
	BIO_meth_set_ctrl(tunnels->method, bio_control);
	BIO_meth_set_create(tunnels->method, bio_create);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&tunnels->buckets[i]);
	return tunnels;
}

size_t tunnels_forget(struct tunnels *tunnels, const char *product, const char *device)
{
	size_t count = 0;
	for (size_t i = 0; i < BUCKETS; i++) {
		list_for_each (link, &tunnels->buckets[i]) {
			struct tunnel *tunnel = container_of(link, struct tunnel, link);
			const struct identity *identity = &tunnel->identity;
			if (product &&
				(!identity->text || strcmp(identity->product, product) != 0 ||
					strcmp(identity->device, device) != 0))
				continue;
			tunnel_destroy(tunnel);
			count++;
		}
	}
	return count;
}

void tunnels_destroy(struct tunnels *tunnels)
{
	if (!tunnels)
		return;
	tunnels_forget(tunnels, NULL, NULL);
	SSL_CTX_free(tunnels->context);
	BIO_meth_free(tunnels->method);
	free(tunnels);
}

/* Sends a flight of the handshake again when its time comes. */
static void watch_handshake(struct tunnel *tunnel)
{
	struct timeval wait;
	struct loop *loop = tunnel->owner->loop;
	if (tunnel->ready || !DTLSv1_get_timeout(tunnel->ssl, &wait))
		loop_disarm(loop, &tunnel->timer);
	else
		loop_arm(loop, &tunnel->timer,
			loop_now(loop) + wait.tv_sec * USEC_PER_SEC + wait.tv_usec + USEC_PER_MSEC);
}

static void fail(struct tunnel *tunnel)
{
	if (!tunnel->ready)
		tunnel->owner->counts.failures++;
	ERR_clear_error();
	tunnel_destroy(tunnel);
}

static void flight_due(struct timer *timer, int64_t now_us)
{
	(void)now_us;
	struct tunnel *tunnel = container_of(timer, struct tunnel, timer);
	ERR_clear_error();
	if (DTLSv1_handle_timeout(tunnel->ssl) < 0)
		fail(tunnel);
	else
		watch_handshake(tunnel);
}

static struct tunnel *open_tunnel(struct tunnels *tunnels, const struct address *address)
{
	struct tunnel *tunnel = must_alloc(sizeof(*tunnel));
	tunnel->owner = tunnels;
	tunnel->address = *address;
	tunnel->timer.expired = flight_due;
	tunnel->ssl = SSL_new(tunnels->context);
	BIO *bio = BIO_new(tunnels->method);
	BIO_set_data(bio, tunnel);
	SSL_set_bio(tunnel->ssl, bio, bio);
	SSL_set_app_data(tunnel->ssl, tunnel);
	SSL_set_accept_state(tunnel->ssl);
	DTLS_set_link_mtu(tunnel->ssl, 1280);
	RAND_bytes(tunnel->cookie, COOKIE_SIZE);
	list_append(bucket(tunnels, address), &tunnel->link);
	tunnels->count++;
	return tunnel;
}

static bool is_hello(const uint8_t *bytes, size_t size)
{
	return size > RECORD_HEADER && bytes[0] == RECORD_HANDSHAKE && !bytes[3] && !bytes[4] &&
		bytes[RECORD_HEADER] == CLIENT_HELLO;
}

/* The tunnel that a datagram is for, a new one where a client begins; NULL: nobody's. */
static struct tunnel *choose(
	struct tunnels *tunnels, const struct address *from, const uint8_t *bytes, size_t size)
{
	struct tunnel *tunnel = find(tunnels, from);
	int64_t now_us = loop_now(tunnels->loop);
	bool over = tunnel && tunnel->ready &&
		now_us - tunnel->seen_us > tunnel->identity.lifetime * USEC_PER_SEC;
	/* A client that begins anew where there was one (RFC 6347, 4.2.8). */
	if (over || (tunnel && tunnel->ready && is_hello(bytes, size))) {
		tunnel_destroy(tunnel);
		tunnel = NULL;
	}
	if (!tunnel && is_hello(bytes, size))
		tunnel = open_tunnel(tunnels, from);
	if (tunnel)
		tunnel->seen_us = now_us;
	else
		tunnels->counts.strangers++;
	return tunnel;
}

void tunnels_take(
	struct tunnels *tunnels, const struct address *from, const void *bytes, size_t size)
{
	uint8_t message[DATAGRAM_MAX + 1];
	struct tunnel *tunnel = size ? choose(tunnels, from, bytes, size) : NULL;
	if (!tunnel)
		return;
	tunnel->in = bytes;
	tunnel->in_size = size;
	/* It may go while its message is handled. */
	while ((tunnel = find(tunnels, from))) {
		ERR_clear_error();
		int got = SSL_read(tunnel->ssl, message, sizeof(message));
		int error = got > 0 ? 0 : SSL_get_error(tunnel->ssl, got);
		if (!tunnel->ready && SSL_is_init_finished(tunnel->ssl)) {
			tunnel->ready = true;
			tunnels->counts.handshakes++;
		}
		if (got <= 0 && error != SSL_ERROR_WANT_READ) {
			fail(tunnel);
			return;
		}
		if (got <= 0) {
			tunnel->in = NULL;
			watch_handshake(tunnel);
			return;
		}
		tunnels->listener.received(tunnels->listener.context, from, message, (size_t)got);
	}
}

void tunnels_send(struct tunnels *tunnels, const struct address *to, const void *bytes, size_t size)
{
	struct tunnel *tunnel = find(tunnels, to);
	if (!tunnel || !tunnel->ready)
		return;
	ERR_clear_error();
	SSL_write(tunnel->ssl, bytes, (int)size);
}

struct identity *tunnels_identity(const struct tunnels *tunnels, const struct address *address)
{
	struct tunnel *tunnel = find(tunnels, address);
	return tunnel && tunnel->ready ? &tunnel->identity : NULL;
}

size_t tunnels_count(const struct tunnels *tunnels)
{
	return tunnels->count;
}

const struct tunnel_counts *tunnels_counts(const struct tunnels *tunnels)
{
	return &tunnels->counts;
}
