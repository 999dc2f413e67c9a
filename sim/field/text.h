/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of devices that write lines of text: what they say of their own accord, each so often, and what
 * they answer to what.  "{n}" in a text becomes how often it was said.
 *
 *	{ "name": "gps", "type": "text", "path": "...", "end": "\r\n", "checksum": "nmea",
 *	  "says": [{ "text": "$GPGGA,{n},...", "every_ms": 1000 }],
 *	  "answers": [{ "ask": "MEAS?", "text": "+{n}" }] }
 *
 * With the checksum nmea, "*" and two digits stand behind each text: NMEA 0183's.
 */
#ifndef EB_SIM_FIELD_TEXT_H
#define EB_SIM_FIELD_TEXT_H

#include "sim/field/node.h"
#include "sim/field/plain.h"

/* Adds the line that the node describes; what is wrong is noted there. */
void text_create(struct sim *sim, const struct node *node, const struct plain_setup *setup);

#endif
