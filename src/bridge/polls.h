/* SPDX-License-Identifier: Apache-2.0 */
/* A device's polls: the script's, changed and added to by the site's configuration. */
#ifndef EB_BRIDGE_POLLS_H
#define EB_BRIDGE_POLLS_H

#include "core/codec.h"
#include "core/conf.h"
#include "core/plan.h"

/*
 * The plan of a device.  declared is the script's list of polls (value; empty: none), file its name
 * for problems.  The caller owns the reference in *plan.  0, or -EINVAL with the problems.
 */
int polls_plan(struct plan **plan, const struct conf *conf, uint32_t device,
	const struct buffer *declared, const char *file, struct problems *problems);

#endif
