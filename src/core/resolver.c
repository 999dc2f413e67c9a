/* SPDX-License-Identifier: Apache-2.0 */
#include "core/resolver.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/alloc.h"

/*
 * The thread may sit in getaddrinfo() when everybody else has gone.  So what it shares is counted: it
 * holds one reference, and so do the owner and each client.
 */
struct resolver {
	pthread_mutex_t lock; /* for all below, and for all jobs */
	pthread_cond_t wake;
	unsigned references;
	bool stopping;
	struct list waiting;
	struct job *running;
	resolve_function *resolve;
};

struct resolver_client {
	struct resolver *resolver;
	struct loop *loop;
	struct watch watch;
	struct list answered;
	bool *gone; /* set when the client goes while it delivers */
};

struct job {
	struct list link; /* in waiting or answered; alone while it runs */
	struct resolver_client *client; /* NULL: given up while it ran */
	struct lookup *lookup;
	char *host;
	uint16_t port;
	int error;
	size_t count;
	union address addresses[LOOKUP_ADDRESSES_MAX];
};

static void free_job(struct job *job)
{
	free(job->host);
	free(job);
}

/* Gives back the lock and a reference that the caller held. */
static void unlock_and_release(struct resolver *resolver)
{
	bool last = --resolver->references == 0;
	pthread_mutex_unlock(&resolver->lock);
	if (!last)
		return;
	pthread_cond_destroy(&resolver->wake);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

static void signal_client(const struct resolver_client *client)
{
	uint64_t one = 1;
	ssize_t written = write(client->watch.fd, &one, sizeof(one));
	(void)written; /* fails only where the counter is set anyway */
}

static void keep_addresses(struct job *job, const struct addrinfo *list)
{
	job->count = 0;
	for (; list && job->count < LOOKUP_ADDRESSES_MAX; list = list->ai_next) {
		union address *address = &job->addresses[job->count];
		if (list->ai_family != AF_INET && list->ai_family != AF_INET6)
			continue;
		memcpy(address, list->ai_addr, list->ai_addrlen);
		job->count++;
	}
	if (!job->error && !job->count)
		job->error = EAI_NONAME;
}

static int ask(resolve_function *resolve, const char *host, int flags, struct addrinfo **list)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags
	};
	*list = NULL;
	return resolve(host, NULL, &hints, list);
}

/* Called with the lock held. */
static void answer(struct job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		union address *address = &job->addresses[i];
		if (address->any.sa_family == AF_INET)
			address->v4.sin_port = htons(job->port);
		else
			address->v6.sin6_port = htons(job->port);
	}
	list_append(&job->client->answered, &job->link);
	signal_client(job->client);
}

/* Called with the lock held.  Whoever waits for the same name has the answer too. */
static void finish(struct resolver *resolver, struct job *job)
{
	list_for_each (link, &resolver->waiting) {
		struct job *other = container_of(link, struct job, link);
		if (strcmp(other->host, job->host) != 0)
			continue;
		list_remove(&other->link);
		other->error = job->error;
		other->count = job->count;
		memcpy(other->addresses, job->addresses, sizeof(job->addresses));
		answer(other);
	}
	if (job->client)
		answer(job);
	else
		free_job(job);
}

static void *run(void *context)
{
	struct resolver *resolver = context;
	pthread_mutex_lock(&resolver->lock);
	while (!resolver->stopping) {
		struct list *first = list_take_first(&resolver->waiting);
		if (!first) {
			pthread_cond_wait(&resolver->wake, &resolver->lock);
			continue;
		}
		struct job *job = resolver->running = container_of(first, struct job, link);
		pthread_mutex_unlock(&resolver->lock);
		struct addrinfo *list;
		int error = ask(resolver->resolve, job->host, 0, &list);
		pthread_mutex_lock(&resolver->lock);
		resolver->running = NULL;
		job->error = error;
		keep_addresses(job, error ? NULL : list);
		if (!error)
			freeaddrinfo(list);
		finish(resolver, job);
	}
	unlock_and_release(resolver);
	return NULL;
}

/* Signals are for the main thread. */
static int start_thread(struct resolver *resolver)
{
	sigset_t all, before;
	pthread_t thread;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&thread, NULL, run, resolver);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error) {
		pthread_setname_np(thread, "resolver");
		pthread_detach(thread);
	}
	return -error;
}

int resolver_create(struct resolver **result, resolve_function *resolve)
{
	struct resolver *resolver = must_alloc(sizeof(*resolver));
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_cond_init(&resolver->wake, NULL);
	list_init(&resolver->waiting);
	resolver->references = 2;
	resolver->resolve = resolve ? resolve : getaddrinfo;
	int error = start_thread(resolver);
	if (error < 0) {
		resolver->references = 1;
		pthread_mutex_lock(&resolver->lock);
		unlock_and_release(resolver);
		return error;
	}
	*result = resolver;
	return 0;
}

