/* SPDX-License-Identifier: Apache-2.0 */
/* What all buses share: one thread's loop, its way out, and room to work in. */
#ifndef EB_FIELD_PLANE_H
#define EB_FIELD_PLANE_H

#include "core/conf.h"
#include "core/message.h"
#include "core/resolver.h"
#include "util/log.h"
#include "util/loop.h"

struct plane {
	struct loop *loop;
	struct mailbox *outbox;
	struct resolver_client *resolver;
	const struct conf *conf;
	uint64_t random; /* state of the jitter's generator, not 0 */
	uint32_t trace_room; /* bytes of one bus's trace */
	bool synced; /* the wall clock, as asked at synced_us */
	int64_t synced_us;
	struct log_limit changes;
	int64_t evidence_since_us; /* the hour in which evidence_count began; 0: none yet */
	uint32_t evidence_count;
	uint8_t received[2 * EB_FRAME_MAX];
	uint8_t content[EB_ANSWER_MAX];
	uint8_t matched[EB_ANSWER_MAX];
	uint8_t frame[EB_FRAME_MAX];
};

void plane_init(struct plane *plane, struct loop *loop, struct mailbox *outbox,
	struct resolver_client *resolver, const struct conf *conf);
/* Evenly in 0 to below. */
uint32_t plane_random(struct plane *plane, uint32_t below);
/*
 * Whether a change of state of a link or device may be logged now.  Where a switch fails, hundreds are one
 * event: beyond some within ten seconds they are counted, and status has them all.
 */
bool plane_may_log(struct plane *plane);
struct stamp plane_stamp(struct plane *plane, int64_t mono_us);

#endif
