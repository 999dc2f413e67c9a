/* SPDX-License-Identifier: Apache-2.0 */
/* A case of a fixture while it runs: a device of its own, and what its plugin makes of requests. */
#ifndef EB_SCRIPT_TRIAL_H
#define EB_SCRIPT_TRIAL_H

#include "core/codec.h"
#include "script/fixture.h"

struct trial {
	const struct fixture *fixture;
	struct script *script;
	struct codec codec;
	struct eb_address address;
	struct conf_device conf;
	struct script_device *device;
	struct plan *plan; /* of the script's polls; NULL: they are wrong */
	struct script_error polls_error; /* why */
	const struct fixture_case *item;
	const struct fixture_step *step;
	struct problems *problems;
	size_t failures;
	uint32_t tag; /* of the last request that was made */
	int64_t end_us; /* when time is up; INT64_MAX: never */
	bool late; /* it was */
};

/* Says what is wrong, with the case's name. */
void trial_fail(struct trial *trial, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Compares with the step's JSON; what was got is a value. */
void trial_compare(struct trial *trial, enum fixture_text expected, const struct buffer *got);
void trial_compare_values(
	struct trial *trial, const struct buffer *expected, const struct buffer *got);
/* Whether the script's error is the one that the step expects; says so where not. */
void trial_check_error(struct trial *trial, const char *what, const struct script_error *error);
/* Parses a step's JSON.  False, and said so, where it is none. */
bool trial_parse(struct trial *trial, enum fixture_text text, struct buffer *value);
bool trial_parse_hex(struct trial *trial, const char *key, const char *text, struct buffer *bytes);
/* Compares the frame of a request with item number i of the step's frames. */
void trial_check_frame(struct trial *trial, const struct eb_request *request, size_t i);
/* Says where frames has another number than there are requests. */
void trial_check_frame_count(struct trial *trial, size_t requests);

/* Makes the plan of a list of polls; says so where the plugin does not accept them. */
void trial_plan(struct trial *trial, const struct buffer *list);

/* A step that is a command. */
void trial_command(struct trial *trial);
/* A step that finds out the polls; those are the plan from then on. */
void trial_discover(struct trial *trial);
/* A step that compares what setup asks for. */
void trial_setup(struct trial *trial);

#endif
