/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration would run, for a person to read: enos-bridged -t. */
#ifndef EB_BRIDGE_OUTLINE_H
#define EB_BRIDGE_OUTLINE_H

#include <stdio.h>

#include "bridge/fleet.h"

/*
 * Prints buses, devices and polls, and for each serial bus how much of the line the polls take.
 * So many devices of a bus are shown in full.
 */
void outline_print(const struct fleet *fleet, FILE *to);

#define OUTLINE_DEVICES_MAX 50

#endif
