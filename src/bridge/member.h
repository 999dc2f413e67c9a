/* SPDX-License-Identifier: Apache-2.0 */
/* A member of the fleet, a device in the main plane: its script, its plan, and what is known of it. */
#ifndef EB_BRIDGE_MEMBER_H
#define EB_BRIDGE_MEMBER_H

#include "core/conf.h"
#include "core/message.h"
#include "script/script.h"

struct member {
	uint32_t number;
	const struct conf_device *conf;
	struct script_device *lua; /* NULL: no script, bytes go up as they are */
	struct plan *plan;

	uint64_t readings, script_errors;
	char *script_error; /* until that poll is decoded again, NULL while it works */
	uint32_t script_error_poll;
	struct stamp last_reading;
	enum health_state health;
	uint32_t health_error; /* enum eb_error_class */
	struct stamp health_since;
};

/*
 * Makes the script's side and the plan of a device; script may be NULL.  0, or -EINVAL with the
 * problems.  member_finish() either way.
 */
int member_init(struct member *device, const struct conf *conf, uint32_t number,
	struct script *script, struct problems *problems);
void member_finish(struct member *device);
/* Puts the script's side and the plan of other in place of this one's, which other gets. */
void member_swap_script(struct member *device, struct member *other);

/*
 * What the script makes of a reading.  Where it fails there are no reports, and the error stands in
 * device->script_error.  Returns true where that is news: the script failed after it had worked, or
 * what it had failed on works again.
 */
bool member_decode(struct member *device, const struct reading *reading, struct reports *reports);
/* Appends what is known here as the pairs of a JSON object. */
void member_print(const struct member *device, struct buffer *json);

#endif
