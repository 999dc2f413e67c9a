/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cloud plane alone against a cloud: bench-cloud ADDRESS PORT DEVICES SECONDS WAITING [dtls].  Each device
 * (pk1, d0, d1...; secret "s" and its key) always has WAITING reports queued; 0 only logs in and stays.
 * A login phase comes first and is not measured.  Prints one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cloud/cloud.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

struct run {
	struct clock clock;
	struct loop *loop;
	struct cloud *cloud;
	struct conf conf;
	struct buffer points;
	uint32_t waiting, online;
	uint64_t acknowledged, other;
	int64_t begun_us, ends_us;
	struct timer begin, end;
};

static struct run run;

static double cpu_s(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long rss_kb(void)
{
	long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return resident * 4;
}

static void put(uint32_t device)
{
	static int64_t number;
	struct stamp stamp = { .wall_ms = 1700000000000 + number++, .mono_us = number };
	struct report *report = report_create(
		device, REPORT_POINTS, &stamp, run.points.data, run.points.size);
	cloud_report(run.cloud, report);
	report_release(report);
}

static void hear_command(void *context, struct command *command)
{
	struct reply *reply = reply_create(command, 200);
	if (!command->raw) {
		buffer_put_text(&reply->payload, "{\"id\":");
		json_put_text(&reply->payload, command->id ? command->id : "");
		buffer_put_text(&reply->payload, ",\"code\":200,\"data\":{}}");
	} else {
		buffer_put_byte(&reply->payload, 0);
	}
	cloud_reply(run.cloud, reply);
	command_destroy(command);
}

static void hear_bad_command(void *context, struct command *command, const char *why)
{
	hear_command(context, command);
}

static void hear_state(void *context, uint32_t device, enum session_state state, const char *reason)
{
	if (state == SESSION_ONLINE)
		run.online++;
}

static void hear_fate(
	void *context, const struct report *report, enum report_fate fate, const char *reason)
{
	if (fate == REPORT_ACKNOWLEDGED)
		run.acknowledged++;
	else
		run.other++;
	if (run.ends_us)
		put(report->device);
}

static uint64_t requests(void)
{
	OWNED_BUFFER text = BUFFER_EMPTY, value = BUFFER_EMPTY;
	struct value number = { .integer = 0 };
	char error[100];
	cloud_status(run.cloud, &text);
	json_parse(&value, text.data, text.size, error, sizeof(error));
	value_find(value.data, value.size, "requests", &number, NULL);
	return (uint64_t)number.integer;
}

static uint64_t requests_before;
static double cpu_before;

static void on_begin(struct timer *timer, int64_t now_us)
{
	if (run.online < run.conf.device_count) {
		loop_arm(run.loop, timer, now_us + 10 * USEC_PER_MSEC);
		return;
	}
	int64_t seconds = run.ends_us;
	run.begun_us = now_us;
	run.ends_us = now_us + seconds;
	run.acknowledged = run.other = 0;
	requests_before = requests();
	cpu_before = cpu_s();
	for (uint32_t i = 0; i < run.conf.device_count; i++) {
		for (uint32_t k = 0; k < run.waiting; k++)
			put(i);
	}
	loop_arm(run.loop, &run.end, run.ends_us);
}

static void on_end(struct timer *timer, int64_t now_us)
{
	double seconds = (double)(now_us - run.begun_us) / 1e6, cpu = cpu_s() - cpu_before;
	uint64_t count = requests() - requests_before;
	printf("{\"devices\":%u,\"seconds\":%.2f,\"reports_per_s\":%.0f,\"messages_per_s\":%.0f,"
	       "\"cpu\":%.3f,\"cpu_us_per_message\":%.2f,\"cpu_us_per_report\":%.2f,\"other\":%llu,"
	       "\"rss_kb\":%ld}\n",
		run.conf.device_count, seconds, (double)run.acknowledged / seconds,
		(double)count / seconds, cpu / seconds, count ? cpu * 1e6 / (double)count : 0,
		run.acknowledged ? cpu * 1e6 / (double)run.acknowledged : 0,
		(unsigned long long)run.other, rss_kb());
	loop_stop(run.loop);
}

static void configure(char **arguments)
{
	struct conf *conf = &run.conf;
	conf->enos = (struct conf_enos){ .host = arguments[1],
		.port = (uint16_t)atoi(arguments[2]),
		.security = arguments[6] ? SECURITY_DTLS : SECURITY_NONE,
		.dialect = DIALECT_SIGNED,
		.lifetime_s = 300,
		.command_poll_s = 30,
		.max_payload = 1024,
		.batch = true,
		.queue_reports = 1000,
		.start_spread_ms = 2000,
		.response_timeout_ms = 30000,
		.retry_min_ms = 1000,
		.retry_max_ms = 60000,
		.command_repeat_s = 60 };
	conf->device_count = (uint32_t)atoi(arguments[3]);
	conf->devices = must_array(conf->device_count, sizeof(*conf->devices));
	for (uint32_t i = 0; i < conf->device_count; i++) {
		struct conf_device *device = &conf->devices[i];
		device->name = device->device_key = must_printf("d%u", i);
		device->product_key = (char *)"pk1";
		device->secret = must_printf("sd%u", i);
	}
	run.ends_us = atoi(arguments[4]) * USEC_PER_SEC;
	run.waiting = (uint32_t)atoi(arguments[5]);
	value_put_map(&run.points, 10);
	for (int i = 0; i < 10; i++) {
		char name[16];
		snprintf(name, sizeof(name), "point_%d", i);
		value_pair_real(&run.points, name, 230.1 + i);
	}
}

int main(int count, char **arguments)
{
	struct resolver *resolver;
	struct resolver_client *client;
	struct rlimit limit;
	if (count < 6) {
		fprintf(stderr, "usage: bench-cloud ADDRESS PORT DEVICES SECONDS WAITING [dtls]\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	configure(arguments);
	if (loop_create(&run.loop, &run.clock) < 0 || resolver_create(&resolver, NULL) < 0 ||
		resolver_client_create(&client, resolver, run.loop) < 0)
		return 1;
	struct cloud_setup setup = { .conf = &run.conf,
		.loop = run.loop,
		.resolver = client,
		.listener = { .command = hear_command,
			.bad_command = hear_bad_command,
			.state = hear_state,
			.fate = hear_fate } };
	int result = cloud_create(&run.cloud, &setup);
	if (result < 0) {
		fprintf(stderr, "bench-cloud: %s\n", strerror(-result));
		return 1;
	}
	cloud_start(run.cloud);
	run.begin.expired = on_begin;
	run.end.expired = on_end;
	loop_arm(run.loop, &run.begin, loop_now(run.loop));
	loop_run(run.loop);
	OWNED_BUFFER text = BUFFER_EMPTY;
	cloud_status(run.cloud, &text);
	fprintf(stderr, "%s\n", buffer_text(&text));
	cloud_destroy(run.cloud);
	resolver_client_destroy(client);
	resolver_destroy(resolver);
	loop_destroy(run.loop);
	return 0;
}
