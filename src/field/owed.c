/* SPDX-License-Identifier: Apache-2.0 */
#include "field/owed.h"

/* An answer later than so many times the time-out is not reckoned with. */
#define LATEST 5

/* FNV-1a over what the plugin made of the request: the same question has the same answer. */
static uint32_t identify(const struct request *request)
{
	uint32_t hash = UINT32_C(2166136261);
	for (uint32_t i = 0; i < request->wire.data_size; i++)
		hash = (hash ^ request->wire.data[i]) * UINT32_C(16777619);
	return hash;
}

static bool writes(const struct request *request)
{
	return request->wire.flags & EB_WRITE;
}

void owed_note(
	struct owed *owed, const struct request *request, int64_t sent_us, int64_t timeout_us)
{
	uint32_t identity = identify(request);
	bool open = owed->until_us > sent_us;
	owed->several = open && (owed->several || owed->identity != identity);
	owed->wanted = open && owed->wanted;
	owed->identity = identity;
	owed->answer_size = request->wire.answer_size;
	owed->writes = writes(request);
	owed->doubt_us = sent_us + LATEST * timeout_us;
	if (owed->until_us < owed->doubt_us)
		owed->until_us = owed->doubt_us;
}

void owed_answered(
	struct owed *owed, const struct request *request, int64_t sent_us, int64_t timeout_us)
{
	if (owed->until_us <= sent_us || owed->identity != identify(request))
		return;
	if (owed->until_us < sent_us + LATEST * timeout_us)
		owed->until_us = sent_us + LATEST * timeout_us;
}

static bool may_be_taken_for(const struct owed *owed, const struct request *request)
{
	bool sized = owed->answer_size && request->wire.answer_size;
	return writes(request) == owed->writes &&
		(!sized || request->wire.answer_size == owed->answer_size);
}

bool owed_blocks(struct owed *owed, const struct request *request, int64_t now)
{
	if (owed->until_us <= now)
		return false;
	if (owed->several)
		return true;
	if (owed->identity == identify(request))
		return owed->wanted && owed->doubt_us <= now;
	bool blocks = may_be_taken_for(owed, request);
	owed->wanted = owed->wanted || blocks;
	return blocks;
}
