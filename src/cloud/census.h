/* SPDX-License-Identifier: Apache-2.0 */
/* How much of each device is on disk, and which device of the configuration that is. */
#ifndef EB_CLOUD_CENSUS_H
#define EB_CLOUD_CENSUS_H

#include "cloud/store.h"

struct census_item {
	uint64_t device; /* hash of its keys */
	struct store_counts counts;
};

struct census_name {
	uint64_t device;
	uint32_t number;
};

struct census {
	struct census_item *items; /* of what was ever counted, by device */
	size_t count, room;
	struct census_name *names; /* of the configuration, by device */
	uint64_t *keys; /* the devices by number */
	uint32_t name_count;
	uint64_t bytes; /* of all */
};

void census_init(struct census *census, const struct conf_device *devices, uint32_t count);
void census_finish(struct census *census);
/* Forgets all counts. */
void census_clear(struct census *census);

uint64_t census_key(const struct census *census, uint32_t number);
/* The number in the configuration, or -ENOENT. */
int64_t census_number(const struct census *census, uint64_t device);
/* The counts of the device, made where there are none; valid until the next call. */
struct store_counts *census_find(struct census *census, uint64_t device);
struct store_counts census_counts(const struct census *census, uint64_t device);

void census_add(
	struct census *census, uint64_t device, uint64_t id, enum report_kind kind, uint64_t bytes);
void census_take(struct census *census, uint64_t device, enum report_kind kind, uint64_t bytes);
/* Counts that were kept in the file. */
void census_set(struct census *census, uint64_t device, const struct store_counts *counts);
/* Bytes from which on a device has to give: three quarters of the mean, so that all give alike. */
uint64_t census_share(const struct census *census);

#endif
