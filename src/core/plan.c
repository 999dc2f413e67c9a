/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "util/alloc.h"
#include "util/clock.h"

#define TIMEOUT_MAX_S 3600
#define NAME_MAX_SIZE 63

const char *const request_host_keys[] = { "name", "period", "priority", "timeout", "retry_safe",
	"read_back", NULL };

/* The host's own settings of a request, as they stand. */
struct host {
	char *name;
	bool has_period;
	int64_t period_us;
	bool urgent;
	int64_t timeout_us;
	bool retry_safe;
	struct read_back read_back;
};

/* What making one request works on. */
struct maker {
	const struct eb_plugin *plugin;
	const void *state;
	const struct eb_address *address;
	const void *map;
	size_t size;
	enum settings_source source;
	bool poll;
	struct place place;
	struct problems *problems; /* of this request alone, without its name */
};

static void complain(const struct maker *maker, const char *key, const char *must)
{
	problem_error(maker->problems, maker->place, "%s must be %s", key, must);
}

/* Finds a host key; of a command's request the keys of polls are refused. */
static bool find(const struct maker *maker, const char *key, bool of_poll, struct value *value)
{
	if (!value_find(maker->map, maker->size, key, value, NULL))
		return false;
	if (!of_poll || maker->poll)
		return true;
	problem_error(maker->problems, maker->place,
		"%s belongs to a poll: a command's requests run at once, leave it out", key);
	return false;
}

/* Seconds in µs. */
static bool read_seconds(const struct maker *maker, const struct value *value, const char *key,
	double max, int64_t *us)
{
	double seconds = NAN;
	if (value->type == VALUE_INTEGER)
		seconds = (double)value->integer;
	else if (value->type == VALUE_REAL)
		seconds = value->real;
	if (!(seconds >= 0 && seconds <= max)) {
		problem_error(maker->problems, maker->place,
			"%s must be a number of seconds from 0 to %.0f", key, max);
		return false;
	}
	*us = llround(seconds * (double)USEC_PER_SEC);
	/* 0 has a meaning of its own that a tiny number must not get. */
	if (!*us && seconds > 0)
		*us = 1;
	return true;
}

static bool name_valid(const struct value *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_.";
	return name->type == VALUE_STRING && name->size > 0 && name->size <= NAME_MAX_SIZE &&
		strspn(name->text, allowed) == name->size;
}

static void read_name(const struct maker *maker, struct host *host)
{
	struct value value;
	if (!find(maker, "name", false, &value)) {
		if (maker->poll)
			problem_error(maker->problems, maker->place,
				"name is missing: what the poll is called in readings and overrides");
	} else if (name_valid(&value)) {
		host->name = must_strdup(value.text);
	} else {
		complain(maker, "name", "a text of 1 to 63 letters, digits, '-', '_' or '.'");
	}
}

/* true, false, or how: { settle = 0.5, tolerance = 2 }. */
static void read_read_back(
	const struct maker *maker, const struct value *value, struct read_back *read_back)
{
	struct value key, item;
	struct value_reader inside;
	read_back->wanted = value->type == VALUE_TRUE || value->type == VALUE_MAP;
	read_back->never = value->type == VALUE_FALSE;
	read_back->settle_ms = READ_BACK_SETTLE_MS;
	if (!read_back->wanted && !read_back->never) {
		complain(maker, "read_back", "true, false or { settle = SECONDS, tolerance = N }");
		return;
	}
	value_find(maker->map, maker->size, "read_back", &key, &inside);
	for (size_t i = 0; key.type == VALUE_MAP && i < key.size && value_next(&inside, &item);
		i++) {
		struct value number;
		bool settle = strcmp(item.text, "settle") == 0;
		struct value_reader rest = inside;
		int64_t us = 0;
		if (!value_next(&rest, &number) || !value_skip(&inside))
			return;
		if (settle &&
			read_seconds(maker, &number, "settle", READ_BACK_SETTLE_MAX_MS / 1e3, &us))
			read_back->settle_ms = (uint32_t)(us / USEC_PER_MSEC);
		else if (!settle && strcmp(item.text, "tolerance") != 0)
			complain(maker, "read_back",
				"true, false or { settle = SECONDS, tolerance = N }");
		else if (!settle &&
			(number.type != VALUE_INTEGER || number.integer < 0 ||
				number.integer > READ_BACK_TOLERANCE_MAX))
			complain(maker, "tolerance", "a whole number from 0 to 1000000");
		else if (!settle)
			read_back->tolerance = (uint32_t)number.integer;
	}
}

