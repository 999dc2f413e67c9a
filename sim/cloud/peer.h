/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server remembers of each client address: which message ids it saw lately, the last
 * answers, the last tokens.
 */
#ifndef SIM_CLOUD_PEER_H
#define SIM_CLOUD_PEER_H

#include "datagram.h"
#include "packet.h"
#include "util/buffer.h"

/* EXCHANGE_LIFETIME of RFC 7252, section 4.8.2: so long a message id means the same message. */
#define PEER_MEMORY_US (247 * USEC_PER_SEC)
#define PEER_ANSWERS 8

struct recent;

struct kept {
	bool used;
	uint16_t message_id;
	struct buffer datagram; /* empty: it was not answered */
};

struct used_token {
	uint8_t token[PACKET_TOKEN_MAX], size;
	int64_t at_us; /* 0: none */
};

struct peer {
	struct peer *next;
	struct address address;
	int64_t seen_us;
	uint16_t last_id; /* of its last request */
	int64_t waits_until_us; /* before that it cannot have been answered */
	struct recent *recents; /* by the low bits of the message id; grows with the traffic */
	uint32_t room, era; /* era: counts the times that a client began here */
	struct kept answers[PEER_ANSWERS];
	struct used_token tokens[PEER_ANSWERS];
	unsigned token_at;
};

enum peer_verdict {
	MESSAGE_NEW,
	MESSAGE_REPEATED, /* the same message again */
	MESSAGE_REUSED, /* the id of another message that is not yet forgotten */
};

struct peers;
struct peers *peers_create(void);
void peers_destroy(struct peers *peers);
size_t peers_count(const struct peers *peers);
/* The peer of the address, a new one where there is none. */
struct peer *peers_get(struct peers *peers, const struct address *address, int64_t now_us);
/* Forgets those that were silent for longer than a message id lives. */
void peers_sweep(struct peers *peers, int64_t now_us);
void peers_forget(struct peers *peers);

/* A program that begins may have got the port of one that ended: what came before is another's. */
void peer_begin(struct peer *peer);
/* Judges a message and remembers it. */
enum peer_verdict peer_judge(struct peer *peer, uint16_t message_id, const uint8_t *datagram,
	size_t size, int64_t now_us);
/* Remembers the answer to a message. */
struct kept *peer_keep(struct peer *peer, uint16_t message_id);
/* The answer, NULL where it is no longer known. */
const struct kept *peer_kept(const struct peer *peer, uint16_t message_id);
/* Whether the token is one of the last few; remembers it. */
bool peer_token_used(struct peer *peer, const uint8_t *token, size_t size, int64_t now_us);

#endif
