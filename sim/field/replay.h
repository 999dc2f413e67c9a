/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices' side of a recording.  A request is looked for among the recorded ones, each in its turn
 * and when all that are like it had theirs, from the first again.  What was recorded between it and the
 * next request is said as long after it as it was then; where frames are numbered, what has its
 * number.  What stands before the first request is said from the beginning on.  Knows no descriptor and
 * asks for no time.
 */
#ifndef EB_SIM_FIELD_REPLAY_H
#define EB_SIM_FIELD_REPLAY_H

#include "sim/field/recording.h"
#include "util/buffer.h"
#include "util/list.h"

struct replay {
	const struct recording *recording; /* borrowed */
	bool fast; /* answers come at once, in their order */
	bool *met; /* owned: the recorded request had its turn */
	struct list waiting; /* struct departing, by time */
	uint16_t *numbers; /* owned: with numbered frames, that of the request met last at each */
	size_t longest; /* of the recorded requests */
	uint64_t known, unknown; /* requests */
};

void replay_init(struct replay *replay, const struct recording *recording, bool fast);
void replay_finish(struct replay *replay);
/* Forgets what waits and begins anew, at now_us. */
void replay_begin(struct replay *replay, int64_t now_us);
/*
 * Takes one request out of what was heard by now_us, of which ended says that the line is silent
 * behind it.  Returns how many bytes are done with, 0: more must come.
 */
size_t replay_hear(
	struct replay *replay, const uint8_t *bytes, size_t size, bool ended, int64_t now_us);
/* When the next bytes are due, INT64_MAX: none. */
int64_t replay_due_us(const struct replay *replay);
/* Appends what is due by now_us; the request of each was heard. */
void replay_take(struct replay *replay, int64_t now_us, struct buffer *bytes);

#endif
