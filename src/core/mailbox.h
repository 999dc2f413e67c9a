/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded queue from one thread to another, with an eventfd that the receiving loop watches.
 *
 * Full means: the oldest mail that may be dropped is dropped and counted (a newer reading is worth
 * more than an older one).  What must not be lost takes a place beforehand, with
 * mailbox_reserve(), and is put into that place later.
 */
#ifndef EB_CORE_MAILBOX_H
#define EB_CORE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

struct mail {
	struct list link;
	uint16_t kind; /* enum message_kind */
	bool droppable;
	void (*destroy)(struct mail *mail); /* frees the mail and all that it owns */
};

struct mailbox;

/* At most capacity mails, kept and reserved together.  Returns 0 or -errno. */
int mailbox_create(struct mailbox **mailbox, size_t capacity);
/* Destroys what was never taken as well. */
void mailbox_destroy(struct mailbox *mailbox);
/* Readable while there is mail.  Owned by the mailbox. */
int mailbox_fd(const struct mailbox *mailbox);

/*
 * Puts the mail at the end and owns it from then on.  Full: the oldest droppable mail makes room.
 * Returns false, with the mail destroyed and counted, where all that is there must be kept.
 */
bool mailbox_put(struct mailbox *mailbox, struct mail *mail);
/* Takes a place for a mail to come; false where there is none. */
bool mailbox_reserve(struct mailbox *mailbox);
void mailbox_unreserve(struct mailbox *mailbox);
/* Puts the mail into a place reserved before; never fails. */
void mailbox_put_reserved(struct mailbox *mailbox, struct mail *mail);

/*
 * Moves all mail, oldest first, to the end of mails, whose owner destroys each when done.  The
 * descriptor is silent then until the next mail.  Returns how many there were.
 */
size_t mailbox_take_all(struct mailbox *mailbox, struct list *mails);
/* How many were dropped so far. */
uint64_t mailbox_dropped(struct mailbox *mailbox);

#endif
