/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/player.h"

#include <errno.h>
#include <stdio.h>

#include "sim/field/replay.h"
#include "sim/field/sim.h"
#include "util/alloc.h"

/* Bytes that are no recorded request are waited with for so long, in case that more come. */
#define STALE_US (30 * USEC_PER_MSEC)
/* Between two times of a recording that nobody asks for. */
#define AGAIN_US USEC_PER_SEC

struct player {
	struct line *line;
	struct recording recording;
	struct replay replay;
	struct timer timer; /* what is due */
	struct timer stale; /* what was heard is over */
	struct buffer heard;
	bool asked; /* there is a request in the recording */
};

static struct loop *loop_of(const struct player *player)
{
	return player->line->sim->loop;
}

static void arm(struct player *player)
{
	int64_t due_us = replay_due_us(&player->replay);
	if (due_us != INT64_MAX)
		loop_arm(loop_of(player), &player->timer, due_us);
	else if (!player->asked)
		loop_arm(loop_of(player), &player->timer, loop_now(loop_of(player)) + AGAIN_US);
	else
		loop_disarm(loop_of(player), &player->timer);
}

static void is_due(struct timer *timer, int64_t now_us)
{
	struct player *player = container_of(timer, struct player, timer);
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	if (replay_due_us(&player->replay) == INT64_MAX)
		replay_begin(&player->replay, now_us);
	replay_take(&player->replay, now_us, &bytes);
	if (bytes.size)
		plain_put(player->line, bytes.data, bytes.size);
	arm(player);
}

static void take_requests(struct player *player, bool ended)
{
	struct buffer *heard = &player->heard;
	int64_t now_us = loop_now_exact(loop_of(player));
	while (heard->size) {
		uint64_t unknown = player->replay.unknown;
		size_t used = replay_hear(&player->replay, heard->data, heard->size, ended, now_us);
		if (!used)
			break;
		if (player->replay.unknown != unknown)
			line_bad(player->line, heard->data, used);
		else
			plain_asked(player->line, heard->data, used);
		buffer_drop(heard, used);
	}
	arm(player);
}

static void is_stale(struct timer *timer, int64_t now_us)
{
	take_requests(container_of(timer, struct player, stale), true);
}

static size_t hear(void *context, const uint8_t *bytes, size_t size)
{
	struct player *player = context;
	buffer_put(&player->heard, bytes, size);
	take_requests(player, false);
	if (player->heard.size)
		loop_arm(loop_of(player), &player->stale, loop_now(loop_of(player)) + STALE_US);
	else
		loop_disarm(loop_of(player), &player->stale);
	return size;
}

static void attached(void *context)
{
	struct player *player = context;
	buffer_clear(&player->heard);
	replay_begin(&player->replay, loop_now(loop_of(player)));
	arm(player);
}

static void unplugged(void *context)
{
	struct player *player = context;
	loop_disarm(loop_of(player), &player->timer);
	loop_disarm(loop_of(player), &player->stale);
}

static void destroy(void *context)
{
	struct player *player = context;
	replay_finish(&player->replay);
	recording_finish(&player->recording);
	buffer_finish(&player->heard);
	free(player);
}

static const struct plain_talk player_talk = { .protocol = "replay",
	.attached = attached,
	.unplugged = unplugged,
	.hear = hear,
	.destroy = destroy };

int player_create(struct sim *sim, const struct plain_setup *setup, const char *file, bool at_once,
	char *error, size_t room)
{
	struct recording recording;
	int result = recording_load(&recording, file, error, room);
	if (result < 0) {
		recording_finish(&recording);
		return result;
	}
	struct player *player = must_alloc(sizeof(*player));
	player->recording = recording;
	player->timer.expired = is_due;
	player->stale.expired = is_stale;
	replay_init(&player->replay, &player->recording, at_once);
	player->asked = player->replay.longest > 0;
	player->line = plain_create(sim, setup, &player_talk, player);
	if (player->line)
		return 0;
	destroy(player);
	snprintf(error, room, "the host has to be a numeric address");
	return -EINVAL;
}

void player_describe(struct sim *sim, const struct node *node, const struct plain_setup *setup)
{
	const char *file = NULL;
	bool at_once = false;
	char error[240];
	node_check(node, "name type path host port file at_once");
	node_get_text(node, "file", &file);
	node_get_bool(node, "at_once", &at_once);
	if (!file)
		node_wrong(node, "file: the recording to play back");
	else if (!node_failed(node) &&
		player_create(sim, setup, file, at_once, error, sizeof(error)) < 0)
		node_wrong(node, "%s", error);
}
