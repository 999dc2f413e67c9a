/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that a device still owes.  Where an answer does not carry what request it belongs to, the late
 * one to what failed looks like the one to what is asked then.  So after a request without a good
 * answer the device is left alone for as long again as it had to answer.  And should it be later still:
 * until five times its time-out has passed, nothing is asked of it whose answer could be taken for
 * the owed one, but only the same request again, or one with an answer of another size or kind.  What is
 * asked and answered within that time may have been answered by what was owed: then its own answer is
 * the one that is late, and the others wait for five times the time-out from there.  So it goes on, from
 * one time of asking to the next, for as long as the same request is asked; where another one waits, it
 * is not asked any more once five times the time-out have passed since it failed, and the chain ends.
 */
#ifndef EB_FIELD_OWED_H
#define EB_FIELD_OWED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/plan.h"

struct owed {
	int64_t until_us; /* an answer may come */
	uint32_t identity; /* of the request */
	uint32_t answer_size;
	bool writes;
	bool several; /* requests of more than one kind are unanswered */
	bool wanted; /* another request waits */
	int64_t doubt_us; /* where another waits, the same is not asked from then on either */
};

/* The request, sent at sent_us and given timeout_us, has had no good answer. */
void owed_note(
	struct owed *owed, const struct request *request, int64_t sent_us, int64_t timeout_us);
/* The request was answered or refused now: maybe by what came of an earlier time of asking. */
void owed_answered(
	struct owed *owed, const struct request *request, int64_t sent_us, int64_t timeout_us);
/* Whether the request must wait until owed->until_us; that it does is remembered. */
bool owed_blocks(struct owed *owed, const struct request *request, int64_t now);

#endif
