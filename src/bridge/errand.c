/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/errand.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/alloc.h"
#include "util/clock.h"

#define REQUESTS_MAX 64

/* What making one order works on. */
struct maker {
	struct errand *errand;
	const struct conf *conf;
	const struct conf_device *device;
	const struct eb_address *address;
	const char *topic;
	struct codec *codec;
	bool unlike; /* no other order is known to do the same */
};

__attribute__((format(printf, 3, 4))) static bool refuse(
	struct errand *errand, int code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(errand->why, sizeof(errand->why), format, arguments);
	va_end(arguments);
	errand->code = code;
	return false;
}

/* ---- what is allowed ------------------------------------------------------------------------ */

static bool is_service(const struct conf_rule *rule, const char *topic)
{
	static const char prefix[] = "thing/service/";
	if (!rule->service || strcmp(rule->service, topic) == 0)
		return true;
	return strncmp(topic, prefix, strlen(prefix)) == 0 &&
		strcmp(topic + strlen(prefix), rule->service) == 0;
}

bool errand_allowed(struct errand *errand, const struct conf_device *device, const char *topic)
{
	if (device->commands == COMMANDS_NONE)
		return refuse(errand, REPLY_FORBIDDEN,
			"this device takes no commands: its configuration says commands = \"none\"");
	for (size_t i = 0; i < device->rule_count; i++) {
		if (is_service(&device->rules[i], topic))
			return true;
	}
	return !device->has_rules ||
		refuse(errand, REPLY_FORBIDDEN,
			"%s is not allowed: allow in the device's configuration does not name it",
			topic);
}

static bool covers(const struct conf_rule *rule, const struct eb_target *target)
{
	if (!rule->write)
		return true;
	if (!target->kind || strcmp(rule->write, target->kind) != 0 || !target->count ||
		target->first > INT64_MAX || (int64_t)target->first < rule->address[0] ||
		(int64_t)target->first > rule->address[1] ||
		target->count - 1 > rule->address[1] - (int64_t)target->first)
		return false;
	if (!rule->has_values)
		return true;
	for (uint32_t i = 0; i < target->number_count; i++) {
		if (target->numbers[i] < rule->values[0] || target->numbers[i] > rule->values[1])
			return false;
	}
	return target->number_count > 0;
}

static bool is_allowed(
	const struct maker *maker, const struct request *request, const struct eb_target *target)
{
	const struct conf_device *device = maker->device;
	bool write = request->wire.flags & EB_WRITE;
	for (size_t i = 0; i < device->rule_count; i++) {
		const struct conf_rule *rule = &device->rules[i];
		if (is_service(rule, maker->topic) && (!write || covers(rule, target)))
			return true;
	}
	return !device->has_rules ||
		refuse(maker->errand, REPLY_FORBIDDEN,
			"\"%s\" is not allowed: allow in the device's configuration does not cover it",
			request->text);
}

/* ---- what is read back ---------------------------------------------------------------------- */

static bool add_check(
	const struct maker *maker, const struct request *request, const struct eb_target *target)
{
	struct errand *errand = maker->errand;
	const struct eb_plugin *plugin = maker->codec->plugin;
	const struct read_back *wanted = request->read_back.wanted ? &request->read_back
								   : &maker->device->read_back;
	uint8_t data[EB_REQUEST_MAX] = { 0 };
	struct eb_request wire = { .address = *maker->address, .data = data };
	if (!wanted->wanted || request->read_back.never || !(request->wire.flags & EB_WRITE))
		return true;
	if (!plugin->read_back || !target->number_count ||
		plugin->read_back(maker->codec->state, &request->wire, &wire) < 0) {
		/* Said of all of a device's writes, it means those that can be. */
		return !request->read_back.wanted ||
			refuse(errand, REPLY_SCRIPT,
				"the script's encode asks to read back \"%s\": that cannot be read back",
				request->text);
	}
	errand->checks = must_realloc(
		errand->checks, (errand->check_count + 1) * sizeof(*errand->checks));
	errand->checks[errand->check_count++] = (struct errand_check){
		.read = request_wrap(plugin, maker->codec->state, &wire),
		.kept = request_wrap(plugin, maker->codec->state, &wire),
		.what = must_strdup(target->kind),
		.first = target->first,
		.numbers = must_memdup(
			target->numbers, target->number_count * sizeof(*target->numbers)),
		.count = target->number_count,
		.tolerance = wanted->tolerance,
	};
	int64_t settle_us = wanted->settle_ms * USEC_PER_MSEC;
	if (settle_us > errand->settle_us)
		errand->settle_us = settle_us;
	return true;
}

/* ---- the order ------------------------------------------------------------------------------ */

/* Two orders that write the same places have the same text; one that does more has none. */
static void put_place(
	struct maker *maker, const struct request *request, const struct eb_target *target)
{
	maker->unlike |= !(request->wire.flags & EB_WRITE) || !target->kind;
	if (!maker->unlike)
		buffer_printf(&maker->errand->order->places, "%s %" PRIu64 " %u;", target->kind,
			target->first, target->count);
	else
		buffer_clear(&maker->errand->order->places);
}

