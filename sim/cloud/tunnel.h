/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DTLS as the server speaks it (section 6 of the protocol): handshakes with a pre-shared key, then
 * messages in and out.  Each client address has a tunnel of its own.
 */
#ifndef SIM_CLOUD_TUNNEL_H
#define SIM_CLOUD_TUNNEL_H

#include "datagram.h"

enum tunnel_ciphers { CIPHERS_BOTH, CIPHERS_CCM8, CIPHERS_CBC, CIPHERS_FOREIGN };

#define TUNNEL_KEY_MAX 64

/* Who a client has shown to be: "{pk},{dk},{secureMode},{lifetime}". */
struct identity {
	char *text; /* that, commas replaced by NULs: the parts point into it */
	const char *product, *device;
	int64_t mode, lifetime;
	bool begun; /* a request came */
};
/* Takes the text apart.  False: it is none; nothing is left to free then. */
bool identity_parse(struct identity *identity, const char *text);
void identity_finish(struct identity *identity);

struct tunnel_listener {
	void *context;
	/* The size of the client's key, 0: nobody we know. */
	size_t (*key)(void *context, const char *identity, uint8_t key[TUNNEL_KEY_MAX]);
	void (*send)(void *context, const struct address *to, const void *bytes, size_t size);
	void (*received)(
		void *context, const struct address *from, const uint8_t *bytes, size_t size);
};

struct tunnel_counts {
	uint64_t handshakes, failures, strangers; /* strangers: datagrams that no tunnel knows */
};

struct tunnels;
struct tunnels *tunnels_create(
	struct loop *loop, enum tunnel_ciphers ciphers, const struct tunnel_listener *listener);
void tunnels_destroy(struct tunnels *tunnels);
/* A datagram came. */
void tunnels_take(
	struct tunnels *tunnels, const struct address *from, const void *bytes, size_t size);
/* Sends a message to a client that has a tunnel; otherwise it is lost. */
void tunnels_send(
	struct tunnels *tunnels, const struct address *to, const void *bytes, size_t size);
/* Who is there; NULL: no tunnel, or its handshake is not over. */
struct identity *tunnels_identity(const struct tunnels *tunnels, const struct address *address);
/* Forgets those of the device, or all (NULL), without a word to them.  Returns how many. */
size_t tunnels_forget(struct tunnels *tunnels, const char *product, const char *device);
size_t tunnels_count(const struct tunnels *tunnels);
const struct tunnel_counts *tunnels_counts(const struct tunnels *tunnels);

#endif
