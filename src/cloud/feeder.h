/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads back what is on the disk alone, for devices whose cloud answers: oldest first over all of them,
 * at a rate, and never more than a few at a time.
 */
#ifndef EB_CLOUD_FEEDER_H
#define EB_CLOUD_FEEDER_H

#include "cloud/queue.h"
#include "cloud/writer.h"
#include "util/idset.h"
#include "util/loop.h"

struct feeder {
	struct loop *loop;
	struct writer *writer;
	struct queue **queues; /* the spool's, by device; NULL: none */
	uint32_t count;
	uint32_t rate; /* reports a second */
	bool send_unset; /* points and events of an earlier boot whose clock was never set */
	int64_t credit; /* millionths of reports that may be read now */
	int64_t credit_us; /* when that was counted */
	bool untimed; /* the clock is not set: without what waits for it */
	bool busy;
	struct timer timer;
	uint64_t read; /* reports */
	uint64_t dropped; /* of them: never sent, since nobody knows their time */
};

void feeder_init(struct feeder *feeder, struct loop *loop, struct writer *writer,
	struct queue **queues, uint32_t count, uint32_t rate);
void feeder_finish(struct feeder *feeder);
/* Sees to it that what can be read is read. */
void feeder_plan(struct feeder *feeder);
/* A read is done: into the queues with it, less what is gone; what must not be sent is gone from then on. */
void feeder_take(struct feeder *feeder, struct job *job, struct idset *gone);

#endif
