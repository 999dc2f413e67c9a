/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/server.h"

#include <netdb.h>
#include <string.h>

#include "util/log.h"

static bool equal(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_port == b->v4.sin_port &&
			a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
		memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
}

bool server_has(const struct server *server, const union address *address)
{
	for (size_t i = 0; i < server->count; i++) {
		if (equal(&server->addresses[i], address))
			return true;
	}
	return false;
}

static bool same_list(const struct server *server, const union address *addresses, size_t count)
{
	/* A name server turns its list round; that is no change. */
	if (count != server->count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!server_has(server, &addresses[i]))
			return false;
	}
	return true;
}

static void not_found(struct server *server, int error)
{
	int64_t wait_us = USEC_PER_SEC << (server->failures < 6 ? server->failures : 6);
	if (wait_us > SERVER_RETRY_MAX_US)
		wait_us = SERVER_RETRY_MAX_US;
	if (!server->failures++)
		log_warning(
			"cloud: %s: name not resolved: %s; check enos.host and the name server%s",
			server->host, error ? gai_strerror(error) : "it has no address",
			server->count ? "; the address known so far stays in use" : "");
	loop_arm(server->loop, &server->timer, loop_now(server->loop) + wait_us);
}

static void resolved(struct lookup *lookup, int error, const union address *addresses, size_t count)
{
	struct server *server = container_of(lookup, struct server, lookup);
	if (error || !count) {
		not_found(server, error);
		return;
	}
	loop_arm(server->loop, &server->timer, loop_now(server->loop) + SERVER_REFRESH_US);
	if (server->failures)
		log_info("cloud: %s: name resolved again", server->host);
	server->failures = 0;
	if (same_list(server, addresses, count))
		return;
	server->count = count < LOOKUP_ADDRESSES_MAX ? count : LOOKUP_ADDRESSES_MAX;
	memcpy(server->addresses, addresses, server->count * sizeof(*addresses));
	char text[64];
	address_print(&server->addresses[0], text, sizeof(text));
	log_info("cloud: %s is at %s%s", server->host, text,
		server->count > 1 ? " and other addresses" : "");
	server->changed(server);
}

static void ask(struct server *server)
{
	if (server->lookup.job)
		return;
	loop_disarm(server->loop, &server->timer);
	server->asked_us = loop_now(server->loop);
	lookup_start(server->resolver, &server->lookup, server->host, server->port);
}

static void on_timer(struct timer *timer, int64_t now_us)
{
	(void)now_us;
	ask(container_of(timer, struct server, timer));
}

void server_init(struct server *server)
{
	server->lookup = (struct lookup){ .done = resolved };
	server->timer = (struct timer){ .expired = on_timer };
	server->count = 0;
	server->failures = 0;
	server->asked_us = 0;
}

void server_finish(struct server *server)
{
	lookup_cancel(&server->lookup);
	loop_disarm(server->loop, &server->timer);
}

void server_start(struct server *server)
{
	ask(server);
}

void server_suspect(struct server *server)
{
	if (loop_now(server->loop) - server->asked_us >= SERVER_PAUSE_US)
		ask(server);
}

const union address *server_address(const struct server *server, uint32_t number)
{
	return server->count ? &server->addresses[number % server->count] : NULL;
}
