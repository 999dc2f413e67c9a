/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_changes.h"

#include <string.h>

#include "core/conf_schema.h"
#include "util/alloc.h"

struct walk {
	void (*say)(void *context, const char *what);
	void *context;
	size_t count;
};

static void say(struct walk *walk, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct walk *walk, const char *format, ...)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	if (++walk->count > CONF_CHANGES_MAX)
		return;
	va_list arguments;
	va_start(arguments, format);
	buffer_vprintf(&text, format, arguments);
	va_end(arguments);
	walk->say(walk->context, buffer_text(&text));
}

static bool same_text(const char *one, const char *other)
{
	return strcmp(one ? one : "", other ? other : "") == 0;
}

static bool same_texts(char *const *one, char *const *other)
{
	while (one && other && *one && *other) {
		if (strcmp(*one++, *other++) != 0)
			return false;
	}
	return !(one && *one) && !(other && *other);
}

static bool same_buffer(const struct buffer *one, const struct buffer *other)
{
	return one->size == other->size &&
		(!one->size || memcmp(one->data, other->data, one->size) == 0);
}

static bool same_field(const struct field *field, const void *one, const void *other)
{
	const char *left = (const char *)one + field->offset;
	const char *right = (const char *)other + field->offset;
	switch (field->kind) {
	case FIELD_TEXT:
		return same_text(*(char *const *)left, *(char *const *)right);
	case FIELD_TEXTS:
		return same_texts(*(char **const *)left, *(char **const *)right);
	case FIELD_NUMBER:
	case FIELD_BOOLEAN:
	case FIELD_CHOICE:
	case FIELD_ANSWER:
	case FIELD_BYTES:
	case FIELD_REAL:
	case FIELD_RANGE:
		return memcmp(left, right, field->size) == 0;
	case FIELD_NUMBERS:
	case FIELD_GROUP:
	case FIELD_GROUPS:
	case FIELD_SECRET:
		break;
	}
	return true;
}

/* before is what stands before each key: "enos." */
static void compare_section(struct walk *walk, const struct section *section, const char *before,
	const void *one, const void *other)
{
	for (const struct field *field = section->fields; field->key; field++) {
		if (!same_field(field, one, other))
			say(walk, "%s%s", before, field->key);
	}
}

static void compare_bus(struct walk *walk, const struct conf_bus *one, const struct conf_bus *other)
{
	char *before OWNED = must_printf("bus %s: ", one->name);
	char *link OWNED = must_printf("bus %s: link.", one->name);
	compare_section(walk, &bus_section, before, one, other);
	compare_section(walk, &link_section, link, &one->link, &other->link);
	if (!same_buffer(&one->options, &other->options))
		say(walk, "%sthe keys of its plugin", before);
}

static bool same_section(const struct section *section, const void *one, const void *other)
{
	const struct field *field = section->fields;
	while (field->key && same_field(field, one, other))
		field++;
	return !field->key;
}

static bool same_rules(const struct conf_device *one, const struct conf_device *other)
{
	bool same = one->has_rules == other->has_rules && one->rule_count == other->rule_count;
	for (uint32_t i = 0; same && i < one->rule_count; i++)
		same = same_section(&rule_section, &one->rules[i], &other->rules[i]);
	return same;
}

static void compare_device(
	struct walk *walk, const struct conf_device *one, const struct conf_device *other)
{
	char *before OWNED = must_printf("device %s: ", one->name);
	const struct {
		const struct buffer *one, *other;
		const char *name;
	} buffers[] = {
		{ &one->address, &other->address, "its address" },
		{ &one->parameters, &other->parameters, "parameters" },
		{ &one->points, &other->points, "points" },
		{ &one->polls, &other->polls, "polls" },
	};
	for (const struct field *field = device_section.fields; field->key; field++) {
		/* A secret that moved from one file to another is taken over as any other. */
		if (strcmp(field->key, "secret_file") != 0 && !same_field(field, one, other))
			say(walk, "%s%s", before, field->key);
	}
	if (!same_rules(one, other))
		say(walk, "%sallow", before);
	if (one->read_back.wanted != other->read_back.wanted ||
		!same_section(&read_back_section, &one->read_back, &other->read_back))
		say(walk, "%sread_back", before);
	for (size_t i = 0; i < sizeof(buffers) / sizeof(*buffers); i++) {
		if (!same_buffer(buffers[i].one, buffers[i].other))
			say(walk, "%s%s", before, buffers[i].name);
	}
}

static void compare_buses(struct walk *walk, const struct conf *old, const struct conf *fresh)
{
	for (uint32_t i = 0; i < old->bus_count; i++) {
		int64_t number = conf_find_bus(fresh, old->buses[i].name);
		if (number < 0)
			say(walk, "bus %s: it is gone", old->buses[i].name);
		else
			compare_bus(walk, &old->buses[i], &fresh->buses[number]);
	}
	for (uint32_t i = 0; i < fresh->bus_count; i++) {
		if (conf_find_bus(old, fresh->buses[i].name) < 0)
			say(walk, "bus %s: it is new", fresh->buses[i].name);
	}
}

static void compare_devices(struct walk *walk, const struct conf *old, const struct conf *fresh)
{
	for (uint32_t i = 0; i < old->device_count; i++) {
		int64_t number = conf_find_device(fresh, old->devices[i].name);
		if (number < 0)
			say(walk, "device %s: it is gone", old->devices[i].name);
		else
			compare_device(walk, &old->devices[i], &fresh->devices[number]);
	}
	for (uint32_t i = 0; i < fresh->device_count; i++) {
		if (conf_find_device(old, fresh->devices[i].name) < 0)
			say(walk, "device %s: it is new", fresh->devices[i].name);
	}
}

size_t conf_changes(const struct conf *old, const struct conf *fresh,
	void (*report)(void *context, const char *what), void *context)
{
	struct walk walk = { report, context, 0 };
	compare_section(&walk, &gateway_section, "gateway.", &old->gateway, &fresh->gateway);
	compare_section(&walk, &scripts_section, "scripts.", &old->scripts, &fresh->scripts);
	compare_section(&walk, &enos_section, "enos.", &old->enos, &fresh->enos);
	compare_section(&walk, &spool_section, "spool.", &old->spool, &fresh->spool);
	compare_section(&walk, &mqtt_section, "mqtt.", &old->mqtt, &fresh->mqtt);
	if (old->mqtt.enabled != fresh->mqtt.enabled)
		say(&walk, "mqtt: it is %s", fresh->mqtt.enabled ? "new" : "gone");
	compare_buses(&walk, old, fresh);
	compare_devices(&walk, old, fresh);
	return walk.count;
}
