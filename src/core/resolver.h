/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses in a thread of its own, since getaddrinfo() may take as long as it likes.  Each
 * loop has a client; what was asked through it is answered in its thread.  Numeric addresses are
 * answered without the thread, but still from the loop.
 */
#ifndef EB_CORE_RESOLVER_H
#define EB_CORE_RESOLVER_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"
#include "util/loop.h"

#define LOOKUP_ADDRESSES_MAX 8

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Embedded in who asks. */
struct lookup {
	/*
	 * Called once.  error is 0, or a code of getaddrinfo() for gai_strerror(); the addresses have
	 * the port set and are valid for the call.
	 */
	void (*done)(
		struct lookup *lookup, int error, const union address *addresses, size_t count);
	void *job; /* the resolver's own; not NULL while the question is open */
};

struct resolver;
struct resolver_client;

/* The function that resolves, in the thread: getaddrinfo, or a test's slow one. */
struct addrinfo;
typedef int resolve_function(
	const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **result);

/* Starts the thread; resolve NULL means getaddrinfo.  0 or -errno. */
int resolver_create(struct resolver **resolver, resolve_function *resolve);
/* Does not wait for a getaddrinfo() under way. All clients are gone by then. */
void resolver_destroy(struct resolver *resolver);

int resolver_client_create(
	struct resolver_client **client, struct resolver *resolver, struct loop *loop);
void resolver_client_destroy(struct resolver_client *client);

/* Asks; lookup->done is called from the client's loop, never from within this call. */
void lookup_start(
	struct resolver_client *client, struct lookup *lookup, const char *host, uint16_t port);
/* Forgets the question where it is open; done is not called then. */
void lookup_cancel(struct lookup *lookup);
/* "192.0.2.7:502" or "[2001:db8::1]:502" into text of at least 64 bytes. */
void address_print(const union address *address, char *text, size_t room);

#endif
