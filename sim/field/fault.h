/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What shall go wrong, said in one line of words, the same in a description, as an option and over
 * the control socket:
 *
 *	[line=NAME] [unit=N] [function=N] KIND [key=value...] [p=0.1] [n=3]
 *
 * The kinds and their keys are in enos-field-sim(1).
 */
#ifndef EB_SIM_FIELD_FAULT_H
#define EB_SIM_FIELD_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/field/dice.h"
#include "sim/field/frame.h"
#include "util/buffer.h"
#include "util/list.h"

enum fault_kind {
	FAULT_SILENCE, /* not heard, not done, not answered */
	FAULT_LOST, /* done, and the answer is lost */
	FAULT_LATE,
	FAULT_CUT,
	FAULT_CORRUPT,
	FAULT_FOREIGN,
	FAULT_REPEAT,
	FAULT_DRIP,
	FAULT_EXCEPTION,
	FAULT_ECHO,
	FAULT_ECHO_ONLY,
	FAULT_NOISE,
	FAULT_TRANSACTION,
	FAULT_CLOSE, /* the connection, in place of an answer */
	FAULT_SLOW_ACCEPT,
	FAULT_HANG_UP, /* a connection, as soon as it is there */
	FAULT_KINDS
};

enum foreign { FOREIGN_UNIT, FOREIGN_FUNCTION, FOREIGN_COUNT };

struct fault {
	struct list link;
	uint32_t number; /* names it in "clear" */
	enum fault_kind kind;
	char *line; /* owned; NULL: every line */
	int unit, function; /* -1: any */
	double probability;
	int64_t left; /* how often it may still happen; -1: for ever */
	uint64_t used;
	uint32_t ms; /* late, drip, slow-accept */
	uint32_t code; /* exception */
	uint32_t bytes; /* cut: how many are missing; 0: by chance */
	uint32_t before, after; /* noise */
	enum foreign what;
	bool also; /* foreign: and then the answer itself */
};

const char *fault_name(enum fault_kind kind);
/* Returns 0 with a fault to be destroyed, or -EINVAL with what is wrong in error (room bytes). */
int fault_parse(const char *text, struct fault **fault, char *error, size_t room);
void fault_destroy(struct fault *fault);

/* Whom a fault may befall. */
struct victim {
	const char *line;
	enum framing framing;
	bool stream; /* TCP; connections can be closed */
	bool accepting; /* a new connection; else a request */
	uint8_t unit, function;
};

/* The first fault of the list that befalls the victim now, counted; or NULL. */
struct fault *fault_choose(struct list *faults, struct dice *dice, const struct victim *victim);

/* Appends the fault as a JSON object. */
void fault_print(const struct fault *fault, struct buffer *json);

#endif
