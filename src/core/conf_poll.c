/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_parts.h"

#include <string.h>

#include "core/plan.h"
#include "util/alloc.h"

#define POLL_NAME_MAX 63
#define TIMEOUT_MAX_S 3600

/* request_host_keys of core/plan.h with their types. */
static const struct eb_key host_keys[] = {
	{ .name = "name", .types = EB_TEXT },
	{ .name = "period", .types = EB_REAL },
	{ .name = "priority", .types = EB_TEXT, .choices = "normal|high" },
	{ .name = "timeout", .types = EB_REAL },
	{ .name = "retry_safe", .types = EB_BOOLEAN },
	{ .name = NULL },
};

/* A poll has no table of its own but the host's keys above; this names it in messages. */
static const struct field no_fields[] = { { .key = NULL } };
static const struct section poll_section = { "poll", no_fields, NULL, NULL };

static bool check_name(struct conf_parts *parts, const struct node *poll)
{
	const struct node *name = node_find(poll, "name");
	if (!name) {
		problem_error(parts->problems, poll->place,
			"poll lacks name: a name of its own, or that of the script's poll to change");
		return false;
	}
	if (name->type != NODE_TEXT)
		return true;
	size_t size = strlen(name->text);
	if (size && size <= POLL_NAME_MAX && form_matches(FORM_NAME, name->text))
		return true;
	problem_error(parts->problems, name->place, "name of a poll must be 1 to %d bytes: %s",
		POLL_NAME_MAX, form_describe(FORM_NAME));
	return false;
}

/* In seconds, 0 only where zero is true. */
static bool check_seconds(
	struct conf_parts *parts, const struct node *poll, const char *key, int max, bool zero)
{
	const struct node *node = node_find(poll, key);
	if (!node)
		return true;
	double seconds = node->type == NODE_REAL ? node->real : (double)node->integer;
	if (seconds <= max && (seconds > 0 || (zero && seconds == 0)))
		return true;
	problem_error(parts->problems, node->place, "%s is %g: it must be %s %d s", key, seconds,
		zero ? "0 to" : "more than 0 and at most", max);
	return false;
}

static bool is_twin(const struct node *list, size_t number)
{
	const struct node *name = node_find(&list->items[number], "name");
	for (size_t i = 0; i < number && name && name->text; i++) {
		const struct node *other = node_find(&list->items[i], "name");
		if (other && other->text && strcmp(other->text, name->text) == 0)
			return true;
	}
	return false;
}

static bool check_poll(struct conf_parts *parts, const struct conf_device *device,
	const struct conf_bus *bus, const struct node *poll)
{
	const struct node **nodes OWNED = must_array(poll->count, sizeof(const struct node *));
	for (size_t i = 0; i < poll->count; i++)
		nodes[i] = &poll->items[i];
	/* With a script the poll may only change one of the script's: the merged one is complete. */
	struct plugin_keys keys = { .section = &poll_section,
		.plugin = bus->plugin,
		.keys = bus->plugin->request_keys,
		.host_keys = host_keys,
		.partial = device->script,
		.place = poll->place };
	return plugin_keys_check(&keys, nodes, poll->count, parts->problems) &&
		check_seconds(parts, poll, "period", REQUEST_PERIOD_MAX_S, true) &&
		check_seconds(parts, poll, "timeout", TIMEOUT_MAX_S, false);
}

/* Without a script the poll stands for itself: the plugin must be able to make its request. */
static void try_request(struct conf_parts *parts, const struct conf_device *device,
	const struct conf_bus *bus, const struct node *node)
{
	const void *state = parts->bus_checks[device->bus].state;
	const struct device_check *check = &parts->device_checks[device - parts->conf->devices];
	OWNED_BUFFER map = BUFFER_EMPTY;
	struct poll poll;
	if (device->script || !state || !check->addressed)
		return;
	node_put_value(node, &map);
	poll_init(&poll, bus->plugin, state, &check->address, map.data, map.size,
		SETTINGS_CONFIGURATION, node->place, parts->problems);
	request_destroy(poll.request);
}

static bool read_poll(struct conf_parts *parts, struct conf_device *device,
	const struct conf_bus *bus, const struct node *list, size_t number)
{
	const struct node *poll = &list->items[number];
	if (poll->type != NODE_GROUP) {
		problem_error(parts->problems, poll->place,
			"an item of polls is %s: it must be a group { }",
			node_type_name(poll->type));
		return false;
	}
	if (is_twin(list, number)) {
		problem_error(parts->problems, poll->place,
			"two polls of the device are named \"%s\": rename one",
			node_find(poll, "name")->text);
		return false;
	}
	bool fine = check_name(parts, poll);
	if (bus && check_poll(parts, device, bus, poll) && fine)
		try_request(parts, device, bus, poll);
	node_put_value(poll, &device->polls);
	return true;
}

void polls_read(struct conf_parts *parts, struct conf_device *device, const struct node *list)
{
	const struct conf_bus *bus = NULL;
	int64_t number = device->bus_name ? conf_find_bus(parts->conf, device->bus_name) : -1;
	if (number >= 0 && parts->conf->buses[number].plugin)
		bus = &parts->conf->buses[number];
	size_t place = value_begin_list(&device->polls), count = 0;
	bool usable = list && list->type == NODE_LIST;
	device->poll_places = must_array(usable ? list->count : 0, sizeof(struct place));
	for (size_t i = 0; usable && i < list->count; i++) {
		if (read_poll(parts, device, bus, list, i))
			device->poll_places[count++] = list->items[i].place;
	}
	value_end(&device->polls, place, (uint32_t)count);
}
