/* SPDX-License-Identifier: Apache-2.0 */
/* Requests out of what a script gave. */
#ifndef EB_BRIDGE_REQUESTS_H
#define EB_BRIDGE_REQUESTS_H

#include "core/conf.h"
#include "core/plan.h"

/* An array of requests, owned. */
struct requests {
	struct request **items;
	size_t count;
};
void requests_finish(struct requests *requests);
#define OWNED_REQUESTS __attribute__((cleanup(requests_finish))) struct requests

/*
 * Makes them of a list of maps (value; empty: none).  what is said of each in problems, "setup", and
 * file is the script's.  0, or -EINVAL with the problems and no requests.
 */
int requests_make(struct requests *requests, const struct conf *conf, uint32_t device,
	const struct buffer *list, const char *what, const char *file, struct problems *problems);

#endif
