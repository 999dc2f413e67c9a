/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message layer of RFC 7252 on the server's side: repeated messages are recognised and answered
 * with the same datagram, separate answers are sent again until they are acknowledged.  All faults
 * that a network makes happen here.
 */
#ifndef SIM_CLOUD_EXCHANGE_H
#define SIM_CLOUD_EXCHANGE_H

#include "datagram.h"
#include "fault.h"
#include "packet.h"
#include "util/loop.h"
#include "violation.h"

/* The answer to one request, filled in by the listener. */
struct answer {
	uint8_t code;
	bool silent; /* none at all */
	bool begins; /* the client begins anew: no message before this one counts as its own */
	struct block block1, block2;
	struct buffer payload;
	struct buffer notice, command; /* options 2100 and 2102; empty: without */
	/* These get true where the answer may not have reached the client; may be NULL. */
	bool *unsure[2];
};

/* What befalls a request, and by whose dice; both outlive the exchange. */
struct fault_source {
	struct fault_plan *plan;
	struct dice *dice;
};

struct exchange_counts {
	uint64_t datagrams, ignored, requests, repeated, pings, resets;
	uint64_t lost_requests, lost_answers, delayed, reordered, duplicated, separate, spoofed;
	uint64_t wrong_tokens, unacknowledged;
};

struct exchange_listener {
	void *context;
	struct fault_source (*faults)(void *context, const struct packet *packet);
	/* A request was lost or comes late by our fault: what follows it may look odd. */
	void (*disturbed)(void *context, const struct packet *packet);
	/* late: it was held back, so that newer ones may have come before it. */
	void (*request)(
		void *context, const struct packet *packet, bool late, struct answer *answer);
	/* packet is NULL where the datagram was none. */
	void (*violated)(void *context, const struct packet *packet, enum violation violation,
		const char *text);
	void (*drained)(void *context);
};

struct exchanges;
/* Returns 0 or -errno. The seed is that of message ids and retransmission times. */
int exchanges_create(struct exchanges **exchanges, struct loop *loop, const struct address *address,
	uint64_t seed, const struct exchange_listener *listener);
void exchanges_destroy(struct exchanges *exchanges);
const struct address *exchanges_address(const struct exchanges *exchanges);
const struct exchange_counts *exchanges_counts(const struct exchanges *exchanges);
size_t exchanges_peers(const struct exchanges *exchanges);
/* DTLS from now on; see datagrams_secure() and its neighbours. */
struct datagrams *exchanges_secure(struct exchanges *exchanges, struct tunnels *tunnels);
/* Forgets every message and client, as a server that starts anew. */
void exchanges_forget(struct exchanges *exchanges);
/* A network outside loses datagrams: a request while another one waits is no violation. */
void exchanges_set_lossy(struct exchanges *exchanges, bool lossy);

#endif
