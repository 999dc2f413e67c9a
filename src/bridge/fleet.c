/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/fleet.h"

#include <errno.h>
#include <string.h>

#include "bridge/keepsake.h"
#include "bridge/proof.h"
#include "util/alloc.h"
#include "util/value.h"

/* A fault of a script shows in each of its devices: more than so many say nothing new. */
#define FAULTY_DEVICES_SHOWN 3

static struct fleet_script *find(struct fleet *fleet, const char *path)
{
	for (size_t i = 0; i < fleet->script_count; i++) {
		if (strcmp(fleet->scripts[i].path, path) == 0)
			return &fleet->scripts[i];
	}
	return NULL;
}

static void load_scripts(struct fleet *fleet, struct problems *problems)
{
	const struct conf *conf = fleet->conf;
	for (uint32_t i = 0; i < conf->device_count; i++) {
		const struct conf_device *device = &conf->devices[i];
		if (!device->script_path || find(fleet, device->script_path))
			continue;
		fleet->scripts = must_realloc(
			fleet->scripts, (fleet->script_count + 1) * sizeof(*fleet->scripts));
		struct fleet_script *entry = &fleet->scripts[fleet->script_count++];
		*entry = (struct fleet_script){ .path = device->script_path,
			.name = device->script };
		if (proof_load(&entry->script, entry->path, conf, problems) == 0)
			proof_run(entry->path, conf, problems);
	}
}

static bool has_points(const struct conf_device *device)
{
	struct value_reader reader = value_reader(device->points.data, device->points.size);
	struct value list;
	return device->points.size && value_next(&reader, &list) && list.size;
}

/* Points that nobody reads would be missing without a word.  Said once for each script. */
static void warn_of_points(const struct fleet *fleet, struct problems *problems)
{
	for (size_t n = 0; n < fleet->script_count; n++) {
		const struct fleet_script *entry = &fleet->scripts[n];
		bool takes = !entry->script || script_may_take_points(entry->script);
		for (uint32_t i = 0; i < fleet->conf->device_count && !takes; i++) {
			const struct conf_device *device = &fleet->conf->devices[i];
			takes = device->script_path && has_points(device) &&
				strcmp(device->script_path, entry->path) == 0;
			if (takes)
				problem_warning(problems, device->place,
					"device \"%s\": script \"%s\" does not look at "
					"device.points: its points are not read: remove points, or "
					"remove script to have them read without one",
					device->name, entry->name);
		}
	}
}

struct fleet *fleet_create(
	const struct conf *conf, struct keepsake *keepsake, struct problems *problems)
{
	size_t errors = problems->errors;
	struct fleet *fleet = must_alloc(sizeof(*fleet));
	fleet->conf = conf;
	load_scripts(fleet, problems);
	fleet->devices = must_array(conf->device_count, sizeof(*fleet->devices));
	size_t *faulty = must_array(fleet->script_count, sizeof(*faulty));
	for (uint32_t i = 0; i < conf->device_count; i++) {
		const char *path = conf->devices[i].script_path;
		struct fleet_script *entry = path ? find(fleet, path) : NULL;
		size_t index = entry ? (size_t)(entry - fleet->scripts) : 0;
		if (entry && (!entry->script || faulty[index] >= FAULTY_DEVICES_SHOWN))
			continue;
		struct problems found = PROBLEMS_NONE;
		int result = member_init(&fleet->devices[i], conf, i, entry ? entry->script : NULL,
			keepsake_find(keepsake, &conf->devices[i]), &found);
		proof_add(problems, &found, path ? path : "");
		problems_finish(&found);
		if (result < 0 && entry && ++faulty[index] == FAULTY_DEVICES_SHOWN)
			problem_error(problems, conf->devices[i].place,
				"further devices of script \"%s\" were not checked: mend these first",
				entry->name);
	}
	free(faulty);
	warn_of_points(fleet, problems);
	if (problems->errors == errors)
		return fleet;
	fleet_destroy(fleet);
	return NULL;
}

void fleet_destroy(struct fleet *fleet)
{
	if (!fleet)
		return;
	for (uint32_t i = 0; i < fleet->conf->device_count; i++)
		member_finish(&fleet->devices[i]);
	for (size_t i = 0; i < fleet->script_count; i++)
		script_destroy(fleet->scripts[i].script);
	free(fleet->scripts);
	free(fleet->devices);
	free(fleet);
}

static bool runs(const struct member *device, const struct fleet_script *entry)
{
	return device->conf->script_path && strcmp(device->conf->script_path, entry->path) == 0;
}

/* The devices of the entry as they would be with the fresh script. */
static int make_members(struct fleet *fleet, const struct fleet_script *entry, struct script *fresh,
	struct member *made, struct problems *problems)
{
	struct problems found = PROBLEMS_NONE;
	int result = 0;
	for (uint32_t i = 0; i < fleet->conf->device_count && result == 0; i++) {
		if (runs(&fleet->devices[i], entry))
			result = member_init(&made[i], fleet->conf, i, fresh,
				script_device_state(fleet->devices[i].lua), &found);
	}
	proof_add(problems, &found, entry->path);
	problems_finish(&found);
	return result;
}

static int take_over(struct fleet *fleet, struct fleet_script *entry, struct script **fresh,
	const struct fleet_watcher *watcher, struct problems *problems)
{
	uint32_t count = fleet->conf->device_count;
	struct member *made = must_array(count, sizeof(*made));
	int result = make_members(fleet, entry, *fresh, made, problems);
	for (uint32_t i = 0; i < count && result == 0; i++) {
		if (!runs(&fleet->devices[i], entry))
			continue;
		member_swap_script(&fleet->devices[i], &made[i]);
		watcher->changed(&fleet->devices[i], watcher->context);
	}
	/* What was swapped out, or never came in, goes with its script. */
	for (uint32_t i = 0; i < count; i++)
		member_finish(&made[i]);
	free(made);
	if (result == 0) {
		struct script *old = entry->script;
		entry->script = *fresh;
		*fresh = old;
	}
	return result;
}

int fleet_reload(struct fleet *fleet, size_t number, const struct fleet_watcher *watcher,
	struct problems *problems)
{
	struct fleet_script *entry = &fleet->scripts[number];
	struct script *fresh = NULL;
	if (proof_load(&fresh, entry->path, fleet->conf, problems) < 0)
		return -EINVAL;
	int result = FLEET_UNCHANGED;
	if (!script_is_same(fresh, entry->script)) {
		result = proof_run(entry->path, fleet->conf, problems);
		if (result == 0)
			result = take_over(fleet, entry, &fresh, watcher, problems);
		result = result < 0 ? -EINVAL : FLEET_CHANGED;
	}
	script_destroy(fresh);
	return result;
}
