/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_parts.h"

#include <string.h>

static const struct eb_key *find(const struct eb_key *keys, const char *name)
{
	for (; keys && keys->name; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

static void try_keys(struct nearest *nearest, const struct eb_key *keys)
{
	for (; keys && keys->name; keys++)
		nearest_try(nearest, keys->name);
}

static void refuse_key(
	const struct plugin_keys *keys, const struct node *node, struct problems *problems)
{
	OWNED_BUFFER hint = BUFFER_EMPTY;
	struct nearest nearest = { .to = node->key };
	nearest_try_section(&nearest, keys->section);
	try_keys(&nearest, keys->host_keys);
	try_keys(&nearest, keys->keys);
	for (const struct eb_key *key = keys->keys; key && key->name; key++)
		buffer_printf(&hint, "%s%s", hint.size ? ", " : "; its plugin's are ", key->name);
	nearest.hint = buffer_text(&hint);
	section_refuse_key(keys->section, node, &nearest, problems);
}

/* Something in it was reported already. */
static bool has_bad(const struct node *node)
{
	bool bad = node->type == NODE_BAD;
	for (size_t i = 0; i < node->count && !bad; i++)
		bad = has_bad(&node->items[i]);
	return bad;
}

/* A map of this one key against a table of this one key: the fault gets the key's own line. */
static bool check_value(
	const struct eb_key *key, const struct node *node, struct problems *problems)
{
	const struct eb_key table[2] = { *key, { .name = NULL } };
	OWNED_BUFFER map = BUFFER_EMPTY;
	struct settings settings;
	plugin_keys_put(&node, 1, &map);
	if (settings_from_value(&settings, table, NULL, map.data, map.size, SETTINGS_CONFIGURATION,
		    node->place, problems) < 0)
		return false;
	settings_finish(&settings);
	return true;
}

static bool check_required(const struct plugin_keys *keys, const struct node *const *nodes,
	size_t count, struct problems *problems)
{
	bool fine = true;
	for (const struct eb_key *key = keys->keys; key && key->name; key++) {
		bool given = !(key->flags & EB_REQUIRED);
		for (size_t i = 0; i < count && !given; i++)
			given = strcmp(nodes[i]->key, key->name) == 0;
		if (given)
			continue;
		problem_error(problems, keys->place, "%s lacks %s: %s", keys->section->name,
			key->name, key->help ? key->help : "its plugin needs it");
		fine = false;
	}
	return fine;
}

bool plugin_keys_check(const struct plugin_keys *keys, const struct node *const *nodes,
	size_t count, struct problems *problems)
{
	bool fine = true;
	for (size_t i = 0; i < count; i++) {
		const struct eb_key *key = find(keys->host_keys, nodes[i]->key);
		if (!key)
			key = find(keys->keys, nodes[i]->key);
		if (has_bad(nodes[i])) {
			fine = false;
		} else if (!key) {
			refuse_key(keys, nodes[i], problems);
			fine = false;
		} else {
			fine = check_value(key, nodes[i], problems) && fine;
		}
	}
	if (!keys->partial)
		fine = check_required(keys, nodes, count, problems) && fine;
	return fine;
}

void plugin_keys_guess(const struct section *section, const struct node *group,
	const struct node_list *others, struct problems *problems)
{
	for (size_t i = 0; i < others->count; i++) {
		const struct node *node = others->items[i];
		struct nearest nearest = { .to = node->key };
		nearest_try_section(&nearest, section);
		bool misspelt = nearest.best && !node_find(group, nearest.best);
		nearest.best = misspelt ? nearest.best : NULL;
		if (misspelt || (section->inner && section_field(section->inner, node->key)))
			section_refuse_key(section, node, &nearest, problems);
	}
}

void plugin_keys_put(const struct node *const *nodes, size_t count, struct buffer *map)
{
	value_put_map(map, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		value_put_text(map, nodes[i]->key);
		node_put_value(nodes[i], map);
	}
}
