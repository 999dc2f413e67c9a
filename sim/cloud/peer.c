/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

#define ROOM_FIRST 16
#define ROOM_MOST 4096

struct recent {
	int64_t at_us; /* 0: empty */
	uint32_t hash, era;
	uint16_t message_id;
};

struct peers {
	struct peer **buckets;
	size_t room, count; /* room is a power of two */
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static uint64_t hash_bytes(const uint8_t *bytes, size_t size)
{
	uint64_t hash = size, word = 0;
	for (; size >= sizeof(word); bytes += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, bytes, size);
	return mix(hash, word);
}

struct peers *peers_create(void)
{
	struct peers *peers = must_alloc(sizeof(*peers));
	peers->room = 256;
	peers->buckets = must_array(peers->room, sizeof(struct peer *));
	return peers;
}

static void peer_destroy(struct peer *peer)
{
	for (int i = 0; i < PEER_ANSWERS; i++)
		buffer_finish(&peer->answers[i].datagram);
	free(peer->recents);
	free(peer);
}

void peers_sweep(struct peers *peers, int64_t now_us)
{
	for (size_t i = 0; i < peers->room; i++) {
		for (struct peer **at = &peers->buckets[i]; *at;) {
			struct peer *peer = *at;
			if (now_us - peer->seen_us <= PEER_MEMORY_US) {
				at = &peer->next;
				continue;
			}
			*at = peer->next;
			peers->count--;
			peer_destroy(peer);
		}
	}
}

void peers_forget(struct peers *peers)
{
	peers_sweep(peers, INT64_MAX);
}

void peers_destroy(struct peers *peers)
{
	if (!peers)
		return;
	peers_forget(peers);
	free(peers->buckets);
	free(peers);
}

size_t peers_count(const struct peers *peers)
{
	return peers->count;
}

static struct peer **bucket(const struct peers *peers, const struct address *address)
{
	uint64_t hash = hash_bytes((const uint8_t *)&address->any, address->size);
	return &peers->buckets[(hash >> 20) & (peers->room - 1)];
}

static void grow(struct peers *peers)
{
	struct peer **old = peers->buckets;
	size_t old_room = peers->room;
	peers->room *= 4;
	peers->buckets = must_array(peers->room, sizeof(struct peer *));
	for (size_t i = 0; i < old_room; i++) {
		while (old[i]) {
			struct peer *peer = old[i];
			old[i] = peer->next;
			struct peer **place = bucket(peers, &peer->address);
			peer->next = *place;
			*place = peer;
		}
	}
	free(old);
}

struct peer *peers_get(struct peers *peers, const struct address *address, int64_t now_us)
{
	struct peer *peer = *bucket(peers, address);
	while (peer &&
		(peer->address.size != address->size ||
			memcmp(&peer->address.any, &address->any, address->size) != 0))
		peer = peer->next;
	if (!peer) {
		if (peers->count >= peers->room)
			grow(peers);
		peer = must_alloc(sizeof(*peer));
		peer->address = *address;
		peer->room = ROOM_FIRST;
		peer->recents = must_array(peer->room, sizeof(struct recent));
		struct peer **place = bucket(peers, address);
		peer->next = *place;
		*place = peer;
		peers->count++;
	}
	peer->seen_us = now_us;
	return peer;
}

static struct recent *recent_of(const struct peer *peer, uint16_t message_id)
{
	return &peer->recents[message_id & (peer->room - 1)];
}

static bool fresh(const struct recent *recent, int64_t now_us)
{
	return recent->at_us && now_us - recent->at_us < PEER_MEMORY_US;
}

static void grow_recents(struct peer *peer)
{
	struct recent *old = peer->recents;
	uint32_t old_room = peer->room;
	peer->room *= 2;
	peer->recents = must_array(peer->room, sizeof(struct recent));
	for (uint32_t i = 0; i < old_room; i++) {
		if (old[i].at_us)
			*recent_of(peer, old[i].message_id) = old[i];
	}
	free(old);
}

void peer_begin(struct peer *peer)
{
	peer->era++;
	memset(peer->tokens, 0, sizeof(peer->tokens));
}

enum peer_verdict peer_judge(struct peer *peer, uint16_t message_id, const uint8_t *datagram,
	size_t size, int64_t now_us)
{
	uint32_t hash = (uint32_t)hash_bytes(datagram, size);
	struct recent *recent = recent_of(peer, message_id);
	bool known = fresh(recent, now_us) && recent->message_id == message_id;
	if (known && recent->hash == hash)
		return MESSAGE_REPEATED;
	/* Another id still worth knowing stands there: ids count up, so a larger table parts them. */
	while (!known && fresh(recent, now_us) && peer->room < ROOM_MOST) {
		grow_recents(peer);
		recent = recent_of(peer, message_id);
	}
	bool reused = known && recent->era == peer->era;
	*recent = (struct recent){ now_us ? now_us : 1, hash, peer->era, message_id };
	return reused ? MESSAGE_REUSED : MESSAGE_NEW;
}

struct kept *peer_keep(struct peer *peer, uint16_t message_id)
{
	struct kept *kept = &peer->answers[message_id % PEER_ANSWERS];
	kept->used = true;
	kept->message_id = message_id;
	buffer_clear(&kept->datagram);
	return kept;
}

const struct kept *peer_kept(const struct peer *peer, uint16_t message_id)
{
	const struct kept *kept = &peer->answers[message_id % PEER_ANSWERS];
	return kept->used && kept->message_id == message_id ? kept : NULL;
}

bool peer_token_used(struct peer *peer, const uint8_t *token, size_t size, int64_t now_us)
{
	bool used = false;
	for (int i = 0; i < PEER_ANSWERS && !used; i++) {
		const struct used_token *old = &peer->tokens[i];
		used = old->at_us && now_us - old->at_us < PEER_MEMORY_US && old->size == size &&
			memcmp(old->token, token, size) == 0;
	}
	struct used_token *slot = &peer->tokens[peer->token_at++ % PEER_ANSWERS];
	slot->size = (uint8_t)size;
	slot->at_us = now_us ? now_us : 1;
	memcpy(slot->token, token, size);
	return used;
}
