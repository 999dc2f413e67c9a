/* SPDX-License-Identifier: Apache-2.0 */
/* A device in the main plane: its script, its plan, and what is known of it. */
#ifndef EB_BRIDGE_DEVICE_H
#define EB_BRIDGE_DEVICE_H

#include "core/conf.h"
#include "core/message.h"
#include "script/script.h"

struct device {
	uint32_t number;
	const struct conf_device *conf;
	struct script_device *lua; /* NULL: no script, bytes go up as they are */
	struct plan *plan;

	uint64_t readings, script_errors;
	char *script_error; /* of the last call, NULL while it works */
	struct stamp last_reading;
	enum health_state health;
	uint32_t health_error; /* enum eb_error_class */
	struct stamp health_since;
};

/*
 * Makes the script's side and the plan of a device; script may be NULL.  0, or -EINVAL with the
 * problems.  device_finish() either way.
 */
int device_init(struct device *device, const struct conf *conf, uint32_t number,
	struct script *script, struct problems *problems);
void device_finish(struct device *device);
/* Puts the script's side and the plan of other in place of this one's, which other gets. */
void device_swap_script(struct device *device, struct device *other);

/*
 * What the script makes of a reading.  Where it fails there are no reports, and the error stands in
 * device->script_error.  Returns true where that is news: the script failed after it had worked, or
 * the other way round.
 */
bool device_decode(struct device *device, const struct reading *reading, struct reports *reports);
/* Appends what is known here as the pairs of a JSON object. */
void device_print(const struct device *device, struct buffer *json);

#endif
