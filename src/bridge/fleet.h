/* SPDX-License-Identifier: Apache-2.0 */
/* All devices and the scripts that they share. */
#ifndef EB_BRIDGE_FLEET_H
#define EB_BRIDGE_FLEET_H

#include "bridge/member.h"
#include "core/conf.h"

struct fleet_script {
	const char *path; /* borrowed from the configuration */
	const char *name; /* as the configuration writes it */
	struct script *script;
};

struct keepsake;

struct fleet {
	const struct conf *conf;
	struct fleet_script *scripts;
	size_t script_count;
	struct member *devices; /* conf->device_count */
};

/*
 * Loads every script and plans every device, with the state that was kept of it; keepsake may be NULL.
 * NULL where problems has errors.
 */
struct fleet *fleet_create(
	const struct conf *conf, struct keepsake *keepsake, struct problems *problems);
void fleet_destroy(struct fleet *fleet);

/* Is told of each device that a fresh script took over. */
struct fleet_watcher {
	void (*changed)(struct member *device, void *context);
	void *context;
};

enum fleet_answer { FLEET_UNCHANGED, FLEET_CHANGED };

/*
 * Loads the script's file anew.  Where it is another, and it, its fixtures and the plans of all its
 * devices are good, it takes over.  Returns an enum fleet_answer, or -EINVAL: the old one goes on and
 * problems says why.
 */
int fleet_reload(struct fleet *fleet, size_t script, const struct fleet_watcher *watcher,
	struct problems *problems);

#endif