static void read_host(const struct maker *maker, struct host *host)
{
	struct value value;
	read_name(maker, host);
	if (find(maker, "period", true, &value)) {
		host->has_period = true;
		read_seconds(maker, &value, "period", REQUEST_PERIOD_MAX_S, &host->period_us);
	}
	if (find(maker, "priority", true, &value)) {
		host->urgent = value.type == VALUE_STRING && strcmp(value.text, "high") == 0;
		if (value.type != VALUE_STRING ||
			(!host->urgent && strcmp(value.text, "normal") != 0))
			complain(maker, "priority", "\"normal\" or \"high\"");
	}
	if (find(maker, "timeout", false, &value) &&
		read_seconds(maker, &value, "timeout", TIMEOUT_MAX_S, &host->timeout_us) &&
		!host->timeout_us)
		complain(maker, "timeout", "more than 0 s; leave it out for the bus's own");
	if (find(maker, "retry_safe", false, &value)) {
		host->retry_safe = value.type == VALUE_TRUE;
		if (value.type != VALUE_TRUE && value.type != VALUE_FALSE)
			complain(maker, "retry_safe", "true or false");
	}
	if (!value_find(maker->map, maker->size, "read_back", &value, NULL))
		return;
	if (maker->poll)
		problem_error(maker->problems, maker->place,
			"read_back belongs to a command's write: a poll is read anyway, leave it out");
	else
		read_read_back(maker, &value, &host->read_back);
}

static bool fits(const struct eb_request *wire)
{
	return wire->data_size <= EB_REQUEST_MAX && wire->frame_size <= EB_FRAME_MAX &&
		wire->content_size <= EB_ANSWER_MAX;
}

/* What the plugin says of the request, unless it claims more than the host can hold. */
static int ask_plugin(
	const struct maker *maker, const struct eb_settings *settings, struct eb_request *wire)
{
	struct eb_error error = { .text = "" };
	int result = maker->plugin->request(maker->state, settings, wire, &error);
	if (result < 0) {
		problem_error(maker->problems, maker->place, "%s",
			error.text[0] ? error.text : strerror(-result));
		return -EINVAL;
	}
	if (!fits(wire)) {
		problem_error(maker->problems, maker->place,
			"plugin %s made a request of %u bytes with an answer of %u: the most is %u",
			maker->plugin->name, wire->frame_size, wire->content_size, EB_FRAME_MAX);
		return -EINVAL;
	}
	return 0;
}

static char *describe(
	const struct eb_plugin *plugin, const void *state, const struct eb_request *wire)
{
	char text[160] = "";
	if (!plugin->describe)
		return must_printf(
			"%s %s", plugin->name, wire->flags & EB_WRITE ? "write" : "request");
	plugin->describe(state, wire, text, sizeof(text));
	text[sizeof(text) - 1] = 0;
	return must_strdup(text);
}

struct request *request_wrap(
	const struct eb_plugin *plugin, const void *state, const struct eb_request *wire)
{
	struct request *request = must_alloc(sizeof(*request) + wire->data_size);
	request->wire = *wire;
	request->wire.data = (uint8_t *)(request + 1);
	if (wire->data_size)
		memcpy(request->wire.data, wire->data, wire->data_size);
	request->text = describe(plugin, state, &request->wire);
	return request;
}

static bool is_map(const void *data, size_t size)
{
	return value_valid(data, size) && *(const uint8_t *)data == VALUE_MAP;
}

static int make(const struct maker *maker, struct host *host, struct request **request)
{
	uint8_t data[EB_REQUEST_MAX] = { 0 };
	struct eb_request wire = { .address = *maker->address, .data = data };
	struct settings settings;
	int result = settings_from_value(&settings, maker->plugin->request_keys, request_host_keys,
		maker->map, maker->size, maker->source, maker->place, maker->problems);
	if (result < 0 && !is_map(maker->map, maker->size))
		return result;
	read_host(maker, host);
	if (result == 0) {
		result = ask_plugin(maker, &settings.view, &wire);
		settings_finish(&settings);
	}
	if (result == 0 && maker->poll && !host->has_period && !(wire.flags & EB_LISTEN))
		problem_error(maker->problems, maker->place,
			"period is missing: seconds from 0 (as fast as the bus allows) to %d",
			REQUEST_PERIOD_MAX_S);
	if (result == 0 && !maker->poll && (wire.flags & EB_LISTEN))
		problem_error(maker->problems, maker->place,
			"it only listens, and so would never end: a request of a command or of setup must "
			"be one that is sent");
	if (result < 0 || maker->problems->errors)
		return -EINVAL;
	*request = request_wrap(maker->plugin, maker->state, &wire);
	(*request)->retry_safe = host->retry_safe;
	(*request)->timeout_us = host->timeout_us;
	(*request)->read_back = host->read_back;
	(*request)->name = TAKE(host->name);
	return 0;
}

/* Says the request's problems to the caller, with the request's name in front. */
static void hand_over(const struct maker *maker, const struct host *host, struct problems *problems)
{
	const char *what = maker->poll ? "poll" : "request";
	for (size_t i = 0; i < maker->problems->count; i++) {
		const char *text = maker->problems->items[i].text;
		if (host->name)
			problem_error(problems, maker->place, "%s %s: %s", what, host->name, text);
		else
			problem_error(problems, maker->place, "%s: %s", what, text);
	}
}

