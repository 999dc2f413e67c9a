/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/description.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/field/map.h"
#include "sim/field/meter.h"
#include "sim/field/plan.h"
#include "sim/field/player.h"
#include "sim/field/text.h"
#include "util/alloc.h"
#include "util/json.h"

#define SIZE_MAX_BYTES (16u << 20)

/* What is read along the way. */
struct description {
	struct sim *sim;
	uint64_t seed;
	struct node root;
	const char **names; /* of the maps in the file; same order as maps */
	struct map **maps;
	size_t map_count;
	struct map *usual; /* for units that name none */
	struct override *overrides;
	size_t override_count;
};

static int read_file(const char *path, struct buffer *text, char *error, size_t room)
{
	FILE *file = fopen(path, "re");
	if (!file) {
		snprintf(error, room, "%s: %s", path, strerror(errno));
		return -errno;
	}
	size_t count = 1;
	while (count && text->size <= SIZE_MAX_BYTES) {
		count = fread(buffer_reserve(text, 65536), 1, 65536, file);
		text->size += count;
	}
	bool failed = ferror(file) || text->size > SIZE_MAX_BYTES;
	fclose(file);
	if (failed)
		snprintf(error, room, "%s: cannot be read, or is beyond 16 MiB", path);
	return failed ? -EIO : 0;
}

static void read_maps(struct description *description)
{
	struct node maps, child;
	if (!node_child(&description->root, "maps", &maps))
		return;
	struct node_walk walk = node_begin(&maps, VALUE_MAP);
	description->names = must_array(walk.left + 1, sizeof(*description->names));
	description->maps = must_array(walk.left + 1, sizeof(*description->maps));
	const char *name;
	while (node_next(&maps, &walk, &name, &child)) {
		struct map *map = map_read(&child, description->seed);
		if (!map)
			return;
		sim_keep_map(description->sim, map);
		description->names[description->map_count] = name;
		description->maps[description->map_count++] = map;
	}
}

static const struct map *find_map(struct description *description, const struct node *unit)
{
	struct node child;
	if (!node_child(unit, "map", &child))
		return description->usual;
	if (node_type(&child) == VALUE_LIST) {
		struct map *map = map_read(&child, description->seed);
		if (map)
			sim_keep_map(description->sim, map);
		return map;
	}
	const char *name = node_text(&child);
	for (size_t i = 0; i < description->map_count; i++) {
		if (strcmp(name, description->names[i]) == 0)
			return description->maps[i];
	}
	node_wrong(&child, "there is no map '%s' in \"maps\"", name);
	return NULL;
}

static void read_ids(const struct node *unit, struct ids *ids)
{
	struct node child;
	ids->count = 0;
	if (!node_child(unit, "id", &child))
		node_wrong(unit, "id is missing: 1, or \"1-10,20\"");
	else if (node_type(&child) != VALUE_STRING)
		ids->ids[ids->count++] = (uint8_t)node_integer(&child, 0, 255);
	else if (ids_parse(node_text(&child), ids) < 0)
		node_wrong(&child, "unit ids read \"1-10,20\", each from 0 to 255");
}

static void read_units(struct description *description, const struct node *line, struct plan *plan)
{
	struct node units, child;
	const char *key;
	if (!node_child(line, "units", &units))
		return;
	struct node_walk walk = node_begin(&units, VALUE_LIST);
	while (node_next(&units, &walk, &key, &child)) {
		double delay_ms = 0, jitter_ms = 0;
		struct ids ids;
		node_check(&child, "id map delay_ms jitter_ms");
		read_ids(&child, &ids);
		node_get_real(&child, "delay_ms", 0, 3.6e6, &delay_ms);
		node_get_real(&child, "jitter_ms", 0, 3.6e6, &jitter_ms);
		struct unit like = { .map = find_map(description, &child),
			.delay_us = (uint32_t)(delay_ms * USEC_PER_MSEC),
			.jitter_us = (uint32_t)(jitter_ms * USEC_PER_MSEC) };
		if (!node_failed(&child) && plan_add_units(plan, &ids, &like) < 0)
			node_wrong(&child, "there is a unit of that id on the line already");
	}
}

/* The value that an option gave for the line. */
static const char *find_override(const struct description *description, const char *line, bool port)
{
	const char *value = NULL;
	for (size_t i = 0; line && i < description->override_count; i++) {
		struct override *override = &description->overrides[i];
		if (override->port != port || strlen(line) != override->size ||
			strncmp(line, override->line, override->size) != 0)
			continue;
		override->used = true;
		value = override->value;
	}
	return value;
}

static void apply_overrides(
	const struct description *description, const struct node *line, struct plan *plan)
{
	const char *path = find_override(description, plan->name, false);
	const char *port = find_override(description, plan->name, true);
	if (path)
		plan->path = path;
	if (!port)
		return;
	char *end;
	long number = strtol(port, &end, 10);
	if (end == port || *end || number < 0 || number > UINT16_MAX)
		node_wrong(
			line, "--port %s=%s: a port from 0 to 65535 is wanted", plan->name, port);
	plan->port = (uint16_t)number;
}

static void read_serial(const struct node *line, struct plan *plan)
{
	int64_t baud = plan->baud, bits = plan->char_bits;
	node_check(line, "name type path framing baud bits strict units");
	node_get_text(line, "path", &plan->path);
	node_get_integer(line, "baud", 0, 10000000, &baud);
	node_get_integer(line, "bits", 7, 12, &bits);
	node_get_bool(line, "strict", &plan->strict);
	plan->baud = (uint32_t)baud;
	plan->char_bits = (uint32_t)bits;
}