static bool take_request(struct maker *maker, struct request *request)
{
	int64_t numbers[EB_NUMBERS_MAX];
	struct eb_target target = { .numbers = numbers };
	const struct eb_plugin *plugin = maker->codec->plugin;
	if (request->wire.flags & EB_WRITE && plugin->target &&
		plugin->target(maker->codec->state, &request->wire, &target) < 0)
		target = (struct eb_target){ .numbers = numbers };
	if (maker->device->newest_wins)
		put_place(maker, request, &target);
	return is_allowed(maker, request, &target) && add_check(maker, request, &target);
}

static bool make_request(struct maker *maker, size_t number, const uint8_t *item, size_t size)
{
	struct problems problems = PROBLEMS_NONE;
	struct request **place = &maker->errand->order->requests[number];
	int result = request_create(place, maker->codec->plugin, maker->codec->state,
		maker->address, item, size, SETTINGS_SCRIPT, maker->device->place, &problems);
	if (result < 0)
		refuse(maker->errand, REPLY_SCRIPT,
			"the script's encode asks for what cannot be done: %s",
			problems.count ? problems.items[0].text : "damaged request");
	problems_finish(&problems);
	return result == 0 && take_request(maker, *place);
}

static bool make_requests(struct maker *maker, struct value_reader *reader, size_t count)
{
	const uint8_t *item;
	size_t size;
	for (size_t i = 0; i < count; i++) {
		if (!value_item(reader, &item, &size))
			return refuse(maker->errand, REPLY_SCRIPT, "damaged list of requests");
		if (!make_request(maker, i, item, size))
			return false;
	}
	return true;
}

bool errand_make(struct errand *errand, const struct conf *conf, const struct member *device,
	const struct command *command, const struct buffer *requests)
{
	struct value_reader reader = value_reader(requests->data, requests->size);
	struct value list;
	if (!value_next(&reader, &list) || list.type != VALUE_LIST || list.size > REQUESTS_MAX)
		return refuse(errand, REPLY_SCRIPT,
			"the script's encode asks for more than %d requests", REQUESTS_MAX);
	struct problems problems = PROBLEMS_NONE;
	OWNED_CODEC codec;
	if (codec_open(&codec, &conf->buses[device->conf->bus], &problems) < 0) {
		refuse(errand, REPLY_SCRIPT, "%s",
			problems.count ? problems.items[0].text : "the bus cannot be opened");
		problems_finish(&problems);
		return false;
	}
	problems_finish(&problems);
	int64_t deadline = command->received_us + conf->enos.command_timeout_ms * USEC_PER_MSEC;
	errand->order = order_create(device->number, 0, deadline, list.size);
	struct maker maker = { errand, conf, device->conf, &device->plan->address, command->topic,
		&codec, false };
	return make_requests(&maker, &reader, list.size);
}

struct order *errand_read_back(struct errand *errand, uint32_t device)
{
	struct order *order = order_create(device, 0, INT64_MAX, errand->check_count);
	for (size_t i = 0; i < errand->check_count; i++)
		order->requests[i] = TAKE(errand->checks[i].read);
	return order;
}

static bool compare(const struct errand_check *check, const int64_t *read, char *why, size_t room)
{
	for (uint32_t i = 0; i < check->count; i++) {
		/* Unsigned: the numbers are the plugin's, and may be as far apart as they can. */
		uint64_t more = (uint64_t)read[i] - (uint64_t)check->numbers[i];
		if ((read[i] < check->numbers[i] ? -more : more) <= check->tolerance)
			continue;
		snprintf(why, room,
			"written, but it reads otherwise: %s %" PRIu64 " was written %" PRId64
			" and reads %" PRId64,
			check->what, check->first + i, check->numbers[i], read[i]);
		return false;
	}
	return true;
}

bool errand_compare(const struct errand *errand, const struct conf_bus *bus,
	const struct outcome *outcome, char *why, size_t room)
{
	struct problems problems = PROBLEMS_NONE;
	int64_t numbers[EB_NUMBERS_MAX];
	bool same = true;
	OWNED_CODEC codec;
	int result = codec_open(&codec, bus, &problems);
	for (size_t i = 0; same && i < errand->check_count; i++) {
		const struct errand_check *check = &errand->checks[i];
		const struct buffer *bytes = &outcome->steps[i].bytes;
		int count = result < 0 ? result
				       : codec.plugin->numbers(codec.state, &check->kept->wire,
						 bytes->data, bytes->size, numbers);
		if (count != (int)check->count) {
			snprintf(why, room, "written, but what was read back makes no sense");
			same = false;
		} else {
			same = compare(check, numbers, why, room);
		}
	}
	problems_finish(&problems);
	return same;
}

static bool overlap(const struct errand_check *a, const struct errand_check *b)
{
	const struct errand_check *low = a->first <= b->first ? a : b, *high = low == a ? b : a;
	return strcmp(a->what, b->what) == 0 && high->first - low->first < low->count;
}

bool errand_overlaps(const struct errand *errand, const struct errand *other)
{
	for (size_t i = 0; i < errand->check_count; i++) {
		for (size_t k = 0; k < other->check_count; k++) {
			if (overlap(&errand->checks[i], &other->checks[k]))
				return true;
		}
	}
	return false;
}

void errand_finish(struct errand *errand)
{
	if (errand->order)
		message_destroy(&errand->order->mail);
	for (size_t i = 0; i < errand->check_count; i++) {
		request_destroy(errand->checks[i].read);
		request_destroy(errand->checks[i].kept);
		free(errand->checks[i].what);
		free(errand->checks[i].numbers);
	}
	free(errand->checks);
	*errand = (struct errand){ .order = NULL };
}
