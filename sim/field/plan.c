/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/field/player.h"
#include "sim/field/serial.h"
#include "sim/field/tcp.h"
#include "util/alloc.h"

void plan_init(struct plan *plan)
{
	*plan = (struct plan){ .framing = -1, .baud = 9600, .char_bits = 10, .listeners = 1 };
}

/* One id at *text, which moves behind it; -1 where there is none. */
static long parse_id(const char **text)
{
	char *end;
	long id = strtol(*text, &end, 10);
	if (end == *text || id < 0 || id > 255)
		return -1;
	*text = end;
	return id;
}

int ids_parse(const char *text, struct ids *ids)
{
	bool seen[256] = { false };
	ids->count = 0;
	for (;;) {
		long first = parse_id(&text), last = first;
		if (*text == '-') {
			text++;
			last = parse_id(&text);
		}
		if (first < 0 || last < first)
			return -EINVAL;
		for (long id = first; id <= last; id++) {
			if (!seen[id])
				ids->ids[ids->count++] = (uint8_t)id;
			seen[id] = true;
		}
		if (!*text)
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}

int plan_add_units(struct plan *plan, const struct ids *ids, const struct unit *like)
{
	for (size_t i = 0; i < ids->count; i++) {
		for (size_t u = 0; u < plan->unit_count; u++) {
			if (plan->units[u].id == ids->ids[i])
				return -EEXIST;
		}
		plan->units[plan->unit_count] = *like;
		plan->units[plan->unit_count++].id = ids->ids[i];
	}
	return 0;
}

static int wrong(char *error, size_t room, const char *name, const char *reason)
{
	snprintf(error, room, "line %s: %s", name, reason);
	return -EINVAL;
}

static int build_line(const struct plan *plan, struct sim *sim, const char *name, uint32_t index,
	char *error, size_t room)
{
	struct line *line;
	if (index == 0 && sim_line(sim, name))
		return wrong(error, room, name, "there is another one of this name");
	if (plan->replay) {
		struct plain_setup setup = {
			.name = name, .path = plan->path, .host = plan->host, .port = plan->port
		};
		return player_create(sim, &setup, plan->replay, plan->at_once, error, room);
	}
	if (plan->path) {
		enum framing framing = plan->framing < 0 ? FRAMING_RTU
							 : (enum framing)plan->framing;
		struct serial_setup setup = { .name = name,
			.path = plan->path,
			.framing = framing,
			.baud = plan->baud,
			.char_bits = plan->char_bits,
			.strict = plan->strict };
		if (framing == FRAMING_TCP)
			return wrong(error, room, name, "framing tcp is not for a serial line");
		line = serial_create(sim, &setup);
	} else {
		struct tcp_setup setup = { .name = name,
			.host = plan->host,
			.port = plan->port ? (uint16_t)(plan->port + index) : 0,
			.framing = plan->framing < 0 ? FRAMING_TCP : (enum framing)plan->framing };
		line = tcp_create(sim, &setup);
	}
	if (!line)
		return wrong(error, room, name, "the host has to be a numeric address");
	for (size_t i = 0; i < plan->unit_count; i++)
		line_add_unit(line, &plan->units[i]);
	return 0;
}

static size_t count_lines(const struct sim *sim)
{
	size_t count = 0;
	list_for_each (link, (struct list *)(uintptr_t)&sim->lines)
		count++;
	return count;
}

int plan_build(const struct plan *plan, struct sim *sim, char *error, size_t room)
{
	size_t number = count_lines(sim);
	OWNED char *own = must_printf("%s-%zu", plan->path ? "serial" : "tcp", number + 1);
	const char *name = plan->name ? plan->name : own;
	if (!plan->path && !plan->host)
		return wrong(error, room, name, "needs a path (serial) or a host (tcp)");
	if (!plan->unit_count)
		return wrong(error, room, name, "has no units");
	if (plan->at_once && !plan->replay)
		return wrong(error, room, name, "--at-once belongs to --replay");
	if (plan->replay && plan->listeners > 1)
		return wrong(error, room, name, "a recording has one listener");
	if (plan->listeners == 1)
		return build_line(plan, sim, name, 0, error, room);
	if (plan->path)
		return wrong(error, room, name, "listeners are for tcp");
	if (plan->port && plan->port + plan->listeners > 65536)
		return wrong(error, room, name, "ports end at 65535");
	int result = 0;
	for (uint32_t i = 0; i < plan->listeners && result == 0; i++) {
		OWNED char *one = must_printf("%s.%u", name, i + 1);
		result = build_line(plan, sim, one, i, error, room);
	}
	return result;
}
