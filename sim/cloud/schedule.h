/* SPDX-License-Identifier: Apache-2.0 */
/* Operations at given times after the start, from a file. */
#ifndef SIM_CLOUD_SCHEDULE_H
#define SIM_CLOUD_SCHEDULE_H

#include "sim.h"

struct schedule;
/*
 * Reads a JSON list of requests as the control socket takes them, each with "at": seconds after the
 * start, e.g. [{"at":5,"command":"forget"}]; without "command" it is a command to a device.  Returns
 * 0, or -errno with the reason.  An operation that is refused later is logged.
 */
int schedule_create(
	struct schedule **schedule, struct sim *sim, const char *path, char *error, size_t room);
void schedule_destroy(struct schedule *schedule);

#endif
