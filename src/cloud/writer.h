/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that waits for the disk.  Jobs go to it by mailbox and come back by another, done, in the
 * order in which they were given; what a job points to is left alone meanwhile.
 */
#ifndef EB_CLOUD_WRITER_H
#define EB_CLOUD_WRITER_H

#include "cloud/record.h"
#include "cloud/store.h"
#include "util/loop.h"

struct writer;

enum job_kind { JOB_OPEN, JOB_WRITE, JOB_READ, JOB_BATCH, JOB_STOP };

struct job {
	struct mail mail;
	enum job_kind kind;
	struct store_write write; /* JOB_WRITE */
	struct store_read read; /* JOB_READ; JOB_OPEN: all reports of attributes */
	struct batch *batch; /* JOB_BATCH; owned */
	struct store_counts *counts; /* JOB_OPEN: one for each device */
	uint64_t next_id; /* JOB_OPEN */
	struct store_totals totals; /* after it */
	int result; /* 0 or -EIO */
	char reason[200];
	void *context; /* the giver's */
	/* Where the giver is not the one who made the writer: as its done; owns the job. */
	void (*done)(struct job *job);
};

struct writer_setup {
	const char *directory;
	const struct conf_device *devices;
	uint32_t count;
	uint64_t boot; /* the machine's present one */
	struct loop *loop;
	void *context;
	void (*done)(void *context, struct job *job); /* owns the job from then on */
};

/* The most jobs that may be under way. */
#define WRITER_JOBS 8

/* 0 or -errno. */
int writer_create(struct writer **writer, const struct writer_setup *setup);
/* Does what was given, then ends the thread; the jobs are told as done. */
void writer_stop(struct writer *writer);
/* After writer_stop(), or it is called. */
void writer_destroy(struct writer *writer);
/* Owns the job until it is done. */
void writer_give(struct writer *writer, struct job *job);
/* Waits until all jobs are done, and tells them. */
void writer_settle(struct writer *writer);

struct job *job_create(enum job_kind kind);
void job_destroy(struct job *job);

#endif
