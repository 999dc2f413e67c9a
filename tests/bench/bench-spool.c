/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an outage costs: 100 devices at 1 Hz, ten registers each, under a clock moved by hand, into a
 * directory on the disk to be measured.  The cloud answers each message after 0.1 s, of up to 32
 * readings.  Prints bytes written per reading while the cloud is there, while it is not, and while the
 * backlog goes; the growth of memory; the rate of the backlog, and how long live readings waited meanwhile;
 * and ends with 1 where a reading was lost, came twice or out of order.  Run it by hand, without
 * sanitizers.
 *
 *	bench-spool DIRECTORY HOURS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cloud/queue.h"
#include "cloud/spool.h"
#include "util/alloc.h"
#include "util/value.h"

#define DEVICES 100
#define STEP_US (USEC_PER_SEC / DEVICES)
/* Devices whose answer comes in one step: each has its turn ten times a second. */
#define TURNS 10
#define MESSAGE_MAX 32

struct run {
	struct clock clock;
	struct loop *loop;
	struct conf conf;
	struct spool *spool;
	struct queue queues[DEVICES];
	uint64_t put, taken, next[DEVICES], live[DEVICES], wrong;
	int64_t online_us; /* since then */
	int64_t waited_us; /* a live reading that came since then, at most */
	bool *seen; /* by number and device */
};

static uint64_t written(void)
{
	unsigned long long bytes = 0;
	char line[100];
	FILE *file = fopen("/proc/self/io", "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "write_bytes: %llu", &bytes);
	if (file)
		fclose(file);
	return bytes;
}

static long resident_kb(void)
{
	long kb = 0;
	char line[100];
	FILE *file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "VmRSS: %ld", &kb);
	if (file)
		fclose(file);
	return kb;
}

static void ignore_ready(void *context, uint32_t device)
{
	(void)context;
	(void)device;
}

static void put(struct run *run, uint32_t device)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct report *gone;
	uint64_t number = run->put++ / DEVICES;
	const struct stamp stamp = { .wall_ms = (int64_t)number, .mono_us = run->clock.mono_us };
	value_put_map(&value, 10);
	for (int i = 0; i < 10; i++) {
		char name[16];
		snprintf(name, sizeof(name), "register_%d", i);
		value_pair_integer(&value, name, rand() % 65536);
	}
	struct report *report = report_create(
		device, REPORT_POINTS, &stamp, value.data, value.size);
	queue_put(&run->queues[device], report, 1000, &gone);
	report_release(report);
	run->wrong += gone != NULL;
	report_release(gone);
}

/* What was in memory ever since, and what comes back from the disk, have an order of their own. */
static void check(struct run *run, uint32_t device, const struct waiting *waiting)
{
	const struct stamp *stamp = &waiting->report->stamp;
	uint64_t number = (uint64_t)stamp->wall_ms;
	uint64_t *next = waiting->returned ? &run->next[device] : &run->live[device];
	bool *seen = &run->seen[number * DEVICES + device];
	int64_t waited_us = run->clock.mono_us - stamp->mono_us;
	run->wrong += number < *next || *seen;
	*next = number + 1;
	*seen = true;
	run->taken++;
	if (stamp->mono_us >= run->online_us && waited_us > run->waited_us)
		run->waited_us = waited_us;
}

/* The message under way was answered; the next one goes. */
static void take_turn(struct run *run, uint32_t device)
{
	struct queue *queue = &run->queues[device];
	const struct report *reports[MESSAGE_MAX];
	while (queue->held) {
		check(run, device, container_of(queue->under_way.next, struct waiting, link));
		report_release(queue_take(queue));
	}
	if (queue_ready(queue))
		queue_hold(queue, (uint32_t)queue_peek(queue, reports, MESSAGE_MAX));
}

/* So many seconds. */
static void pass(struct run *run, uint64_t seconds, bool online)
{
	for (uint64_t i = 0; i < seconds * DEVICES; i++) {
		uint32_t device = (uint32_t)(i % DEVICES);
		put(run, device);
		loop_advance(run->loop, run->clock.mono_us + STEP_US);
		spool_settle(run->spool);
		for (uint32_t turn = 0; online && turn < TURNS; turn++)
			take_turn(run, (uint32_t)(i * TURNS + turn) % DEVICES);
	}
}

