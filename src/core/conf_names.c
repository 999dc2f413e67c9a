/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_parts.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"

/* Something that must be different for each of count numbered things. */
struct unique {
	const struct conf_parts *parts;
	uint32_t count;
	bool (*has)(const struct conf_parts *parts, uint32_t number);
	int (*compare)(const struct conf_parts *parts, uint32_t a, uint32_t b);
	void (*report)(const struct conf_parts *parts, uint32_t first, uint32_t again);
};

static int order(const void *a, const void *b, void *context)
{
	const struct unique *unique = context;
	uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
	int result = unique->compare(unique->parts, first, second);
	return result ? result : first < second ? -1 : 1;
}

/* By sorting, since there may be ten thousand; the numbers in their order are the caller's. */
static uint32_t *check(struct unique *unique)
{
	uint32_t *numbers = must_array(unique->count, sizeof(*numbers));
	uint32_t count = 0;
	for (uint32_t i = 0; i < unique->count; i++) {
		if (unique->has(unique->parts, i))
			numbers[count++] = i;
	}
	qsort_r(numbers, count, sizeof(*numbers), order, unique);
	uint32_t first = 0;
	for (uint32_t i = 1; i < count; i++) {
		if (unique->compare(unique->parts, numbers[first], numbers[i]) != 0)
			first = i;
		else
			unique->report(unique->parts, numbers[first], numbers[i]);
	}
	return numbers;
}

static const struct conf_bus *bus(const struct conf_parts *parts, uint32_t number)
{
	return &parts->conf->buses[number];
}

static const struct conf_device *device(const struct conf_parts *parts, uint32_t number)
{
	return &parts->conf->devices[number];
}

/* ---- buses ---------------------------------------------------------------------------------- */

/* All have: the tables of names are to hold all, an empty name was reported before. */
static bool any(const struct conf_parts *parts, uint32_t number)
{
	return true;
}

static int bus_compare_names(const struct conf_parts *parts, uint32_t a, uint32_t b)
{
	return strcmp(bus(parts, a)->name, bus(parts, b)->name);
}

static void bus_report_name(const struct conf_parts *parts, uint32_t first, uint32_t again)
{
	struct place taken = bus(parts, first)->place;
	if (!bus(parts, again)->name[0])
		return;
	problem_error(parts->problems, bus(parts, again)->place,
		"the bus at %s:%u is named \"%s\" too: rename one", taken.file, taken.line,
		bus(parts, again)->name);
}

static bool bus_has_port(const struct conf_parts *parts, uint32_t number)
{
	return bus(parts, number)->link.path;
}

static int bus_compare_ports(const struct conf_parts *parts, uint32_t a, uint32_t b)
{
	return strcmp(bus(parts, a)->link.path, bus(parts, b)->link.path);
}

static void bus_report_port(const struct conf_parts *parts, uint32_t first, uint32_t again)
{
	struct place taken = bus(parts, first)->place;
	problem_error(parts->problems, bus(parts, again)->place,
		"the bus at %s:%u is on port %s too: a port serves one bus", taken.file, taken.line,
		bus(parts, again)->link.path);
}

void names_of_buses(struct conf_parts *parts)
{
	struct unique names = { parts, parts->conf->bus_count, any, bus_compare_names,
		bus_report_name };
	struct unique ports = { parts, parts->conf->bus_count, bus_has_port, bus_compare_ports,
		bus_report_port };
	parts->conf->buses_by_name = check(&names);
	free(check(&ports));
}

/* ---- devices -------------------------------------------------------------------------------- */

static int device_compare_names(const struct conf_parts *parts, uint32_t a, uint32_t b)
{
	return strcmp(device(parts, a)->name, device(parts, b)->name);
}

static void device_report_name(const struct conf_parts *parts, uint32_t first, uint32_t again)
{
	struct place taken = device(parts, first)->place;
	if (!device(parts, again)->name[0])
		return;
	problem_error(parts->problems, device(parts, again)->place,
		"the device at %s:%u is named \"%s\" too: rename one", taken.file, taken.line,
		device(parts, again)->name);
}

