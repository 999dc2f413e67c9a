/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "spool-rig.h"

static int64_t size_of(const char *path, const char *tail)
{
	OWNED char *name = must_printf("%s%s", path, tail);
	struct stat stat_of;
	return stat(name, &stat_of) < 0 ? -errno : stat_of.st_size;
}

static void hush(enum log_level level, const char *line, void *context)
{
	int *lines = context;
	if (lines && level <= LOG_LEVEL_WARNING)
		++*lines;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void a_quick_cloud_costs_no_writes(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_online(&rig, true);
	rig_pass(&rig, 1000);
	int64_t log = size_of(rig.path, "-wal");
	for (int i = 0; i < 200; i++) {
		int64_t mark = rig_points(&rig, 0);
		rig_pass(&rig, 100);
		assert_int_equal(rig_take(&rig, 0), mark);
	}
	assert_int_equal(rig_status(&rig, "written"), 0);
	assert_int_equal(rig_status(&rig, "deleted"), 0);
	assert_int_equal(size_of(rig.path, "-wal"), log);
	/* One that waits longer is written. */
	rig_points(&rig, 0);
	rig_pass(&rig, 1050);
	assert_int_equal(rig_status(&rig, "written"), 1);
	assert_true(size_of(rig.path, "-wal") > log);
	assert_int_equal(rig_stop(&rig), 0);
	rig_finish(&rig);
}

static void the_file_is_for_its_owner_alone(void **state)
{
	struct rig rig;
	struct stat file;
	rig_init(&rig);
	mode_t mask = umask(0);
	rig_start(&rig);
	rig_points(&rig, 0);
	rig_pass(&rig, 1100);
	umask(mask);
	assert_int_equal(stat(rig.path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	OWNED char *log = must_printf("%s-wal", rig.path);
	assert_int_equal(stat(log, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	rig_stop(&rig);
	rig_finish(&rig);
}

static void all_is_on_disk_within_the_interval(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	for (int i = 0; i < 600; i++) {
		rig_points(&rig, (uint32_t)i % DEVICES);
		rig_pass(&rig, 10);
		/* A hundred a second; what is older than a second has left memory. */
		assert_true(rig_status(&rig, "unsaved") <= 105);
		assert_true(rig.queues[0].count <= 35);
	}
	rig_pass(&rig, 1050);
	assert_int_equal(rig_status(&rig, "unsaved"), 0);
	assert_int_equal(rig_status(&rig, "rows"), 600);
	assert_int_equal(rig.queues[0].count, 0);
	assert_int_equal(rig_stop(&rig), 0);
	rig_finish(&rig);
}

static void before_it_is_sent_where_the_interval_is_0(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig.conf.spool.commit_interval_ms = 0;
	rig_start(&rig);
	rig_online(&rig, true);
	int64_t mark = rig_points(&rig, 0);
	assert_int_equal(rig_take(&rig, 0), 0);
	rig_pass(&rig, 1);
	assert_int_equal(rig_status(&rig, "written"), 1);
	assert_int_equal(rig_take(&rig, 0), mark);
	rig_pass(&rig, 2500);
	assert_int_equal(rig_status(&rig, "rows"), 0);
	rig_stop(&rig);
	rig_finish(&rig);
}

/* ---- delivery ------------------------------------------------------------------------------- */

static void a_restart_delivers_what_was_there(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	for (int i = 0; i < 300; i++) {
		rig_points(&rig, (uint32_t)i % DEVICES);
		rig_pass(&rig, 10);
	}
	/* The last are saved by the stop alone. */
	assert_true(rig_status(&rig, "unsaved") > 0);
	assert_int_equal(rig_stop(&rig), 0);
	rig_start(&rig);
	rig_online(&rig, true);
	int64_t expected[DEVICES] = { 1, 2, 3 };
	for (int turn = 0; turn < 100; turn++) {
		rig_pass(&rig, 50);
		for (uint32_t i = 0; i < DEVICES; i++) {
			for (int64_t mark; (mark = rig_take(&rig, i)); expected[i] += DEVICES)
				assert_int_equal(mark, expected[i]);
		}
	}
	for (int i = 0; i < DEVICES; i++)
		assert_int_equal(expected[i], 301 + i);
	rig_pass(&rig, 3000);
	assert_int_equal(rig_status(&rig, "rows"), 0);
	assert_int_equal(rig_status(&rig, "deleted"), 300);
	rig_stop(&rig);
	rig_finish(&rig);
}

static void live_reports_do_not_wait_for_the_backlog(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	for (int i = 0; i < 500; i++)
		rig_points(&rig, 0);
	rig_pass(&rig, 1100);
	rig_online(&rig, true);
	rig_pass(&rig, 100);
	int64_t oldest = 1, live = 0;
	for (int i = 0; i < 200; i++) {
		int64_t mark = rig_points(&rig, 0);
		int64_t one = rig_take(&rig, 0), other = rig_take(&rig, 0);
		/* In turns, whichever comes first. */
		live = one > 500 ? one : other;
		assert_int_equal(live, mark);
		assert_int_equal(one > 500 ? other : one, oldest++);
		rig_pass(&rig, 50);
	}
	rig_stop(&rig);
	rig_finish(&rig);
}

static void raw_bytes_and_events_keep_their_order(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	for (int i = 0; i < 100; i++) {
		rig_put(&rig, 0, i % 2 ? REPORT_EVENT : REPORT_RAW, "{\"a\":1}");
		rig_pass(&rig, 20);
	}
	rig_online(&rig, true);
	int64_t expected = 1;
	for (int i = 0; i < 100; i++) {
		/* New ones come, and wait for the old. */
		rig_put(&rig, 0, REPORT_RAW, "{\"a\":1}");
		int64_t mark = rig_take(&rig, 0);
		if (mark)
			assert_int_equal(mark, expected++);
		if ((mark = rig_take(&rig, 0)))
			assert_int_equal(mark, expected++);
		rig_pass(&rig, 50);
	}
	for (int i = 0; i < 20; i++) {
		rig_pass(&rig, 50);
		for (int64_t mark; (mark = rig_take(&rig, 0));)
			assert_int_equal(mark, expected++);
	}
	assert_int_equal(expected, 201);
	rig_stop(&rig);
	rig_finish(&rig);
}

static void of_attributes_the_newest_are_kept(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_put(&rig, 0, REPORT_ATTRIBUTES, "{\"a\":1,\"b\":1}");
	rig_pass(&rig, 1100);
	rig_put(&rig, 0, REPORT_ATTRIBUTES, "{\"a\":2}");
	rig_pass(&rig, 1100);
	assert_int_equal(rig.queues[0].count, 1);
	rig_stop(&rig);
	rig_start(&rig);
	rig_put(&rig, 0, REPORT_ATTRIBUTES, "{\"c\":3}");
	const struct report *report;
	assert_int_equal(rig.queues[0].count, 1);
	assert_int_equal(queue_peek(&rig.queues[0], &report, 1), 1);
	OWNED_BUFFER json = BUFFER_EMPTY;
	struct value_reader reader = value_reader(report->data, report->size);
	assert_int_equal(json_print(&json, &reader), 0);
	assert_string_equal(buffer_text(&json), "{\"c\":3,\"a\":2,\"b\":1}");
	rig_take(&rig, 0);
	rig_pass(&rig, 3000);
	assert_int_equal(rig_status(&rig, "rows"), 0);
	rig_stop(&rig);
	rig_finish(&rig);
}

/* Each replaces the one before it; nevertheless the disk gets one of them in time. */
static void attributes_that_change_all_the_time_are_stored(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_online(&rig, false);
	for (int i = 0; i < 40; i++) {
		rig_put(&rig, 0, REPORT_ATTRIBUTES, "{\"a\":1}");
		rig_pass(&rig, 50);
		/* What is there stays until the newer one is. */
		if (i > 20)
			assert_true(rig_status(&rig, "rows") > 0);
	}
	assert_true(rig_status(&rig, "written") >= 2);
	rig_pass(&rig, 1100);
	const struct report *report;
	assert_int_equal(queue_peek(&rig.queues[0], &report, 1), 1);
	assert_int_equal(report->stamp.wall_ms, rig.mark);
	rig_pass(&rig, 5000);
	assert_int_equal(rig_status(&rig, "rows"), 1);
	rig_stop(&rig);
	rig_finish(&rig);
}

/* A kill would bring back the older ones behind it. */
static void newer_attributes_are_stored_before_they_go(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_put(&rig, 0, REPORT_ATTRIBUTES, "{\"a\":1}");
	rig_pass(&rig, 1100);
	rig_online(&rig, true);
	assert_true(rig_take(&rig, 0) > 0);
	/* The row of that one is still there. */
	rig_put(&rig, 0, REPORT_ATTRIBUTES, "{\"a\":2}");
	assert_false(queue_ready(&rig.queues[0]));
	rig_points(&rig, 0);
	assert_true(rig_take(&rig, 0) > 0);
	rig_pass(&rig, 1100);
	assert_int_equal(rig_take(&rig, 0), rig.mark - 1);
	rig_pass(&rig, 5000);
	assert_int_equal(rig_status(&rig, "rows"), 0);
	rig_put(&rig, 0, REPORT_ATTRIBUTES, "{\"a\":3}");
	assert_true(rig_take(&rig, 0) > 0);
	rig_stop(&rig);
	rig_finish(&rig);
}

static void nothing_is_lost_or_comes_twice_while_the_cloud_flaps(void **state)
{
	struct rig rig;
	int64_t count = 0;
	rig_init(&rig);
	rig_start(&rig);
	srand(1);
	static bool seen[3000];
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 2500; i++) {
		if (i % 97 == 0)
			rig_online(&rig, rand() % 2);
		if (i < 2000)
			rig_points(&rig, (uint32_t)(rand() % DEVICES));
		else
			rig_online(&rig, true);
		rig_pass(&rig, rand() % 40);
		for (uint32_t d = 0; d < DEVICES; d++) {
			int64_t mark = rig.queues[d].online && rand() % 3 ? rig_take(&rig, d) : 0;
			assert_false(seen[mark] && mark);
			seen[mark] = true;
			count += mark != 0;
		}
	}
	for (int i = 0; i < 400; i++) {
		rig_pass(&rig, 50);
		for (uint32_t d = 0; d < DEVICES; d++) {
			for (int64_t mark; (mark = rig_take(&rig, d)); seen[mark] = true, count++)
				assert_false(seen[mark]);
		}
	}
	assert_int_equal(count, 2000);
	rig_pass(&rig, 3000);
	assert_int_equal(rig_status(&rig, "rows"), 0);
	rig_stop(&rig);
	rig_finish(&rig);
}

static void the_backlog_comes_at_its_rate(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig.conf.spool.backfill_rate = 40;
	rig_start(&rig);
	for (int i = 0; i < 500; i++)
		rig_points(&rig, 0);
	rig_pass(&rig, 1100);
	rig_online(&rig, true);
	int count = 0;
	for (int i = 0; i < 100; i++) {
		rig_pass(&rig, 50);
		while (rig_take(&rig, 0))
			count++;
	}
	assert_in_range(count, 190, 215);
	rig_stop(&rig);
	rig_finish(&rig);
}

static void raw_bytes_wait_until_the_disk_is_known(void **state)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	int64_t first = rig_put(&rig, 0, REPORT_RAW, "{}");
	rig_stop(&rig);
	rig_start_unopened(&rig);
	int64_t second = rig_put(&rig, 0, REPORT_RAW, "{}");
	rig_online(&rig, true);
	assert_int_equal(rig_take(&rig, 0), 0);
	rig_pass(&rig, 200);
	assert_int_equal(rig_take(&rig, 0), first);
	rig_pass(&rig, 200);
	assert_int_equal(rig_take(&rig, 0), second);
	rig_stop(&rig);
	rig_finish(&rig);
}

/* ---- a disk that fails ---------------------------------------------------------------------- */

static void a_full_disk_is_survived(void **state)
{
	struct rig rig;
	struct rlimit limit, old;
	int lines = 0;
	rig_init(&rig);
	rig_start(&rig);
	rig_points(&rig, 0);
	rig_pass(&rig, 1100);
	assert_int_equal(rig_status(&rig, "rows"), 1);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){ 4096, old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	log_set_sink(hush, &lines);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 100; i++) {
		rig_points(&rig, 0);
		rig_pass(&rig, 100);
	}
	/* Said once, tried again, nothing lost. */
	assert_int_equal(lines, 1);
	assert_true(rig_status(&rig, "failures") > 2);
	assert_int_equal(rig_status(&rig, "unsaved"), 100);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	rig_pass(&rig, 60000);
	log_set_sink(NULL, NULL);
	assert_int_equal(rig_status(&rig, "unsaved"), 0);
	assert_int_equal(rig_status(&rig, "rows"), 101);
	assert_int_equal(rig_files(&rig, "damaged"), 0);
	rig_online(&rig, true);
	int64_t expected = 1;
	for (int i = 0; i < 20; i++) {
		rig_pass(&rig, 50);
		for (int64_t mark; (mark = rig_take(&rig, 0)); expected++)
			assert_int_equal(mark, expected);
	}
	assert_int_equal(expected, 102);
	rig_stop(&rig);
	rig_finish(&rig);
}

static void no_directory_is_survived(void **state)
{
	struct rig rig;
	int lines = 0;
	rig_init(&rig);
	assert_int_equal(rmdir(rig.directory), 0);
	log_set_sink(hush, &lines);
	rig_start(&rig);
	rig_online(&rig, true);
	/* Raw bytes need not wait for what cannot be read. */
	int64_t mark = rig_put(&rig, 0, REPORT_RAW, "{}");
	assert_int_equal(rig_take(&rig, 0), mark);
	rig_online(&rig, false);
	for (int i = 0; i < 5; i++)
		rig_put(&rig, 0, REPORT_RAW, "{}");
	rig_pass(&rig, 5000);
	assert_int_equal(lines, 1);
	assert_int_equal(mkdir(rig.directory, 0700), 0);
	rig_pass(&rig, 20000);
	log_set_sink(NULL, NULL);
	assert_int_equal(rig_status(&rig, "unsaved"), 0);
	assert_int_equal(rig_status(&rig, "rows"), 5);
	rig_stop(&rig);
	rig_finish(&rig);
}

/* ---- kill ----------------------------------------------------------------------------------- */

/* Puts reports for ever, and says how many must be safe by now. */
static void child(struct rig *rig, int out)
{
	rig_start(rig);
	for (uint32_t count = 1;; count++) {
		rig_points(rig, 0);
		rig_pass(rig, 20);
		uint32_t safe = count - (uint32_t)rig_status(rig, "unsaved");
		if (write(out, &safe, sizeof(safe)) != sizeof(safe))
			_exit(1);
	}
}

static void kill_at_some_time(struct rig *rig)
{
	int ends[2];
	uint32_t safe = 0, last;
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		child(rig, ends[1]);
	}
	close(ends[1]);
	/* After so many reports, somewhere in what is done then. */
	for (int i = rand() % 300; i >= 0 && read(ends[0], &last, sizeof(last)) == sizeof(last);
		i--)
		safe = last;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (read(ends[0], &last, sizeof(last)) == sizeof(last))
		safe = last;
	close(ends[0]);
	rig_start(rig);
	rig_online(rig, true);
	int64_t expected = 1;
	for (int quiet = 0; quiet < 3; quiet++) {
		rig_pass(rig, 50);
		for (int64_t mark; (mark = rig_take(rig, 0)); expected++, quiet = 0)
			assert_int_equal(mark, expected);
	}
	assert_true(expected > safe);
	assert_int_equal(rig_files(rig, "damaged"), 0);
	rig_stop(rig);
	rig_clean(rig);
}

static void a_kill_costs_the_last_interval_at_most(void **state)
{
	struct rig rig;
	srand(2);
	rig_init(&rig);
	for (int i = 0; i < 25; i++)
		kill_at_some_time(&rig);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* Before any thread: a child of fork() has none but its own. */
		cmocka_unit_test(a_kill_costs_the_last_interval_at_most),
		cmocka_unit_test(a_quick_cloud_costs_no_writes),
		cmocka_unit_test(the_file_is_for_its_owner_alone),
		cmocka_unit_test(all_is_on_disk_within_the_interval),
		cmocka_unit_test(before_it_is_sent_where_the_interval_is_0),
		cmocka_unit_test(a_restart_delivers_what_was_there),
		cmocka_unit_test(live_reports_do_not_wait_for_the_backlog),
		cmocka_unit_test(raw_bytes_and_events_keep_their_order),
		cmocka_unit_test(of_attributes_the_newest_are_kept),
		cmocka_unit_test(attributes_that_change_all_the_time_are_stored),
		cmocka_unit_test(newer_attributes_are_stored_before_they_go),
		cmocka_unit_test(nothing_is_lost_or_comes_twice_while_the_cloud_flaps),
		cmocka_unit_test(the_backlog_comes_at_its_rate),
		cmocka_unit_test(raw_bytes_wait_until_the_disk_is_known),
		cmocka_unit_test(a_full_disk_is_survived),
		cmocka_unit_test(no_directory_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
