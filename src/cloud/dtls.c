/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/dtls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "util/alloc.h"
#include "util/clock.h"

/* The two suites of EnOS.  Being pinned, no level of security needs to choose among them. */
#define SUITES "PSK-AES128-CCM8:PSK-AES128-CBC-SHA256"
#define SUITE_COUNT 2
/* A flight that fits into every path of IPv6 (RFC 8200, 5). */
#define LINK_MTU 1280

struct dtls {
	SSL_CTX *context;
	BIO_METHOD *method;
	uint8_t message[DTLS_MESSAGE_MAX];
};

struct dtls_link {
	struct dtls *dtls;
	SSL *ssl;
	int fd, alert;
	bool key_used;
	const uint8_t *in; /* the datagram at hand; NULL: none */
	size_t in_size;
	char *identity;
	uint8_t *key; /* until the handshake is over */
	size_t key_size;
};

static int bio_write(BIO *bio, const char *bytes, int size)
{
	const struct dtls_link *link = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	/* What the socket does not take is lost, as on the way: flights and messages are sent again. */
	(void)!send(link->fd, bytes, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
	return size;
}

static int bio_read(BIO *bio, char *bytes, int room)
{
	struct dtls_link *link = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (!link->in) {
		BIO_set_retry_read(bio);
		return -1;
	}
	size_t size = link->in_size < (size_t)room ? link->in_size : (size_t)room;
	memcpy(bytes, link->in, size);
	link->in = NULL;
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

static void on_info(const SSL *ssl, int where, int value)
{
	struct dtls_link *link = SSL_get_app_data(ssl);
	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		link->alert = value & 0xff;
}

static unsigned on_key(SSL *ssl, const char *hint, char *identity, unsigned identity_room,
	unsigned char *key, unsigned key_room)
{
	(void)hint; /* whatever the server hints at, a device has one identity */
	struct dtls_link *link = SSL_get_app_data(ssl);
	size_t length = strlen(link->identity);
	if (length >= identity_room || link->key_size > key_room)
		return 0;
	memcpy(identity, link->identity, length + 1);
	memcpy(key, link->key, link->key_size);
	link->key_used = true;
	return (unsigned)link->key_size;
}

static SSL_CTX *make_context(void)
{
	SSL_CTX *context = SSL_CTX_new(DTLS_client_method());
	if (!context)
		return NULL;
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_options(
		context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_QUERY_MTU);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_info_callback(context, on_info);
	SSL_CTX_set_psk_client_callback(context, on_key);
	if (SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) &&
		SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION) &&
		SSL_CTX_set_cipher_list(context, SUITES) &&
		sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(context)) >= SUITE_COUNT)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

int dtls_create(struct dtls **result)
{
	struct dtls *dtls = must_alloc(sizeof(*dtls));
	dtls->context = make_context();
	dtls->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "datagrams");
	bool good = dtls->context && dtls->method && BIO_meth_set_write(dtls->method, bio_write) &&
		BIO_meth_set_read(dtls->method, bio_read) &&
		BIO_meth_set_ctrl(dtls->method, bio_control) &&
		BIO_meth_set_create(dtls->method, bio_create);
	ERR_clear_error();
	if (!good) {
		dtls_destroy(dtls);
		return -ENOTSUP;
	}
	*result = dtls;
	return 0;
}

void dtls_destroy(struct dtls *dtls)
{
	if (!dtls)
		return;
	BIO_meth_free(dtls->method);
	SSL_CTX_free(dtls->context);
	free(dtls);
}

static void wipe_key(struct dtls_link *link)
{
	if (!link->key)
		return;
	explicit_bzero(link->key, link->key_size);
	free(TAKE(link->key));
}

