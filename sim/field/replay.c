/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/replay.h"

#include <string.h>

#include "util/alloc.h"
#include "util/buffer.h"

struct departing {
	struct list link;
	int64_t due_us;
	size_t size;
	uint8_t bytes[];
};

void replay_init(struct replay *replay, const struct recording *recording, bool fast)
{
	*replay = (struct replay){ .recording = recording, .fast = fast };
	replay->met = must_array(recording->count + 1, sizeof(*replay->met));
	list_init(&replay->waiting);
	if (recording->numbered)
		replay->numbers = must_array(recording->count + 1, sizeof(*replay->numbers));
	for (size_t i = 0; i < recording->count; i++) {
		const struct recorded *frame = &recording->frames[i];
		if (frame->sent && frame->size > replay->longest)
			replay->longest = frame->size;
	}
}

static void forget(struct replay *replay)
{
	for (struct list *link; (link = list_take_first(&replay->waiting));)
		free(container_of(link, struct departing, link));
}

void replay_finish(struct replay *replay)
{
	forget(replay);
	free(TAKE(replay->numbers));
	free(TAKE(replay->met));
}

static uint16_t number_of(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* The recorded request that the frame's number is of, or count: none. */
static size_t request_of(const struct recording *recording, size_t at)
{
	const struct recorded *frames = recording->frames;
	if (frames[at].size < 2)
		return recording->count;
	for (size_t i = at; i-- > 0;) {
		if (frames[i].sent && frames[i].size >= 2 &&
			number_of(frames[i].bytes) == number_of(frames[at].bytes))
			return i;
	}
	return recording->count;
}

static void say_later(struct replay *replay, size_t at, int64_t due_us)
{
	const struct recorded *frame = &replay->recording->frames[at];
	struct departing *departing = must_alloc(sizeof(*departing) + frame->size);
	departing->due_us = due_us;
	departing->size = frame->size;
	memcpy(departing->bytes, frame->bytes, frame->size);
	size_t request = replay->numbers ? request_of(replay->recording, at)
					 : replay->recording->count;
	if (request < replay->recording->count) {
		departing->bytes[0] = (uint8_t)(replay->numbers[request] >> 8);
		departing->bytes[1] = (uint8_t)replay->numbers[request];
	}
	struct list *place = &replay->waiting;
	while (place->prev != &replay->waiting &&
		container_of(place->prev, struct departing, link)->due_us > due_us)
		place = place->prev;
	list_insert(place, &departing->link);
}

/* What belongs to the request at that place; from count on, what stands before the first one. */
static void say_what_follows(struct replay *replay, size_t request, int64_t now_us)
{
	const struct recording *recording = replay->recording;
	const struct recorded *frames = recording->frames;
	bool first = request == recording->count, next = false;
	int64_t since_us = first ? 0 : frames[request].at_us;
	for (size_t i = first ? 0 : request + 1; i < recording->count; i++) {
		next = next || frames[i].sent;
		if (next && !replay->numbers)
			return;
		if (frames[i].sent)
			continue;
		size_t owner = replay->numbers ? request_of(recording, i) : recording->count;
		bool ours = owner == request && !first;
		if (ours || (!next && owner == recording->count))
			say_later(replay, i,
				replay->fast ? now_us : now_us + frames[i].at_us - since_us);
	}
}

void replay_begin(struct replay *replay, int64_t now_us)
{
	forget(replay);
	memset(replay->met, 0, replay->recording->count * sizeof(*replay->met));
	say_what_follows(replay, replay->recording->count, now_us);
}

static bool is_it(const struct replay *replay, const struct recorded *frame, const uint8_t *bytes,
	size_t size)
{
	size_t from = replay->recording->numbered ? 2 : 0;
	return frame->sent && frame->size <= size && frame->size > from &&
		memcmp(frame->bytes + from, bytes + from, frame->size - from) == 0;
}

/* The recorded request that the bytes begin with and whose turn it is, or count: none. */
static size_t find(struct replay *replay, const uint8_t *bytes, size_t size)
{
	const struct recording *recording = replay->recording;
	size_t first = recording->count;
	for (size_t i = 0; i < recording->count; i++) {
		if (!is_it(replay, &recording->frames[i], bytes, size))
			continue;
		if (!replay->met[i])
			return i;
		first = first == recording->count ? i : first;
	}
	/* All had their turn. */
	for (size_t i = first; i < recording->count; i++) {
		if (is_it(replay, &recording->frames[i], bytes, size))
			replay->met[i] = false;
	}
	return first;
}

size_t replay_hear(
	struct replay *replay, const uint8_t *bytes, size_t size, bool ended, int64_t now_us)
{
	const struct recording *recording = replay->recording;
	if (!size)
		return 0;
	size_t at = find(replay, bytes, size);
	if (at < recording->count) {
		const struct recorded *frame = &recording->frames[at];
		if (replay->numbers)
			replay->numbers[at] = number_of(bytes);
		replay->met[at] = true;
		replay->known++;
		say_what_follows(replay, at, now_us);
		return frame->size;
	}
	if (!ended && size < replay->longest)
		return 0;
	replay->unknown++;
	return size;
}

int64_t replay_due_us(const struct replay *replay)
{
	if (replay->waiting.next == &replay->waiting)
		return INT64_MAX;
	return container_of(replay->waiting.next, const struct departing, link)->due_us;
}

void replay_take(struct replay *replay, int64_t now_us, struct buffer *bytes)
{
	while (replay_due_us(replay) <= now_us) {
		struct departing *first = container_of(
			list_take_first(&replay->waiting), struct departing, link);
		buffer_put(bytes, first->bytes, first->size);
		free(first);
	}
}
