/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reading of a configuration shares while it lasts.  Each noun of the configuration has its
 * file, which fills its struct from a node and says all that is wrong with it.
 */
#ifndef EB_CORE_CONF_PARTS_H
#define EB_CORE_CONF_PARTS_H

#include "core/conf.h"
#include "core/conf_node.h"
#include "core/conf_section.h"

/* A bus's state for the checks, which plugin->open() accepted; NULL: nothing can be checked. */
struct bus_check {
	void *state;
};

struct device_check {
	struct eb_address address;
	bool addressed; /* the plugin made it */
};

/* Where a script was found, so that each name is looked for once. */
struct script_place {
	char *name;
	char *path; /* NULL: nowhere */
};

struct conf_parts {
	struct conf *conf;
	struct problems *problems;
	const char *dir; /* of the main file: relative paths begin there */
	bool whole; /* every file could be parsed: what is missing is missing */
	struct bus_check *bus_checks;
	struct device_check *device_checks;
	struct script_place *scripts; /* in the order of names */
	size_t script_count;
	unsigned suggestions; /* how often all buses were searched for a name like the one given */
};

/* Checks an item of the file's buses or devices, and takes the next free place in conf. */
void bus_read(struct conf_parts *parts, const struct node *node);
void bus_finish(struct conf_bus *bus);
/* open_to_others: everybody can read the file that the device stands in. */
void device_read(struct conf_parts *parts, const struct node *node, bool open_to_others);
void device_finish(struct conf_device *device);
/* The group enos was read, or there is none: what is left to check in it. */
void enos_read(struct conf_parts *parts, const struct node *group);
/* What the device is in the cloud; and its end, before section_finish(). */
void device_cloud_read(struct conf_parts *parts, struct conf_device *device,
	const struct node *node, bool open_to_others);
void device_cloud_finish(struct conf_device *device);
/* What commands may do to a device, in conf_command.c. */
void commands_read(struct conf_parts *parts, struct conf_device *device, const struct node *node);
void commands_finish(struct conf_device *device);
/* The polls of a device: a list of groups, or NULL for none. */
void polls_read(struct conf_parts *parts, struct conf_device *device, const struct node *list);

/* Duplicate names, ports, addresses and keys; and conf's tables of names. */
void names_of_buses(struct conf_parts *parts);
void names_of_devices(struct conf_parts *parts);

/* The first file of that name that is there but cannot be read, for the message; or NULL. */
char *script_blocked(const struct conf *conf, const char *name);
/* Where the script was found, or NULL; borrowed from the parts. */
const char *script_find(struct conf_parts *parts, const char *name);
void scripts_finish(struct conf_parts *parts);

/* The path that a file name in the configuration means. */
char *path_resolve(const struct conf_parts *parts, const char *path);
/*
 * Reads a secret or password of one line from the file that the node names.  Returns NULL after
 * having said why.
 */
char *secret_read(const struct conf_parts *parts, const struct node *node, const char *path,
	enum field_form form);

/* The keys of a plugin that stand in a group beside those of a section. */
struct plugin_keys {
	const struct section *section; /* for messages, and for what a key may have meant */
	const struct eb_plugin *plugin;
	const struct eb_key *keys; /* the plugin's; NULL: none */
	const struct eb_key *host_keys; /* known too, the host's own; NULL: none */
	bool partial; /* required keys may be missing */
	struct place place; /* of the group */
};

/* Checks each node by itself, at its own line, and that nothing required is missing. */
bool plugin_keys_check(const struct plugin_keys *keys, const struct node *const *nodes,
	size_t count, struct problems *problems);
/*
 * Without the plugin: reports those that look like a key of the section that the group lacks, or that
 * belong into a group within.  The others may be the plugin's.
 */
void plugin_keys_guess(const struct section *section, const struct node *group,
	const struct node_list *others, struct problems *problems);
/* Appends a map of the nodes. */
void plugin_keys_put(const struct node *const *nodes, size_t count, struct buffer *map);

#endif
