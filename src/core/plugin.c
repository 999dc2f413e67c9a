/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/buffer.h"

#define STATE_MAX (1u << 20)
#define NAME_MAX_SIZE 31

struct entry {
	const struct eb_plugin *plugin;
	void *handle; /* NULL: linked in */
};

struct plugins {
	char *dir;
	struct entry *entries;
	size_t count;
};

struct plugins *plugins_create(const char *dir)
{
	struct plugins *plugins = must_alloc(sizeof(*plugins));
	plugins->dir = must_strdup(dir);
	return plugins;
}

void plugins_destroy(struct plugins *plugins)
{
	if (!plugins)
		return;
	for (size_t i = 0; i < plugins->count; i++) {
		if (plugins->entries[i].handle)
			dlclose(plugins->entries[i].handle);
	}
	free(plugins->entries);
	free(plugins->dir);
	free(plugins);
}

static void add(struct plugins *plugins, const struct eb_plugin *plugin, void *handle)
{
	plugins->entries = must_realloc(
		plugins->entries, (plugins->count + 1) * sizeof(*plugins->entries));
	plugins->entries[plugins->count++] = (struct entry){ plugin, handle };
}

void plugins_add(struct plugins *plugins, const struct eb_plugin *plugin)
{
	add(plugins, plugin, NULL);
}

#define FAIL(error, ...)                                                     \
	({                                                                   \
		snprintf((error)->text, sizeof((error)->text), __VA_ARGS__); \
		false;                                                       \
	})

static bool check_name(const char *name, struct eb_error *error)
{
	size_t size = strlen(name);
	if (size && size <= NAME_MAX_SIZE &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == size)
		return true;
	return FAIL(error,
		"plugin \"%s\": a plugin's name is 1 to %d lower-case letters, digits or '-', "
		"without directory or \".so\"",
		name, NAME_MAX_SIZE);
}

/* Whoever can write here decides what runs in this process. */
static bool check_owner(const char *path, const struct stat *info, struct eb_error *error)
{
	if (info->st_uid != 0 && info->st_uid != geteuid())
		return FAIL(error,
			"%s belongs to user %u: it must belong to root, or code of others would run",
			path, (unsigned)info->st_uid);
	if (info->st_mode & (S_IWGRP | S_IWOTH))
		return FAIL(error,
			"%s can be written by %s (mode %04o): only its owner may, use chmod go-w",
			path, info->st_mode & S_IWOTH ? "everybody" : "its group",
			(unsigned)info->st_mode & 07777);
	return true;
}

static int is_plugin(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);
	return size > 3 && strcmp(entry->d_name + size - 3, ".so") == 0;
}

