/* SPDX-License-Identifier: Apache-2.0 */
/* A fixture file, from its tree of nodes to the struct of its cases. */
#include "script/fixture.h"

#include <errno.h>
#include <string.h>

#include "core/conf_points.h"
#include "util/alloc.h"

#define SERIAL_BAUD 9600
#define SERIAL_BITS 10

static const char *const text_keys[FIXTURE_TEXTS] = {
	[FIXTURE_POLL] = "poll",
	[FIXTURE_HEX] = "hex",
	[FIXTURE_FRAME] = "frame",
	[FIXTURE_EXPECT] = "expect",
	[FIXTURE_COMMAND] = "command",
	[FIXTURE_DOWN_RAW] = "down_raw",
	[FIXTURE_TOPIC] = "topic",
	[FIXTURE_REQUESTS] = "requests",
	[FIXTURE_REFUSED] = "refused",
	[FIXTURE_REPLY] = "reply",
	[FIXTURE_POLLS] = "polls",
	[FIXTURE_SETUP] = "setup",
	[FIXTURE_HEALTH] = "health",
	[FIXTURE_WARNINGS] = "warnings",
	[FIXTURE_ERROR] = "error",
};

static const struct {
	const char *key;
	enum node_type type;
} file_keys[] = {
	{ "script", NODE_TEXT },
	{ "plugin", NODE_TEXT },
	{ "link", NODE_TEXT },
	{ "bus", NODE_GROUP },
	{ "device", NODE_GROUP },
	{ "cases", NODE_LIST },
};

/* What reading works on. */
struct reader {
	struct fixture *fixture;
	struct problems *problems;
};

static bool of_type(const struct reader *reader, const struct node *node, enum node_type type)
{
	if (node->type == type)
		return true;
	if (node->type != NODE_BAD)
		problem_error(reader->problems, node->place, "%s is %s: it must be %s",
			node->key ? node->key : "an item", node_type_name(node->type),
			node_type_name(type));
	return false;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* JSON with ' for its quotes needs no \ in a text of libconfig. */
static void requote(char *text)
{
	if (strchr(text, '"'))
		return;
	for (; *text; text++)
		*text = *text == '\'' ? '"' : *text;
}

static bool is_json(enum fixture_text text)
{
	return text == FIXTURE_EXPECT || text == FIXTURE_COMMAND || text == FIXTURE_REQUESTS ||
		text == FIXTURE_REPLY || text == FIXTURE_POLLS || text == FIXTURE_SETUP ||
		text == FIXTURE_WARNINGS;
}

static bool take_text(
	const struct reader *reader, struct fixture_step *step, const struct node *node)
{
	for (int i = 0; i < FIXTURE_TEXTS; i++) {
		if (strcmp(text_keys[i], node->key) != 0)
			continue;
		if (!of_type(reader, node, NODE_TEXT))
			return true;
		if (is_json(i))
			requote(node->text);
		step->texts[i] = node->text;
		return true;
	}
	return false;
}

static bool take_list(
	const struct reader *reader, struct fixture_step *step, const struct node *node)
{
	const struct node **to = strcmp(node->key, "frames") == 0 ? &step->frames
		: strcmp(node->key, "answers") == 0               ? &step->answers
		: strcmp(node->key, "discover") == 0              ? &step->discover
								  : NULL;
	if (!to)
		return false;
	if (node->type != NODE_LIST && node->type != NODE_ARRAY) {
		of_type(reader, node, NODE_LIST);
		return true;
	}
	*to = node;
	for (size_t i = 0; i < node->count; i++)
		of_type(reader, &node->items[i], NODE_TEXT);
	return true;
}

/* Keys of one kind of step that stand in a step of another. */
static void refuse_strangers(const struct reader *reader, const struct fixture_step *step,
	const char *kind, const enum fixture_text *strangers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (step->texts[strangers[i]])
			problem_error(reader->problems, step->place,
				"%s does not go with %s: remove it, or make a step of its own of it",
				text_keys[strangers[i]], kind);
	}
}

