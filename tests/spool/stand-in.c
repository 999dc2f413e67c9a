/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway without a field and without CoAP, to be killed: the real spool with its thread, queues that
 * are filled and emptied at random, and a cloud that is up, down or flaps.  What was put and what was
 * acknowledged is told to a ledger before it is done.  The clock is moved by hand, and only while the
 * disk has nothing to do; so what must be safe by now is exact, however slow the machine is.
 *
 *	stand-in DIRECTORY LEDGER RUN SEED up|down|flapping|drain
 *
 * Lines of the ledger, each written at once between a new line and " ."; the last may be cut off:
 *	R run	mode		a run begins
 *	P device kind number t	put at time t (ms)
 *	A device list number	acknowledged, of the list live or back
 *	T t			all that was due until t is done
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloud/queue.h"
#include "cloud/spool.h"
#include "util/alloc.h"
#include "util/value.h"

#define DEVICES 7
#define COMMIT_MS 200
#define STEP_MAX_MS 5
#define NUMBERS_OF_A_RUN 1000000

enum cloud_mode { CLOUD_UP, CLOUD_DOWN, CLOUD_FLAPPING, CLOUD_DRAIN, CLOUD_MODES };
static const char *const mode_names[CLOUD_MODES] = { "up", "down", "flapping", "drain" };

struct run {
	struct clock clock;
	struct loop *loop;
	struct conf conf;
	struct conf_device devices[DEVICES];
	struct spool *spool;
	struct queue queues[DEVICES];
	enum cloud_mode mode;
	bool online;
	int64_t number;
	int ledger;
};

/* What a device puts: three of points, two of raw bytes, one of all, one of attributes. */
static enum report_kind kind_of(uint32_t device)
{
	static const enum report_kind mixed[] = { REPORT_POINTS, REPORT_RAW, REPORT_EVENT };
	return device < 3     ? REPORT_POINTS
		: device < 5  ? REPORT_RAW
		: device == 5 ? mixed[rand() % 3]
			      : REPORT_ATTRIBUTES;
}

static void note(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct run *run, const char *format, ...)
{
	char line[100], text[80];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	int size = snprintf(line, sizeof(line), "\n%s .", text);
	if (write(run->ledger, line, (size_t)size) != size)
		_exit(3);
}

static int64_t now_ms(const struct run *run)
{
	return run->clock.mono_us / USEC_PER_MSEC;
}

static void put(struct run *run, uint32_t device)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct report *gone;
	enum report_kind kind = kind_of(device);
	int64_t number = ++run->number;
	const struct stamp stamp = { .wall_ms = number, .mono_us = number };
	value_put_map(&value, 1);
	value_pair_integer(&value, "number", number);
	note(run, "P %u %s %jd %jd", device, report_kind_name(kind), (intmax_t)number,
		(intmax_t)now_ms(run));
	struct report *report = report_create(device, kind, &stamp, value.data, value.size);
	if (kind == REPORT_EVENT)
		strcpy(report->name, "Alarm");
	if (queue_put(&run->queues[device], report, INT32_MAX, &gone) == QUEUE_OVERFLOWED)
		_exit(4);
	report_release(report);
	report_release(gone);
}

/* A message of a few; now and then its answer is lost, so that it goes again. */
static void take(struct run *run, uint32_t device)
{
	struct queue *queue = &run->queues[device];
	const struct report *reports[4];
	if (!queue_ready(queue))
		return;
	size_t count = queue_peek(queue, reports, 1 + (size_t)rand() % 4);
	queue_hold(queue, (uint32_t)count);
	if (run->mode == CLOUD_FLAPPING && rand() % 8 == 0) {
		queue_hold(queue, 0);
		return;
	}
	while (count--) {
		const struct waiting *first = container_of(
			queue->under_way.next, struct waiting, link);
		note(run, "A %u %s %jd", device, first->returned ? "back" : "live",
			(intmax_t)first->report->stamp.wall_ms);
		report_release(queue_take(queue));
	}
}

static void set_online(struct run *run, bool online)
{
	run->online = online;
	for (uint32_t i = 0; i < DEVICES; i++)
		queue_set_online(&run->queues[i], online);
}

static void ignore_ready(void *context, uint32_t device)
{
	(void)context;
	(void)device;
}

static void start(struct run *run, char *directory)
{
	run->clock = (struct clock){ .manual = true, .mono_us = 1000 * USEC_PER_SEC };
	run->conf = (struct conf){ .devices = run->devices, .device_count = DEVICES };
	run->conf.gateway.state_dir = directory;
	run->conf.enos.host = directory;
	run->conf.spool = (struct conf_spool){
		.commit_interval_ms = COMMIT_MS, .max_mb = 1000, .backfill_rate = 20000
	};
	for (int i = 0; i < DEVICES; i++) {
		run->devices[i].product_key = must_strdup("product");
		run->devices[i].device_key = must_printf("device-%d", i);
	}
	const struct spool_setup setup = { .conf = &run->conf, .ready = ignore_ready };
	struct spool_setup with_loop = setup;
	if (loop_create(&run->loop, &run->clock) < 0)
		exit(2);
	with_loop.loop = run->loop;
	if (spool_create(&run->spool, &with_loop) < 0)
		exit(2);
	for (uint32_t i = 0; i < DEVICES; i++) {
		queue_init(&run->queues[i]);
		spool_attach(run->spool, i, &run->queues[i]);
	}
}

static void act(struct run *run)
{
	uint32_t device = (uint32_t)rand() % DEVICES;
	if (run->mode != CLOUD_DRAIN && rand() % 2)
		put(run, device);
	else if (run->online)
		take(run, device);
}

/* Things happen while the disk is at work, and time passes when it has done. */
static void step(struct run *run)
{
	int64_t step_us = (1 + rand() % STEP_MAX_MS) * USEC_PER_MSEC;
	for (int i = rand() % 8; i; i--)
		act(run);
	loop_advance(run->loop, run->clock.mono_us + step_us);
	for (int i = rand() % 8; i; i--)
		act(run);
	spool_settle(run->spool);
	note(run, "T %jd", (intmax_t)now_ms(run));
	if (run->mode == CLOUD_FLAPPING && rand() % 100 == 0)
		set_online(run, !run->online);
}

static bool is_empty(const struct run *run)
{
	for (uint32_t i = 0; i < DEVICES; i++) {
		if (run->queues[i].count || run->queues[i].disk_from)
			return false;
	}
	return true;
}

static void finish(struct run *run)
{
	spool_save(run->spool);
	for (uint32_t i = 0; i < DEVICES; i++)
		queue_finish(&run->queues[i]);
	spool_destroy(run->spool);
	loop_destroy(run->loop);
	for (int i = 0; i < DEVICES; i++) {
		free(run->devices[i].product_key);
		free(run->devices[i].device_key);
	}
}

int main(int argc, char **argv)
{
	static struct run run;
	if (argc != 6) {
		fprintf(stderr, "usage: stand-in DIRECTORY LEDGER RUN SEED MODE\n");
		return 64;
	}
	while (run.mode < CLOUD_DRAIN && strcmp(argv[5], mode_names[run.mode]) != 0)
		run.mode++;
	run.ledger = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	run.number = atoll(argv[3]) * NUMBERS_OF_A_RUN;
	srand((unsigned)atoi(argv[4]));
	note(&run, "R %s %s", argv[3], mode_names[run.mode]);
	start(&run, argv[1]);
	set_online(&run, run.mode != CLOUD_DOWN);
	do
		step(&run);
	while (run.mode != CLOUD_DRAIN || !is_empty(&run));
	finish(&run);
	close(run.ledger);
	return 0;
}
