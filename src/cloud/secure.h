/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints over DTLS.  The message layer (RFC 7252, 4) for the one request in flight is our own: a
 * session of libcoap with DTLS keeps 66 KiB for each device where 33 do, offers every suite with a
 * pre-shared key before any can be chosen, ends the association where a request is cancelled, and
 * computes its time-outs from the wall clock.
 */
#ifndef EB_CLOUD_SECURE_H
#define EB_CLOUD_SECURE_H

#include "cloud/endpoint.h"
#include "util/loop.h"

struct secure;

/* Retransmission and handshakes end within response_timeout_ms.  0, or -ENOTSUP without DTLS. */
int secure_create(struct secure **secure, struct loop *loop, uint32_t response_timeout_ms);
/* All endpoints are destroyed by then. */
void secure_destroy(struct secure *secure);
struct endpoint *secure_open(
	struct secure *secure, const struct endpoint_listener *listener, void *context);

#endif
