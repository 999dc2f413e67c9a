/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/json.h"

static const char *const names[FAULT_COUNT] = {
	[FAULT_LOSE_REQUEST] = "lose_request",
	[FAULT_LOSE_ANSWER] = "lose_answer",
	[FAULT_REPEAT_REQUEST] = "repeat_request",
	[FAULT_REPEAT_ANSWER] = "repeat_answer",
	[FAULT_DELAY_REQUEST] = "delay_request",
	[FAULT_DELAY_ANSWER] = "delay_answer",
	[FAULT_REORDER] = "reorder",
	[FAULT_SEPARATE] = "separate",
	[FAULT_SEPARATE_BARE] = "separate_bare",
	[FAULT_WRONG_TOKEN] = "wrong_token",
	[FAULT_SPOOF] = "spoof",
	[FAULT_SILENCE] = "silence",
	[FAULT_ERROR] = "error",
	[FAULT_FORGET] = "forget",
	[FAULT_FORBID] = "forbid",
	[FAULT_REJECT] = "reject",
};

const char *fault_name(enum fault fault)
{
	return names[fault];
}

/* FNV-1a, to give each name a stream of its own. */
void dice_seed(struct dice *dice, uint64_t seed, const char *name)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(1099511628211);
	dice->state = hash ^ seed * UINT64_C(0x9e3779b97f4a7c15);
}

/* SplitMix64. */
uint64_t dice_draw(struct dice *dice)
{
	uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

int64_t dice_between(struct dice *dice, int64_t low, int64_t high)
{
	if (high <= low)
		return low;
	return low + (int64_t)(dice_draw(dice) % ((uint64_t)(high - low) + 1));
}

void fault_plan_init(struct fault_plan *plan)
{
	*plan = (struct fault_plan){
		.delay_ms = { 100, 500 }, .separate_ms = 100, .reject_code = 1204
	};
	for (int i = 0; i < FAULT_COUNT; i++)
		plan->rates[i].left = -1;
}

bool fault_strikes(struct fault_plan *plan, struct dice *dice, enum fault fault)
{
	struct fault_rate *rate = &plan->rates[fault];
	if (rate->probability <= 0 || rate->left == 0)
		return false;
	if ((double)(dice_draw(dice) >> 11) / (double)(UINT64_C(1) << 53) >= rate->probability)
		return false;
	if (rate->left > 0)
		rate->left--;
	return true;
}

static bool number_of(const struct value *value, double *number)
{
	if (value->type != VALUE_INTEGER && value->type != VALUE_REAL)
		return false;
	*number = value->type == VALUE_INTEGER ? (double)value->integer : value->real;
	return true;
}

/* A probability, or {"p":probability,"count":how often}. The reader stands in front of it. */
static bool read_rate(struct fault_rate *rate, struct value_reader *reader)
{
	struct fault_rate read = { .left = -1 };
	struct value value;
	if (!value_next(reader, &value))
		return false;
	if (value.type == VALUE_MAP) {
		size_t pairs = value.size;
		for (size_t i = 0; i < pairs; i++) {
			struct value key;
			if (!value_next(reader, &key) || !value_next(reader, &value))
				return false;
			if (strcmp(key.text, "count") == 0 && value.type == VALUE_INTEGER)
				read.left = value.integer;
			else if (strcmp(key.text, "p") != 0 ||
				!number_of(&value, &read.probability))
				return false;
		}
	} else if (!number_of(&value, &read.probability)) {
		return false;
	}
	if (!(read.probability >= 0 && read.probability <= 1))
		return false;
	*rate = read;
	return true;
}

static bool read_integer(int64_t *integer, struct value_reader *reader, int64_t most)
{
	struct value value;
	if (!value_next(reader, &value) || value.type != VALUE_INTEGER || value.integer < 0 ||
		value.integer > most)
		return false;
	*integer = value.integer;
	return true;
}

static bool read_range(int64_t *range, struct value_reader *reader)
{
	struct value list;
	struct value_reader again = *reader;
	if (!value_next(reader, &list))
		return false;
	if (list.type != VALUE_LIST) {
		*reader = again;
		bool read = read_integer(&range[0], reader, 3600000);
		range[1] = range[0];
		return read;
	}
	return list.size == 2 && read_integer(&range[0], reader, 3600000) &&
		read_integer(&range[1], reader, 3600000) && range[0] <= range[1];
}

static bool read_setting(struct fault_plan *plan, const char *name, struct value_reader *reader)
{
	if (strcmp(name, "delay_ms") == 0)
		return read_range(plan->delay_ms, reader);
	if (strcmp(name, "separate_ms") == 0)
		return read_integer(&plan->separate_ms, reader, 3600000);
	if (strcmp(name, "reject_code") == 0)
		return read_integer(&plan->reject_code, reader, 99999);
	if (strcmp(name, "topic") == 0) {
		struct value text;
		if (!value_next(reader, &text) || text.type != VALUE_STRING ||
			text.size >= sizeof(plan->topic))
			return false;
		memcpy(plan->topic, text.text, text.size + 1);
		return true;
	}
	if (strcmp(name, "loss") == 0) {
		struct value_reader again = *reader;
		return read_rate(&plan->rates[FAULT_LOSE_REQUEST], reader) &&
			read_rate(&plan->rates[FAULT_LOSE_ANSWER], &again);
	}
	for (int i = 0; i < FAULT_COUNT; i++) {
		if (strcmp(name, names[i]) == 0)
			return read_rate(&plan->rates[i], reader);
	}
	return false;
}

int fault_plan_set(struct fault_plan *plan, const void *map, size_t size, char *error, size_t room)
{
	struct fault_plan changed = *plan;
	struct value_reader reader = value_reader(map, size);
	struct value header, key;
	if (!value_next(&reader, &header) || header.type != VALUE_MAP) {
		snprintf(error, room, "faults are a map, as in {\"loss\":0.1}");
		return -EINVAL;
	}
	for (size_t i = 0; i < header.size; i++) {
		if (!value_next(&reader, &key))
			return -EINVAL;
		if (!read_setting(&changed, key.text, &reader)) {
			snprintf(error, room,
				"fault \"%s\": not known, or its value is none: a probability from 0 to 1, or {\"p\":1,\"count\":3}",
				key.text);
			return -EINVAL;
		}
	}
	*plan = changed;
	return 0;
}

void fault_plan_print(const struct fault_plan *plan, struct buffer *json)
{
	buffer_put_byte(json, '{');
	for (int i = 0; i < FAULT_COUNT; i++) {
		const struct fault_rate *rate = &plan->rates[i];
		if (rate->probability <= 0)
			continue;
		buffer_printf(json, "\"%s\":{\"p\":", names[i]);
		json_put_real(json, rate->probability);
		if (rate->left >= 0)
			buffer_printf(json, ",\"count\":%lld", (long long)rate->left);
		buffer_put_text(json, "},");
	}
	if (plan->topic[0]) {
		buffer_put_text(json, "\"topic\":");
		json_put_text(json, plan->topic);
		buffer_put_byte(json, ',');
	}
	buffer_printf(json, "\"delay_ms\":[%lld,%lld],\"separate_ms\":%lld,\"reject_code\":%lld}",
		(long long)plan->delay_ms[0], (long long)plan->delay_ms[1],
		(long long)plan->separate_ms, (long long)plan->reject_code);
}