/* Goes on with the handshake.  False: it has failed. */
static bool step(struct dtls_link *link)
{
	ERR_clear_error();
	int result = SSL_do_handshake(link->ssl);
	if (result == 1) {
		wipe_key(link);
		return true;
	}
	int error = SSL_get_error(link->ssl, result);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

struct dtls_link *dtls_open(struct dtls *dtls, int fd, const struct dtls_secret *secret)
{
	if (strlen(secret->identity) > DTLS_IDENTITY_MAX)
		return NULL;
	struct dtls_link *link = must_alloc(sizeof(*link));
	link->dtls = dtls;
	link->fd = fd;
	link->alert = -1;
	link->identity = must_strdup(secret->identity);
	link->key = must_memdup(secret->key, secret->size);
	link->key_size = secret->size;
	link->ssl = SSL_new(dtls->context);
	BIO *bio = link->ssl ? BIO_new(dtls->method) : NULL;
	if (bio) {
		BIO_set_data(bio, link);
		SSL_set_bio(link->ssl, bio, bio);
		SSL_set_app_data(link->ssl, link);
		SSL_set_connect_state(link->ssl);
		DTLS_set_link_mtu(link->ssl, LINK_MTU);
	}
	if (bio && step(link))
		return link;
	dtls_close(link);
	return NULL;
}

void dtls_close(struct dtls_link *link)
{
	if (!link)
		return;
	if (link->ssl && SSL_is_init_finished(link->ssl) && SSL_alloc_buffers(link->ssl)) {
		ERR_clear_error();
		SSL_shutdown(link->ssl);
	}
	ERR_clear_error();
	SSL_free(link->ssl);
	wipe_key(link);
	free(link->identity);
	free(link);
}

void dtls_put(struct dtls_link *link, const void *datagram, size_t size)
{
	/* An empty one, which anybody can send, would look like the end of a stream. */
	link->in = size ? datagram : NULL;
	link->in_size = size;
}

static ssize_t read_message(struct dtls_link *link)
{
	ERR_clear_error();
	int size = SSL_read(link->ssl, link->dtls->message, sizeof(link->dtls->message));
	if (size > 0)
		return size;
	int error = SSL_get_error(link->ssl, size);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -EPROTO;
}

ssize_t dtls_read(struct dtls_link *link, const uint8_t **bytes)
{
	if (!SSL_is_init_finished(link->ssl) && !step(link))
		return -EPROTO;
	if (!SSL_is_init_finished(link->ssl))
		return 0;
	ssize_t size = read_message(link);
	*bytes = link->dtls->message;
	/* It refuses while something is in them, which is right. */
	if (size <= 0)
		SSL_free_buffers(link->ssl);
	return size;
}

int dtls_write(struct dtls_link *link, const void *bytes, size_t size)
{
	if (!SSL_is_init_finished(link->ssl))
		return -ENOTCONN;
	ERR_clear_error();
	/* Its DTLS writes into a buffer that was freed, without looking. */
	if (!SSL_alloc_buffers(link->ssl))
		return -ENOMEM;
	int written = SSL_write(link->ssl, bytes, (int)size);
	SSL_free_buffers(link->ssl);
	return written > 0 ? 0 : -EPROTO;
}

bool dtls_ready(const struct dtls_link *link)
{
	return SSL_is_init_finished(link->ssl);
}

bool dtls_key_used(const struct dtls_link *link)
{
	return link->key_used;
}

int dtls_alert(const struct dtls_link *link)
{
	return link->alert;
}

const char *dtls_cipher(const struct dtls_link *link)
{
	return SSL_get_cipher_name(link->ssl);
}

int64_t dtls_wait_us(const struct dtls_link *link)
{
	struct timeval wait;
	if (!DTLSv1_get_timeout(link->ssl, &wait))
		return -1;
	return wait.tv_sec * USEC_PER_SEC + wait.tv_usec;
}

int dtls_resend(struct dtls_link *link)
{
	ERR_clear_error();
	return DTLSv1_handle_timeout(link->ssl) < 0 ? -EPROTO : 0;
}
