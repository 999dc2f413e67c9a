/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge: owns the parts of the main plane and hands messages from one to the next.  A reading goes
 * field, device (script), broker and cloud; a command cloud, pipeline (script), field and back.
 */
#ifndef EB_BRIDGE_BRIDGE_H
#define EB_BRIDGE_BRIDGE_H

#include "bridge/fleet.h"
#include "core/conf.h"
#include "util/loop.h"

struct bridge;

struct bridge_setup {
	struct conf *conf; /* a reload replaces the secrets in it */
	const struct conf_defaults *defaults; /* for reading it again */
	struct fleet *fleet;
	struct keepsake *keepsake;
	struct loop *loop;
	uint64_t watchdog_us; /* systemd's interval; 0: none */
};

/* Makes all parts; nothing runs yet.  0, or -errno after the error was logged. */
int bridge_create(struct bridge **bridge, const struct bridge_setup *setup);
void bridge_destroy(struct bridge *bridge);

/* Starts the field and the sessions. 0 or -errno. */
int bridge_start(struct bridge *bridge);
/*
 * Ends the field, decodes what it still had to say, and gives the cloud and the broker the rest of
 * BRIDGE_STOP_MS to take what waits.  Then the loop is stopped.
 */
void bridge_stop(struct bridge *bridge);
/* Loads changed scripts and secrets; appends a JSON object that says what became of each. */
void bridge_reload(struct bridge *bridge, struct buffer *json);

#define BRIDGE_STOP_MS 1500

#endif