static int create(
	struct maker *maker, struct host *host, struct request **request, struct problems *problems)
{
	struct problems own = PROBLEMS_NONE;
	maker->problems = &own;
	*request = NULL;
	int result = make(maker, host, request);
	hand_over(maker, host, problems);
	problems_finish(&own);
	free(host->name);
	host->name = NULL;
	return result;
}

int request_create(struct request **request, const struct eb_plugin *plugin, const void *state,
	const struct eb_address *address, const void *map, size_t size, enum settings_source source,
	struct place place, struct problems *problems)
{
	struct host host = { .name = NULL };
	struct maker maker = { .plugin = plugin,
		.state = state,
		.address = address,
		.map = map,
		.size = size,
		.source = source,
		.place = place };
	return create(&maker, &host, request, problems);
}

void request_destroy(struct request *request)
{
	if (!request)
		return;
	free(request->name);
	free(request->text);
	free(request);
}

struct request *request_merge(const struct eb_plugin *plugin, const void *state,
	const struct request *a, const struct request *b, uint32_t hole)
{
	uint8_t data[EB_REQUEST_MAX] = { 0 };
	struct request both = { .wire = { .address = a->wire.address, .data = data } };
	if (!plugin->merge || !request_is_read(a) || !request_is_read(b) ||
		plugin->merge(state, &a->wire, &b->wire, hole, &both.wire) < 0 ||
		!fits(&both.wire) || !request_is_read(&both))
		return NULL;
	struct request *merged = request_wrap(plugin, state, &both.wire);
	merged->timeout_us = a->timeout_us;
	return merged;
}

int poll_init(struct poll *poll, const struct eb_plugin *plugin, const void *state,
	const struct eb_address *address, const void *map, size_t size, enum settings_source source,
	struct place place, struct problems *problems)
{
	struct host host = { .name = NULL };
	struct maker maker = { .plugin = plugin,
		.state = state,
		.address = address,
		.map = map,
		.size = size,
		.source = source,
		.poll = true,
		.place = place };
	*poll = (struct poll){ .request = NULL };
	int result = create(&maker, &host, &poll->request, problems);
	poll->period_us = host.period_us;
	poll->urgent = host.urgent;
	return result;
}

struct plan *plan_create(uint32_t device, const struct eb_address *address, size_t count)
{
	struct plan *plan = must_alloc(sizeof(*plan) + count * sizeof(*plan->polls));
	atomic_init(&plan->references, 1);
	plan->device = device;
	plan->address = *address;
	plan->count = count;
	return plan;
}

void plan_take_setup(struct plan *plan, struct request **setup, size_t count)
{
	plan->setup = setup;
	plan->setup_count = count;
}

bool request_same_wire(const struct request *one, const struct request *other)
{
	const struct eb_request *a = &one->wire, *b = &other->wire;
	return a->flags == b->flags && a->data_size == b->data_size &&
		a->address.size == b->address.size &&
		memcmp(a->address.bytes, b->address.bytes, a->address.size) == 0 &&
		(!a->data_size || memcmp(a->data, b->data, a->data_size) == 0);
}

static bool request_equal(const struct request *one, const struct request *other)
{
	const struct eb_request *a = &one->wire, *b = &other->wire;
	bool named = (one->name != NULL) == (other->name != NULL) &&
		(!one->name || strcmp(one->name, other->name) == 0);
	return named && one->retry_safe == other->retry_safe &&
		one->timeout_us == other->timeout_us && a->frame_size == b->frame_size &&
		a->answer_size == b->answer_size && a->content_size == b->content_size &&
		request_same_wire(one, other);
}

bool plan_equal(const struct plan *one, const struct plan *other)
{
	bool equal = one->device == other->device && one->address.size == other->address.size &&
		memcmp(one->address.bytes, other->address.bytes, one->address.size) == 0 &&
		one->count == other->count && one->setup_count == other->setup_count;
	for (size_t i = 0; equal && i < one->count; i++) {
		const struct poll *a = &one->polls[i], *b = &other->polls[i];
		equal = a->period_us == b->period_us && a->urgent == b->urgent &&
			request_equal(a->request, b->request);
	}
	for (size_t i = 0; equal && i < one->setup_count; i++)
		equal = request_equal(one->setup[i], other->setup[i]);
	return equal;
}

struct plan *plan_reference(struct plan *plan)
{
	atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
	return plan;
}

void plan_release(struct plan *plan)
{
	if (!plan || atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < plan->count; i++)
		request_destroy(plan->polls[i].request);
	for (size_t i = 0; i < plan->setup_count; i++)
		request_destroy(plan->setup[i]);
	free(plan->setup);
	free(plan);
}
