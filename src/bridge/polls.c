/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/polls.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"
#include "util/hex.h"

/* So many polls of a script are named where one was not found. */
#define NAMES_MAX 8

/* One poll before the plugin saw it. */
struct draft {
	struct buffer map;
	struct place place;
	enum settings_source source;
};

struct drafts {
	struct draft *items;
	size_t count;
};

static void drafts_finish(struct drafts *drafts)
{
	for (size_t i = 0; i < drafts->count; i++)
		buffer_finish(&drafts->items[i].map);
	free(drafts->items);
}

static struct draft *add(struct drafts *drafts, struct place place, enum settings_source source)
{
	drafts->items = must_realloc(drafts->items, (drafts->count + 1) * sizeof(*drafts->items));
	struct draft *draft = &drafts->items[drafts->count++];
	*draft = (struct draft){ .map = BUFFER_EMPTY, .place = place, .source = source };
	return draft;
}

/* The name in a poll's map, "" where it has none. */
static const char *name_of(const void *map, size_t size)
{
	struct value name;
	if (value_find(map, size, "name", &name, NULL) && name.type == VALUE_STRING)
		return name.text;
	return "";
}

static struct draft *find(struct drafts *drafts, const char *name)
{
	for (size_t i = 0; *name && i < drafts->count; i++) {
		struct draft *draft = &drafts->items[i];
		if (strcmp(name_of(draft->map.data, draft->map.size), name) == 0)
			return draft;
	}
	return NULL;
}

static bool is_bytes(const struct eb_plugin *plugin, const struct value *key)
{
	for (const struct eb_key *known = plugin->request_keys; known && known->name; known++) {
		if (strcmp(known->name, key->text) == 0)
			return (known->types & (EB_BYTES | EB_TEXT)) == EB_BYTES;
	}
	return false;
}

/* Copies a pair's value; what the configuration says in hex becomes the bytes that a script has. */
static int put_pair_value(struct buffer *to, const struct eb_plugin *plugin,
	const struct value *key, struct value_reader *reader)
{
	const uint8_t *begin = reader->at;
	struct value_reader look = *reader;
	struct value value;
	if (!value_next(&look, &value) || !value_skip(reader))
		return -EINVAL;
	if (value.type == VALUE_STRING && is_bytes(plugin, key)) {
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		if (hex_parse(&bytes, value.text) < 0)
			return -EINVAL;
		value_put_string(to, bytes.data, bytes.size);
		return 0;
	}
	buffer_put(to, begin, (size_t)(reader->at - begin));
	return 0;
}

/* The script's poll with the pairs of the configuration's in place of its own. */
static int override(
	struct draft *draft, const struct eb_plugin *plugin, const void *map, size_t size)
{
	OWNED_BUFFER merged = BUFFER_EMPTY;
	uint32_t count = 0;
	size_t place = value_begin_map(&merged);
	struct value header, key, ignored;
	struct value_reader theirs = value_reader(draft->map.data, draft->map.size);
	value_next(&theirs, &header);
	for (size_t i = 0; i < header.size && value_next(&theirs, &key); i++) {
		const uint8_t *begin = theirs.at;
		value_skip(&theirs);
		if (value_find(map, size, key.text, &ignored, NULL))
			continue;
		value_put_string(&merged, key.text, key.size);
		buffer_put(&merged, begin, (size_t)(theirs.at - begin));
		count++;
	}
	struct value_reader ours = value_reader(map, size);
	value_next(&ours, &header);
	for (size_t i = 0; i < header.size && value_next(&ours, &key); i++) {
		value_put_string(&merged, key.text, key.size);
		if (put_pair_value(&merged, plugin, &key, &ours) < 0)
			return -EINVAL;
		count++;
	}
	value_end(&merged, place, count);
	buffer_finish(&draft->map);
	draft->map = merged;
	merged = (struct buffer)BUFFER_EMPTY;
	return 0;
}

static void take_declared(struct drafts *drafts, const struct buffer *declared, struct place place)
{
	struct value_reader reader = value_reader(declared->data, declared->size);
	struct value list;
	if (!value_next(&reader, &list) || list.type != VALUE_LIST)
		return;
	for (size_t i = 0; i < list.size; i++) {
		const uint8_t *map;
		size_t size;
		if (!value_item(&reader, &map, &size))
			return;
		struct draft *draft = add(drafts, place, SETTINGS_SCRIPT);
		buffer_put(&draft->map, map, size);
	}
}

