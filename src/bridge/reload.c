/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload: scripts from their files, each for itself, and the devices' secrets.  What is bad leaves the
 * old one running.
 */
#include "bridge/parts.h"

#include <string.h>

#include "util/alloc.h"
#include "util/json.h"

static void plan_changed(struct member *device, void *context)
{
	struct bridge *bridge = context;
	bridge_send_plan(bridge, device);
	discoveries_restart(bridge->discoveries, device->number);
	broker_warning(bridge->broker, device->number, "");
	broker_script(bridge->broker, device->number, "");
}

static void print_problems(struct buffer *json, const struct problems *problems)
{
	buffer_put_text(json, ",\"problems\":[");
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *problem = &problems->items[i];
		OWNED_BUFFER text = BUFFER_EMPTY;
		if (problem->file && problem->line)
			buffer_printf(&text, "%s:%u: ", problem->file, problem->line);
		else if (problem->file)
			buffer_printf(&text, "%s: ", problem->file);
		buffer_put_text(&text, problem->text);
		buffer_put_text(json, i ? "," : "");
		json_put_text(json, buffer_text(&text));
	}
	buffer_put_byte(json, ']');
}

static void reload_script(struct bridge *bridge, size_t number, struct buffer *json)
{
	const struct fleet_script *entry = &bridge->fleet->scripts[number];
	struct problems problems = PROBLEMS_NONE;
	int result = fleet_reload(bridge->fleet, number, plan_changed, bridge, &problems);
	if (result < 0)
		log_warning("script %s: not reloaded, the old one goes on: mend what follows and "
			    "reload again",
			entry->path);
	else
		log_info("script %s: reloaded", entry->path);
	problems_log(&problems);
	buffer_put_text(json, "{\"file\":");
	json_put_text(json, entry->path);
	buffer_printf(json, ",\"result\":\"%s\"", result < 0 ? "kept the old one" : "reloaded");
	if (problems.count)
		print_problems(json, &problems);
	buffer_put_byte(json, '}');
	problems_finish(&problems);
}

static bool same_text(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static void swap(char **one, char **other)
{
	char *kept = *one;
	*one = *other;
	*other = kept;
}

/* Takes over the secret of a device that stands in both configurations.  Returns 1 where it is new. */
static uint32_t take_secret(struct bridge *bridge, uint32_t number, struct conf *fresh)
{
	struct conf_device *device = &bridge->setup.conf->devices[number];
	int64_t found = conf_find_device(fresh, device->name);
	if (found < 0)
		return 0;
	struct conf_device *other = &fresh->devices[found];
	bool same_device = strcmp(device->product_key, other->product_key) == 0 &&
		strcmp(device->device_key, other->device_key) == 0;
	if (!same_device ||
		(same_text(device->secret, other->secret) &&
			same_text(device->product_secret, other->product_secret)))
		return 0;
	swap(&device->secret, &other->secret);
	swap(&device->product_secret, &other->product_secret);
	cloud_secret_changed(bridge->cloud, number);
	log_info("device %s: its secret changed: it authenticates anew", device->name);
	return 1;
}

/* How many devices of one configuration the other does not have. */
static uint32_t missing_in(const struct conf *conf, const struct conf *other)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < conf->device_count; i++)
		count += conf_find_device(other, conf->devices[i].name) < 0;
	return count;
}

static void say_restart(const struct bridge *bridge, const struct conf *fresh, struct buffer *json)
{
	uint32_t added = missing_in(fresh, bridge->conf), gone = missing_in(bridge->conf, fresh);
	if (!added && !gone)
		return;
	log_warning("configuration: %u devices are new and %u are gone: restart the service for "
		    "that; a reload takes scripts and secrets",
		added, gone);
	buffer_printf(
		json, ",\"restart_for\":{\"new_devices\":%u,\"gone_devices\":%u}", added, gone);
}

static void reload_secrets(struct bridge *bridge, struct buffer *json)
{
	struct problems problems = PROBLEMS_NONE;
	struct conf *fresh = conf_load(bridge->conf->path, bridge->setup.defaults, &problems);
	uint32_t changed = 0;
	for (uint32_t i = 0; fresh && i < bridge->conf->device_count; i++)
		changed += take_secret(bridge, i, fresh);
	if (!fresh)
		log_warning(
			"configuration: not read again, the secrets stay as they are: mend what "
			"follows and reload again");
	problems_log(&problems);
	buffer_printf(json, ",\"secrets\":{\"result\":\"%s\",\"changed\":%u",
		fresh ? "read" : "kept the old ones", changed);
	if (problems.count)
		print_problems(json, &problems);
	buffer_put_byte(json, '}');
	if (fresh)
		say_restart(bridge, fresh, json);
	conf_destroy(fresh);
	problems_finish(&problems);
}

void bridge_reload(struct bridge *bridge, struct buffer *json)
{
	buffer_put_text(json, "{\"scripts\":[");
	for (size_t i = 0; i < bridge->fleet->script_count; i++) {
		buffer_put_text(json, i ? "," : "");
		reload_script(bridge, i, json);
	}
	buffer_put_byte(json, ']');
	reload_secrets(bridge, json);
	buffer_put_byte(json, '}');
}
