/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recordings of buses, played back to the real field under a clock that is moved by hand.  Each is three
 * files of tests/recordings: NAME.txt, the recording; NAME.conf, the buses and devices of it; and
 * NAME.expected, what comes of it.  With names as arguments only those are played, and what comes of
 * them is printed; with --accept it is written to NAME.expected.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/fleet.h"
#include "core/plugin.h"
#include "field/answers.h"
#include "field/bus.h"
#include "sim/field/replay.h"
#include "util/alloc.h"
#include "util/hex.h"
#include "util/json.h"
#include "util/log.h"

struct stage {
	char dir[40];
	struct clock clock;
	struct loop *loop;
	struct mailbox *outbox;
	struct conf *conf;
	struct fleet *fleet;
	struct plane *plane;
	struct bus *bus;
	struct device **devices;
	struct recording recording;
	struct replay replay;
	struct link link;
	struct timer due;
	bool open;
	struct buffer heard, came;
	/* what was seen, each with how often, in the order of the first time */
	char *lines[400];
	unsigned counts[400], line_count;
	struct buffer health;
};

/* ---- the link ------------------------------------------------------------------------------- */

static struct stage *stage_of(struct link *link)
{
	return container_of(link, struct stage, link);
}

static void arm(struct stage *stage)
{
	if (replay_due_us(&stage->replay) == INT64_MAX)
		loop_disarm(stage->loop, &stage->due);
	else
		loop_arm(stage->loop, &stage->due, replay_due_us(&stage->replay));
}

static void is_due(struct timer *timer, int64_t now_us)
{
	struct stage *stage = container_of(timer, struct stage, due);
	replay_take(&stage->replay, now_us, &stage->came);
	arm(stage);
	if (stage->open && stage->came.size)
		stage->link.events->readable(stage->link.owner);
}

static int stage_open(struct link *link, char *why)
{
	struct stage *stage = stage_of(link);
	stage->open = true;
	replay_begin(&stage->replay, loop_now(stage->loop));
	arm(stage);
	return 0;
}

static ssize_t stage_read(struct link *link, void *bytes, size_t room)
{
	struct buffer *came = &stage_of(link)->came;
	size_t size = came->size < room ? came->size : room;
	if (!size)
		return 0;
	memcpy(bytes, came->data, size);
	buffer_drop(came, size);
	return (ssize_t)size;
}

static ssize_t stage_write(struct link *link, const void *bytes, size_t size)
{
	struct stage *stage = stage_of(link);
	struct buffer *heard = &stage->heard;
	buffer_put(heard, bytes, size);
	for (size_t used = 1; used && heard->size;) {
		used = replay_hear(
			&stage->replay, heard->data, heard->size, true, loop_now(stage->loop));
		buffer_drop(heard, used);
	}
	arm(stage);
	return (ssize_t)size;
}

static void stage_close(struct link *link)
{
	struct stage *stage = stage_of(link);
	stage->open = false;
	buffer_clear(&stage->came);
	loop_disarm(stage->loop, &stage->due);
}

static void stage_explain(const struct link *link, int error, char *why)
{
	snprintf(why, LINK_WHY_MAX, "error %d", error);
}

static const struct link_ops stage_ops = {
	.open = stage_open,
	.read = stage_read,
	.write = stage_write,
	.close = stage_close,
	.destroy = stage_close,
	.explain = stage_explain,
};

/* ---- what comes of it ----------------------------------------------------------------------- */

static void saw(struct stage *stage, struct buffer *line)
{
	for (unsigned i = 0; i < stage->line_count; i++) {
		if (strcmp(stage->lines[i], buffer_text(line)) == 0) {
			stage->counts[i]++;
			return;
		}
	}
	assert_true(stage->line_count < sizeof(stage->lines) / sizeof(*stage->lines));
	stage->lines[stage->line_count] = must_strdup(buffer_text(line));
	stage->counts[stage->line_count++] = 1;
}

static void take_reading(struct stage *stage, const struct reading *reading)
{
	struct member *member = &stage->fleet->devices[reading->device];
	const char *poll = reading->plan->polls[reading->poll].request->name;
	OWNED_BUFFER line = BUFFER_EMPTY;
	struct reports reports;
	buffer_printf(&line, "reading %s %s ", member->conf->name, poll ? poll : "-");
	hex_put(&line, reading->bytes, reading->size);
	saw(stage, &line);
	if (!member->lua)
		return;
	member_decode(member, reading, &reports);
	for (size_t i = 0; i < reports.count; i++) {
		OWNED_BUFFER report = BUFFER_EMPTY;
		buffer_printf(&report, "%s %s ", report_kind_name(reports.items[i]->kind),
			member->conf->name);
		json_print_value(&report, reports.items[i]->data, reports.items[i]->size);
		saw(stage, &report);
	}
	reports_finish(&reports);
}

