/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of DL/T 645-2007 meters.  Written for the simulator alone, from the standard: it is the other
 * side of what it tests.
 *
 *	{ "name": "meters", "type": "dlt645", "path": "...",
 *	  "meters": [{ "address": "123456789012", "wake_up": 4, "block": 195, "password": "02000000",
 *		       "values": { "00010000": "78563412" } }] }
 *
 * A value is what stands behind the data id on the wire; what is longer than a block goes out in
 * several frames.  A write needs the password; the time that is broadcast becomes the values 04000101
 * (date, with the weekday 0) and 04000102 (time).
 */
#ifndef EB_SIM_FIELD_METER_H
#define EB_SIM_FIELD_METER_H

#include "sim/field/node.h"
#include "sim/field/plain.h"

/* Adds the line that the node describes; what is wrong is noted there. */
void meters_create(struct sim *sim, const struct node *node, const struct plain_setup *setup);

#endif
