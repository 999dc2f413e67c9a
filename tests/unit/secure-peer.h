/* SPDX-License-Identifier: Apache-2.0 */
/* A cloud's end of DTLS for tests: a socket, the simulator's tunnels, the last message that came. */
#ifndef EB_TESTS_SECURE_PEER_H
#define EB_TESTS_SECURE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/loop.h"

/* It knows "pk,dk,2,300" with this. */
#define PEER_KEY                 \
	{                        \
		0, 1, 0, 2, 0, 3 \
	}

struct peer {
	uint8_t got[4096];
	int size, count; /* of the last message; messages */
	int datagrams;
};
extern struct peer peer;

/* Opens the socket; its port. */
uint16_t peer_create(struct loop *loop);
void peer_destroy(void);
/* Takes handshakes from now on, in suites of EnOS or only in a foreign one; forgets all before. */
void peer_begin(bool foreign);
/* Answers nothing any more. */
void peer_end(void);
/* Forgets the associations, without a word; how many there were. */
int peer_forget(void);
/* To the client that the last message came from: through its association, or a bare datagram. */
void peer_send(const void *bytes, size_t size);
void peer_send_datagram(const void *bytes, size_t size);

#endif
