/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_parts.h"

#include <string.h>
#include <unistd.h>

#include "core/conf_points.h"
#include "util/alloc.h"

/* Beyond this the names of all buses are no longer searched for what one may have meant. */
#define SUGGESTIONS_MAX 20

static void refuse_bus(struct conf_parts *parts, const struct node *node)
{
	struct nearest nearest = { .to = node->text };
	for (uint32_t i = 0; i < parts->conf->bus_count && parts->suggestions < SUGGESTIONS_MAX;
		i++) {
		if (parts->conf->buses[i].name)
			nearest_try(&nearest, parts->conf->buses[i].name);
	}
	parts->suggestions++;
	if (nearest.best)
		problem_error(parts->problems, node->place,
			"no bus is named \"%s\": did you mean \"%s\"?", node->text, nearest.best);
	else
		problem_error(parts->problems, node->place,
			"no bus is named \"%s\": name one of buses", node->text);
}

/* The device's bus, or NULL, perhaps after having said why. */
static struct conf_bus *find_bus(
	struct conf_parts *parts, struct conf_device *device, const struct node *node)
{
	if (!device->bus_name)
		return NULL;
	int64_t number = conf_find_bus(parts->conf, device->bus_name);
	if (number >= 0) {
		device->bus = (uint32_t)number;
		return &parts->conf->buses[number];
	}
	if (parts->whole)
		refuse_bus(parts, node_find(node, "bus"));
	return NULL;
}

/* The device's address in the plugin's own form; faults stand at its first key. */
static void make_address(struct conf_parts *parts, struct conf_device *device,
	const struct conf_bus *bus, const struct node_list *others)
{
	struct device_check *check = &parts->device_checks[device - parts->conf->devices];
	const void *state = parts->bus_checks[device->bus].state;
	const struct eb_plugin *plugin = bus->plugin;
	struct place place = others->count ? others->items[0]->place : device->place;
	struct eb_error error = { .text = "" };
	struct settings settings;
	if (!state ||
		settings_from_value(&settings, plugin->device_keys, NULL, device->address.data,
			device->address.size, SETTINGS_CONFIGURATION, place, parts->problems) < 0)
		return;
	int result = plugin->address(state, &settings.view, &check->address, &error);
	settings_finish(&settings);
	check->addressed = result == 0 && check->address.size <= EB_ADDRESS_MAX;
	if (!check->addressed)
		problem_error(parts->problems, place, "plugin %s: %s", plugin->name,
			error.text[0] ? error.text : "it made no address of this device");
}

static void read_address(struct conf_parts *parts, struct conf_device *device,
	const struct conf_bus *bus, const struct node *node, const struct node_list *others)
{
	plugin_keys_put(others->items, others->count, &device->address);
	if (!bus || !bus->plugin) {
		plugin_keys_guess(&device_section, node, others, parts->problems);
		return;
	}
	struct plugin_keys keys = { .section = &device_section,
		.plugin = bus->plugin,
		.keys = bus->plugin->device_keys,
		.place = device->place };
	if (plugin_keys_check(&keys, others->items, others->count, parts->problems))
		make_address(parts, device, bus, others);
}

/* Points without a script are run by the one that is shipped for them. */
static void find_script(
	struct conf_parts *parts, struct conf_device *device, const struct node *node)
{
	const struct node *key = node_find(node, "script"), *points = node_find(node, "points");
	if (!key && points && points->count) {
		key = points;
		device->script = must_strdup(POINTS_SCRIPT);
	}
	if (!device->script)
		return;
	const char *path = script_find(parts, device->script);
	if (path) {
		device->script_path = must_strdup(path);
		return;
	}
	struct place place = key->place;
	char *blocked OWNED = script_blocked(parts->conf, device->script);
	if (blocked) {
		problem_error(parts->problems, place,
			"script %s cannot be read: check that it is a file, and that user %u may read it",
			blocked, (unsigned)geteuid());
		return;
	}
	OWNED_BUFFER dirs = BUFFER_EMPTY;
	for (char **dir = parts->conf->gateway.script_dirs; dir && *dir; dir++)
		buffer_printf(&dirs, "%s%s", dirs.size ? ", " : "", *dir);
	problem_error(parts->problems, place,
		"script \"%s\" is in none of %s: check its name, or put it there", device->script,
		buffer_text(&dirs));
}

static void read_parameters(struct conf_device *device, const struct node *node)
{
	if (!node || node->type != NODE_GROUP) {
		value_put_map(&device->parameters, 0);
		return;
	}
	node_put_value(node, &device->parameters);
	device->parameter_places = must_array(node->count, sizeof(struct place));
	for (size_t i = 0; i < node->count; i++)
		device->parameter_places[i] = node->items[i].place;
}

/* What the device does not say of itself is said for all in enos. */
static void read_offline(
	const struct conf *conf, struct conf_device *device, const struct node *node)
{
	if (!node_find(node, "offline"))
		device->offline = conf->enos.offline;
	if (!node_find(node, "offline_after"))
		device->offline_after_s = conf->enos.offline_after_s;
}

static void read_points(struct conf_parts *parts, struct conf_device *device,
	const struct conf_bus *bus, const struct node *list)
{
	const struct device_check *check = &parts->device_checks[device - parts->conf->devices];
	const struct points_target target = { .plugin = bus ? bus->plugin : NULL,
		.state = bus && check->addressed ? parts->bus_checks[device->bus].state : NULL,
		.address = &check->address };
	points_read(list, &target, &device->points, parts->problems);
}

static void check_purpose(struct conf_parts *parts, const struct node *node)
{
	const struct node *polls = node_find(node, "polls"), *points = node_find(node, "points");
	if (node_find(node, "script") || (polls && polls->count) || (points && points->count))
		return;
	problem_error(parts->problems, node->place,
		"device has neither script, points nor polls: nothing would be read from it");
}

void device_read(struct conf_parts *parts, const struct node *node, bool open_to_others)
{
	if (node->type != NODE_GROUP) {
		problem_error(parts->problems, node->place,
			"an item of devices is %s: it must be a group { }",
			node_type_name(node->type));
		return;
	}
	struct conf_device *device = &parts->conf->devices[parts->conf->device_count++];
	struct node_list others = { .items = NULL };
	device->place = node->place;
	section_defaults(&device_section, device);
	device->merge_hole = CONF_AS_BUS;
	section_read(&device_section, node, device, &others, parts->problems);
	if (!device->name)
		device->name = must_strdup("");
	const struct conf_bus *bus = find_bus(parts, device, node);
	read_address(parts, device, bus, node, &others);
	find_script(parts, device, node);
	device_cloud_read(parts, device, node, open_to_others);
	read_parameters(device, node_find(node, "parameters"));
	read_offline(parts->conf, device, node);
	check_purpose(parts, node);
	read_points(parts, device, bus, node_find(node, "points"));
	polls_read(parts, device, node_find(node, "polls"));
	commands_read(parts, device, node);
	node_list_finish(&others);
}

void device_finish(struct conf_device *device)
{
	device_cloud_finish(device);
	section_finish(&device_section, device);
	commands_finish(device);
	free(device->script_path);
	buffer_finish(&device->address);
	buffer_finish(&device->parameters);
	free(device->parameter_places);
	buffer_finish(&device->polls);
	buffer_finish(&device->points);
	free(device->poll_places);
}
