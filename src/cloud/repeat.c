/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/repeat.h"

#include <string.h>

#include "util/alloc.h"
#include "util/clock.h"

struct remembered {
	struct list link;
	uint64_t serial;
	char *topic;
	struct buffer payload;
	int64_t until_us; /* the window's end, counted from the answer; one that runs is kept */
	int64_t window_us;
	bool answered;
	int code;
	struct buffer reply;
};

void repeats_init(struct repeats *repeats)
{
	*repeats = (struct repeats){ .count = 0 };
	list_init(&repeats->list);
}

static void forget(struct repeats *repeats, struct remembered *remembered)
{
	list_remove(&remembered->link);
	repeats->count--;
	free(remembered->topic);
	buffer_finish(&remembered->payload);
	buffer_finish(&remembered->reply);
	free(remembered);
}

void repeats_finish(struct repeats *repeats)
{
	list_for_each (link, &repeats->list)
		forget(repeats, container_of(link, struct remembered, link));
}

static void forget_old(struct repeats *repeats, int64_t now_us)
{
	list_for_each (link, &repeats->list) {
		struct remembered *remembered = container_of(link, struct remembered, link);
		bool crowded = repeats->count >= REPEAT_MAX;
		if (remembered->answered && (crowded || now_us >= remembered->until_us))
			forget(repeats, remembered);
	}
}

static bool same(const struct remembered *remembered, const struct command *command)
{
	return strcmp(remembered->topic, command->topic) == 0 &&
		remembered->payload.size == command->payload.size &&
		(!command->payload.size ||
			memcmp(remembered->payload.data, command->payload.data,
				command->payload.size) == 0);
}

static struct reply *reply_again(const struct command *command, const struct remembered *first)
{
	struct reply *reply = reply_create(command, first->code);
	reply->token = first->serial;
	buffer_put(&reply->payload, first->reply.data, first->reply.size);
	return reply;
}

static void remember(struct repeats *repeats, const struct command *command, uint32_t window_s)
{
	struct remembered *remembered = must_alloc(sizeof(*remembered));
	remembered->serial = command->token;
	remembered->topic = must_strdup(command->topic);
	buffer_put(&remembered->payload, command->payload.data, command->payload.size);
	remembered->window_us = window_s * USEC_PER_SEC;
	list_append(&repeats->list, &remembered->link);
	repeats->count++;
}

enum repeat_verdict repeat_judge(struct repeats *repeats, struct command *command, int64_t now_us,
	uint32_t window_s, struct reply **reply)
{
	*reply = NULL;
	command->token = ++repeats->serial;
	forget_old(repeats, now_us);
	if (!window_s)
		return REPEAT_NEW;
	list_for_each (link, &repeats->list) {
		struct remembered *remembered = container_of(link, struct remembered, link);
		if (!same(remembered, command))
			continue;
		if (!remembered->answered)
			return REPEAT_RUNNING;
		*reply = reply_again(command, remembered);
		return REPEAT_ANSWERED;
	}
	remember(repeats, command, window_s);
	return REPEAT_NEW;
}

void repeat_answered(struct repeats *repeats, const struct reply *reply, int64_t now_us)
{
	list_for_each (link, &repeats->list) {
		struct remembered *remembered = container_of(link, struct remembered, link);
		if (remembered->serial != reply->token || remembered->answered)
			continue;
		remembered->answered = true;
		remembered->code = reply->code;
		buffer_put(&remembered->reply, reply->payload.data, reply->payload.size);
		remembered->until_us = now_us + remembered->window_us;
		return;
	}
}
