/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/text.h"

#include <string.h>

#include "sim/field/sim.h"
#include "util/alloc.h"

struct text;

struct saying {
	struct text *owner;
	struct timer timer; /* of what is said unasked */
	int64_t every_us; /* 0: it is an answer */
	char *ask; /* owned */
	char *text; /* owned */
	unsigned count;
};

struct text {
	struct line *line;
	char *end; /* owned */
	bool nmea;
	struct saying *sayings;
	size_t saying_count;
};

static void say(struct text *text, struct saying *saying)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	const char *from = saying->text, *number;
	saying->count++;
	while ((number = strstr(from, "{n}"))) {
		buffer_put(&bytes, from, (size_t)(number - from));
		buffer_printf(&bytes, "%u", saying->count);
		from = number + strlen("{n}");
	}
	buffer_put_text(&bytes, from);
	unsigned char sum = 0;
	for (size_t i = 1; i < bytes.size; i++)
		sum ^= bytes.data[i];
	if (text->nmea)
		buffer_printf(&bytes, "*%02X", sum);
	buffer_put_text(&bytes, text->end);
	plain_put(text->line, bytes.data, bytes.size);
}

static void is_due(struct timer *timer, int64_t now_us)
{
	struct saying *saying = container_of(timer, struct saying, timer);
	struct text *text = saying->owner;
	loop_arm(text->line->sim->loop, timer, now_us + saying->every_us);
	say(text, saying);
}

static void plugged(void *context)
{
	struct text *text = context;
	struct loop *loop = text->line->sim->loop;
	for (size_t i = 0; i < text->saying_count; i++) {
		struct saying *saying = &text->sayings[i];
		if (saying->every_us)
			loop_arm(loop, &saying->timer, loop_now(loop) + saying->every_us);
	}
}

static void unplugged(void *context)
{
	struct text *text = context;
	for (size_t i = 0; i < text->saying_count; i++)
		loop_disarm(text->line->sim->loop, &text->sayings[i].timer);
}

static void answer(struct text *text, const uint8_t *line, size_t size)
{
	size_t ask_size = size - strlen(text->end);
	for (size_t i = 0; i < text->saying_count; i++) {
		struct saying *saying = &text->sayings[i];
		if (!saying->ask || strlen(saying->ask) != ask_size ||
			memcmp(saying->ask, line, ask_size) != 0)
			continue;
		plain_asked(text->line, line, size);
		if (saying->text)
			say(text, saying);
		return;
	}
	line_bad(text->line, line, size);
}

static size_t hear(void *context, const uint8_t *bytes, size_t size)
{
	struct text *text = context;
	size_t at = 0, end_size = strlen(text->end);
	const uint8_t *end;
	while ((end = memmem(bytes + at, size - at, text->end, end_size))) {
		size_t line_size = (size_t)(end - (bytes + at)) + end_size;
		answer(text, bytes + at, line_size);
		at += line_size;
	}
	return at;
}

static void destroy(void *context)
{
	struct text *text = context;
	for (size_t i = 0; i < text->saying_count; i++) {
		free(text->sayings[i].ask);
		free(text->sayings[i].text);
	}
	free(text->sayings);
	free(text->end);
	free(text);
}

static const struct plain_talk text_talk = { .protocol = "text",
	.plugged = plugged,
	.unplugged = unplugged,
	.hear = hear,
	.destroy = destroy };

static void read_says(const struct node *node, struct saying *saying)
{
	double every_ms = 1000;
	const char *text = "";
	node_check(node, "text every_ms");
	node_get_text(node, "text", &text);
	node_get_real(node, "every_ms", 1, 3.6e6, &every_ms);
	saying->text = must_strdup(text);
	saying->every_us = (int64_t)(every_ms * USEC_PER_MSEC);
}

/* Without a text it is a command that is done and not answered. */
static void read_answer(const struct node *node, struct saying *saying)
{
	const char *ask = "", *text = NULL;
	node_check(node, "ask text");
	node_get_text(node, "ask", &ask);
	node_get_text(node, "text", &text);
	saying->ask = must_strdup(ask);
	saying->text = text ? must_strdup(text) : NULL;
}

static void read_sayings(struct text *text, const struct node *node, const char *key,
	void (*read)(const struct node *node, struct saying *saying))
{
	struct node list, child;
	const char *name;
	if (!node_child(node, key, &list))
		return;
	struct node_walk walk = node_begin(&list, VALUE_LIST);
	text->sayings = must_realloc(
		text->sayings, (text->saying_count + walk.left + 1) * sizeof(*text->sayings));
	while (node_next(&list, &walk, &name, &child)) {
		struct saying *saying = &text->sayings[text->saying_count++];
		*saying = (struct saying){ .owner = text, .timer = { .expired = is_due } };
		read(&child, saying);
	}
}

void text_create(struct sim *sim, const struct node *node, const struct plain_setup *setup)
{
	struct text *text = must_alloc(sizeof(*text));
	const char *end = "\n", *checksum = NULL;
	node_check(node, "name type path host port end checksum says answers");
	node_get_text(node, "end", &end);
	node_get_text(node, "checksum", &checksum);
	if (!*end)
		node_wrong(node, "end: a line ends with at least one character");
	if (checksum && strcmp(checksum, "nmea") != 0)
		node_wrong(node, "checksum: nmea, or leave it out");
	text->end = must_strdup(end);
	text->nmea = checksum != NULL;
	read_sayings(text, node, "says", read_says);
	read_sayings(text, node, "answers", read_answer);
	if (!node_failed(node))
		text->line = plain_create(sim, setup, &text_talk, text);
	if (text->line)
		return;
	node_wrong(node, "the host has to be a numeric address");
	destroy(text);
}
