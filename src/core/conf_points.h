/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points of a device that the configuration describes, so that no script has to be written: each says
 * where a value stands, what it is there, and whether it can be set.
 */
#ifndef EB_CORE_CONF_POINTS_H
#define EB_CORE_CONF_POINTS_H

#include "core/conf_node.h"
#include "core/plugin.h"

/* The script that runs them, where a device names none. */
#define POINTS_SCRIPT "generic.lua"

/* The device's plugin; with plugin or state NULL what only a plugin knows is not checked. */
struct points_target {
	const struct eb_plugin *plugin;
	const void *state; /* of its bus */
	const struct eb_address *address;
};

/*
 * Appends a list with a map for each point, with the keys that scripts find in device.points.  What
 * is wrong is a problem at its own line.
 */
void points_read(const struct node *list, const struct points_target *target, struct buffer *points,
	struct problems *problems);

#endif
