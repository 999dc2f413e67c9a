/* SPDX-License-Identifier: Apache-2.0 */
#include "field/stats.h"

#include <inttypes.h>

#include "core/plugin.h"

/*
 * A running estimate of the 95th percentile in four bytes: it steps up nineteen times as far as it
 * steps down, so it rests where one sample of twenty is above it.
 */
void p95_follow(uint32_t *p95, uint32_t count, uint32_t sample)
{
	uint32_t step = *p95 / 256 + 1;
	if (count == 1)
		*p95 = sample;
	else if (sample > *p95)
		*p95 += 19 * step;
	else if (sample < *p95)
		*p95 -= step < *p95 ? step : *p95;
}

void round_add(struct round *round, uint32_t count, uint32_t round_us)
{
	if (count == 1 || round_us < round->min_us)
		round->min_us = round_us;
	if (round_us > round->max_us)
		round->max_us = round_us;
	round->sum_us += round_us;
	p95_follow(&round->p95_us, count, round_us);
}

void stats_answer(struct stats *stats, uint32_t round_us, int64_t wall_ms)
{
	stats->answers++;
	stats->good_ms = wall_ms;
	round_add(&stats->round, stats->answers, round_us);
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
		stats->exceptions[i].code = (uint16_t)code;
		stats->exceptions[i].count++;
		return;
	}
}

void errors_print(const uint32_t *errors, struct buffer *text)
{
	buffer_put_text(text, "\"errors\":{");
	for (uint32_t error = EB_NONE + 1; error < EB_ERROR_CLASSES; error++)
		buffer_printf(text, "%s\"%s\":%" PRIu32, error == EB_NONE + 1 ? "" : ",",
			error_class_name(error), errors[error]);
	buffer_put_byte(text, '}');
}

void round_print(const struct round *round, uint32_t count, struct buffer *text)
{
	uint64_t mean = count ? round->sum_us / count : 0;
	buffer_printf(text,
		"\"round_trip_us\":{\"min\":%" PRIu32 ",\"mean\":%" PRIu64 ",\"p95\":%" PRIu32
		",\"max\":%" PRIu32 "}",
		round->min_us, mean, round->p95_us, round->max_us);
}

void stats_print(const struct stats *stats, struct buffer *text)
{
	buffer_printf(text, "\"requests\":%" PRIu32 ",\"answers\":%" PRIu32 ",", stats->requests,
		stats->answers);
	errors_print(stats->errors, text);
	buffer_put_text(text, ",\"exceptions\":{");
	for (int i = 0; i < STATS_EXCEPTIONS && stats->exceptions[i].count; i++)
		buffer_printf(text, "%s\"%u\":%" PRIu32, i ? "," : "",
			(unsigned)stats->exceptions[i].code, stats->exceptions[i].count);
	buffer_put_text(text, "},");
	round_print(&stats->round, stats->answers, text);
	buffer_put_text(text, ",\"last_good\":");
	if (stats->good_ms)
		buffer_printf(text, "%" PRId64, stats->good_ms);
	else
		buffer_put_text(text, "null");
}
