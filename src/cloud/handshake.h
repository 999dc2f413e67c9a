/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands for a login with DTLS: a handshake with the device's secret, or with its product's to get
 * that (enos-protocol, 6).
 */
#ifndef EB_CLOUD_HANDSHAKE_H
#define EB_CLOUD_HANDSHAKE_H

#include "cloud/session.h"

/* Brings the secret that the device was activated with, where it has one, and sets the key. */
void handshake_load(struct session *session);
/* The key of the device's own secret, where that is known. */
void handshake_set_key(struct session *session);
/* Wipes both. */
void handshake_forget(struct session *session);

/* Begins: with the device's secret, or with its product's to ask for that.  0 or -errno. */
int handshake_begin(struct session *session);
/* After the latter: asks.  0 or -errno. */
int handshake_ask(struct session *session);
/* The input that the answer means; reason gets why where it is not good (room bytes). */
enum input handshake_read(
	struct session *session, const struct cloud_response *response, char *reason, size_t room);
/* Whether the peer, as far as it goes, says no to the secret or to the device. */
bool handshake_refused(enum endpoint_failure failure);

#endif