static bool device_has_keys(const struct conf_parts *parts, uint32_t number)
{
	return device(parts, number)->product_key && device(parts, number)->device_key;
}

static int device_compare_keys(const struct conf_parts *parts, uint32_t a, uint32_t b)
{
	const struct conf_device *one = device(parts, a), *other = device(parts, b);
	int result = strcmp(one->product_key, other->product_key);
	return result ? result : strcmp(one->device_key, other->device_key);
}

static void device_report_keys(const struct conf_parts *parts, uint32_t first, uint32_t again)
{
	const struct conf_device *taken = device(parts, first);
	problem_error(parts->problems, device(parts, again)->place,
		"device \"%s\" at %s:%u has product_key \"%s\" and device_key \"%s\" too: EnOS "
		"would mix them up",
		taken->name, taken->place.file, taken->place.line, taken->product_key,
		taken->device_key);
}

static bool device_has_address(const struct conf_parts *parts, uint32_t number)
{
	const struct device_check *made = &parts->device_checks[number];
	return made->addressed && made->address.size;
}

static int device_compare_addresses(const struct conf_parts *parts, uint32_t a, uint32_t b)
{
	const struct eb_address *one = &parts->device_checks[a].address;
	const struct eb_address *other = &parts->device_checks[b].address;
	if (device(parts, a)->bus != device(parts, b)->bus)
		return device(parts, a)->bus < device(parts, b)->bus ? -1 : 1;
	if (one->size != other->size)
		return one->size < other->size ? -1 : 1;
	return memcmp(one->bytes, other->bytes, one->size);
}

static void device_report_address(const struct conf_parts *parts, uint32_t first, uint32_t again)
{
	const struct conf_device *taken = device(parts, first);
	problem_error(parts->problems, device(parts, again)->place,
		"device \"%s\" at %s:%u has the same address on bus \"%s\": only one can have it",
		taken->name, taken->place.file, taken->place.line, bus(parts, taken->bus)->name);
}

void names_of_devices(struct conf_parts *parts)
{
	uint32_t count = parts->conf->device_count;
	struct unique names = { parts, count, any, device_compare_names, device_report_name };
	struct unique keys = { parts, count, device_has_keys, device_compare_keys,
		device_report_keys };
	struct unique addresses = { parts, count, device_has_address, device_compare_addresses,
		device_report_address };
	parts->conf->devices_by_name = check(&names);
	free(check(&keys));
	free(check(&addresses));
}

/* ---- finding -------------------------------------------------------------------------------- */

static const char *bus_name(const struct conf *conf, uint32_t number)
{
	return conf->buses[number].name;
}

static const char *device_name(const struct conf *conf, uint32_t number)
{
	return conf->devices[number].name;
}

static int64_t find(const struct conf *conf, const uint32_t *by_name, uint32_t count,
	const char *(*name_of)(const struct conf *, uint32_t), const char *name)
{
	uint32_t low = 0, high = count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int found = strcmp(name_of(conf, by_name[middle]), name);
		if (found == 0)
			return by_name[middle];
		if (found < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -ENOENT;
}

int64_t conf_find_bus(const struct conf *conf, const char *name)
{
	return find(conf, conf->buses_by_name, conf->bus_count, bus_name, name);
}

int64_t conf_find_device(const struct conf *conf, const char *name)
{
	return find(conf, conf->devices_by_name, conf->device_count, device_name, name);
}

int64_t conf_merge_hole(const struct conf *conf, uint32_t number)
{
	const struct conf_device *device = &conf->devices[number];
	const struct conf_bus *bus = &conf->buses[device->bus];
	if (device->merge == ANSWER_AUTO ? !bus->merge : device->merge == ANSWER_NO)
		return -1;
	return device->merge_hole == CONF_AS_BUS ? bus->merge_hole : device->merge_hole;
}
