/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads that travel in parts (RFC 7959), each in a request of its own, with its own token and
 * signature: the library's block-wise transfer would send one signature with all of them.
 */
#ifndef EB_CLOUD_BLOCKS_H
#define EB_CLOUD_BLOCKS_H

#include "cloud/endpoint.h"
#include "util/buffer.h"

/* The longest payload that is put together out of blocks. */
#define BLOCKS_TOTAL_MAX 65536

struct blocks {
	uint32_t at; /* bytes that went, and were taken */
	uint32_t sent; /* bytes of the block under way; 0: none */
	uint8_t exponent; /* of the next one's size, once the first went */
	bool begun, more;
	uint8_t restarts;
	struct buffer incoming; /* what came of an answer */
	uint8_t asked; /* the exponent of its blocks */
};

enum blocks_verdict {
	BLOCKS_WHOLE, /* the response is to the whole payload */
	BLOCKS_NEXT, /* the next block goes */
	BLOCKS_REFUSED,
};

/* Begins anew: with the first block, in both directions. */
void blocks_restart(struct blocks *blocks);
/* The message is done with. */
void blocks_finish(struct blocks *blocks);

/* Leaves the next block in the request, where its payload is longer than max. */
void blocks_cut(struct blocks *blocks, struct cloud_request *request, uint32_t max);
/* What the response to that means; *reason says why it is refused. */
enum blocks_verdict blocks_judge(
	struct blocks *blocks, const struct cloud_response *response, const char **reason);

/* Asks for the next block of the answer, where one has begun to come. */
void blocks_ask(const struct blocks *blocks, struct cloud_request *request);
/*
 * A block of an answer: 1: more are to be asked for; 0: incoming has it all; -EBADMSG: they do not
 * fit together; -EMSGSIZE: it is longer than BLOCKS_TOTAL_MAX.
 */
int blocks_take(struct blocks *blocks, const struct cloud_response *response);

#endif
