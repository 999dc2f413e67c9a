/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a cloud is: a name and the addresses that it has now.  Many sessions share one.  The name is
 * resolved off the loop, again once an hour, and again when sessions say that nobody answers.
 */
#ifndef EB_CLOUD_SERVER_H
#define EB_CLOUD_SERVER_H

#include "core/resolver.h"
#include "util/loop.h"

#define SERVER_REFRESH_US (3600 * USEC_PER_SEC)
/* Complaints of sessions lead to one question in this time. */
#define SERVER_PAUSE_US (10 * USEC_PER_SEC)
#define SERVER_RETRY_MAX_US (60 * USEC_PER_SEC)

struct server {
	struct loop *loop;
	struct resolver_client *resolver;
	const char *host; /* borrowed */
	uint16_t port;
	struct lookup lookup;
	struct timer timer;
	int64_t asked_us;
	uint32_t failures;
	size_t count;
	union address addresses[LOOKUP_ADDRESSES_MAX];
	/* The first addresses came, or the list changed. */
	void (*changed)(struct server *server);
};

/* Fields loop, resolver, host, port, changed are set by the caller. */
void server_init(struct server *server);
void server_finish(struct server *server);
/* Asks for the addresses. */
void server_start(struct server *server);
/* Somebody got no answer: asks again, unless that was done just now. */
void server_suspect(struct server *server);
/* One of the addresses, counted round; NULL while there is none. */
const union address *server_address(const struct server *server, uint32_t number);
/* Whether the address is still one of the server's. */
bool server_has(const struct server *server, const union address *address);

#endif