static void check_reading(const struct reader *reader, const struct fixture_step *step)
{
	static const enum fixture_text strangers[] = { FIXTURE_TOPIC, FIXTURE_REQUESTS,
		FIXTURE_REFUSED, FIXTURE_REPLY, FIXTURE_POLLS, FIXTURE_SETUP, FIXTURE_HEALTH };
	refuse_strangers(reader, step, "poll", strangers, sizeof(strangers) / sizeof(*strangers));
	if (!step->texts[FIXTURE_HEX] == !step->texts[FIXTURE_FRAME])
		problem_error(reader->problems, step->place,
			"poll needs hex, the bytes that it reads, or frame, the answer as it is on the "
			"wire");
	if (!step->texts[FIXTURE_EXPECT] == !step->texts[FIXTURE_ERROR])
		problem_error(reader->problems, step->place,
			"poll needs expect or error: what the script shall make of it");
	if (step->frames || step->answers)
		problem_error(reader->problems, step->place,
			"frames and answers belong to a command: a poll has frame");
}

static void check_command(const struct reader *reader, const struct fixture_step *step)
{
	static const enum fixture_text strangers[] = { FIXTURE_HEX, FIXTURE_FRAME, FIXTURE_EXPECT,
		FIXTURE_POLLS, FIXTURE_SETUP, FIXTURE_HEALTH, FIXTURE_WARNINGS };
	refuse_strangers(
		reader, step, "a command", strangers, sizeof(strangers) / sizeof(*strangers));
	if (!step->texts[FIXTURE_REQUESTS] && !step->texts[FIXTURE_REFUSED] &&
		!step->texts[FIXTURE_ERROR] && !step->texts[FIXTURE_REPLY] && !step->frames)
		problem_error(reader->problems, step->place,
			"a command needs requests, frames, reply, refused or error: what the script "
			"shall make of it");
	if (step->texts[FIXTURE_COMMAND] && step->texts[FIXTURE_DOWN_RAW])
		problem_error(reader->problems, step->place,
			"command and down_raw are two commands: keep one");
}

static void check_polls(const struct reader *reader, const struct fixture_step *step)
{
	static const enum fixture_text strangers[] = { FIXTURE_HEX, FIXTURE_FRAME, FIXTURE_EXPECT,
		FIXTURE_TOPIC, FIXTURE_REQUESTS, FIXTURE_REFUSED, FIXTURE_REPLY, FIXTURE_WARNINGS };
	refuse_strangers(reader, step, "polls", strangers, sizeof(strangers) / sizeof(*strangers));
	if (!step->texts[FIXTURE_POLLS] && !step->texts[FIXTURE_ERROR] && !step->frames)
		problem_error(reader->problems, step->place,
			"nothing to try: a case has poll, command, down_raw, polls, discover, setup, "
			"health, or steps with these");
}

static void check_discovery(const struct reader *reader, const struct fixture_step *step)
{
	static const enum fixture_text strangers[] = { FIXTURE_HEX, FIXTURE_FRAME, FIXTURE_EXPECT,
		FIXTURE_TOPIC, FIXTURE_REPLY, FIXTURE_SETUP, FIXTURE_HEALTH, FIXTURE_WARNINGS };
	refuse_strangers(
		reader, step, "discover", strangers, sizeof(strangers) / sizeof(*strangers));
	if (step->answers)
		problem_error(reader->problems, step->place,
			"answers does not go with discover, which is the list of them");
	if (!step->texts[FIXTURE_POLLS] && !step->texts[FIXTURE_REQUESTS] &&
		!step->texts[FIXTURE_REFUSED] && !step->texts[FIXTURE_ERROR] && !step->frames)
		problem_error(reader->problems, step->place,
			"discover needs polls, requests, frames, refused or error: what comes of it");
}

