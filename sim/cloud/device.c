/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "util/alloc.h"

struct rule {
	struct rule *next;
	char *product, *prefix;
};

/* A product with a secret of its own. */
struct product {
	struct product *next;
	char *key, *secret;
};

struct devices {
	uint64_t seed;
	struct product *products;
	struct device **buckets, **all;
	size_t room, count, all_room; /* room is a power of two */
	struct rule *rules;
};

struct devices *devices_create(uint64_t seed)
{
	struct devices *devices = must_alloc(sizeof(*devices));
	devices->seed = seed;
	devices->room = 256;
	devices->buckets = must_array(devices->room, sizeof(struct device *));
	return devices;
}

static void device_destroy(struct device *device)
{
	for (size_t i = 0; i < device->point_count; i++) {
		free(device->points[i].name);
		buffer_finish(&device->points[i].value);
	}
	free(device->points);
	buffer_finish(&device->incoming);
	buffer_finish(&device->outgoing);
	free(device->product);
	free(device->key);
	free(device->secret);
	free(device->name);
	free(device);
}

void devices_destroy(struct devices *devices)
{
	if (!devices)
		return;
	for (size_t i = 0; i < devices->count; i++)
		device_destroy(devices->all[i]);
	while (devices->rules) {
		struct rule *rule = devices->rules;
		devices->rules = rule->next;
		free(rule->product);
		free(rule->prefix);
		free(rule);
	}
	while (devices->products) {
		struct product *product = devices->products;
		devices->products = product->next;
		free(product->key);
		free(product->secret);
		free(product);
	}
	free(devices->buckets);
	free(devices->all);
	free(devices);
}

void devices_set_product(struct devices *devices, const char *key, const char *secret)
{
	struct product *product = must_alloc(sizeof(*product));
	product->key = must_strdup(key);
	product->secret = must_strdup(secret);
	product->next = devices->products;
	devices->products = product;
}

const char *devices_product_secret(const struct devices *devices, const char *key)
{
	struct product *product = devices->products;
	while (product && strcmp(product->key, key) != 0)
		product = product->next;
	return product ? product->secret : NULL;
}

/* FNV-1a. */
static uint64_t hash_more(uint64_t hash, struct bytes bytes)
{
	const uint8_t *at = bytes.data;
	for (size_t i = 0; i < bytes.size; i++)
		hash = (hash ^ at[i]) * UINT64_C(1099511628211);
	return hash;
}

static struct device **bucket(const struct devices *devices, struct bytes product, struct bytes key)
{
	uint64_t hash = hash_more(hash_more(UINT64_C(14695981039346656037), product), key);
	return &devices->buckets[(hash ^ hash >> 32) & (devices->room - 1)];
}

static struct bytes text_bytes(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

static struct device *find(const struct devices *devices, struct bytes product, struct bytes key)
{
	struct device *device = *bucket(devices, product, key);
	while (device && !(bytes_are(product, device->product) && bytes_are(key, device->key)))
		device = device->next;
	return device;
}

static void grow(struct devices *devices)
{
	free(devices->buckets);
	devices->room *= 4;
	devices->buckets = must_array(devices->room, sizeof(struct device *));
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = devices->all[i];
		struct device **place = bucket(
			devices, text_bytes(device->product), text_bytes(device->key));
		device->next = *place;
		*place = device;
	}
}

int devices_add(struct devices *devices, const char *product, const char *key, const char *secret)
{
	if (find(devices, text_bytes(product), text_bytes(key)))
		return -EEXIST;
	struct device *device = must_alloc(sizeof(*device));
	device->product = must_strdup(product);
	device->key = must_strdup(key);
	device->secret = must_strdup(secret);
	device->name = must_printf("%s/%s", product, key);
	signature_key(device->sign_key, secret);
	dice_seed(&device->dice, devices->seed, device->name);
	fault_plan_init(&device->faults);
	list_init(&device->commands);
	if (devices->count == devices->room)
		grow(devices);
	if (devices->count == devices->all_room) {
		devices->all_room = devices->all_room ? devices->all_room * 2 : 64;
		devices->all = must_realloc(
			devices->all, devices->all_room * sizeof(struct device *));
	}
	devices->all[devices->count++] = device;
	struct device **place = bucket(devices, text_bytes(product), text_bytes(key));
	device->next = *place;
	*place = device;
	return 0;
}

void devices_add_rule(struct devices *devices, const char *product, const char *prefix)
{
	struct rule *rule = must_alloc(sizeof(*rule));
	rule->product = must_strdup(product);
	rule->prefix = must_strdup(prefix);
	rule->next = devices->rules;
	devices->rules = rule;
}