static void read_tcp(const struct node *line, struct plan *plan)
{
	int64_t port = 0, listeners = 1;
	node_check(line, "name type host port framing listeners units");
	plan->host = "127.0.0.1";
	node_get_text(line, "host", &plan->host);
	node_get_integer(line, "port", 0, UINT16_MAX, &port);
	node_get_integer(line, "listeners", 1, 65535, &listeners);
	plan->port = (uint16_t)port;
	plan->listeners = (uint32_t)listeners;
}

/* A line that is not Modbus. */
static void read_plain(struct description *description, const struct node *line, const char *type)
{
	struct plan plan = { .host = "127.0.0.1" };
	int64_t port = 0;
	node_get_text(line, "name", &plan.name);
	node_get_text(line, "path", &plan.path);
	node_get_text(line, "host", &plan.host);
	node_get_integer(line, "port", 0, UINT16_MAX, &port);
	plan.port = (uint16_t)port;
	apply_overrides(description, line, &plan);
	struct plain_setup setup = {
		.name = plan.name, .path = plan.path, .host = plan.host, .port = plan.port
	};
	if (!setup.name || sim_line(description->sim, setup.name))
		node_wrong(line, "name: a name that no other line has");
	else if (strcmp(type, "text") == 0)
		text_create(description->sim, line, &setup);
	else if (strcmp(type, "replay") == 0)
		player_describe(description->sim, line, &setup);
	else
		meters_create(description->sim, line, &setup);
}

static void read_line(struct description *description, const struct node *line)
{
	struct plan plan;
	const char *type = "", *framing = NULL;
	char error[160];
	plan_init(&plan);
	node_get_text(line, "name", &plan.name);
	node_get_text(line, "type", &type);
	if (strcmp(type, "text") == 0 || strcmp(type, "dlt645") == 0 ||
		strcmp(type, "replay") == 0) {
		read_plain(description, line, type);
		return;
	}
	node_get_text(line, "framing", &framing);
	if (framing) {
		plan.framing = framing_parse(framing);
		if (plan.framing < 0)
			node_wrong(line, "framing: rtu, ascii or tcp");
	}
	if (strcmp(type, "serial") == 0)
		read_serial(line, &plan);
	else if (strcmp(type, "tcp") == 0)
		read_tcp(line, &plan);
	else
		node_wrong(line, "type: \"serial\", \"tcp\", \"text\", \"dlt645\" or \"replay\"");
	apply_overrides(description, line, &plan);
	read_units(description, line, &plan);
	if (!node_failed(line) && plan_build(&plan, description->sim, error, sizeof(error)) < 0)
		node_wrong(line, "%s", error);
}

static void read_faults(struct description *description)
{
	struct node list, child;
	const char *key;
	char error[160];
	if (!node_child(&description->root, "faults", &list))
		return;
	struct node_walk walk = node_begin(&list, VALUE_LIST);
	while (node_next(&list, &walk, &key, &child)) {
		const char *text = node_text(&child);
		if (!node_failed(&child) &&
			sim_add_fault(description->sim, text, error, sizeof(error)) < 0)
			node_wrong(&child, "%s", error);
	}
}

static void read_events(struct description *description)
{
	struct node list, child;
	const char *key;
	if (!node_child(&description->root, "events", &list))
		return;
	struct node_walk walk = node_begin(&list, VALUE_LIST);
	while (node_next(&list, &walk, &key, &child)) {
		const char *command = NULL;
		double after = -1;
		node_check(&child, "after command");
		node_get_real(&child, "after", 0, 1e6, &after);
		node_get_text(&child, "command", &command);
		if (after < 0 || !command)
			node_wrong(&child, "an event has \"after\" (seconds) and \"command\"");
		else
			sim_add_event(description->sim, (int64_t)(after * USEC_PER_SEC), command);
	}
}

static void read_all(struct description *description)
{
	struct node lines, child;
	const char *key;
	int64_t seed = 0;
	node_check(&description->root, "seed maps lines faults events");
	node_get_integer(&description->root, "seed", 0, INT64_MAX, &seed);
	description->seed = (uint64_t)seed;
	if (seed)
		description->sim->dice.state = (uint64_t)seed;
	struct rule carry = rule_default(RULE_CARRY, description->seed);
	description->usual = map_uniform(&carry, 1000);
	sim_keep_map(description->sim, description->usual);
	read_maps(description);
	if (node_child(&description->root, "lines", &lines)) {
		struct node_walk walk = node_begin(&lines, VALUE_LIST);
		while (node_next(&lines, &walk, &key, &child))
			read_line(description, &child);
	} else {
		node_wrong(&description->root, "lines is missing");
	}
	read_faults(description);
	read_events(description);
}

int description_load(struct sim *sim, const char *path, struct override *overrides, size_t count,
	char *error, size_t room)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	OWNED_BUFFER value = BUFFER_EMPTY;
	char problem[240];
	int result = read_file(path, &text, error, room);
	if (result < 0)
		return result;
	if (json_parse(&value, text.data, text.size, problem, sizeof(problem)) < 0) {
		snprintf(error, room, "%s: %s", path, problem);
		return -EINVAL;
	}
	struct description description = { .sim = sim,
		.overrides = overrides,
		.override_count = count,
		.root = node_root(value.data, value.size, problem, sizeof(problem)) };
	read_all(&description);
	free(description.names);
	free(description.maps);
	if (!problem[0])
		return 0;
	snprintf(error, room, "%s: %s", path, problem);
	return -EINVAL;
}
