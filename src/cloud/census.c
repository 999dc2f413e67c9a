/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/census.h"

#include <errno.h>
#include <string.h>

#include "cloud/row.h"
#include "util/alloc.h"

static uint64_t hash_text(uint64_t hash, const char *text)
{
	/* FNV-1a, the closing NUL included, so that "a" "bc" is not "ab" "c". */
	do
		hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
	while (*text++);
	return hash;
}

/* Positive as SQLite's integers are signed, and not 0, which stands for none. */
static uint64_t hash_device(const struct conf_device *device)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	hash = hash_text(hash, device->product_key);
	hash = hash_text(hash, device->device_key) >> 1;
	return hash ? hash : 1;
}

static int compare_names(const void *a, const void *b)
{
	const struct census_name *one = a, *other = b;
	return one->device < other->device ? -1 : one->device > other->device;
}

void census_init(struct census *census, const struct conf_device *devices, uint32_t count)
{
	*census = (struct census){ .name_count = count };
	census->names = must_array(count, sizeof(*census->names));
	census->keys = must_array(count, sizeof(*census->keys));
	for (uint32_t i = 0; i < count; i++) {
		census->keys[i] = hash_device(&devices[i]);
		census->names[i] = (struct census_name){ census->keys[i], i };
	}
	if (count)
		qsort(census->names, count, sizeof(*census->names), compare_names);
}

void census_finish(struct census *census)
{
	free(census->items);
	free(census->names);
	free(census->keys);
}

void census_clear(struct census *census)
{
	census->count = 0;
	census->bytes = 0;
}

uint64_t census_key(const struct census *census, uint32_t number)
{
	return census->keys[number];
}

int64_t census_number(const struct census *census, uint64_t device)
{
	const struct census_name wanted = { .device = device };
	const struct census_name *name = census->name_count
		? bsearch(&wanted, census->names, census->name_count, sizeof(wanted), compare_names)
		: NULL;
	return name ? (int64_t)name->number : -ENOENT;
}

/* Where the device stands, or would. */
static size_t place_of(const struct census *census, uint64_t device)
{
	size_t low = 0, high = census->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (census->items[middle].device < device)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct store_counts *census_find(struct census *census, uint64_t device)
{
	size_t place = place_of(census, device);
	struct census_item *item = census->items + place;
	if (place < census->count && item->device == device)
		return &item->counts;
	if (census->count == census->room) {
		census->room = census->room ? 2 * census->room : 64;
		census->items = must_realloc(census->items, census->room * sizeof(*item));
		item = census->items + place;
	}
	memmove(item + 1, item, (census->count - place) * sizeof(*item));
	census->count++;
	*item = (struct census_item){ .device = device };
	return &item->counts;
}

struct store_counts census_counts(const struct census *census, uint64_t device)
{
	size_t place = place_of(census, device);
	if (place < census->count && census->items[place].device == device)
		return census->items[place].counts;
	return (struct store_counts){ .first = 0 };
}

static bool is_strict(enum report_kind kind)
{
	return kind == REPORT_RAW || kind == REPORT_EVENT;
}

void census_add(
	struct census *census, uint64_t device, uint64_t id, enum report_kind kind, uint64_t bytes)
{
	struct store_counts *counts = census_find(census, device);
	if (!counts->points && !counts->strict)
		counts->first = id;
	if (is_strict(kind))
		counts->strict++;
	else
		counts->points++;
	counts->bytes += ROW_BYTES + bytes;
	census->bytes += ROW_BYTES + bytes;
}

static void take(uint64_t *from, uint64_t count)
{
	*from -= count < *from ? count : *from;
}

void census_take(struct census *census, uint64_t device, enum report_kind kind, uint64_t bytes)
{
	struct store_counts *counts = census_find(census, device);
	take(is_strict(kind) ? &counts->strict : &counts->points, 1);
	bytes += ROW_BYTES;
	take(&census->bytes, bytes < counts->bytes ? bytes : counts->bytes);
	take(&counts->bytes, bytes);
}

void census_set(struct census *census, uint64_t device, const struct store_counts *counts)
{
	struct store_counts *known = census_find(census, device);
	census->bytes += counts->bytes - known->bytes;
	*known = *counts;
}

uint64_t census_share(const struct census *census)
{
	size_t count = 0;
	for (size_t i = 0; i < census->count; i++)
		count += census->items[i].counts.bytes != 0;
	return count ? census->bytes / count * 3 / 4 : 0;
}