static void collect(struct stage *stage)
{
	struct list mails;
	list_init(&mails);
	mailbox_take_all(stage->outbox, &mails);
	for (struct list *link; (link = list_take_first(&mails));) {
		struct mail *mail = container_of(link, struct mail, link);
		if (mail->kind == MESSAGE_READING)
			take_reading(stage, container_of(mail, struct reading, mail));
		if (mail->kind == MESSAGE_HEALTH) {
			const struct health *health = container_of(mail, struct health, mail);
			buffer_printf(&stage->health, "health %s %s\n",
				stage->conf->devices[health->device].name,
				health_name(health->state));
		}
		message_destroy(mail);
	}
}

static void put_counts(struct buffer *text, const char *name, const struct stats *stats)
{
	buffer_printf(text, "%s requests %u answers %u", name, stats->requests, stats->answers);
	for (uint32_t error = EB_NONE + 1; error < EB_ERROR_CLASSES; error++) {
		if (stats->errors[error])
			buffer_printf(
				text, " %s %u", error_class_name(error), stats->errors[error]);
	}
	for (int i = 0; i < STATS_EXCEPTIONS && stats->exceptions[i].count; i++)
		buffer_printf(
			text, " code-%u %u", stats->exceptions[i].code, stats->exceptions[i].count);
	buffer_put_byte(text, '\n');
}

static void sum_up(const struct stage *stage, struct buffer *text)
{
	for (unsigned i = 0; i < stage->line_count; i++)
		buffer_printf(text, "%s x %u\n", stage->lines[i], stage->counts[i]);
	buffer_put(text, stage->health.data, stage->health.size);
	for (uint32_t i = 0; i < stage->conf->device_count; i++)
		put_counts(text, stage->conf->devices[i].name, &stage->devices[i]->stats);
	put_counts(text, "bus", &stage->bus->stats);
	buffer_printf(text, "noise bytes %u, unasked %u, echo %s, link lost %u\n",
		stage->bus->noise_bytes, stage->bus->unasked,
		stage->bus->echo == ECHO_PRESENT ? "present" : "no", stage->bus->link_losses);
}

/* ---- the stage ------------------------------------------------------------------------------ */

static const char *source(void)
{
	const char *top = getenv("srcdir");
	return top ? top : ".";
}

static void read_whole(const char *path, struct buffer *text)
{
	FILE *file = fopen(path, "re");
	if (!file)
		fail_msg("%s cannot be read", path);
	for (size_t count = 1; count;) {
		count = fread(buffer_reserve(text, 65536), 1, 65536, file);
		text->size += count;
	}
	fclose(file);
	buffer_put_byte(text, 0);
	buffer_cut(text, text->size - 1);
}

static void write_whole(const char *path, const struct buffer *text)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(text->size, fwrite(text->data, 1, text->size, file));
	assert_int_equal(0, fclose(file));
	assert_return_code(chmod(path, 0600), 0);
}

/* Plugins are loaded from a folder that nobody else can write to. */
static void copy_plugins(const struct stage *stage)
{
	static const char *const names[] = { "modbus", "frame", "dlt645" };
	for (size_t i = 0; i < 3; i++) {
		OWNED char *from = must_printf("plugins/.libs/%s.so", names[i]);
		OWNED char *to = must_printf("%s/%s.so", stage->dir, names[i]);
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		read_whole(from, &bytes);
		write_whole(to, &bytes);
	}
}

static void load_conf(struct stage *stage, const char *name)
{
	OWNED char *from = must_printf("%s/tests/recordings/%s.conf", source(), name);
	OWNED char *to = must_printf("%s/main.conf", stage->dir);
	OWNED char *scripts = must_printf("%s/scripts", source());
	OWNED char *absolute = realpath(scripts, NULL);
	OWNED_BUFFER text = BUFFER_EMPTY;
	struct problems problems = PROBLEMS_NONE;
	struct conf_defaults defaults = { .plugin_dir = stage->dir,
		.script_dirs = { absolute },
		.state_dir = stage->dir,
		.control_socket = "" };
	buffer_put_text(&text,
		"gateway = { name = \"gw\"; evidence_files = 0; };\n"
		"enos = { host = \"192.0.2.1\"; };\n");
	read_whole(from, &text);
	write_whole(to, &text);
	stage->conf = conf_load(to, &defaults, &problems);
	if (stage->conf)
		stage->fleet = fleet_create(stage->conf, NULL, &problems);
	problems_print(&problems, stderr);
	assert_non_null(stage->fleet);
	assert_int_equal(1, stage->conf->bus_count);
	problems_finish(&problems);
}

static void quiet(enum log_level level, const char *line, void *context)
{
}

