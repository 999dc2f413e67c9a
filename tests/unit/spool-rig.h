/* SPDX-License-Identifier: Apache-2.0 */
/* A spool with some queues in a directory of its own, and time moved by hand. */
#ifndef EB_TESTS_SPOOL_RIG_H
#define EB_TESTS_SPOOL_RIG_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud/queue.h"
#include "cloud/spool.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"
#include "util/value.h"

#define DEVICES 3

struct rig {
	char directory[64];
	char path[96];
	struct clock clock;
	struct loop *loop;
	struct conf conf;
	struct conf_device devices[DEVICES];
	struct spool *spool;
	struct queue queues[DEVICES];
	int64_t mark; /* the last report's wall_ms */
};

static inline void rig_directory(struct rig *rig)
{
	/* Where there is no flash to wait for. */
	snprintf(rig->directory, sizeof(rig->directory), "%s/test-spool-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(rig->directory));
	snprintf(rig->path, sizeof(rig->path), "%s/spool.db", rig->directory);
}

static inline void rig_init(struct rig *rig)
{
	static const char *const keys[] = { "dk0", "dk1", "dk2" };
	*rig = (struct rig){ .mark = 0 };
	rig_directory(rig);
	for (int i = 0; i < DEVICES; i++)
		rig->devices[i] = (struct conf_device){ .name = (char *)(uintptr_t)keys[i],
			.product_key = (char *)(uintptr_t) "pk",
			.device_key = (char *)(uintptr_t)keys[i] };
	rig->clock = (struct clock){
		.manual = true, .mono_us = 1000 * USEC_PER_SEC, .wall_ms = 1700000000000
	};
	rig->conf.devices = rig->devices;
	rig->conf.device_count = DEVICES;
	rig->conf.gateway.state_dir = rig->directory;
	rig->conf.enos.host = (char *)(uintptr_t) "cloud.test";
	rig->conf.spool = (struct conf_spool){ .enabled = true,
		.commit_interval_ms = 1000,
		.max_mb = 100,
		.max_age_s = 1000000,
		.backfill_rate = 2000 };
}

static inline void ignore_ready(void *context, uint32_t device)
{
}

/* Moves time in steps, in each of which the disk does what it has to. */
static inline void rig_pass(struct rig *rig, int64_t ms)
{
	int64_t until_us = rig->clock.mono_us + ms * USEC_PER_MSEC;
	while (rig->clock.mono_us < until_us) {
		int64_t step_us = until_us - rig->clock.mono_us;
		if (step_us > 50 * USEC_PER_MSEC)
			step_us = 50 * USEC_PER_MSEC;
		loop_advance(rig->loop, rig->clock.mono_us + step_us);
		spool_settle(rig->spool);
	}
}

static inline void rig_start_unopened(struct rig *rig)
{
	assert_int_equal(loop_create(&rig->loop, &rig->clock), 0);
	struct spool_setup setup = { .conf = &rig->conf, .loop = rig->loop, .ready = ignore_ready };
	assert_int_equal(spool_create(&rig->spool, &setup), 0);
	for (uint32_t i = 0; i < DEVICES; i++) {
		queue_init(&rig->queues[i]);
		spool_attach(rig->spool, i, &rig->queues[i]);
	}
}

static inline void rig_start(struct rig *rig)
{
	rig_start_unopened(rig);
	rig_pass(rig, 10);
}

/* Returns how many reports are lost. */
static inline size_t rig_stop(struct rig *rig)
{
	size_t lost = spool_save(rig->spool);
	for (uint32_t i = 0; i < DEVICES; i++)
		queue_finish(&rig->queues[i]);
	spool_destroy(rig->spool);
	loop_destroy(rig->loop);
	return lost;
}

static inline void rig_clean(struct rig *rig)
{
	DIR *directory = opendir(rig->directory);
	for (struct dirent *entry; (entry = readdir(directory));) {
		OWNED char *path = must_printf("%s/%s", rig->directory, entry->d_name);
		unlink(path);
	}
	closedir(directory);
}

static inline void rig_finish(struct rig *rig)
{
	rig_clean(rig);
	assert_int_equal(rmdir(rig->directory), 0);
}

static inline int64_t rig_put(
	struct rig *rig, uint32_t device, enum report_kind kind, const char *json)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[120];
	struct stamp stamp = { .wall_ms = ++rig->mark, .mono_us = rig->mark };
	assert_int_equal(json_parse(&value, json, strlen(json), error, sizeof(error)), 0);
	struct report *report = report_create(device, kind, &stamp, value.data, value.size), *gone;
	if (kind == REPORT_EVENT)
		strcpy(report->name, "Alarm");
	queue_put(&rig->queues[device], report, 1000, &gone);
	report_release(report);
	if (gone)
		report_release(gone);
	return rig->mark;
}

static inline int64_t rig_points(struct rig *rig, uint32_t device)
{
	return rig_put(rig, device, REPORT_POINTS, "{\"a\":1,\"b\":2.5,\"c\":\"text\"}");
}

/* Takes what would go next, as if it were acknowledged; its mark, or 0. */
static inline int64_t rig_take(struct rig *rig, uint32_t device)
{
	struct queue *queue = &rig->queues[device];
	const struct report *first;
	if (!queue_ready(queue))
		return 0;
	assert_int_equal(queue_peek(queue, &first, 1), 1);
	queue_hold(queue, 1);
	struct report *report = queue_take(queue);
	assert_ptr_equal(report, first);
	int64_t mark = report->stamp.wall_ms;
	report_release(report);
	return mark;
}

static inline void rig_online(struct rig *rig, bool online)
{
	for (uint32_t i = 0; i < DEVICES; i++)
		queue_set_online(&rig->queues[i], online);
}

/* A number of spool_status(). */
static inline int64_t rig_status(struct rig *rig, const char *key)
{
	OWNED_BUFFER json = BUFFER_EMPTY, map = BUFFER_EMPTY;
	char error[120];
	struct value value;
	spool_status(rig->spool, &json);
	assert_int_equal(json_parse(&map, json.data, json.size, error, sizeof(error)), 0);
	assert_true(value_find(map.data, map.size, key, &value, NULL));
	return value.integer;
}

/* How many files have that in their name. */
static inline int rig_files(struct rig *rig, const char *part)
{
	int count = 0;
	DIR *directory = opendir(rig->directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		count += strstr(entry->d_name, part) != NULL;
	closedir(directory);
	return count;
}

#endif
