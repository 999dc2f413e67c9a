/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the echo costs: bench-broker PORT READINGS-PER-SECOND READINGS-PER-SLOT SECONDS, against a broker
 * on this machine.  Each reading of ten registers is published with one report of ten points.  Prints
 * the CPU time of this process for each reading; with 0 slots filled (READINGS-PER-SLOT 0) it only
 * wakes up as often, to be subtracted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/resolver.h"
#include "local/broker.h"
#include "util/alloc.h"
#include "util/json.h"

#define DEVICES 1000

struct bench {
	struct loop *loop;
	struct broker *broker;
	struct timer slot;
	struct reading *reading;
	struct report *report;
	long per_slot, count, device;
	int64_t span_us, end_us;
	bool over;
};

static double cpu_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void slot_due(struct timer *timer, int64_t now_us)
{
	struct bench *bench = (struct bench *)((char *)timer - offsetof(struct bench, slot));
	int64_t wall_ms = clock_wall_ms(loop_clock(bench->loop));
	for (long i = 0; i < bench->per_slot; i++, bench->count++) {
		bench->reading->stamp.wall_ms = bench->report->stamp.wall_ms = wall_ms;
		bench->reading->device = bench->report->device = (uint32_t)(bench->device++ %
			DEVICES);
		broker_reading(bench->broker, bench->reading);
		broker_report(bench->broker, bench->report);
	}
	bench->over = now_us >= bench->end_us;
	loop_arm(bench->loop, timer, timer->due_us + bench->span_us);
}

static void make_conf(struct conf *conf, uint16_t port)
{
	*conf = (struct conf){ .gateway.name = (char *)"bench",
		.mqtt = { .enabled = true,
			.host = (char *)"127.0.0.1",
			.port = port,
			.client_id = (char *)"bench",
			.prefix = (char *)"enos-bridge",
			.keepalive_s = 60,
			.queue = 10000 },
		.device_count = DEVICES };
	conf->devices = must_array(DEVICES, sizeof(*conf->devices));
	for (int i = 0; i < DEVICES; i++)
		conf->devices[i].name = must_printf("device-%d", i);
}

static void make_messages(struct bench *bench)
{
	static const char points[] =
		"{\"u1\":230.1,\"u2\":231.4,\"u3\":229.9,\"i1\":1.25,\"i2\":1.31,"
		"\"i3\":1.19,\"p\":865.2,\"q\":12,\"f\":50.01,\"e\":123456}";
	struct stamp stamp = { .synced = true };
	struct buffer value = BUFFER_EMPTY;
	char error[80];
	struct plan *plan = plan_create(0, &(struct eb_address){ .size = 0 }, 1);
	plan->polls[0].request = must_alloc(sizeof(struct request));
	plan->polls[0].request->name = must_strdup("live");
	bench->reading = reading_create(plan, 0, &stamp, "abcdefghijklmnopqrst", 20);
	json_parse(&value, points, strlen(points), error, sizeof(error));
	bench->report = report_create(0, REPORT_POINTS, &stamp, value.data, value.size);
	buffer_finish(&value);
	plan_release(plan);
}

static void print_status(const struct broker *broker)
{
	OWNED_BUFFER json = BUFFER_EMPTY;
	broker_status(broker, &json);
	printf("%s\n", buffer_text(&json));
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: %s PORT READINGS-PER-SECOND READINGS-PER-SLOT SECONDS\n",
			argv[0]);
		return 2;
	}
	struct clock clock = CLOCK_SYSTEM;
	struct resolver *resolver;
	struct resolver_client *client;
	struct conf conf;
	struct bench bench = { .slot.expired = slot_due, .per_slot = atol(argv[3]) };
	make_conf(&conf, (uint16_t)atoi(argv[1]));
	make_messages(&bench);
	if (loop_create(&bench.loop, &clock) < 0 || resolver_create(&resolver, NULL) < 0 ||
		resolver_client_create(&client, resolver, bench.loop) < 0)
		return 1;
	struct broker_setup setup = { .conf = &conf, .loop = bench.loop, .resolver = client };
	if (broker_create(&bench.broker, &setup) < 0)
		return 1;
	int64_t start_us = clock_mono_us(&clock);
	while (clock_mono_us(&clock) < start_us + USEC_PER_SEC)
		loop_step(bench.loop, 10000); /* connects, and says 1,000 states */
	long rate = atol(argv[2]), per_slot = bench.per_slot ? bench.per_slot : 50;
	bench.span_us = per_slot * USEC_PER_SEC / rate;
	bench.end_us = clock_mono_us(&clock) + atol(argv[4]) * USEC_PER_SEC;
	double before = cpu_us();
	loop_arm(bench.loop, &bench.slot, clock_mono_us(&clock));
	while (!bench.over)
		loop_step(bench.loop, -1);
	double spent = cpu_us() - before;
	long divisor = bench.count ? bench.count : rate * atol(argv[4]);
	printf("%ld readings, %.2f us of CPU each\n", bench.count, spent / (double)divisor);
	print_status(bench.broker);
	return 0;
}