static void check_setup(const struct reader *reader, const struct fixture_step *step)
{
	static const enum fixture_text strangers[] = { FIXTURE_HEX, FIXTURE_FRAME, FIXTURE_EXPECT,
		FIXTURE_TOPIC, FIXTURE_REQUESTS, FIXTURE_REFUSED, FIXTURE_REPLY, FIXTURE_POLLS,
		FIXTURE_HEALTH, FIXTURE_WARNINGS };
	refuse_strangers(reader, step, "setup", strangers, sizeof(strangers) / sizeof(*strangers));
	if (step->answers)
		problem_error(
			reader->problems, step->place, "answers does not go with setup: remove it");
}

static void check_health(const struct reader *reader, const struct fixture_step *step)
{
	static const enum fixture_text strangers[] = { FIXTURE_HEX, FIXTURE_FRAME, FIXTURE_TOPIC,
		FIXTURE_REQUESTS, FIXTURE_REFUSED, FIXTURE_REPLY, FIXTURE_POLLS };
	const char *state = step->texts[FIXTURE_HEALTH];
	refuse_strangers(reader, step, "health", strangers, sizeof(strangers) / sizeof(*strangers));
	if (step->frames || step->answers)
		problem_error(reader->problems, step->place,
			"frames and answers do not go with health: remove them");
	if (strcmp(state, "ok") != 0 && strcmp(state, "suspect") != 0 && strcmp(state, "down") != 0)
		problem_error(reader->problems, step->place,
			"health is \"%s\": it must be \"ok\", \"suspect\" or \"down\"", state);
	if (!step->texts[FIXTURE_EXPECT] == !step->texts[FIXTURE_ERROR])
		problem_error(reader->problems, step->place,
			"health needs expect or error: what the script shall make of it");
}

static void check_step(const struct reader *reader, const struct fixture_step *step)
{
	bool command = step->texts[FIXTURE_COMMAND] || step->texts[FIXTURE_DOWN_RAW];
	if (step->texts[FIXTURE_POLL] && command)
		problem_error(reader->problems, step->place,
			"poll and command are two steps: write steps = ( { ... }, { ... } )");
	else if (step->discover && (step->texts[FIXTURE_POLL] || command))
		problem_error(reader->problems, step->place,
			"discover is a step of its own: write steps = ( { ... }, { ... } )");
	else if (step->discover)
		check_discovery(reader, step);
	else if (step->texts[FIXTURE_POLL])
		check_reading(reader, step);
	else if (command)
		check_command(reader, step);
	else if (step->texts[FIXTURE_SETUP])
		check_setup(reader, step);
	else if (step->texts[FIXTURE_HEALTH])
		check_health(reader, step);
	else
		check_polls(reader, step);
}

static void refuse_key(const struct reader *reader, const struct node *node, const char *where)
{
	OWNED_BUFFER known = BUFFER_EMPTY;
	for (int i = 0; i < FIXTURE_TEXTS; i++)
		buffer_printf(&known, "%s, ", text_keys[i]);
	problem_error(reader->problems, node->place,
		"%s does not know \"%s\": known are %sframes, answers, discover%s", where,
		node->key, buffer_text(&known),
		strcmp(where, "a case") ? "" : ", name, source, parameters, points, steps");
}

static void read_step(
	const struct reader *reader, const struct node *node, struct fixture_step *step)
{
	step->place = node->place;
	if (!of_type(reader, node, NODE_GROUP))
		return;
	for (size_t i = 0; i < node->count; i++) {
		const struct node *item = &node->items[i];
		if (!take_text(reader, step, item) && !take_list(reader, step, item))
			refuse_key(reader, item, "a step");
	}
	check_step(reader, step);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void read_steps(
	const struct reader *reader, const struct node *list, struct fixture_case *item)
{
	if (!of_type(reader, list, NODE_LIST))
		return;
	if (!list->count)
		problem_error(reader->problems, list->place,
			"steps is empty: write steps = ( { poll = ...; }, ... ), or leave it out");
	item->steps = must_array(list->count, sizeof(*item->steps));
	item->step_count = list->count;
	for (size_t i = 0; i < list->count; i++)
		read_step(reader, &list->items[i], &item->steps[i]);
}

/* A case without steps is its own and only step. */
static void read_only_step(
	const struct reader *reader, const struct node *node, struct fixture_case *item)
{
	item->steps = must_alloc(sizeof(*item->steps));
	item->step_count = 1;
	item->steps->place = node->place;
	for (size_t i = 0; i < node->count; i++) {
		if (!take_text(reader, item->steps, &node->items[i]))
			take_list(reader, item->steps, &node->items[i]);
	}
	check_step(reader, item->steps);
}

static bool is_case_key(const char *key)
{
	static const char *const keys[] = { "name", "source", "parameters", "points", "steps" };
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (strcmp(keys[i], key) == 0)
			return true;
	}
	return false;
}

