/* SPDX-License-Identifier: Apache-2.0 */
#include "block.h"

#define EXPONENT_MAX 6

static size_t size_of(struct block block)
{
	return (size_t)16 << block.exponent;
}

static uint8_t exponent_of(const struct call *call)
{
	uint8_t exponent = EXPONENT_MAX;
	while (exponent && (size_t)16 << exponent > call->sim->settings.block_size)
		exponent--;
	return exponent;
}

/* The next part of what the device is being given. */
static void give(struct call *call, struct block asked)
{
	struct buffer *whole = &call->device->outgoing, *part = &call->answer->payload;
	size_t size = size_of(asked), from = asked.number * size;
	buffer_clear(part);
	if (asked.exponent > EXPONENT_MAX || from >= whole->size) {
		call_answer(call, CODE_BAD_OPTION);
		return;
	}
	size_t left = whole->size - from;
	asked.more = left > size;
	buffer_put(part, whole->data + from, asked.more ? size : left);
	call->answer->code = CODE_CONTENT;
	call->answer->block2 = asked;
	journal_stats(call->sim->journal)->blocks_given++;
}

/* A block that is not the one behind those that are there: the client begins anew. */
static void refuse(struct call *call)
{
	buffer_clear(&call->device->incoming);
	journal_stats(call->sim->journal)->blocks_incomplete++;
	call_answer(call, CODE_INCOMPLETE);
}

bool block_take(struct call *call, struct packet *packet)
{
	struct block block = packet->block1;
	struct buffer *whole = &call->device->incoming;
	if (packet->block2.there && packet->block2.number) {
		give(call, packet->block2);
		return false;
	}
	if (!block.there)
		return true;
	size_t size = packet->payload.size;
	if (!block.number)
		buffer_clear(whole);
	call->answer->block1 = block;
	journal_stats(call->sim->journal)->blocks_taken++;
	if (block.number * size_of(block) != whole->size || size > size_of(block) ||
		(block.more && size != size_of(block))) {
		refuse(call);
		return false;
	}
	if (whole->size + size > BLOCKS_MAX) {
		call_answer(call, CODE_TOO_LARGE);
		return false;
	}
	buffer_put(whole, packet->payload.data, size);
	if (block.more) {
		/* A client that began with larger blocks goes on with ours. */
		if (block.exponent > exponent_of(call))
			call->answer->block1.exponent = exponent_of(call);
		call_answer(call, CODE_CONTINUE);
		return false;
	}
	packet->payload = (struct bytes){ whole->data, whole->size };
	return true;
}

void block_answer(struct call *call)
{
	struct block first = { .there = true, .exponent = exponent_of(call) };
	struct buffer *answer = &call->answer->payload;
	const struct block *asked = &call->packet->block2;
	if (asked->there && asked->exponent < first.exponent)
		first.exponent = asked->exponent;
	if (call->packet->code != CODE_GET || call->answer->block2.there ||
		answer->size <= size_of(first))
		return;
	buffer_clear(&call->device->outgoing);
	buffer_put(&call->device->outgoing, answer->data, answer->size);
	give(call, first);
}
