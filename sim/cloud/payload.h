/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of sections 4 and 5 of the protocol, taken strictly. */
#ifndef SIM_CLOUD_PAYLOAD_H
#define SIM_CLOUD_PAYLOAD_H

#include "packet.h"
#include "util/buffer.h"
#include "util/value.h"
#include "violation.h"

#define ATTRIBUTES_MAX 200

/* Why something was refused. */
struct verdict {
	enum violation violation;
	char text[200];
};

/* A parsed payload; the same one is used again for the next. */
struct payload {
	struct buffer value; /* all of it */
	const char *id, *version, *method; /* NULL: not there, or no string */
	bool has_params, has_code, has_data, other; /* other: a member that is none of these */
	struct value_reader params; /* in front of it */
	int64_t code;
};

void payload_finish(struct payload *payload);
/* Returns whether it is a JSON object; what its members hold is still to be checked. */
bool payload_parse(struct payload *payload, struct bytes text, struct verdict *verdict);

/* Each returns whether the payload is as documented. */
bool payload_check_report(struct payload *payload, const char *method, struct verdict *verdict);
bool payload_check_batch(struct payload *payload, const char *method, struct verdict *verdict);
bool payload_check_event(struct payload *payload, const char *method, struct verdict *verdict);
bool payload_check_attributes(struct payload *payload, const char *method, struct verdict *verdict);
bool payload_check_query(struct payload *payload, const char *method, struct verdict *verdict);
bool payload_check_reply(struct payload *payload, struct verdict *verdict);

/* One report of points: an element of a batch, or the only one. */
struct points_report {
	bool has_time;
	int64_t time_ms;
	struct value_reader points; /* in front of the first pair */
	size_t count;
};
struct reported_point {
	const char *name;
	size_t name_size;
	struct bytes value; /* util/value.h */
	int64_t quality; /* -1: none */
};
/* For payloads that were checked: the reports one after the other, the points of one. */
struct value_reader payload_reports(const struct payload *payload, bool batch, size_t *count);
void report_next(struct value_reader *reader, struct points_report *report);
void report_next_point(struct points_report *report, struct reported_point *point);

#endif