static void check_keys(const struct reader *reader, const struct node *node, bool has_steps)
{
	for (size_t i = 0; i < node->count; i++) {
		const struct node *item = &node->items[i];
		struct fixture_step ignored = { .place = item->place };
		if (is_case_key(item->key))
			continue;
		struct problems own = PROBLEMS_NONE;
		const struct reader quiet = { reader->fixture, &own };
		bool known = take_text(&quiet, &ignored, item) || take_list(&quiet, &ignored, item);
		problems_finish(&own);
		if (!known)
			refuse_key(reader, item, "a case");
		else if (has_steps)
			problem_error(reader->problems, item->place,
				"%s stands beside steps: put it into one of them", item->key);
	}
}

static void read_case(
	const struct reader *reader, const struct node *node, struct fixture_case *item)
{
	item->place = node->place;
	item->name = "?";
	value_put_map(&item->parameters, 0);
	if (!of_type(reader, node, NODE_GROUP))
		return;
	const struct node *name = node_find(node, "name"), *source = node_find(node, "source");
	const struct node *parameters = node_find(node, "parameters");
	const struct node *points = node_find(node, "points");
	const struct node *steps = node_find(node, "steps");
	if (!name)
		problem_error(
			reader->problems, node->place, "name is missing: what the case shows");
	else if (of_type(reader, name, NODE_TEXT))
		item->name = name->text;
	if (source)
		of_type(reader, source, NODE_TEXT);
	if (parameters && of_type(reader, parameters, NODE_GROUP)) {
		buffer_clear(&item->parameters);
		node_put_value(parameters, &item->parameters);
	}
	/* The plugin sees them as the script's polls. */
	if (points && of_type(reader, points, NODE_LIST))
		points_read(points, &(struct points_target){ .plugin = NULL }, &item->points,
			reader->problems);
	check_keys(reader, node, steps != NULL);
	if (steps)
		read_steps(reader, steps, item);
	else
		read_only_step(reader, node, item);
}

static void read_cases(const struct reader *reader, const struct node *list)
{
	struct fixture *fixture = reader->fixture;
	if (!list || !list->count) {
		problem_error(reader->problems, list ? list->place : fixture->source.root.place,
			"there are no cases: write cases = ( { name = \"...\"; ... } );");
		return;
	}
	fixture->cases = must_array(list->count, sizeof(*fixture->cases));
	fixture->case_count = list->count;
	for (size_t i = 0; i < list->count; i++)
		read_case(reader, &list->items[i], &fixture->cases[i]);
}

/* ---- the file ------------------------------------------------------------------------------- */

static bool check_file_keys(const struct reader *reader, const struct node *root)
{
	bool fine = true;
	for (size_t i = 0; i < root->count; i++) {
		const struct node *node = &root->items[i];
		size_t k = 0;
		while (k < sizeof(file_keys) / sizeof(*file_keys) &&
			strcmp(file_keys[k].key, node->key) != 0)
			k++;
		if (k < sizeof(file_keys) / sizeof(*file_keys)) {
			fine = of_type(reader, node, file_keys[k].type) && fine;
			continue;
		}
		fine = false;
		problem_error(reader->problems, node->place,
			"a fixture file does not know \"%s\": known are script, plugin, link, bus, "
			"device and cases",
			node->key);
	}
	return fine;
}

