/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DTLS 1.2 with a pre-shared key, the client's side (enos-protocol, 6): datagrams become messages and
 * messages datagrams.  Sockets, deadlines and what the messages mean are the caller's.
 *
 * The library's own record buffers, 34 KiB for each association, are there while a datagram is
 * handled only: its DTLS has no mode that does that by itself.
 */
#ifndef EB_CLOUD_DTLS_H
#define EB_CLOUD_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DTLS_IDENTITY_MAX 255
/* The longest message that is taken. */
#define DTLS_MESSAGE_MAX 16384

/* What all associations share.  One thread. */
struct dtls;
/* 0, or -ENOTSUP where the library lacks a cipher suite. */
int dtls_create(struct dtls **dtls);
void dtls_destroy(struct dtls *dtls);

/* Copied, and wiped when the handshake is over. */
struct dtls_secret {
	const char *identity; /* at most DTLS_IDENTITY_MAX bytes */
	const uint8_t *key; /* may hold zero bytes */
	size_t size;
};

struct dtls_link;
/*
 * Begins a handshake on the connected socket, which stays the caller's: the first flight leaves.  NULL
 * where the library failed.
 */
struct dtls_link *dtls_open(struct dtls *dtls, int fd, const struct dtls_secret *secret);
/* Tells the peer, where there is one, in a datagram that may be lost. */
void dtls_close(struct dtls_link *link);

/* Takes a datagram; what it carried is asked for with dtls_read(), until that is 0. */
void dtls_put(struct dtls_link *link, const void *datagram, size_t size);
/*
 * The size of the next message, 0 where there is none, or -EPROTO where the association or the
 * handshake has ended: dtls_alert() may say why.  bytes is valid until the next call for any link.
 */
ssize_t dtls_read(struct dtls_link *link, const uint8_t **bytes);
/* Sends one message.  0 or -errno; -ENOTCONN before the handshake is over. */
int dtls_write(struct dtls_link *link, const void *bytes, size_t size);

/* Whether the handshake is over. */
bool dtls_ready(const struct dtls_link *link);
/* Whether the peer has answered so far that the key was used: silence then means a wrong one. */
bool dtls_key_used(const struct dtls_link *link);
/* The number of the last alert that came from the peer, -1: none. */
int dtls_alert(const struct dtls_link *link);
/* "PSK-AES128-CCM8", as OpenSSL writes it. */
const char *dtls_cipher(const struct dtls_link *link);

/* us until a flight of the handshake is to be sent again; -1: nothing waits. */
int64_t dtls_wait_us(const struct dtls_link *link);
/* That time has come.  0, or -EPROTO where it was sent too often. */
int dtls_resend(struct dtls_link *link);

#endif
