/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which readings came before: fingerprints of (device, name, time) in two generations, so that
 * memory stays bounded.
 */
#ifndef SIM_CLOUD_SEEN_H
#define SIM_CLOUD_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen;
/* Remembers at least the last window readings, 0: none. */
struct seen *seen_create(size_t window);
void seen_destroy(struct seen *seen);
/* Whether it came before; remembers it. device: any address that stands for it. */
bool seen_before(
	struct seen *seen, const void *device, const char *name, size_t size, int64_t time);

#endif
