/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints over libcoap.  A context of the library walks all of its sessions at every event, so each
 * has at most 64 (measured: 3.5 us a message with 10,000 sessions, against 150 with one context).
 * shard.c, pdu.c and clock.c alone know the library.
 */
#ifndef EB_CLOUD_SHARD_H
#define EB_CLOUD_SHARD_H

#include "cloud/endpoint.h"
#include "util/loop.h"

#define SHARD_SESSIONS 64

struct shards;

struct shards_setup {
	struct loop *loop;
	uint32_t max_payload; /* bytes; options and header get room beside them */
	uint32_t response_timeout_ms; /* retransmission ends within it */
};

/* 0 or -errno; -ELIBACC where the library was not bound to our clock. */
int shards_create(struct shards **shards, const struct shards_setup *setup);
/* All endpoints are destroyed by then. */
void shards_destroy(struct shards *shards);
/* An endpoint with room in a context, or NULL with errno where the context failed. */
struct endpoint *shards_open(
	struct shards *shards, const struct endpoint_listener *listener, void *context);
size_t shards_count(const struct shards *shards);
#endif
