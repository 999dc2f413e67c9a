/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/blocks.h"

#include <errno.h>

/* A cloud that loses the blocks that it has taken gets them so often. */
#define RESTARTS_MAX 3
#define EXPONENT_MIN 0

void blocks_restart(struct blocks *blocks)
{
	blocks->at = blocks->sent = 0;
	blocks->more = false;
	buffer_clear(&blocks->incoming);
}

void blocks_finish(struct blocks *blocks)
{
	buffer_finish(&blocks->incoming);
	*blocks = (struct blocks){ .at = 0 };
}

static uint8_t largest_exponent(uint32_t max)
{
	uint8_t exponent = BLOCK_EXPONENT_MAX;
	while (exponent > EXPONENT_MIN && 16u << exponent > max)
		exponent--;
	return exponent;
}

void blocks_cut(struct blocks *blocks, struct cloud_request *request, uint32_t max)
{
	blocks->sent = 0;
	if (request->size <= max || blocks->at >= request->size)
		return;
	if (!blocks->begun)
		blocks->exponent = largest_exponent(max);
	blocks->begun = true;
	uint32_t size = 16u << blocks->exponent, left = (uint32_t)request->size - blocks->at;
	blocks->more = left > size;
	blocks->sent = blocks->more ? size : left;
	request->block1 = (struct block){ .there = true,
		.more = blocks->more,
		.exponent = blocks->exponent,
		.number = blocks->at / size };
	request->payload = (const uint8_t *)request->payload + blocks->at;
	request->size = blocks->sent;
}

static enum blocks_verdict start_over(struct blocks *blocks, const char *why, const char **reason)
{
	blocks_restart(blocks);
	if (blocks->restarts++ < RESTARTS_MAX)
		return BLOCKS_NEXT;
	*reason = why;
	return BLOCKS_REFUSED;
}

enum blocks_verdict blocks_judge(
	struct blocks *blocks, const struct cloud_response *response, const char **reason)
{
	const struct block *answered = &response->block1;
	bool smaller = answered->there && answered->exponent < blocks->exponent;
	if (!blocks->sent)
		return BLOCKS_WHOLE;
	switch (response->code) {
	case CODE(4, 8):
		return start_over(blocks, "the cloud loses blocks of it", reason);
	case CODE(4, 2):
		*reason = "the cloud takes no blocks: set block_wise = false";
		return BLOCKS_REFUSED;
	case CODE(4, 13):
		if (smaller) {
			blocks->exponent = answered->exponent;
			return start_over(blocks, "it is too large for the cloud", reason);
		}
		*reason = "it is too large for the cloud";
		return BLOCKS_REFUSED;
	}
	if (response->code >> 5 != 2 || !blocks->more)
		return BLOCKS_WHOLE;
	if (!answered->there) {
		*reason = "the cloud took its first block for all of it: set block_wise = false";
		return BLOCKS_REFUSED;
	}
	blocks->at += blocks->sent;
	blocks->sent = 0;
	if (smaller)
		blocks->exponent = answered->exponent;
	return BLOCKS_NEXT;
}

void blocks_ask(const struct blocks *blocks, struct cloud_request *request)
{
	if (!blocks->incoming.size)
		return;
	request->block2 = (struct block){ .there = true,
		.exponent = blocks->asked,
		.number = (uint32_t)blocks->incoming.size >> (4 + blocks->asked) };
}

int blocks_take(struct blocks *blocks, const struct cloud_response *response)
{
	const struct block *block = &response->block2;
	uint32_t size = block_size(block);
	uint64_t from = (uint64_t)block->number * size;
	bool whole = response->size == size || (!block->more && response->size <= size);
	if (from != blocks->incoming.size || !whole)
		return -EBADMSG;
	if (from + response->size > BLOCKS_TOTAL_MAX)
		return -EMSGSIZE;
	buffer_put(&blocks->incoming, response->payload, response->size);
	blocks->asked = block->exponent;
	return block->more;
}
