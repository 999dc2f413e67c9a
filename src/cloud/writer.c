/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/writer.h"

#include <assert.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/mailbox.h"
#include "util/alloc.h"
#include "util/list.h"

/* Rows of attributes that are read at once; a device has few. */
#define ATTRIBUTE_ROWS 256
/* When nothing was to be done for so long, memory is given back. */
#define QUIET_MS 2000

struct writer {
	struct writer_setup setup;
	struct mailbox *inbox, *outbox;
	struct store *store; /* of the thread while it runs */
	pthread_t thread;
	bool running;
	unsigned under_way;
	struct watch watch;
};

static void free_job(struct mail *mail)
{
	struct job *job = container_of(mail, struct job, mail);
	for (size_t i = 0; i < job->read.count; i++)
		report_release(job->read.rows[i].report);
	free(job->read.rows);
	free((void *)(uintptr_t)job->read.wanted);
	free((void *)(uintptr_t)job->write.rows);
	free((void *)(uintptr_t)job->write.gone);
	batch_destroy(job->batch);
	free(job->counts);
	free(job);
}

struct job *job_create(enum job_kind kind)
{
	struct job *job = must_alloc(sizeof(*job));
	list_init(&job->mail.link);
	job->mail.destroy = free_job;
	job->kind = kind;
	return job;
}

void job_destroy(struct job *job)
{
	free_job(&job->mail);
}

/* ---- in the thread -------------------------------------------------------------------------- */

/* All of them: one that stayed behind on the disk would come after newer ones. */
static int read_attributes(struct writer *writer, struct store_read *all)
{
	struct store_row rows[ATTRIBUTE_ROWS];
	struct store_read part = { .wanted = all->wanted, .room = ATTRIBUTE_ROWS, .rows = rows };
	int result;
	do {
		result = store_read_attributes(writer->store, &part);
		if (result < 0)
			return result;
		all->rows = must_realloc(
			all->rows, (all->count + part.count + 1) * sizeof(*all->rows));
		memcpy(all->rows + all->count, rows, part.count * sizeof(*rows));
		all->count += part.count;
		part.from = part.next;
	} while (!part.end);
	return 0;
}

static int run_open(struct writer *writer, struct job *job)
{
	uint32_t count = writer->setup.count;
	int result = store_open(writer->store);
	if (result < 0)
		return result;
	bool *all = must_array(count, sizeof(*all));
	memset(all, true, count * sizeof(*all));
	job->read.wanted = all;
	result = read_attributes(writer, &job->read);
	job->counts = must_array(count, sizeof(*job->counts));
	for (uint32_t i = 0; i < count; i++)
		job->counts[i] = store_counts(writer->store, i);
	job->next_id = store_next_id(writer->store);
	return result;
}

static void run_job(struct writer *writer, struct job *job)
{
	switch (job->kind) {
	case JOB_OPEN:
		job->result = run_open(writer, job);
		break;
	case JOB_WRITE:
		job->result = store_write(writer->store, &job->write);
		break;
	case JOB_READ:
		job->result = store_read(writer->store, &job->read);
		break;
	case JOB_BATCH:
		job->result = store_batch(writer->store, job->batch);
		break;
	case JOB_STOP:
		break;
	}
	job->totals = store_totals(writer->store);
	if (job->result < 0)
		snprintf(job->reason, sizeof(job->reason), "%s", store_reason(writer->store));
}

/*
 * Waits for jobs.  What a start or an outage took goes back to the system: pages that SQLite has
 * cached, and what the whole process has freed since.
 */
static void wait_for_jobs(struct writer *writer)
{
	struct pollfd inbox = { .fd = mailbox_fd(writer->inbox), .events = POLLIN };
	if (poll(&inbox, 1, QUIET_MS) != 0)
		return;
	store_shrink(writer->store);
	malloc_trim(0);
	poll(&inbox, 1, -1);
}

static void *run(void *context)
{
	struct writer *writer = context;
	for (bool stop = false; !stop;) {
		struct list mails;
		list_init(&mails);
		wait_for_jobs(writer);
		mailbox_take_all(writer->inbox, &mails);
		for (struct list *link; (link = list_take_first(&mails));) {
			struct job *job = container_of(
				container_of(link, struct mail, link), struct job, mail);
			stop |= job->kind == JOB_STOP;
			run_job(writer, job);
			mailbox_put(writer->outbox, &job->mail);
		}
	}
	return NULL;
}

/* ---- in the giver's ------------------------------------------------------------------------- */

static void tell(struct writer *writer)
{
	struct list mails;
	list_init(&mails);
	mailbox_take_all(writer->outbox, &mails);
	for (struct list *link; (link = list_take_first(&mails));) {
		struct job *job = container_of(
			container_of(link, struct mail, link), struct job, mail);
		writer->under_way--;
		if (job->kind == JOB_STOP)
			job_destroy(job);
		else if (job->done)
			job->done(job);
		else
			writer->setup.done(writer->setup.context, job);
	}
}

static void outbox_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	tell(container_of(watch, struct writer, watch));
}

void writer_give(struct writer *writer, struct job *job)
{
	assert(writer->running && writer->under_way < WRITER_JOBS);
	writer->under_way++;
	mailbox_put(writer->inbox, &job->mail);
}

void writer_settle(struct writer *writer)
{
	struct pollfd outbox = { .fd = mailbox_fd(writer->outbox), .events = POLLIN };
	while (writer->under_way) {
		poll(&outbox, 1, -1);
		tell(writer);
	}
}

static int start_thread(struct writer *writer)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&writer->thread, NULL, run, writer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	writer->running = error == 0;
	if (writer->running)
		pthread_setname_np(writer->thread, "spool");
	return -error;
}

int writer_create(struct writer **result, const struct writer_setup *setup)
{
	struct writer *writer = must_alloc(sizeof(*writer));
	writer->setup = *setup;
	writer->store = store_create(setup->directory, setup->devices, setup->count);
	store_set_boot(writer->store, setup->boot);
	int error = mailbox_create(&writer->inbox, WRITER_JOBS + 1);
	if (error == 0)
		error = mailbox_create(&writer->outbox, WRITER_JOBS + 1);
	if (error == 0) {
		writer->watch = (struct watch){
			.fd = mailbox_fd(writer->outbox), .events = EPOLLIN, .ready = outbox_ready
		};
		error = loop_add(setup->loop, &writer->watch);
	}
	if (error == 0)
		error = start_thread(writer);
	if (error < 0) {
		writer_destroy(writer);
		return error;
	}
	*result = writer;
	return 0;
}

void writer_stop(struct writer *writer)
{
	if (!writer->running)
		return;
	writer_settle(writer);
	writer_give(writer, job_create(JOB_STOP));
	writer_settle(writer);
	pthread_join(writer->thread, NULL);
	writer->running = false;
}

void writer_destroy(struct writer *writer)
{
	if (!writer)
		return;
	writer_stop(writer);
	loop_remove(writer->setup.loop, &writer->watch);
	mailbox_destroy(writer->inbox);
	mailbox_destroy(writer->outbox);
	store_destroy(writer->store);
	free(writer);
}
