/* SPDX-License-Identifier: Apache-2.0 */
/* Plugins as the host holds them: found, checked, loaded once, and spoken to with values. */
#ifndef EB_CORE_PLUGIN_H
#define EB_CORE_PLUGIN_H

#include <enos-bridge/plugin.h>

#include "core/problem.h"
#include "util/value.h"

struct plugins;

/*
 * dir is the one directory that plugins are loaded from (copied).  Unless it is owned by root or by
 * the user we run as, and writable by nobody else, nothing is loaded from it.
 */
struct plugins *plugins_create(const char *dir);
void plugins_destroy(struct plugins *plugins);
/* Makes a plugin that is linked in known under its name; it is borrowed and outlives the set. */
void plugins_add(struct plugins *plugins, const struct eb_plugin *plugin);
/*
 * The plugin of that name, loaded (RTLD_NOW, RTLD_LOCAL) where it was not; NULL with the reason in
 * error (a name with a slash, no such file, another ABI, ...).  Owned by the set.
 */
const struct eb_plugin *plugins_find(
	struct plugins *plugins, const char *name, struct eb_error *error);

/* Settings made from a value (a map), alive until settings_finish(). */
struct settings {
	struct eb_settings view;
	void *memory;
};

/* Which spelling of bytes the value uses: a script has them as they are, the configuration as hex. */
enum settings_source { SETTINGS_SCRIPT, SETTINGS_CONFIGURATION };

/*
 * Checks the map against the keys (NULL: none known): unknown key, type, range, choice, missing.
 * others are further keys that the host itself knows, passed over (NULL-terminated; may be NULL).
 * Returns 0, or -EINVAL with one problem per fault at place.  *settings is valid after 0 only.
 */
int settings_from_value(struct settings *settings, const struct eb_key *keys,
	const char *const *others, const void *map, size_t size, enum settings_source source,
	struct place place, struct problems *problems);
void settings_finish(struct settings *settings);
const char *error_class_name(uint32_t error_class);

#endif
