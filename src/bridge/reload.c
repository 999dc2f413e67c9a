/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload: scripts from their files, each for itself, and the devices' secrets.  What is bad leaves the
 * old one running.
 */
#include "bridge/parts.h"

#include <string.h>

#include "core/conf_changes.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/plural.h"

static void plan_changed(struct member *device, void *context)
{
	struct bridge *bridge = context;
	handover_send(bridge->handover, device);
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

static const char *say_result(const struct fleet_script *entry, int result)
{
	if (result < 0) {
		log_warning("script %s: not reloaded, the old one goes on: mend what follows and "
			    "reload again",
			entry->path);
		return "kept the old one";
	}
	if (result == FLEET_UNCHANGED)
		return "unchanged";
	log_info("script %s: reloaded", entry->path);
	return "reloaded";
}

static void reload_script(struct bridge *bridge, size_t number, struct buffer *json)
{
	const struct fleet_script *entry = &bridge->fleet->scripts[number];
	const struct fleet_watcher watcher = { plan_changed, bridge };
	struct problems problems = PROBLEMS_NONE;
	OWNED_BUFFER text = BUFFER_EMPTY;
	int result = fleet_reload(bridge->fleet, number, &watcher, &problems);
	buffer_printf(&text, "\"result\":\"%s\"", say_result(entry, result));
	if (problems.count)
		print_problems(&text, &problems);
	problems_log(&problems);
	buffer_put_text(json, "{\"file\":");
	json_put_text(json, entry->path);
	buffer_printf(json, ",%s}", buffer_text(&text));
	if (result != FLEET_UNCHANGED)
		broker_reload(bridge->broker, entry->name, buffer_text(&text));
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

static void put_change(void *context, const char *what)
{
	struct buffer *list = context;
	buffer_put_text(list, list->size ? "," : "");
	json_put_text(list, what);
}

/* Names what a reload does not take over. */
static void say_restart(const struct bridge *bridge, const struct conf *fresh, struct buffer *json)
{
	OWNED_BUFFER list = BUFFER_EMPTY;
	size_t count = conf_changes(bridge->conf, fresh, put_change, &list);
	if (!count)
		return;
	log_warning("configuration: %zu setting%s changed that a reload does not take over, which "
		    "takes scripts and secrets: restart the service for %s%s",
		count, plural(count, "s"), buffer_text(&list),
		count > CONF_CHANGES_MAX ? " and others" : "");
	buffer_printf(json, ",\"restart_for\":[%s]", buffer_text(&list));
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