static void start(struct run *run, char *directory)
{
	struct conf_device *devices = must_array(DEVICES, sizeof(*devices));
	run->clock = (struct clock){ .manual = true, .mono_us = USEC_PER_SEC };
	run->conf = (struct conf){ .devices = devices, .device_count = DEVICES };
	run->conf.gateway.state_dir = directory;
	run->conf.enos.host = directory;
	run->conf.spool = (struct conf_spool){
		.commit_interval_ms = 1000, .max_mb = 20000, .backfill_rate = 2000
	};
	for (int i = 0; i < DEVICES; i++) {
		devices[i].product_key = must_strdup("product");
		devices[i].device_key = must_printf("device-%d", i);
	}
	if (loop_create(&run->loop, &run->clock) < 0)
		exit(2);
	const struct spool_setup setup = {
		.conf = &run->conf, .loop = run->loop, .ready = ignore_ready
	};
	if (spool_create(&run->spool, &setup) < 0)
		exit(2);
	for (uint32_t i = 0; i < DEVICES; i++) {
		queue_init(&run->queues[i]);
		spool_attach(run->spool, i, &run->queues[i]);
	}
}

static void set_online(struct run *run, bool online)
{
	for (int i = 0; i < DEVICES; i++)
		queue_set_online(&run->queues[i], online);
}

static uint64_t backlog_left(const struct run *run)
{
	uint64_t count = 0;
	for (int i = 0; i < DEVICES; i++)
		count += run->queues[i].disk_from != 0 || run->queues[i].returned;
	return count;
}

static void measure(struct run *run, uint64_t outage_s)
{
	pass(run, 5, true);
	uint64_t bytes = written(), count = run->put;
	set_online(run, true);
	pass(run, 60, true);
	printf("online:   %.0f bytes written per reading\n",
		(double)(written() - bytes) / (double)(run->put - count));
	long resident = resident_kb();
	bytes = written();
	count = run->put;
	set_online(run, false);
	pass(run, outage_s, false);
	printf("offline:  %.0f bytes written per reading, %ld KiB more in memory\n",
		(double)(written() - bytes) / (double)(run->put - count), resident_kb() - resident);
	uint64_t backlog = run->put - run->taken, seconds = 0;
	uint64_t before = written();
	run->online_us = run->clock.mono_us;
	run->waited_us = 0;
	set_online(run, true);
	do {
		pass(run, 1, true);
		seconds++;
	} while (backlog_left(run));
	for (uint32_t i = 0; i < DEVICES; i++)
		take_turn(run, i);
	printf("backlog:  %ju reports in %ju s: %ju a second beside 100 live ones, "
	       "%.0f bytes written per reading, %.0f with its appending\n",
		(uintmax_t)backlog, (uintmax_t)seconds, (uintmax_t)(backlog / seconds),
		(double)(written() - before) / (double)backlog,
		(double)(written() - bytes) / (double)backlog);
	run->wrong += run->put != run->taken;
	printf("          live readings waited %.2f s at most meanwhile\n",
		(double)run->waited_us / USEC_PER_SEC);
	printf("lost, repeated or out of order: %ju of %ju; %ld KiB resident\n",
		(uintmax_t)run->wrong, (uintmax_t)run->put, resident_kb());
}

int main(int argc, char **argv)
{
	static struct run run;
	if (argc != 3) {
		fprintf(stderr, "usage: bench-spool DIRECTORY HOURS\n");
		return 64;
	}
	uint64_t outage_s = (uint64_t)(atof(argv[2]) * 3600);
	/* The backlog goes faster than it came. */
	run.seen = must_array((2 * outage_s + 1000) * DEVICES, sizeof(*run.seen));
	start(&run, argv[1]);
	measure(&run, outage_s);
	spool_save(run.spool);
	for (int i = 0; i < DEVICES; i++)
		queue_finish(&run.queues[i]);
	spool_destroy(run.spool);
	loop_destroy(run.loop);
	return run.wrong != 0;
}
