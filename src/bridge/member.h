/* SPDX-License-Identifier: Apache-2.0 */
/* A member of the fleet, a device in the main plane: its script, its plan, and what is known of it. */
#ifndef EB_BRIDGE_MEMBER_H
#define EB_BRIDGE_MEMBER_H

#include "core/conf.h"
#include "core/message.h"
#include "script/script.h"

/* The poll of a device whose polls are not known yet. */
#define MEMBER_PROBE_NAME "discover"

/* In place of the number of a poll. */
#define MEMBER_HEALTH UINT32_MAX

struct member {
	uint32_t number;
	const struct conf_device *conf;
	struct script_device *lua; /* NULL: no script, bytes go up as they are */
	struct plan *plan; /* what the field does */
	struct plan *sent; /* what it was told last, referenced; NULL: nothing yet */
	/*
	 * Of a script that finds the polls out, and asks the device for that: what is polled until they
	 * are known, referenced; NULL for all others.
	 */
	struct plan *probe;
	bool confirmed; /* the polls were found since it was last down */
	char *discovery_error; /* why they were not found the last time; NULL */

	uint64_t readings, script_errors, warnings;
	char *script_error; /* until that poll is decoded again, NULL while it works */
	uint32_t script_error_poll;
	char *warning; /* until that poll is decoded without one; NULL: none */
	uint32_t warning_poll;
	struct stamp last_reading;
	enum health_state health;
	uint32_t health_error; /* enum eb_error_class */
	struct stamp health_since;
};

/*
 * Makes the script's side and the plan of a device; script may be NULL, and so may state, which the
 * device has then.  0, or -EINVAL with the problems.  member_finish() either way.
 */
int member_init(struct member *device, const struct conf *conf, uint32_t number,
	struct script *script, const struct buffer *state, struct problems *problems);
/*
 * The plan of the polls that a script gave, with its setup.  The caller owns the reference in *plan.
 * 0, or -EINVAL with the problems.
 */
int member_plan(struct plan **plan, struct member *device, const struct conf *conf,
	const struct buffer *polls, struct problems *problems);
void member_finish(struct member *device);
/*
 * Puts the script's side and the plan of other in place of this one's, which other gets.  A plan that
 * is the same stays, and polls that were found stay until they are found anew.
 */
void member_swap_script(struct member *device, struct member *other);

/*
 * What the script makes of a reading.  Where it fails there are no reports, and the error stands in
 * device->script_error.  Returns true where that is news: the script failed after it had worked, or
 * what it had failed on works again.
 */
bool member_decode(struct member *device, const struct reading *reading, struct reports *reports);
/*
 * The same of the change of health that the device last had: MEMBER_HEALTH stands for the poll.
 */
bool member_health(struct member *device, const struct health *health, struct reports *reports);
/*
 * Takes note of the warnings beside what member_decode() or member_health() gave of that poll.
 * Returns true where device->warning is another one than before.
 */
bool member_warn(struct member *device, uint32_t poll, const struct reports *reports);
/* Appends what is known here as the pairs of a JSON object. */
void member_print(const struct member *device, struct buffer *json);

#endif