static void set_up(struct stage *stage, const char *name)
{
	OWNED char *path = must_printf("%s/tests/recordings/%s.txt", source(), name);
	char error[240];
	struct eb_error refusal = { "" };
	log_set_sink(quiet, NULL);
	stage->clock = (struct clock){ .manual = true,
		.synced = true,
		.mono_us = 1000 * USEC_PER_SEC,
		.wall_ms = INT64_C(1700000000000) };
	strcpy(stage->dir, "/tmp/enos-bridge-test-XXXXXX");
	assert_non_null(mkdtemp(stage->dir));
	copy_plugins(stage);
	load_conf(stage, name);
	if (recording_load(&stage->recording, path, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	replay_init(&stage->replay, &stage->recording, false);
	assert_int_equal(0, loop_create(&stage->loop, &stage->clock));
	assert_int_equal(0, mailbox_create(&stage->outbox, 1000));
	stage->due.expired = is_due;
	stage->link.ops = &stage_ops;
	stage->plane = must_alloc(sizeof(*stage->plane));
	plane_init(stage->plane, stage->loop, stage->outbox, NULL, stage->conf);
	assert_int_equal(0, bus_create(&stage->bus, stage->plane, 0, &stage->link, &refusal));
	stage->devices = must_array(stage->conf->device_count, sizeof(struct device *));
	for (uint32_t i = 0; i < stage->conf->device_count; i++) {
		stage->devices[i] = device_create(stage->bus, i);
		device_change_plan(
			stage->devices[i], plan_reference(stage->fleet->devices[i].plan));
	}
	bus_start(stage->bus, loop_now(stage->loop));
}

static void tear_down(struct stage *stage)
{
	bus_abort(stage->bus);
	collect(stage);
	bus_destroy(stage->bus);
	loop_disarm(stage->loop, &stage->due);
	replay_finish(&stage->replay);
	recording_finish(&stage->recording);
	mailbox_destroy(stage->outbox);
	loop_destroy(stage->loop);
	free(stage->devices);
	free(stage->plane);
	fleet_destroy(stage->fleet);
	conf_destroy(stage->conf);
	for (unsigned i = 0; i < stage->line_count; i++)
		free(stage->lines[i]);
	buffer_finish(&stage->heard);
	buffer_finish(&stage->came);
	buffer_finish(&stage->health);
	OWNED char *command = must_printf("rm -r '%s'", stage->dir);
	assert_int_equal(0, system(command));
	log_set_sink(NULL, NULL);
	free(stage);
}

/* As long as the recording, and a second more. */
static void play(const char *name, struct buffer *text)
{
	struct stage *stage = must_alloc(sizeof(*stage));
	set_up(stage, name);
	int64_t until_us = loop_now(stage->loop) + USEC_PER_SEC +
		stage->recording.frames[stage->recording.count - 1].at_us;
	while (loop_now(stage->loop) < until_us) {
		int64_t next_us = loop_now(stage->loop) + USEC_PER_SEC;
		loop_advance(stage->loop, next_us < until_us ? next_us : until_us);
		collect(stage);
	}
	sum_up(stage, text);
	tear_down(stage);
}

/* ---- the test ------------------------------------------------------------------------------- */

static int is_recording(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);
	return size > 4 && strcmp(entry->d_name + size - 4, ".txt") == 0;
}

static void test_recordings(void **state)
{
	OWNED char *folder = must_printf("%s/tests/recordings", source());
	struct dirent **entries;
	int count = scandir(folder, &entries, is_recording, alphasort);
	unsigned different = 0;
	assert_true(count >= 8);
	for (int i = 0; i < count; i++) {
		OWNED char *name = must_printf(
			"%.*s", (int)strlen(entries[i]->d_name) - 4, entries[i]->d_name);
		OWNED char *path = must_printf("%s/%s.expected", folder, name);
		OWNED_BUFFER got = BUFFER_EMPTY;
		OWNED_BUFFER wanted = BUFFER_EMPTY;
		play(name, &got);
		read_whole(path, &wanted);
		if (strcmp(buffer_text(&got), buffer_text(&wanted)) != 0) {
			print_error("%s: came of it:\n%sand not, as expected:\n%s\n", name,
				buffer_text(&got), buffer_text(&wanted));
			different++;
		}
		free(entries[i]);
	}
	free(entries);
	assert_int_equal(0, different);
}

static void play_and_print(const char *name, bool accept)
{
	OWNED char *path = must_printf("%s/tests/recordings/%s.expected", source(), name);
	OWNED_BUFFER text = BUFFER_EMPTY;
	play(name, &text);
	printf("%s", buffer_text(&text));
	if (!accept)
		return;
	write_whole(path, &text);
	chmod(path, 0644);
}

int main(int count, char **words)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_recordings) };
	bool accept = count > 1 && strcmp(words[1], "--accept") == 0;
	for (int i = 1 + accept; i < count; i++)
		play_and_print(words[i], accept);
	return count > 1 ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
