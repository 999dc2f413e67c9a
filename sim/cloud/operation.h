/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator can ask of the running simulator: {"command":"stats"} and the like, as values.
 * Each is named, with its arguments, in docs/man/enos-cloud-sim.1.
 */
#ifndef SIM_CLOUD_OPERATION_H
#define SIM_CLOUD_OPERATION_H

#include "sim.h"

enum operated {
	OPERATED_DONE, /* result has the JSON text */
	OPERATED_REFUSED, /* error says why */
	OPERATED_WAITING, /* not yet: try again when something changed */
	OPERATED_FOLLOWING, /* done, and the lines of the transcript are to follow */
	OPERATED_QUITTING, /* done, and the program is to end */
};

struct operation {
	struct sim *sim;
	const void *request; /* value, a map */
	size_t size;
	struct buffer *result;
	char error[240];
	/* Of one that waits, from try to try: */
	bool tried;
	uint64_t baseline; /* how many there were at the first try */
};

enum operated operate(struct operation *operation);

/* Members of the request; NULL or otherwise where they are not there. */
const char *operation_text(const struct operation *operation, const char *key);
double operation_number(const struct operation *operation, const char *key, double otherwise);
bool operation_flag(const struct operation *operation, const char *key);

#endif