static void take_configured(struct drafts *drafts, const struct conf_device *device,
	const struct eb_plugin *plugin, struct problems *problems)
{
	struct value_reader reader = value_reader(device->polls.data, device->polls.size);
	struct value list;
	if (!value_next(&reader, &list) || list.type != VALUE_LIST)
		return;
	for (size_t i = 0; i < list.size; i++) {
		const uint8_t *map;
		size_t size;
		if (!value_item(&reader, &map, &size))
			return;
		struct place place = device->poll_places[i];
		struct draft *draft = find(drafts, name_of(map, size));
		if (!draft) {
			draft = add(drafts, place, SETTINGS_CONFIGURATION);
			buffer_put(&draft->map, map, size);
		} else if (override(draft, plugin, map, size) < 0) {
			problem_error(problems, place,
				"device \"%s\": poll \"%s\": bytes are written as pairs of hexadecimal "
				"digits: bytes = \"01ff\"",
				device->name, name_of(map, size));
		} else {
			draft->place = place;
		}
	}
}

static void check_names(const struct plan *plan, const struct drafts *drafts,
	const struct conf_device *device, struct problems *problems)
{
	for (size_t i = 1; i < plan->count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(plan->polls[i].request->name, plan->polls[j].request->name))
				continue;
			problem_error(problems, drafts->items[i].place,
				"device \"%s\": two polls are named \"%s\": give each its own name",
				device->name, plan->polls[i].request->name);
			break;
		}
	}
}

/* Says of which device: what a script's poll lacks may lie with its address or its parameters. */
static void name_device(struct problems *problems, const struct problems *own, struct place place,
	const struct conf_device *device)
{
	for (size_t i = 0; i < own->count; i++)
		problem_error(
			problems, place, "device \"%s\": %s", device->name, own->items[i].text);
}

/* A poll that changes nothing of the script's may be one whose name has a slip of the pen. */
static void put_names(struct buffer *text, const struct drafts *drafts, const char *name)
{
	size_t shown = 0;
	for (size_t i = 0; i < drafts->count; i++) {
		const struct buffer *map = &drafts->items[i].map;
		if (drafts->items[i].source != SETTINGS_SCRIPT)
			continue;
		if (shown == NAMES_MAX) {
			buffer_put_text(text, ", ...");
			return;
		}
		if (!shown++)
			buffer_printf(text, "; the script has no poll \"%s\": it has", name);
		buffer_printf(
			text, "%s \"%s\"", shown > 1 ? "," : "", name_of(map->data, map->size));
	}
}

/* What a poll of the configuration lacks: it may have been meant to change one of the script's. */
static void explain(struct problems *problems, const struct problems *own,
	const struct drafts *drafts, const struct draft *draft)
{
	OWNED_BUFFER names = BUFFER_EMPTY;
	put_names(&names, drafts, name_of(draft->map.data, draft->map.size));
	for (size_t i = 0; i < own->count; i++)
		problem_error(problems, draft->place, "%s%s", own->items[i].text,
			i + 1 == own->count ? buffer_text(&names) : "");
}

int polls_plan(struct plan **result, const struct conf *conf, uint32_t number,
	const struct buffer *declared, const char *file, struct problems *problems)
{
	const struct conf_device *device = &conf->devices[number];
	size_t errors = problems->errors;
	OWNED_CODEC codec;
	struct eb_address address;
	if (codec_open(&codec, &conf->buses[device->bus], problems) < 0 ||
		codec_address(&codec, device, &address, problems) < 0)
		return -EINVAL;

	__attribute__((cleanup(drafts_finish))) struct drafts drafts = { .count = 0 };
	take_declared(&drafts, declared, (struct place){ .file = file });
	take_configured(&drafts, device, codec.plugin, problems);

	struct plan *plan = plan_create(number, &address, drafts.count);
	plan->count = 0;
	for (size_t i = 0; i < drafts.count; i++) {
		struct draft *draft = &drafts.items[i];
		struct problems own = PROBLEMS_NONE;
		if (poll_init(&plan->polls[plan->count], codec.plugin, codec.state, &address,
			    draft->map.data, draft->map.size, draft->source, draft->place,
			    &own) == 0)
			plan->count++;
		if (draft->source == SETTINGS_SCRIPT)
			name_device(problems, &own, draft->place, device);
		else
			explain(problems, &own, &drafts, draft);
		problems_finish(&own);
	}
	if (problems->errors == errors)
		check_names(plan, &drafts, device, problems);
	if (problems->errors != errors) {
		plan_release(plan);
		return -EINVAL;
	}
	*result = plan;
	return 0;
}
