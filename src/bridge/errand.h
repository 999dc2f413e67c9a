/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a script wants done for a command, as an order for the field: checked against what the
 * configuration allows, whoever gave the command, and with what is to be read back.
 */
#ifndef EB_BRIDGE_ERRAND_H
#define EB_BRIDGE_ERRAND_H

#include "bridge/result.h"
#include "bridge/member.h"
#include "core/codec.h"

/* A write that is to be read back. */
struct errand_check {
	struct request *read; /* NULL once it is in an order */
	struct request *kept; /* the same, to understand the answer */
	char *what; /* "holding_registers 10" */
	uint64_t first; /* the place that it begins at */
	int64_t *numbers; /* that were written */
	uint32_t count;
	uint32_t tolerance;
};

struct errand {
	struct order *order; /* NULL once it was handed over */
	struct errand_check *checks;
	size_t check_count;
	int64_t settle_us; /* the longest of them */
	int code; /* why there is no order */
	char why[RESULT_REASON_MAX];
};

/* Whether the configuration lets this command come near the script; else the code and the reason. */
bool errand_allowed(struct errand *errand, const struct conf_device *device, const char *topic);
/*
 * The order for a list of request maps, a value.  It has no request where nothing is to be done.
 * False with the code and the reason.  errand_finish() either way.
 */
bool errand_make(struct errand *errand, const struct conf *conf, const struct member *device,
	const struct command *command, const struct buffer *requests);
/* The order that reads back what was written. */
struct order *errand_read_back(struct errand *errand, uint32_t device);
/* Compares; true where all is as it was written, else why says what is not. */
bool errand_compare(const struct errand *errand, const struct conf_bus *bus,
	const struct outcome *outcome, char *why, size_t room);
/* Whether both read back the same place. */
bool errand_overlaps(const struct errand *errand, const struct errand *other);
void errand_finish(struct errand *errand);

#endif
