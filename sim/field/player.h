/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line that plays the devices' side of a recording back, on a terminal or a TCP port:
 *
 *	{ "name": "line-1", "type": "replay", "path": "...", "file": "crc.txt", "at_once": false }
 *
 * A recording without a request in it, of devices that speak by themselves, is played again and again.
 */
#ifndef EB_SIM_FIELD_PLAYER_H
#define EB_SIM_FIELD_PLAYER_H

#include "sim/field/node.h"
#include "sim/field/plain.h"

/* Adds the line; -EINVAL or -errno with what is wrong. */
int player_create(struct sim *sim, const struct plain_setup *setup, const char *file, bool at_once,
	char *error, size_t room);
/* Adds the line that the node describes; what is wrong is noted there. */
void player_describe(struct sim *sim, const struct node *node, const struct plain_setup *setup);

#endif
