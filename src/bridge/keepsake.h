/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scripts keep over a restart: device.state of all devices, in one file of the state directory that
 * is replaced as a whole.  A state belongs to a device of EnOS and a script; a file that is damaged is
 * set aside, and never keeps the program from starting.
 */
#ifndef EB_BRIDGE_KEEPSAKE_H
#define EB_BRIDGE_KEEPSAKE_H

#include "core/conf.h"

struct fleet;
struct keepsake;

#define KEEPSAKE_FILE "scripts.state"

/* Reads the file in that directory, where there is one; what is wrong with it is logged. */
struct keepsake *keepsake_load(const char *directory);
void keepsake_destroy(struct keepsake *keepsake);
/* The device's state as it was kept (a value), or NULL.  Valid until the next saving. */
const struct buffer *keepsake_find(struct keepsake *keepsake, const struct conf_device *device);
/*
 * Writes the file where anything in it has changed.  0 or -errno; what went wrong is logged once, until it
 * goes well again.
 */
int keepsake_save(struct keepsake *keepsake, const struct fleet *fleet);
/* The same without waiting for the disk: a thread writes. Nothing where the last one is not done. */
void keepsake_save_aside(struct keepsake *keepsake, const struct fleet *fleet);

#endif
