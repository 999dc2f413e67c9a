/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "core/conf_file.h"
#include "core/conf_parts.h"
#include "util/alloc.h"

/* The files of a configuration, parsed; the main one first. */
struct sources {
	struct conf_source *items;
	size_t count;
};

static void sources_finish(struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++)
		conf_source_finish(&sources->items[i]);
	free(sources->items);
}

/* ---- which files ---------------------------------------------------------------------------- */

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return must_strdup(".");
	return must_printf("%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static int is_conf(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);
	return entry->d_name[0] != '.' && size > 5 &&
		strcmp(entry->d_name + size - 5, ".conf") == 0;
}

/* By their bytes, whatever the locale. */
static int compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The main file, then *.conf of devices.d beside it, NULL-terminated. */
static char **list_files(const char *path, const char *dir, struct problems *problems)
{
	char *devices OWNED = must_printf("%s/devices.d", dir);
	struct dirent **entries = NULL;
	int count = scandir(devices, &entries, is_conf, compare_entries);
	if (count < 0 && errno != ENOENT && errno != ENOTDIR)
		problem_error(problems, (struct place){ devices, 0 },
			"cannot be read: %s: check that user %u may read it", strerror(errno),
			(unsigned)geteuid());
	char **files = must_array((size_t)(count > 0 ? count : 0) + 2, sizeof(*files));
	files[0] = must_strdup(path);
	for (int i = 0; i < count; i++) {
		files[i + 1] = must_printf("%s/%s", devices, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return files;
}

static struct sources read_files(char **files, struct problems *problems)
{
	struct sources sources = { .count = 0 };
	size_t count = 0;
	while (files[count])
		count++;
	sources.items = must_array(count, sizeof(*sources.items));
	for (; sources.count < count; sources.count++) {
		sources.items[sources.count].file = files[sources.count];
		conf_source_read(&sources.items[sources.count], problems);
	}
	return sources;
}

/* ---- groups that stand once ----------------------------------------------------------------- */

/* The group of that name, wherever it stands, or what stands for it; NULL where nothing does. */
static const struct node *find_group(
	struct conf_parts *parts, const struct sources *sources, const char *name)
{
	const struct node *found = NULL;
	for (size_t i = 0; i < sources->count; i++) {
		const struct node *node = node_find(&sources->items[i].root, name);
		if (!node)
			continue;
		if (found)
			problem_error(parts->problems, node->place,
				"%s stands at %s:%u already: keep one of them", name,
				found->place.file, found->place.line);
		else
			found = node;
	}
	return found;
}

static const struct node *read_group(struct conf_parts *parts, const struct sources *sources,
	const struct section *section, void *target)
{
	const struct node *group = find_group(parts, sources, section->name);
	section_defaults(section, target);
	if (group && group->type == NODE_GROUP)
		section_read(section, group, target, NULL, parts->problems);
	return group;
}

static void set_missing(char **text, const char *fallback)
{
	if (!*text)
		*text = must_strdup(fallback);
}

static void read_gateway(struct conf_parts *parts, const struct sources *sources,
	const struct conf_defaults *defaults)
{
	struct conf_gateway *gateway = &parts->conf->gateway;
	const struct node *group = read_group(parts, sources, &gateway_section, gateway);
	if (!group && parts->whole)
		problem_error(parts->problems, (struct place){ parts->conf->path, 0 },
			"gateway is missing: write gateway = { name = \"...\"; };");
	set_missing(&gateway->state_dir, defaults->state_dir);
	set_missing(&gateway->plugin_dir, defaults->plugin_dir);
	set_missing(&gateway->control_socket, defaults->control_socket);
	if (gateway->script_dirs)
		return;
	size_t room = sizeof(defaults->script_dirs) / sizeof(*defaults->script_dirs);
	gateway->script_dirs = must_array(room + 1, sizeof(char *));
	for (size_t i = 0; i < room && defaults->script_dirs[i]; i++)
		gateway->script_dirs[i] = must_strdup(defaults->script_dirs[i]);
}

static void read_password(struct conf_parts *parts, const struct node *group)
{
	struct conf_mqtt *mqtt = &parts->conf->mqtt;
	const struct node *file = node_find(group, "password_file");
	if (!mqtt->password_file)
		return;
	if (!node_find(group, "user"))
		problem_error(parts->problems, file->place,
			"password_file stands without user: name the user at the broker");
	char *path = path_resolve(parts, mqtt->password_file);
	free(mqtt->password_file);
	mqtt->password_file = path;
	mqtt->password = secret_read(parts, file, path, FORM_ANY);
}

static void read_mqtt(struct conf_parts *parts, const struct sources *sources)
{
	struct conf_mqtt *mqtt = &parts->conf->mqtt;
	const struct node *group = read_group(parts, sources, &mqtt_section, mqtt);
	if (group) {
		mqtt->enabled = true;
		mqtt->place = group->place;
		read_password(parts, group);
	}
	const char *name = parts->conf->gateway.name;
	if (!mqtt->client_id)
		mqtt->client_id = must_printf("enos-bridge-%s", name ? name : "");
}

/* ---- buses and devices ---------------------------------------------------------------------- */

static size_t count_items(const struct sources *sources, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < sources->count; i++) {
		const struct node *list = node_find(&sources->items[i].root, name);
		count += list ? list->count : 0;
	}
	return count;
}

static void read_buses(struct conf_parts *parts, const struct sources *sources)
{
	size_t count = count_items(sources, "buses");
	parts->conf->buses = must_array(count, sizeof(*parts->conf->buses));
	parts->bus_checks = must_array(count, sizeof(*parts->bus_checks));
	for (size_t i = 0; i < sources->count; i++) {
		const struct node *list = node_find(&sources->items[i].root, "buses");
		for (size_t n = 0; list && list->type == NODE_LIST && n < list->count; n++)
			bus_read(parts, &list->items[n]);
	}
	names_of_buses(parts);
}

static void read_devices(struct conf_parts *parts, const struct sources *sources)
{
	size_t count = count_items(sources, "devices");
	parts->conf->devices = must_array(count, sizeof(*parts->conf->devices));
	parts->device_checks = must_array(count, sizeof(*parts->device_checks));
	for (size_t i = 0; i < sources->count; i++) {
		const struct conf_source *source = &sources->items[i];
		const struct node *list = node_find(&source->root, "devices");
		for (size_t n = 0; list && list->type == NODE_LIST && n < list->count; n++)
			device_read(parts, &list->items[n], source->open_to_others);
	}
	names_of_devices(parts);
}

static void check_cloud(struct conf_parts *parts)
{
	struct conf *conf = parts->conf;
	if (conf->device_count && !conf->enos.place.file && parts->whole)
		problem_error(parts->problems, (struct place){ conf->path, 0 },
			"enos is missing, devices report to it: write enos = { host = \"...\"; };");
	set_missing(&conf->enos.host, "");
}

/* Commands without a disk run, but what became of them is forgotten with the program. */
static void check_commands(struct conf_parts *parts)
{
	const struct conf *conf = parts->conf;
	bool commands = false;
	for (uint32_t i = 0; i < conf->device_count; i++)
		commands |= conf->devices[i].script && conf->devices[i].commands == COMMANDS_ALL;
	if (commands && conf->enos.place.file && !conf->spool.enabled &&
		!conf->enos.commands_without_disk)
		problem_warning(parts->problems, conf->enos.place,
			"spool.enabled = false leaves the records of commands in memory: after a restart "
			"one may run twice, or never be answered; if that is meant, write "
			"commands_without_disk = true");
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void read_keys(struct conf_parts *parts, const struct sources *sources)
{
	parts->whole = true;
	for (size_t i = 0; i < sources->count; i++) {
		const struct node *root = &sources->items[i].root;
		if (root->type == NODE_GROUP)
			section_read(&file_section, root, NULL, NULL, parts->problems);
		else
			parts->whole = false;
	}
}

static void read_all(struct conf_parts *parts, const struct sources *sources,
	const struct conf_defaults *defaults)
{
	struct conf *conf = parts->conf;
	read_keys(parts, sources);
	read_gateway(parts, sources, defaults);
	read_group(parts, sources, &scripts_section, &conf->scripts);
	enos_read(parts, read_group(parts, sources, &enos_section, &conf->enos));
	read_group(parts, sources, &spool_section, &conf->spool);
	read_mqtt(parts, sources);
	conf->plugins = plugins_create(conf->gateway.plugin_dir);
	for (size_t i = 0; defaults->builtin && defaults->builtin[i]; i++)
		plugins_add(conf->plugins, defaults->builtin[i]);
	read_buses(parts, sources);
	read_devices(parts, sources);
	check_cloud(parts);
	check_commands(parts);
}

static void parts_finish(struct conf_parts *parts)
{
	for (uint32_t i = 0; i < parts->conf->bus_count; i++)
		free(parts->bus_checks[i].state);
	free(parts->bus_checks);
	free(parts->device_checks);
	scripts_finish(parts);
}

/* Fills conf, which knows its path and files, from those. */
static void build(struct conf *conf, const struct sources *sources, const char *dir,
	const struct conf_defaults *defaults, struct problems *problems)
{
	struct conf_parts parts = { .conf = conf, .problems = problems, .dir = dir };
	read_all(&parts, sources, defaults);
	parts_finish(&parts);
}

struct conf *conf_load(
	const char *path, const struct conf_defaults *defaults, struct problems *problems)
{
	size_t errors = problems->errors;
	char *dir OWNED = directory_of(path);
	struct conf *conf = must_alloc(sizeof(*conf));
	conf->path = must_strdup(path);
	conf->files = list_files(path, dir, problems);
	struct sources sources = read_files(conf->files, problems);
	build(conf, &sources, dir, defaults, problems);
	sources_finish(&sources);
	/* The trees took several times the room of what stays: give it back. */
	malloc_trim(0);
	if (problems->errors == errors)
		return conf;
	conf_destroy(conf);
	return NULL;
}

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void conf_destroy(struct conf *conf)
{
	if (!conf)
		return;
	for (uint32_t i = 0; i < conf->device_count; i++)
		device_finish(&conf->devices[i]);
	for (uint32_t i = 0; i < conf->bus_count; i++)
		bus_finish(&conf->buses[i]);
	section_finish(&gateway_section, &conf->gateway);
	section_finish(&scripts_section, &conf->scripts);
	section_finish(&enos_section, &conf->enos);
	section_finish(&spool_section, &conf->spool);
	section_finish(&mqtt_section, &conf->mqtt);
	wipe(conf->mqtt.password);
	plugins_destroy(conf->plugins);
	for (char **file = conf->files; file && *file; file++)
		free(*file);
	free(conf->files);
	free(conf->buses_by_name);
	free(conf->devices_by_name);
	free(conf->buses);
	free(conf->devices);
	free(conf->path);
	free(conf);
}