void resolver_destroy(struct resolver *resolver)
{
	if (!resolver)
		return;
	pthread_mutex_lock(&resolver->lock);
	resolver->stopping = true;
	pthread_cond_signal(&resolver->wake);
	unlock_and_release(resolver);
}

/* One answer at a time, since done() may cancel the next one. */
static struct job *take_answer(struct resolver_client *client)
{
	pthread_mutex_lock(&client->resolver->lock);
	struct list *first = list_take_first(&client->answered);
	pthread_mutex_unlock(&client->resolver->lock);
	return first ? container_of(first, struct job, link) : NULL;
}

static size_t count_answers(struct resolver_client *client)
{
	size_t count = 0;
	pthread_mutex_lock(&client->resolver->lock);
	list_for_each (link, &client->answered)
		count++;
	pthread_mutex_unlock(&client->resolver->lock);
	return count;
}

/* What done() asks anew has its turn in the loop's next round: others have theirs in between. */
static void deliver(struct watch *watch, uint32_t events)
{
	struct resolver_client *client = container_of(watch, struct resolver_client, watch);
	uint64_t wakes;
	bool gone = false;
	ssize_t got = read(watch->fd, &wakes, sizeof(wakes));
	(void)got;
	client->gone = &gone;
	for (size_t left = count_answers(client); left && !gone; left--) {
		struct job *job = take_answer(client);
		if (!job)
			break;
		job->lookup->job = NULL;
		job->lookup->done(job->lookup, job->error, job->addresses, job->count);
		free_job(job);
	}
	if (gone)
		return;
	client->gone = NULL;
	if (count_answers(client))
		signal_client(client);
}

int resolver_client_create(
	struct resolver_client **result, struct resolver *resolver, struct loop *loop)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	struct resolver_client *client = must_alloc(sizeof(*client));
	client->resolver = resolver;
	client->loop = loop;
	client->watch = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = deliver };
	list_init(&client->answered);
	int error = loop_add(loop, &client->watch);
	if (error < 0) {
		close(fd);
		free(client);
		return error;
	}
	pthread_mutex_lock(&resolver->lock);
	resolver->references++;
	pthread_mutex_unlock(&resolver->lock);
	*result = client;
	return 0;
}

static void drop_jobs(struct list *jobs, const struct resolver_client *client)
{
	list_for_each (link, jobs) {
		struct job *job = container_of(link, struct job, link);
		if (job->client != client)
			continue;
		list_remove(&job->link);
		job->lookup->job = NULL;
		free_job(job);
	}
}

void resolver_client_destroy(struct resolver_client *client)
{
	if (!client)
		return;
	struct resolver *resolver = client->resolver;
	pthread_mutex_lock(&resolver->lock);
	drop_jobs(&resolver->waiting, client);
	drop_jobs(&client->answered, client);
	if (resolver->running && resolver->running->client == client) {
		resolver->running->lookup->job = NULL;
		resolver->running->client = NULL;
	}
	unlock_and_release(resolver);
	if (client->gone)
		*client->gone = true;
	loop_remove(client->loop, &client->watch);
	close(client->watch.fd);
	free(client);
}

void lookup_start(
	struct resolver_client *client, struct lookup *lookup, const char *host, uint16_t port)
{
	assert(!lookup->job);
	struct resolver *resolver = client->resolver;
	struct job *job = must_alloc(sizeof(*job));
	list_init(&job->link);
	job->client = client;
	job->lookup = lookup;
	job->host = must_strdup(host);
	job->port = port;
	lookup->job = job;
	struct addrinfo *list;
	bool numeric = ask(getaddrinfo, host, AI_NUMERICHOST, &list) == 0;
	if (numeric) {
		keep_addresses(job, list);
		freeaddrinfo(list);
	}
	pthread_mutex_lock(&resolver->lock);
	if (numeric) {
		answer(job);
	} else {
		list_append(&resolver->waiting, &job->link);
		pthread_cond_signal(&resolver->wake);
	}
	pthread_mutex_unlock(&resolver->lock);
}

void lookup_cancel(struct lookup *lookup)
{
	struct job *job = lookup->job;
	if (!job)
		return;
	lookup->job = NULL;
	/* While it runs, the thread reads the client alone, and frees the job when it is done. */
	struct resolver *resolver = job->client->resolver;
	pthread_mutex_lock(&resolver->lock);
	bool running = resolver->running == job;
	list_remove(&job->link);
	job->client = NULL;
	pthread_mutex_unlock(&resolver->lock);
	if (!running)
		free_job(job);
}

void address_print(const union address *address, char *text, size_t room)
{
	char host[INET6_ADDRSTRLEN] = "?";
	if (address->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
		snprintf(text, room, "%s:%u", host, ntohs(address->v4.sin_port));
	} else {
		inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
		snprintf(text, room, "[%s]:%u", host, ntohs(address->v6.sin6_port));
	}
}
