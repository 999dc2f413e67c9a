/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/fleet.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"

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

/* 0, or -EINVAL with a problem; the problem's text begins with the script's file and line. */
static int load(struct script **script, const char *path, const struct conf *conf,
	struct problems *problems)
{
	struct script_error error = { .text = "" };
	int result = script_load(script, path, &conf->scripts, &error);
	if (result < 0)
		problem_error(problems, (struct place){ .file = NULL }, "%s", error.text);
	return result < 0 ? -EINVAL : 0;
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
		load(&entry->script, entry->path, conf, problems);
	}
}

struct fleet *fleet_create(const struct conf *conf, struct problems *problems)
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
		int result = member_init(
			&fleet->devices[i], conf, i, entry ? entry->script : NULL, NULL, problems);
		if (result < 0 && entry && ++faulty[index] == FAULTY_DEVICES_SHOWN)
			problem_error(problems, conf->devices[i].place,
				"further devices of script \"%s\" were not checked: mend these first",
				entry->name);
	}
	free(faulty);
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

int fleet_reload(struct fleet *fleet, size_t number,
	void (*changed)(struct member *device, void *context), void *context,
	struct problems *problems)
{
	struct fleet_script *entry = &fleet->scripts[number];
	uint32_t count = fleet->conf->device_count;
	struct script *fresh = NULL;
	if (load(&fresh, entry->path, fleet->conf, problems) < 0)
		return -EINVAL;

	struct member *made = must_array(count, sizeof(*made));
	int result = 0;
	for (uint32_t i = 0; i < count && result == 0; i++) {
		if (runs(&fleet->devices[i], entry))
			result = member_init(&made[i], fleet->conf, i, fresh,
				script_device_state(fleet->devices[i].lua), problems);
	}
	for (uint32_t i = 0; i < count && result == 0; i++) {
		if (!runs(&fleet->devices[i], entry))
			continue;
		member_swap_script(&fleet->devices[i], &made[i]);
		changed(&fleet->devices[i], context);
	}
	/* What was swapped out, or never came in, goes with its script. */
	for (uint32_t i = 0; i < count; i++)
		member_finish(&made[i]);
	free(made);
	if (result == 0) {
		struct script *old = entry->script;
		entry->script = fresh;
		fresh = old;
	}
	script_destroy(fresh);
	return result;
}