static struct device *make_by_rule(struct devices *devices, const char *product, const char *key)
{
	for (struct rule *rule = devices->rules; rule; rule = rule->next) {
		if (strcmp(rule->product, product) != 0)
			continue;
		OWNED char *secret = must_printf("%s%s", rule->prefix, key);
		devices_add(devices, product, key, secret);
		return find(devices, text_bytes(product), text_bytes(key));
	}
	return NULL;
}

/* What a key may look like where a rule makes devices of whatever comes. */
static bool plain(struct bytes key)
{
	const char *at = key.data;
	for (size_t i = 0; i < key.size; i++) {
		if (at[i] <= ' ' || at[i] >= 0x7f || at[i] == '/')
			return false;
	}
	return key.size > 0 && key.size <= 64;
}

struct device *devices_find(struct devices *devices, struct bytes product, struct bytes key)
{
	struct device *device = find(devices, product, key);
	if (device || !devices->rules || !plain(product) || !plain(key))
		return device;
	OWNED char *product_text = must_printf(
		"%.*s", (int)product.size, (const char *)product.data);
	OWNED char *key_text = must_printf("%.*s", (int)key.size, (const char *)key.data);
	return make_by_rule(devices, product_text, key_text);
}

struct device *devices_named(struct devices *devices, const char *name)
{
	const char *slash = strchr(name, '/');
	if (slash)
		return devices_find(devices, (struct bytes){ name, (size_t)(slash - name) },
			text_bytes(slash + 1));
	struct device *found = NULL;
	for (size_t i = 0; i < devices->count; i++) {
		if (strcmp(devices->all[i]->key, name) != 0)
			continue;
		if (found)
			return NULL;
		found = devices->all[i];
	}
	if (!found && devices->rules && !devices->rules->next && plain(text_bytes(name)))
		return make_by_rule(devices, devices->rules->product, name);
	return found;
}

size_t devices_count(const struct devices *devices)
{
	return devices->count;
}

struct device *devices_at(const struct devices *devices, size_t index)
{
	return devices->all[index];
}

static int add_listed(
	struct devices *devices, struct value_reader *reader, char *error, size_t room)
{
	static const char *const keys[] = { "product_key", "device_key", "device_secret" };
	const char *texts[3];
	const uint8_t *begin = reader->at;
	if (!value_skip(reader))
		return -EINVAL;
	for (int i = 0; i < 3; i++) {
		struct value text;
		if (!value_find(begin, (size_t)(reader->at - begin), keys[i], &text, NULL) ||
			text.type != VALUE_STRING || !text.size) {
			snprintf(error, room, "a device without \"%s\"", keys[i]);
			return -EINVAL;
		}
		texts[i] = text.text;
	}
	if (devices_add(devices, texts[0], texts[1], texts[2]) == -EEXIST) {
		snprintf(error, room, "device %s/%s stands there twice", texts[0], texts[1]);
		return -EEXIST;
	}
	return 0;
}

int devices_load(struct devices *devices, const char *path, char *error, size_t room)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	size_t count;
	int result = file_read_list(path, &value, &count, error, room);
	if (result < 0)
		return result;
	struct value_reader reader = value_reader(value.data, value.size);
	struct value header;
	value_next(&reader, &header);
	for (size_t i = 0; i < count; i++) {
		result = add_listed(devices, &reader, error, room);
		if (result < 0)
			return result;
	}
	return (int)count;
}

void device_forget_token(struct device *device)
{
	if (!device->token[0])
		return;
	memcpy(device->old_tokens[device->tokens_given % OLD_TOKENS], device->token,
		sizeof(device->token));
	device->token[0] = 0;
}

bool device_had_token(const struct device *device, struct bytes token)
{
	for (int i = 0; i < OLD_TOKENS; i++) {
		if (token.size && bytes_are(token, device->old_tokens[i]))
			return true;
	}
	return false;
}

static bool point_is(const struct point *point, const char *name, size_t size)
{
	return strncmp(point->name, name, size) == 0 && !point->name[size];
}

struct point *device_point(struct device *device, const char *name, size_t size)
{
	/* Reports name the same points in the same order. */
	for (size_t tries = 0; tries < device->point_count; tries++) {
		if (device->point_hint >= device->point_count)
			device->point_hint = 0;
		struct point *point = &device->points[device->point_hint++];
		if (point_is(point, name, size))
			return point;
	}
	if (device->point_count == device->point_room) {
		device->point_room = device->point_room ? device->point_room * 2 : 8;
		device->points = must_realloc(
			device->points, device->point_room * sizeof(struct point));
	}
	struct point *point = &device->points[device->point_count++];
	*point = (struct point){ .name = must_alloc(size + 1) };
	memcpy(point->name, name, size);
	return point;
}

const struct point *device_find_point(const struct device *device, const char *name)
{
	for (size_t i = 0; i < device->point_count; i++) {
		if (strcmp(device->points[i].name, name) == 0)
			return &device->points[i];
	}
	return NULL;
}
