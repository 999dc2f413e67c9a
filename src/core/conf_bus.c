/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_parts.h"

#include <string.h>

#include "util/alloc.h"

static void read_link(struct conf_parts *parts, struct conf_link *link, const struct node *node)
{
	section_read(&link_section, node, link, NULL, parts->problems);
	if (link->reopen_min_ms > link->reopen_max_ms)
		problem_error(parts->problems, node->place,
			"reopen_min_ms (%u) is more than reopen_max_ms (%u): set both",
			link->reopen_min_ms, link->reopen_max_ms);
}

static struct eb_line line_of(const struct conf_link *link)
{
	if (link->type == CONF_LINK_TCP)
		return (struct eb_line){ .transport = EB_TCP };
	return (struct eb_line){ .transport = EB_SERIAL,
		.baud = link->baud,
		.char_bits = 1u + link->data_bits + (link->parity != PARITY_NONE) +
			link->stop_bits };
}

static const char *transport_names(uint32_t transports)
{
	if (transports == (EB_SERIAL | EB_TCP))
		return "serial and tcp";
	return transports == EB_SERIAL ? "serial" : "tcp";
}

/* The plugin, where it exists and can run on this kind of link. */
static void find_plugin(
	struct conf_parts *parts, struct conf_bus *bus, const struct node *node, bool linked)
{
	struct eb_error error = { .text = "" };
	const struct node *name = node_find(node, "plugin");
	const struct node *link = node_find(node, "link");
	if (!bus->plugin_name)
		return;
	bus->plugin = plugins_find(parts->conf->plugins, bus->plugin_name, &error);
	if (!bus->plugin) {
		problem_error(parts->problems, name->place, "%s", error.text);
		return;
	}
	if (!linked || bus->plugin->transports & bus->line.transport)
		return;
	problem_error(parts->problems, node_find(link, "type")->place,
		"plugin %s cannot run on %s: it runs on %s", bus->plugin_name,
		transport_names(bus->line.transport), transport_names(bus->plugin->transports));
}

/* The bus's options, tried on a state that serves the checks of its devices too. */
static void *open_state(struct conf_parts *parts, struct conf_bus *bus)
{
	const struct eb_plugin *plugin = bus->plugin;
	struct eb_error error = { .text = "" };
	struct eb_timing timing = { .gap_us = 0 };
	struct settings settings;
	if (settings_from_value(&settings, plugin->bus_keys, NULL, bus->options.data,
		    bus->options.size, SETTINGS_CONFIGURATION, bus->place, parts->problems) < 0)
		return NULL;
	void *state = must_alloc(plugin->state_size);
	int result = plugin->open(state, &settings.view, &bus->line, &timing, &error);
	settings_finish(&settings);
	if (result == 0)
		return state;
	problem_error(parts->problems, bus->place, "plugin %s: %s", plugin->name,
		error.text[0] ? error.text : strerror(-result));
	free(state);
	return NULL;
}

/* What a link must have for the plugin to be asked about it. */
static bool link_complete(const struct node *link)
{
	const struct node *type = link ? node_find(link, "type") : NULL;
	return type && type->type == NODE_TEXT &&
		choice_number(section_field(&link_section, "type")->choices, type->text) >= 0;
}

static void read_options(struct conf_parts *parts, struct conf_bus *bus, const struct node *node,
	const struct node_list *others, bool linked)
{
	struct plugin_keys keys = { .section = &bus_section,
		.plugin = bus->plugin,
		.keys = bus->plugin ? bus->plugin->bus_keys : NULL,
		.place = bus->place };
	plugin_keys_put(others->items, others->count, &bus->options);
	if (!bus->plugin)
		plugin_keys_guess(&bus_section, node, others, parts->problems);
	if (!bus->plugin ||
		!plugin_keys_check(&keys, others->items, others->count, parts->problems))
		return;
	if (linked && bus->plugin->transports & bus->line.transport)
		parts->bus_checks[bus - parts->conf->buses].state = open_state(parts, bus);
}

void bus_read(struct conf_parts *parts, const struct node *node)
{
	if (node->type != NODE_GROUP) {
		problem_error(parts->problems, node->place,
			"an item of buses is %s: it must be a group { }",
			node_type_name(node->type));
		return;
	}
	struct conf_bus *bus = &parts->conf->buses[parts->conf->bus_count++];
	struct node_list others = { .items = NULL };
	const struct node *link = node_find(node, "link");
	bus->place = node->place;
	section_defaults(&bus_section, bus);
	section_defaults(&link_section, &bus->link);
	section_read(&bus_section, node, bus, &others, parts->problems);
	if (!bus->name)
		bus->name = must_strdup("");
	if (link && link->type == NODE_GROUP)
		read_link(parts, &bus->link, link);
	bus->line = line_of(&bus->link);
	bool linked = link_complete(link);
	find_plugin(parts, bus, node, linked);
	read_options(parts, bus, node, &others, linked);
	buffer_fit(&bus->options);
	node_list_finish(&others);
}

void bus_finish(struct conf_bus *bus)
{
	section_finish(&link_section, &bus->link);
	section_finish(&bus_section, bus);
	buffer_finish(&bus->options);
}
