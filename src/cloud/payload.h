/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports as EnOS wants them: topic and payload, written at the moment of sending (enos-protocol, 4),
 * and what a response's payload says of them.
 */
#ifndef EB_CLOUD_PAYLOAD_H
#define EB_CLOUD_PAYLOAD_H

#include "cloud/calendar.h"
#include "core/message.h"
#include "util/buffer.h"

/* The most reports in one message. */
#define PAYLOAD_BATCH_MAX 32

/* Which part of what waits is in a message; written again from it, the message has the same bytes. */
struct draft {
	uint32_t id; /* in the JSON */
	uint32_t count; /* reports, from the first; 0: not chosen yet */
	uint32_t from, to; /* the items of an only report that are in the message: from to to - 1 */
	bool last; /* no items of the report are left for another message */
};

/* A message; the buffers are used again for the next. */
struct payload {
	struct buffer topic; /* behind /topic/sys/{pk}/{dk}/ */
	struct buffer body;
	int format; /* CoAP's content format */
	char reason[160]; /* why nothing was written */
};

struct payload_terms {
	uint32_t max_size; /* bytes of the body */
	uint32_t max_whole; /* of one that cannot be split, where that is more */
	bool batch; /* may join reports */
	int64_t late_ms; /* points from before that must not become the current value; 0: none are */
	const struct calendar *calendar; /* corrects times; NULL: all are right */
};

void payload_finish(struct payload *payload);
/*
 * Writes what the draft says; one with count 0 is chosen first: as many of the reports as may go
 * together, or the first one's items from draft->from that fit.  Returns 0, or -EINVAL with the
 * reason: the first report, or its items from draft->from to draft->to - 1, cannot be sent.
 */
int payload_write(struct payload *payload, const struct report *const *reports, size_t count,
	struct draft *draft, const struct payload_terms *terms);
/* The harmless request that keeps a session alive: an empty query to the topic. */
void payload_write_query(struct payload *payload, const char *topic, uint32_t id);
/* The body of POST /auth/{pk}/{dk}. */
void payload_write_login(struct payload *payload, uint32_t lifetime_s, const char *sign);

/*
 * The code in {"id":"1","code":200,...}: 200 too where there is no payload or no code in it.
 * scratch is any buffer.  Returns the code, or -EINVAL where the payload is no JSON object.
 */
int64_t payload_read_code(struct buffer *scratch, const void *payload, size_t size);
/* A copy of the token in {"token":"..."}, for free(), or NULL. */
char *payload_read_token(struct buffer *scratch, const void *payload, size_t size);

#endif
