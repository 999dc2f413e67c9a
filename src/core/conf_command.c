/* SPDX-License-Identifier: Apache-2.0 */
/* What commands may do to a device: the groups allow and read_back. */
#include "core/conf_fields.h"
#include "core/conf_parts.h"

#include <string.h>

#include "util/alloc.h"

static const struct field rule_fields[] = {
	{ .key = "service",
		TEXT(struct conf_rule, service),
		.form = FORM_TOPIC,
		.min = 1,
		.max = 200,
		.otherwise = "any",
		.help = "the service behind thing/service/, or a whole topic such as thing/model/down_raw" },
	{ .key = "write",
		TEXT(struct conf_rule, write),
		.form = FORM_NAME,
		.min = 1,
		.max = 64,
		.otherwise = "any request",
		.help = "what may be written, in the words of requests: \"holding_registers\"" },
	{ .key = "address",
		.kind = FIELD_RANGE,
		AT(struct conf_rule, address),
		.min = 0,
		.max = INT64_MAX,
		.otherwise = "any",
		.help = "the first and the last place of it" },
	{ .key = "values",
		.kind = FIELD_RANGE,
		AT(struct conf_rule, values),
		.min = INT64_MIN,
		.max = INT64_MAX,
		.otherwise = "any",
		.help = "the least and the greatest number, as the protocol carries it: registers are 0 to "
			"65535" },
	{ .key = NULL },
};

static const struct field read_back_fields[] = {
	{ .key = "settle",
		FINER(struct read_back, settle_ms),
		.min = 0,
		.max = READ_BACK_SETTLE_MAX_MS,
		.unit = "s",
		.fallback = "0.5",
		.help = "wait between the write and the read" },
	{ .key = "tolerance",
		NUMBER(struct read_back, tolerance),
		.min = 0,
		.max = READ_BACK_TOLERANCE_MAX,
		.fallback = "0",
		.help = "by how much each number may differ" },
	{ .key = NULL },
};

const struct section rule_section = { "allow", rule_fields, NULL, NULL };
const struct section read_back_section = { "read_back", read_back_fields, NULL, NULL };

static const struct eb_plugin *plugin_of(
	const struct conf_parts *parts, const struct conf_device *device)
{
	int64_t bus = device->bus_name ? conf_find_bus(parts->conf, device->bus_name) : -1;
	return bus < 0 ? NULL : parts->conf->buses[bus].plugin;
}

/* A word that the plugin does not have in any text of its requests would allow nothing. */
static void check_kind(
	struct conf_parts *parts, const struct eb_plugin *plugin, const struct node *write)
{
	const struct eb_key *known = plugin->request_keys;
	if (write->type != NODE_TEXT)
		return;
	if (!plugin->target) {
		problem_error(parts->problems, write->place,
			"plugin %s cannot say what a request writes: remove write, and name services",
			plugin->name);
		return;
	}
	while (known && known->name && strcmp(known->name, "write") != 0)
		known++;
	if (known && known->name && known->choices &&
		choice_number(known->choices, write->text) < 0)
		problem_error(parts->problems, write->place,
			"write is \"%s\": requests of plugin %s have %s", write->text, plugin->name,
			known->choices);
}

static void read_rule(struct conf_parts *parts, const struct conf_device *device,
	const struct node *node, struct conf_rule *rule)
{
	static const char *const of_writes[] = { "address", "values" };
	const struct eb_plugin *plugin = plugin_of(parts, device);
	const struct node *write = node_find(node, "write");
	*rule = (struct conf_rule){ .address = { 0, INT64_MAX },
		.values = { INT64_MIN, INT64_MAX } };
	section_read(&rule_section, node, rule, NULL, parts->problems);
	rule->has_values = node_find(node, "values");
	for (size_t i = 0; i < sizeof(of_writes) / sizeof(*of_writes); i++) {
		const struct node *key = node_find(node, of_writes[i]);
		if (key && !write)
			problem_error(parts->problems, key->place,
				"%s says nothing without write: add write = \"...\", or remove it",
				of_writes[i]);
	}
	if (!write && !node_find(node, "service"))
		problem_error(parts->problems, node->place,
			"an item of allow has neither service nor write: it would allow everything");
	if (write && plugin)
		check_kind(parts, plugin, write);
}

static void read_rules(
	struct conf_parts *parts, struct conf_device *device, const struct node *list)
{
	device->has_rules = true;
	device->rules = must_array(list->count, sizeof(*device->rules));
	for (size_t i = 0; i < list->count; i++) {
		const struct node *node = &list->items[i];
		if (node->type == NODE_GROUP)
			read_rule(parts, device, node, &device->rules[device->rule_count++]);
		else
			problem_error(parts->problems, node->place,
				"an item of allow is %s: it must be a group { }",
				node_type_name(node->type));
	}
}

static void need_target(
	struct conf_parts *parts, const struct eb_plugin *plugin, const struct node *node, bool has)
{
	if (node && plugin && !has)
		problem_error(parts->problems, node->place, "plugin %s cannot do %s: remove it",
			plugin->name, node->key);
}

void commands_read(struct conf_parts *parts, struct conf_device *device, const struct node *node)
{
	const struct eb_plugin *plugin = plugin_of(parts, device);
	const struct node *allow = node_find(node, "allow");
	const struct node *read_back = node_find(node, "read_back");
	if (allow && (allow->type == NODE_LIST || allow->type == NODE_ARRAY))
		read_rules(parts, device, allow);
	section_defaults(&read_back_section, &device->read_back);
	if (read_back && read_back->type == NODE_GROUP) {
		device->read_back.wanted = true;
		section_read(
			&read_back_section, read_back, &device->read_back, NULL, parts->problems);
	}
	need_target(parts, plugin, read_back, plugin && plugin->read_back);
	if (device->newest_wins)
		need_target(
			parts, plugin, node_find(node, "newest_wins"), plugin && plugin->target);
}

void commands_finish(struct conf_device *device)
{
	for (uint32_t i = 0; i < device->rule_count; i++)
		section_finish(&rule_section, &device->rules[i]);
	free(device->rules);
}
