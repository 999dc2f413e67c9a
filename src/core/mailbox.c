/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/alloc.h"

struct mailbox {
	pthread_mutex_t lock;
	int fd;
	size_t capacity, count, reserved;
	uint64_t dropped;
	struct list mails;
};

int mailbox_create(struct mailbox **result, size_t capacity)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	struct mailbox *mailbox = must_alloc(sizeof(*mailbox));
	pthread_mutex_init(&mailbox->lock, NULL);
	list_init(&mailbox->mails);
	mailbox->fd = fd;
	mailbox->capacity = capacity;
	*result = mailbox;
	return 0;
}

void mailbox_destroy(struct mailbox *mailbox)
{
	if (!mailbox)
		return;
	list_for_each (link, &mailbox->mails) {
		struct mail *mail = container_of(link, struct mail, link);
		mail->destroy(mail);
	}
	close(mailbox->fd);
	pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
}

int mailbox_fd(const struct mailbox *mailbox)
{
	return mailbox->fd;
}

/* Called with the lock held.  The receiver is woken by the first mail only: it takes all at once. */
static void append(struct mailbox *mailbox, struct mail *mail)
{
	bool first = list_empty(&mailbox->mails);
	list_append(&mailbox->mails, &mail->link);
	mailbox->count++;
	if (first) {
		uint64_t one = 1;
		ssize_t written = write(mailbox->fd, &one, sizeof(one));
		(void)written; /* fails only where the counter is set anyway */
	}
}

static struct mail *oldest_droppable(struct mailbox *mailbox)
{
	list_for_each (link, &mailbox->mails) {
		struct mail *mail = container_of(link, struct mail, link);
		if (mail->droppable)
			return mail;
	}
	return NULL;
}

bool mailbox_put(struct mailbox *mailbox, struct mail *mail)
{
	struct mail *victim = NULL;
	pthread_mutex_lock(&mailbox->lock);
	if (mailbox->count + mailbox->reserved >= mailbox->capacity) {
		mailbox->dropped++;
		victim = oldest_droppable(mailbox);
		if (victim) {
			list_remove(&victim->link);
			mailbox->count--;
		} else {
			victim = mail;
		}
	}
	if (victim != mail)
		append(mailbox, mail);
	pthread_mutex_unlock(&mailbox->lock);
	bool kept = victim != mail;
	if (victim)
		victim->destroy(victim);
	return kept;
}

bool mailbox_reserve(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	bool room = mailbox->count + mailbox->reserved < mailbox->capacity;
	if (room)
		mailbox->reserved++;
	pthread_mutex_unlock(&mailbox->lock);
	return room;
}

void mailbox_unreserve(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	assert(mailbox->reserved > 0);
	mailbox->reserved--;
	pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_put_reserved(struct mailbox *mailbox, struct mail *mail)
{
	pthread_mutex_lock(&mailbox->lock);
	assert(mailbox->reserved > 0);
	mailbox->reserved--;
	append(mailbox, mail);
	pthread_mutex_unlock(&mailbox->lock);
}

size_t mailbox_take_all(struct mailbox *mailbox, struct list *mails)
{
	uint64_t wakes;
	pthread_mutex_lock(&mailbox->lock);
	ssize_t got = read(mailbox->fd, &wakes, sizeof(wakes));
	(void)got; /* nothing to read where nobody put anything */
	size_t count = mailbox->count;
	while (!list_empty(&mailbox->mails))
		list_append(mails, list_take_first(&mailbox->mails));
	mailbox->count = 0;
	pthread_mutex_unlock(&mailbox->lock);
	return count;
}

uint64_t mailbox_dropped(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	uint64_t dropped = mailbox->dropped;
	pthread_mutex_unlock(&mailbox->lock);
	return dropped;
}
