/* SPDX-License-Identifier: Apache-2.0 */
#include "local/outbox.h"

#include <string.h>

#include "util/alloc.h"

/* What malloc() keeps beside each block. */
#define BLOCK_OVERHEAD 16

void outbox_init(struct outbox *outbox, size_t count_max, size_t bytes_max)
{
	*outbox = (struct outbox){ .count_max = count_max, .bytes_max = bytes_max };
	for (int class = 0; class < OUTBOX_CLASSES; class ++)
		list_init(&outbox->waiting[class]);
}

void outbox_finish(struct outbox *outbox)
{
	for (int class = 0; class < OUTBOX_CLASSES; class ++) {
		struct outbox_message *message;
		while ((message = outbox_first(outbox, class))) {
			outbox_take(outbox, message);
			free(message);
		}
	}
}

static size_t cost(const struct outbox_message *message)
{
	return sizeof(*message) + strlen(message->topic) + 1 + message->size + BLOCK_OVERHEAD;
}

struct outbox_message *outbox_first(const struct outbox *outbox, enum outbox_class class)
{
	const struct list *head = &outbox->waiting[class];
	return list_empty(head) ? NULL : container_of(head->next, struct outbox_message, link);
}

void outbox_take(struct outbox *outbox, struct outbox_message *message)
{
	list_remove(&message->link);
	outbox->count--;
	outbox->bytes -= cost(message);
}

/* Drops from the telemetry, then from the rest, until what is left is within the bounds. */
static void trim(struct outbox *outbox)
{
	for (int class = 0; class < OUTBOX_CLASSES; class ++) {
		struct outbox_message *oldest;
		while ((outbox->count > outbox->count_max || outbox->bytes > outbox->bytes_max) &&
			(oldest = outbox_first(outbox, class))) {
			outbox_take(outbox, oldest);
			free(oldest);
			outbox->dropped[class]++;
		}
	}
}

static void admit(struct outbox *outbox, struct outbox_message *message)
{
	outbox->count++;
	outbox->bytes += cost(message);
	trim(outbox);
}

void outbox_put(struct outbox *outbox, enum outbox_class class, const char *topic,
	const void *payload, size_t size)
{
	size_t topic_size = strlen(topic) + 1;
	struct outbox_message *message = must_alloc(sizeof(*message) + topic_size + size);
	message->class = class;
	message->size = size;
	message->payload = (const uint8_t *)message->topic + topic_size;
	memcpy(message->topic, topic, topic_size);
	if (size)
		memcpy(message->topic + topic_size, payload, size);
	list_append(&outbox->waiting[class], &message->link);
	admit(outbox, message);
}

void outbox_return(struct outbox *outbox, struct outbox_message *message)
{
	list_prepend(&outbox->waiting[message->class], &message->link);
	admit(outbox, message);
}