/* Says which plugins there are: the name was mistyped, or a package is not installed. */
static bool refuse_missing(const char *dir, const char *path, struct eb_error *error)
{
	OWNED_BUFFER names = BUFFER_EMPTY;
	struct dirent **entries = NULL;
	int count = scandir(dir, &entries, is_plugin, alphasort);
	for (int i = 0; i < count; i++) {
		buffer_printf(&names, "%s%.*s", i ? ", " : "", (int)strlen(entries[i]->d_name) - 3,
			entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return FAIL(error, "plugin %s: %s: the plugins there are: %s", path, strerror(ENOENT),
		names.size ? buffer_text(&names) : "none");
}

static bool check_file(const char *dir, const char *path, struct eb_error *error)
{
	struct stat info;
	if (stat(dir, &info) < 0)
		return FAIL(error, "plugin directory %s: %s", dir, strerror(errno));
	if (!S_ISDIR(info.st_mode))
		return FAIL(error, "plugin directory %s is no directory", dir);
	if (!check_owner(dir, &info, error))
		return false;
	if (lstat(path, &info) < 0 && errno == ENOENT)
		return refuse_missing(dir, path, error);
	if (lstat(path, &info) < 0)
		return FAIL(error, "plugin %s: %s", path, strerror(errno));
	if (!S_ISREG(info.st_mode))
		return FAIL(error, "plugin %s is no regular file (links are not followed)", path);
	return check_owner(path, &info, error);
}

static bool check_keys(
	const struct eb_key *keys, const char *what, const char *path, struct eb_error *error)
{
	const uint32_t all = EB_INTEGER | EB_REAL | EB_BOOLEAN | EB_TEXT | EB_BYTES | EB_LIST;
	for (; keys && keys->name; keys++) {
		if (!keys->types || keys->types & ~all || keys->min > keys->max)
			return FAIL(error,
				"plugin %s: its %s key \"%s\" has no known type, or a minimum above its maximum",
				path, what, keys->name);
	}
	return true;
}

static bool check_functions(
	const struct eb_plugin *plugin, const char *path, struct eb_error *error)
{
	const char *missing = !plugin->open ? "open"
		: !plugin->address          ? "address"
		: !plugin->request          ? "request"
		: !plugin->encode           ? "encode"
		: !plugin->receive          ? "receive"
					    : NULL;
	if (missing)
		return FAIL(error, "plugin %s: its function %s() is missing", path, missing);
	if (!plugin->read_back != !plugin->numbers || (plugin->read_back && !plugin->target))
		return FAIL(error,
			"plugin %s has one of read_back() and numbers(), or no target() with them: it "
			"must have all or none of these two",
			path);
	if (!plugin->merge != !plugin->cut)
		return FAIL(error,
			"plugin %s has one of merge() and cut(): it must have both or neither",
			path);
	return true;
}

static bool check_plugin(
	const struct eb_plugin *plugin, const char *name, const char *path, struct eb_error *error)
{
	if (plugin->abi != EB_PLUGIN_ABI)
		return FAIL(error,
			"plugin %s speaks version %u of the interface, this bridge %u: rebuild it",
			path, plugin->abi, EB_PLUGIN_ABI);
	if (plugin->size != sizeof(*plugin))
		return FAIL(error,
			"plugin %s: its struct eb_plugin has %u bytes instead of %zu: rebuild it "
			"with this bridge's header",
			path, plugin->size, sizeof(*plugin));
	if (!plugin->name || strcmp(plugin->name, name) != 0)
		return FAIL(error, "plugin %s calls itself \"%s\": file and name must agree", path,
			plugin->name ? plugin->name : "");
	if (!plugin->transports || plugin->transports & ~(EB_SERIAL | EB_TCP))
		return FAIL(error, "plugin %s names no transport that is known (0x%x)", path,
			plugin->transports);
	if (plugin->state_size > STATE_MAX)
		return FAIL(error, "plugin %s wants %u bytes of state for a bus, the most is %u",
			path, plugin->state_size, STATE_MAX);
	return check_functions(plugin, path, error) &&
		check_keys(plugin->bus_keys, "bus", path, error) &&
		check_keys(plugin->device_keys, "device", path, error) &&
		check_keys(plugin->request_keys, "request", path, error);
}

static const struct eb_plugin *load(
	struct plugins *plugins, const char *name, const char *path, struct eb_error *error)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		FAIL(error, "plugin %s: %s", path, dlerror());
		return NULL;
	}
	const struct eb_plugin *plugin = dlsym(handle, "eb_plugin");
	if (!plugin)
		FAIL(error, "plugin %s does not export eb_plugin", path);
	if (!plugin || !check_plugin(plugin, name, path, error)) {
		dlclose(handle);
		return NULL;
	}
	add(plugins, plugin, handle);
	return plugin;
}

const struct eb_plugin *plugins_find(
	struct plugins *plugins, const char *name, struct eb_error *error)
{
	if (!check_name(name, error))
		return NULL;
	for (size_t i = 0; i < plugins->count; i++) {
		if (strcmp(plugins->entries[i].plugin->name, name) == 0)
			return plugins->entries[i].plugin;
	}
	char *path OWNED = must_printf("%s/%s.so", plugins->dir, name);
	if (!check_file(plugins->dir, path, error))
		return NULL;
	return load(plugins, name, path, error);
}
