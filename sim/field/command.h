/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the simulation can be told while it runs, in one line of words; over the control socket, and
 * at times given in a description.  enos-field-sim(1) lists the commands.
 */
#ifndef EB_SIM_FIELD_COMMAND_H
#define EB_SIM_FIELD_COMMAND_H

#include "sim/field/sim.h"
#include "sim/field/wait.h"
#include "util/buffer.h"

/*
 * Runs a command.  Returns 0 with the result as JSON in answer, or with *wait set, which the caller
 * completes (done, context) and begins or frees; or -EINVAL with what is wrong in answer.
 */
int command_run(struct sim *sim, const char *text, struct buffer *answer, struct wait **wait);

#endif
