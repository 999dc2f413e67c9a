/* SPDX-License-Identifier: Apache-2.0 */
/* Reads as ranges of one table of one unit: joined, cut apart, picked out of what was overheard. */
#include "modbus.h"

#include <errno.h>
#include <string.h>

#define READ_SIZE 5u
#define REGISTERS_MAX 125u
#define BITS_MAX 2000u

struct range {
	uint32_t begin, end;
};

static struct range range_of(const uint8_t *pdu)
{
	uint32_t begin = get16(pdu + 1);
	return (struct range){ begin, begin + get16(pdu + 3) };
}

/* Copies what part has of the contents of all; part lies within all. */
static int copy_part(
	bool bits, struct range all, struct range part, const uint8_t *from, uint8_t *to)
{
	uint32_t skip = part.begin - all.begin, count = part.end - part.begin;
	if (!bits) {
		memcpy(to, from + 2 * skip, 2 * (size_t)count);
		return (int)(2 * count);
	}
	memset(to, 0, (count + 7) / 8);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t bit = skip + i;
		if (from[bit / 8] >> bit % 8 & 1)
			to[i / 8] |= (uint8_t)(1u << i % 8);
	}
	return (int)((count + 7) / 8);
}

static bool within(struct range all, struct range part)
{
	return part.begin >= all.begin && part.end <= all.end;
}

int modbus_merge(const void *state, const struct eb_request *a, const struct eb_request *b,
	uint32_t hole, struct eb_request *merged)
{
	if (!pdu_is_read(a->data) || a->data[0] != b->data[0] ||
		a->address.bytes[0] != b->address.bytes[0] || a->flags != b->flags)
		return -ENOENT;
	struct range first = range_of(a->data), second = range_of(b->data);
	if (second.begin < first.begin) {
		struct range other = first;
		first = second;
		second = other;
	}
	if (second.begin > first.end && second.begin - first.end > hole)
		return -ENOENT;
	uint32_t end = second.end > first.end ? second.end : first.end;
	uint32_t count = end - first.begin;
	if (count > (pdu_is_bits(a->data) ? BITS_MAX : REGISTERS_MAX))
		return -ENOENT;
	merged->address = a->address;
	merged->flags = a->flags;
	merged->data[0] = a->data[0];
	put16(merged->data + 1, first.begin);
	put16(merged->data + 3, count);
	modbus_measure(state, merged, READ_SIZE);
	return 0;
}

int modbus_cut(const void *state, const struct eb_request *merged, const struct eb_request *part,
	const uint8_t *content, size_t size, uint8_t *out)
{
	struct range all = range_of(merged->data), some = range_of(part->data);
	if (merged->data[0] != part->data[0] || !within(all, some) ||
		size < pdu_content_size(merged->data))
		return -EINVAL;
	return copy_part(pdu_is_bits(part->data), all, some, content, out);
}

int modbus_match(const void *state, const struct eb_request *declared,
	const struct eb_verdict *unasked, uint8_t *content)
{
	if (unasked->key_size != READ_SIZE || !pdu_is_read(declared->data) ||
		declared->data[0] != unasked->key[0] ||
		declared->address.bytes[0] != unasked->address.bytes[0])
		return -ENOENT;
	struct range all = range_of(unasked->key), some = range_of(declared->data);
	if (!within(all, some) || unasked->content_size < pdu_content_size(unasked->key))
		return -ENOENT;
	return copy_part(pdu_is_bits(declared->data), all, some, unasked->content, content);
}
