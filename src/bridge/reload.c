/* SPDX-License-Identifier: Apache-2.0 */
/* Reload: scripts from their files, each for itself; a bad one leaves the old one running. */
#include "bridge/parts.h"

#include <string.h>

#include "util/alloc.h"
#include "util/json.h"

static void plan_changed(struct member *device, void *context)
{
	struct bridge *bridge = context;
	bridge_send_plan(bridge, device);
	broker_script(bridge->broker, device->number, "");
}

static void print_problems(struct buffer *json, const struct problems *problems)
{
	buffer_put_text(json, ",\"problems\":[");
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *problem = &problems->items[i];
		OWNED_BUFFER text = BUFFER_EMPTY;
		if (problem->file && problem->line)
			buffer_printf(&text, "%s:%u: ", problem->file, problem->line);
		else if (problem->file)
			buffer_printf(&text, "%s: ", problem->file);
		buffer_put_text(&text, problem->text);
		buffer_put_text(json, i ? "," : "");
		json_put_text(json, buffer_text(&text));
	}
	buffer_put_byte(json, ']');
}

static void reload_script(struct bridge *bridge, size_t number, struct buffer *json)
{
	const struct fleet_script *entry = &bridge->fleet->scripts[number];
	struct problems problems = PROBLEMS_NONE;
	int result = fleet_reload(bridge->fleet, number, plan_changed, bridge, &problems);
	if (result < 0)
		log_warning("script %s: not reloaded, the old one goes on: mend what follows and "
			    "reload again",
			entry->path);
	else
		log_info("script %s: reloaded", entry->path);
	problems_log(&problems);
	buffer_put_text(json, "{\"file\":");
	json_put_text(json, entry->path);
	buffer_printf(json, ",\"result\":\"%s\"", result < 0 ? "kept the old one" : "reloaded");
	if (problems.count)
		print_problems(json, &problems);
	buffer_put_byte(json, '}');
	problems_finish(&problems);
}

void bridge_reload(struct bridge *bridge, struct buffer *json)
{
	buffer_put_text(json, "{\"scripts\":[");
	for (size_t i = 0; i < bridge->fleet->script_count; i++) {
		buffer_put_text(json, i ? "," : "");
		reload_script(bridge, i, json);
	}
	buffer_put_text(json, "]}");
}