/* The script stands in the fixture's own directory. */
static void find_script(const struct reader *reader, const struct node *name)
{
	const char *path = reader->fixture->source.file;
	const char *slash = strrchr(path, '/');
	int directory = slash ? (int)(slash - path) + 1 : 0;
	if (!name) {
		const char *dot = strrchr(path, '.');
		int stem = dot && dot > path + directory ? (int)(dot - path) : (int)strlen(path);
		reader->fixture->script = must_printf("%.*s.lua", stem, path);
		return;
	}
	if (strchr(name->text, '/'))
		problem_error(reader->problems, name->place,
			"script is a file name: the script stands beside its fixtures");
	reader->fixture->script = must_printf("%.*s%s", directory, path, name->text);
}

static void read_line(const struct reader *reader, const struct node *link, struct eb_line *line)
{
	bool tcp = link && strcmp(link->text, "tcp") == 0;
	if (link && !tcp && strcmp(link->text, "serial") != 0)
		problem_error(reader->problems, link->place,
			"link is \"%s\": it must be \"serial\" or \"tcp\"", link->text);
	*line = tcp ? (struct eb_line){ .transport = EB_TCP }
		    : (struct eb_line){ EB_SERIAL, SERIAL_BAUD, SERIAL_BITS };
}

static void put_group(const struct node *node, struct buffer *value)
{
	if (node)
		node_put_value(node, value);
	else
		value_put_map(value, 0);
}

static void read_bus(const struct reader *reader, const struct node *root, struct plugins *plugins)
{
	struct fixture *fixture = reader->fixture;
	const struct node *name = node_find(root, "plugin"), *bus = node_find(root, "bus");
	struct eb_error error = { .text = "" };
	const struct node *device = node_find(root, "device");
	fixture->bus.place = bus ? bus->place : root->place;
	fixture->address_place = device ? device->place : root->place;
	fixture->bus.name = must_strdup("fixture");
	put_group(bus, &fixture->bus.options);
	put_group(device, &fixture->address);
	read_line(reader, node_find(root, "link"), &fixture->bus.line);
	if (!name) {
		problem_error(reader->problems, root->place,
			"plugin is missing: the one that speaks with the device, as \"modbus\"");
		return;
	}
	fixture->bus.plugin = plugins_find(plugins, name->text, &error);
	if (!fixture->bus.plugin)
		problem_error(reader->problems, name->place, "%s", error.text);
}

/* Fills the fixture from its source. */
static int fill(struct fixture *fixture, struct plugins *plugins, struct problems *problems)
{
	size_t errors = problems->errors;
	const struct reader reader = { fixture, problems };
	const struct node *root = &fixture->source.root;
	if (!check_file_keys(&reader, root))
		return -EINVAL;
	find_script(&reader, node_find(root, "script"));
	read_bus(&reader, root, plugins);
	read_cases(&reader, node_find(root, "cases"));
	return problems->errors == errors ? 0 : -EINVAL;
}

int fixture_read(struct fixture *fixture, const char *path, struct plugins *plugins,
	struct problems *problems)
{
	size_t errors = problems->errors;
	*fixture = (struct fixture){ .source.file = path };
	conf_source_read(&fixture->source, problems);
	return problems->errors == errors ? fill(fixture, plugins, problems) : -EINVAL;
}

void fixture_finish(struct fixture *fixture)
{
	for (size_t i = 0; i < fixture->case_count; i++) {
		buffer_finish(&fixture->cases[i].parameters);
		buffer_finish(&fixture->cases[i].points);
		free(fixture->cases[i].steps);
	}
	free(fixture->cases);
	free(fixture->script);
	free(fixture->bus.name);
	buffer_finish(&fixture->bus.options);
	buffer_finish(&fixture->address);
	conf_source_finish(&fixture->source);
}
