/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first error of a kind on a bus, for an hour: its last frames go to the main plane, which keeps
 * them in a file, because the ring has forgotten them by the time that somebody looks.
 */
#ifndef EB_FIELD_TROUBLE_H
#define EB_FIELD_TROUBLE_H

#include <stddef.h>
#include <stdint.h>

struct bus;

/* An error of that class (enum eb_error_class) on the bus: counts, or begins an evidence. */
void trouble_note(struct bus *bus, uint32_t error);
/* So much noise came: returns how much in this second. */
uint32_t trouble_noise(struct bus *bus, size_t size);
/* Frees what is known; what waits to be told is lost. */
void trouble_forget(struct bus *bus);
/* The bus ends: what waits to be told of it is told now. */
void trouble_finish(struct bus *bus);

#endif
