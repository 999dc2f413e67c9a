/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports outlive an outage, a restart and a power cut: memory while the cloud answers, the disk when
 * it does not.  What waits unacknowledged for more than half of spool.commit_interval is written, so
 * that all is acknowledged or on the disk within it, and a cloud that is quick costs no writes.  What is
 * on the disk leaves memory while the cloud does not answer, and is read back, oldest first and at most
 * spool.backfill_rate a second, when it does.
 *
 * All of it runs on the main thread but the database (writer.h).
 */
#ifndef EB_CLOUD_SPOOL_H
#define EB_CLOUD_SPOOL_H

#include "cloud/queue.h"
#include "core/conf.h"
#include "util/loop.h"

struct spool;
struct writer;

struct spool_setup {
	const struct conf *conf;
	struct loop *loop;
	void *context;
	/* Something in the queue of the device may go that could not before. */
	void (*ready)(void *context, uint32_t device);
};

/* 0 or -errno of the thread; trouble with the disk is no error. */
int spool_create(struct spool **spool, const struct spool_setup *setup);
void spool_destroy(struct spool *spool);
/* The thread and its database, for others who write to it. */
struct writer *spool_writer(struct spool *spool);
/* The queue of the device from then on; it is empty. */
void spool_attach(struct spool *spool, uint32_t device, struct queue *queue);
void spool_detach(struct spool *spool, struct queue *queue);

/* What the queue tells: a report came, is done with. */
void spool_came(struct spool *spool, struct waiting *waiting);
void spool_gone(struct spool *spool, struct waiting *waiting);
/* The clock was set: the machine began then, by it. */
void spool_clock_set(struct spool *spool, int64_t boot_ms);
/* There is room for what is on the disk. */
void spool_hungry(struct spool *spool);
/* Whether a report may go to the cloud before it is on the disk. */
bool spool_may_send(const struct spool *spool, const struct waiting *waiting);
/* Whether the disk takes reports, so that a queue need not drop any. */
bool spool_works(const struct spool *spool);

/* Reports that are in memory alone. */
size_t spool_unsaved(const struct spool *spool);
/* Writes all of them, and ends; returns how many could not be written.  Then the spool is idle. */
size_t spool_save(struct spool *spool);
/* Lets all that the thread has to do be done: for tests, and before the end. */
void spool_settle(struct spool *spool);
/* A JSON object. */
void spool_status(const struct spool *spool, struct buffer *json);

#endif
