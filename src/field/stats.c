/* SPDX-License-Identifier: Apache-2.0 */
#include "field/stats.h"

#include <inttypes.h>

#include "core/plugin.h"

/*
 * A running estimate of the 95th percentile in four bytes: it steps up nineteen times as far as it
 * steps down, so it rests where one sample of twenty is above it.
 */
static void follow_p95(struct stats *stats, uint32_t round_us)
{
	uint32_t step = stats->round_p95_us / 256 + 1;
	if (stats->answers == 1)
		stats->round_p95_us = round_us;
	else if (round_us > stats->round_p95_us)
		stats->round_p95_us += 19 * step;
	else if (round_us < stats->round_p95_us)
		stats->round_p95_us -= step < stats->round_p95_us ? step : stats->round_p95_us;
}

void stats_answer(struct stats *stats, uint32_t round_us, int64_t wall_ms)
{
	stats->answers++;
	if (stats->answers == 1 || round_us < stats->round_min_us)
		stats->round_min_us = round_us;
	if (round_us > stats->round_max_us)
		stats->round_max_us = round_us;
	stats->round_sum_us += round_us;
	stats->good_ms = wall_ms;
	follow_p95(stats, round_us);
}

void stats_error(struct stats *stats, uint32_t error, uint32_t code)
{
	if (error < EB_ERROR_CLASSES)
		stats->errors[error]++;
	if (error != EB_EXCEPTION)
		return;
	for (int i = 0; i < STATS_EXCEPTIONS; i++) {
		if (stats->exceptions[i].count && stats->exceptions[i].code != code)
			continue;
		stats->exceptions[i].code = code;
		stats->exceptions[i].count++;
		return;
	}
}

void stats_print(const struct stats *stats, struct buffer *text)
{
	buffer_printf(text, "\"requests\":%" PRIu32 ",\"answers\":%" PRIu32 ",\"errors\":{",
		stats->requests, stats->answers);
	for (uint32_t error = EB_NONE + 1; error < EB_ERROR_CLASSES; error++)
		buffer_printf(text, "%s\"%s\":%" PRIu32, error == EB_NONE + 1 ? "" : ",",
			error_class_name(error), stats->errors[error]);
	buffer_put_text(text, "},\"exceptions\":{");
	for (int i = 0; i < STATS_EXCEPTIONS && stats->exceptions[i].count; i++)
		buffer_printf(text, "%s\"%" PRIu32 "\":%" PRIu32, i ? "," : "",
			stats->exceptions[i].code, stats->exceptions[i].count);
	uint64_t mean = stats->answers ? stats->round_sum_us / stats->answers : 0;
	buffer_printf(text,
		"},\"round_trip_us\":{\"min\":%" PRIu32 ",\"mean\":%" PRIu64 ",\"p95\":%" PRIu32
		",\"max\":%" PRIu32 "},\"last_good\":",
		stats->round_min_us, mean, stats->round_p95_us, stats->round_max_us);
	if (stats->good_ms)
		buffer_printf(text, "%" PRId64, stats->good_ms);
	else
		buffer_put_text(text, "null");
}
