/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "operation.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

struct entry {
	struct timer timer;
	struct schedule *schedule;
	struct buffer request; /* value */
};

struct schedule {
	struct sim *sim;
	size_t count;
	struct entry entries[];
};

static void entry_due(struct timer *timer, int64_t now_us)
{
	struct entry *entry = container_of(timer, struct entry, timer);
	struct sim *sim = entry->schedule->sim;
	OWNED_BUFFER result = BUFFER_EMPTY;
	struct operation operation = { .sim = sim,
		.request = entry->request.data,
		.size = entry->request.size,
		.result = &result };
	switch (operate(&operation)) {
	case OPERATED_QUITTING:
		loop_stop(sim->loop);
		break;
	case OPERATED_REFUSED:
		log_error("schedule: entry %zu: %s", (size_t)(entry - entry->schedule->entries) + 1,
			operation.error);
		break;
	default:
		break;
	}
}

/* Copies the map of an entry, with the command that is meant where it names none. */
static void copy_request(struct buffer *request, const void *map, size_t size)
{
	struct value command, header;
	struct value_reader reader = value_reader(map, size);
	if (value_find(map, size, "command", &command, NULL)) {
		buffer_put(request, map, size);
		return;
	}
	value_next(&reader, &header);
	value_put_map(request, (uint32_t)header.size + 1);
	value_pair_text(request, "command", "command");
	buffer_put(request, reader.at, (size_t)(reader.end - reader.at));
}

static int add_entry(
	struct schedule *schedule, const void *map, size_t size, char *error, size_t room)
{
	struct entry *entry = &schedule->entries[schedule->count++];
	struct value at;
	if (!value_find(map, size, "at", &at, NULL) ||
		(at.type != VALUE_INTEGER && at.type != VALUE_REAL)) {
		snprintf(error, room, "entry %zu has no \"at\": seconds after the start",
			schedule->count);
		return -EINVAL;
	}
	double seconds = at.type == VALUE_INTEGER ? (double)at.integer : at.real;
	if (!(seconds >= 0 && seconds < 1e9)) {
		snprintf(error, room, "entry %zu: \"at\" is out of range", schedule->count);
		return -EINVAL;
	}
	entry->schedule = schedule;
	entry->timer.expired = entry_due;
	copy_request(&entry->request, map, size);
	struct loop *loop = schedule->sim->loop;
	loop_arm(loop, &entry->timer, loop_now(loop) + (int64_t)(seconds * (double)USEC_PER_SEC));
	return 0;
}

int schedule_create(
	struct schedule **result, struct sim *sim, const char *path, char *error, size_t room)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	size_t count;
	int status = file_read_list(path, &value, &count, error, room);
	if (status < 0)
		return status;
	struct schedule *schedule = must_alloc(sizeof(*schedule) + count * sizeof(struct entry));
	schedule->sim = sim;
	struct value_reader reader = value_reader(value.data, value.size);
	struct value header;
	value_next(&reader, &header);
	for (size_t i = 0; i < count && status == 0; i++) {
		const uint8_t *begin = reader.at;
		value_skip(&reader);
		status = add_entry(schedule, begin, (size_t)(reader.at - begin), error, room);
	}
	if (status < 0) {
		schedule_destroy(schedule);
		return status;
	}
	*result = schedule;
	return 0;
}

void schedule_destroy(struct schedule *schedule)
{
	if (!schedule)
		return;
	for (size_t i = 0; i < schedule->count; i++) {
		loop_disarm(schedule->sim->loop, &schedule->entries[i].timer);
		buffer_finish(&schedule->entries[i].request);
	}
	free(schedule);
}
