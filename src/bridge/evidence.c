/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/evidence.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/plugin.h"
#include "util/alloc.h"
#include "util/log.h"

#define SUFFIX ".txt"

struct evidence_keeper {
	const struct conf *conf;
	char *folder;
	pthread_mutex_t lock;
	struct list waiting; /* struct evidence, by mail.link */
	bool running; /* the thread will look at waiting once more */
	bool started; /* a thread is to be joined */
	pthread_t thread;
	bool failed; /* the log has that nothing can be written */
};

static char *name_of(const struct evidence_keeper *keeper, const struct evidence *evidence)
{
	time_t seconds = (time_t)(evidence->stamp.wall_ms / 1000);
	struct tm parts;
	char at[40];
	gmtime_r(&seconds, &parts);
	strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", &parts);
	return must_printf("%s/%s-%s-%s" SUFFIX, keeper->folder, at,
		keeper->conf->buses[evidence->bus].name, error_class_name(evidence->error));
}

/* Whole or not at all; 0 or -errno. */
static int write_file(const char *path, const struct buffer *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	ssize_t count = write(fd, text->data, text->size);
	int error = count < 0 ? errno : (size_t)count < text->size ? ENOSPC : 0;
	if (close(fd) < 0 && !error)
		error = errno;
	if (error)
		unlink(path);
	return -error;
}

static int is_ours(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);
	return size > strlen(SUFFIX) && strcmp(entry->d_name + size - strlen(SUFFIX), SUFFIX) == 0;
}

/* Their names begin with the time. */
static void drop_oldest(const struct evidence_keeper *keeper)
{
	struct dirent **entries;
	int count = scandir(keeper->folder, &entries, is_ours, alphasort);
	int drop = count - (int)keeper->conf->gateway.evidence_files;
	for (int i = 0; i < count; i++) {
		OWNED char *path = must_printf("%s/%s", keeper->folder, entries[i]->d_name);
		if (i < drop)
			unlink(path);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static void keep(struct evidence_keeper *keeper, const struct evidence *evidence)
{
	OWNED char *path = name_of(keeper, evidence);
	const char *bus = keeper->conf->buses[evidence->bus].name;
	mkdir(keeper->folder, 0750);
	int result = write_file(path, &evidence->text);
	if (result < 0 && !keeper->failed)
		log_warning(
			"%s: the frames around its first %s error cannot be kept: %s: %s: check "
			"state_dir, or set gateway.evidence_files = 0",
			bus, error_class_name(evidence->error), path, strerror(-result));
	keeper->failed = result < 0;
	if (result < 0)
		return;
	log_info("%s: the first error of class %s within an hour: the frames around it are in %s",
		bus, error_class_name(evidence->error), path);
	drop_oldest(keeper);
}

/* The next one, or NULL: then the thread ends, and another is started for what comes later. */
static struct evidence *next(struct evidence_keeper *keeper)
{
	pthread_mutex_lock(&keeper->lock);
	struct list *link = list_take_first(&keeper->waiting);
	keeper->running = link != NULL;
	pthread_mutex_unlock(&keeper->lock);
	return link ? container_of(link, struct evidence, mail.link) : NULL;
}

static void *run(void *argument)
{
	struct evidence_keeper *keeper = argument;
	for (struct evidence *evidence; (evidence = next(keeper));) {
		keep(keeper, evidence);
		message_destroy(&evidence->mail);
	}
	return NULL;
}

/* Signals stay with the main thread. */
static void start(struct evidence_keeper *keeper)
{
	sigset_t all, before;
	if (keeper->started)
		pthread_join(keeper->thread, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	keeper->started = pthread_create(&keeper->thread, NULL, run, keeper) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	/* It waits for the next occasion. */
	if (!keeper->started)
		keeper->running = false;
}

struct evidence_keeper *evidence_keeper_create(const struct conf *conf)
{
	struct evidence_keeper *keeper = must_alloc(sizeof(*keeper));
	keeper->conf = conf;
	keeper->folder = must_printf("%s/evidence", conf->gateway.state_dir);
	pthread_mutex_init(&keeper->lock, NULL);
	list_init(&keeper->waiting);
	return keeper;
}

void evidence_keep(struct evidence_keeper *keeper, struct evidence *evidence)
{
	pthread_mutex_lock(&keeper->lock);
	list_append(&keeper->waiting, &evidence->mail.link);
	bool idle = !keeper->running;
	if (idle)
		keeper->running = true;
	pthread_mutex_unlock(&keeper->lock);
	if (idle)
		start(keeper);
}

void evidence_keeper_destroy(struct evidence_keeper *keeper)
{
	if (!keeper)
		return;
	if (keeper->started)
		pthread_join(keeper->thread, NULL);
	for (struct list *link; (link = list_take_first(&keeper->waiting));)
		message_destroy(container_of(link, struct mail, link));
	pthread_mutex_destroy(&keeper->lock);
	free(keeper->folder);
	free(keeper);
}
