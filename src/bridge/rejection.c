/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/rejection.h"

#include "util/alloc.h"
#include "util/log.h"

#define SAY_S 60
/* A model that does not match has many devices; each has its line, but not all at once. */
#define SAY_MAX 100

struct rejections {
	const struct conf *conf;
	struct loop *loop;
	struct log_limit all;
	struct log_limit *devices;
};

struct rejections *rejections_create(const struct conf *conf, struct loop *loop)
{
	const struct log_limit one = { .window_us = SAY_S * USEC_PER_SEC, .burst = 1 };
	struct rejections *rejections = must_alloc(sizeof(*rejections));
	rejections->conf = conf;
	rejections->loop = loop;
	rejections->all = (struct log_limit){ .window_us = SAY_S * USEC_PER_SEC, .burst = SAY_MAX };
	rejections->devices = must_array(conf->device_count, sizeof(*rejections->devices));
	for (uint32_t i = 0; i < conf->device_count; i++)
		rejections->devices[i] = one;
	return rejections;
}

void rejections_destroy(struct rejections *rejections)
{
	if (!rejections)
		return;
	free(rejections->devices);
	free(rejections);
}

void rejections_say(struct rejections *rejections, const struct report *report, const char *reason)
{
	const char *name = rejections->conf->devices[report->device].name;
	int64_t now_us = loop_now(rejections->loop);
	uint64_t held, others;
	if (!log_limit_pass(&rejections->devices[report->device], now_us, &held) ||
		!log_limit_pass(&rejections->all, now_us, &others))
		return;
	log_warning("device %s: the cloud rejected a %s report: %s: it is dropped; check the "
		    "script's names and types against the device's model",
		name, report_kind_name(report->kind), reason);
	if (held)
		log_info("device %s: %ju lines about rejected reports were held back", name,
			(uintmax_t)held);
	if (others)
		log_info("bridge: %ju devices more had reports rejected, each in a line that was "
			 "held back",
			(uintmax_t)others);
}
