/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/alloc.h"
#include "util/json.h"

enum key {
	KEY_MS = 1,
	KEY_CODE = 2,
	KEY_BYTES = 4,
	KEY_NOISE = 8,
	KEY_WHAT = 16,
};

static const struct {
	const char *name;
	unsigned keys;
	unsigned required;
} kinds[FAULT_KINDS] = {
	[FAULT_SILENCE] = { "silence" },
	[FAULT_LOST] = { "lost" },
	[FAULT_LATE] = { "late", KEY_MS, KEY_MS },
	[FAULT_CUT] = { "cut", KEY_BYTES },
	[FAULT_CORRUPT] = { "corrupt" },
	[FAULT_FOREIGN] = { "foreign", KEY_WHAT },
	[FAULT_REPEAT] = { "repeat" },
	[FAULT_DRIP] = { "drip", KEY_MS, KEY_MS },
	[FAULT_EXCEPTION] = { "exception", KEY_CODE, KEY_CODE },
	[FAULT_ECHO] = { "echo" },
	[FAULT_ECHO_ONLY] = { "echo-only" },
	[FAULT_NOISE] = { "noise", KEY_NOISE, KEY_NOISE },
	[FAULT_TRANSACTION] = { "transaction" },
	[FAULT_CLOSE] = { "close" },
	[FAULT_SLOW_ACCEPT] = { "slow-accept", KEY_MS, KEY_MS },
	[FAULT_HANG_UP] = { "hang-up" },
};

static const char *const foreign_names[] = { "unit", "function", "count" };

const char *fault_name(enum fault_kind kind)
{
	return kinds[kind].name;
}

static int parse_kind(const char *word)
{
	for (int i = 0; i < FAULT_KINDS; i++) {
		if (strcmp(word, kinds[i].name) == 0)
			return i;
	}
	return -EINVAL;
}

static bool parse_number(const char *text, double min, double max, double *number)
{
	char *end;
	*number = strtod(text, &end);
	return end != text && !*end && *number >= min && *number <= max;
}

static bool parse_whole(const char *text, uint32_t min, uint32_t max, uint32_t *number)
{
	double value;
	if (!parse_number(text, min, max, &value) || value != (uint32_t)value)
		return false;
	*number = (uint32_t)value;
	return true;
}

static bool parse_what(struct fault *fault, const char *text)
{
	for (int i = 0; i < 3; i++) {
		if (strcmp(text, foreign_names[i]) == 0) {
			fault->what = (enum foreign)i;
			return true;
		}
	}
	return false;
}

/* Keys that say whom and how often. 1: taken; 0: not one of them; -EINVAL: a wrong value. */
static int take_scope(struct fault *fault, const char *key, const char *text)
{
	uint32_t number = 0;
	bool good = true;
	if (strcmp(key, "line") == 0) {
		free(fault->line);
		fault->line = must_strdup(text);
	} else if (strcmp(key, "unit") == 0) {
		good = parse_whole(text, 0, 255, &number);
		fault->unit = (int)number;
	} else if (strcmp(key, "function") == 0) {
		good = parse_whole(text, 1, 127, &number);
		fault->function = (int)number;
	} else if (strcmp(key, "p") == 0) {
		good = parse_number(text, 0, 1, &fault->probability);
	} else if (strcmp(key, "n") == 0) {
		good = parse_whole(text, 1, UINT32_MAX, &number);
		fault->left = number;
	} else {
		return 0;
	}
	return good ? 1 : -EINVAL;
}

/* Keys of the kinds; *given gets the bit of what was taken. */
static int take_detail(struct fault *fault, const char *key, const char *text, unsigned *given)
{
	static const struct {
		const char *name;
		unsigned bit;
		size_t place;
		uint32_t min, max;
	} details[] = {
		{ "ms", KEY_MS, offsetof(struct fault, ms), 1, 3600000 },
		{ "code", KEY_CODE, offsetof(struct fault, code), 1, 255 },
		{ "bytes", KEY_BYTES, offsetof(struct fault, bytes), 1, FRAME_MAX },
		{ "before", KEY_NOISE, offsetof(struct fault, before), 0, 64 },
		{ "after", KEY_NOISE, offsetof(struct fault, after), 0, 64 },
	};
	for (size_t i = 0; i < sizeof(details) / sizeof(*details); i++) {
		if (strcmp(key, details[i].name) != 0)
			continue;
		*given |= details[i].bit;
		uint32_t *number = (uint32_t *)(void *)((char *)fault + details[i].place);
		return parse_whole(text, details[i].min, details[i].max, number) ? 1 : -EINVAL;
	}
	if (strcmp(key, "what") == 0) {
		*given |= KEY_WHAT;
		return parse_what(fault, text) ? 1 : -EINVAL;
	}
	if (strcmp(key, "also") == 0) {
		*given |= KEY_WHAT;
		fault->also = strcmp(text, "1") == 0;
		return fault->also || strcmp(text, "0") == 0 ? 1 : -EINVAL;
	}
	return 0;
}

static int complain(char *error, size_t room, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(char *error, size_t room, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, room, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int take_word(
	struct fault *fault, char *word, int *kind, unsigned *given, char *error, size_t room)
{
	char *equals = strchr(word, '=');
	if (!equals) {
		if (*kind >= 0)
			return complain(error, room, "'%s': a fault has one kind, '%s'", word,
				fault_name((enum fault_kind) * kind));
		*kind = parse_kind(word);
		if (*kind < 0)
			return complain(error, room,
				"'%s' is no kind of fault; see enos-field-sim(1)", word);
		return 0;
	}
	*equals = 0;
	int taken = take_scope(fault, word, equals + 1);
	if (taken == 0)
		taken = take_detail(fault, word, equals + 1, given);
	if (taken == 0)
		return complain(error, room, "'%s' is no key of a fault", word);
	return taken < 0
		? complain(error, room, "%s=%s: not a value that it can have", word, equals + 1)
		: 0;
}

static const char *missing_name(unsigned keys)
{
	return keys & KEY_MS ? "ms=" : keys & KEY_CODE ? "code=" : "before= or after=";
}

int fault_parse(const char *text, struct fault **result, char *error, size_t room)
{
	OWNED char *copy = must_strdup(text);
	struct fault *fault = must_alloc(sizeof(*fault));
	list_init(&fault->link);
	fault->unit = fault->function = -1;
	fault->probability = 1;
	fault->left = -1;
	int kind = -1, status = 0;
	unsigned given = 0;
	char *rest = copy, *word;
	while (status == 0 && (word = strsep(&rest, " \t"))) {
		if (*word)
			status = take_word(fault, word, &kind, &given, error, room);
	}
	if (status == 0 && kind < 0)
		status = complain(error, room, "a fault needs its kind, e.g. 'unit=3 silence'");
	if (status == 0 && given & ~kinds[kind].keys)
		status = complain(error, room, "'%s' does not take those keys", kinds[kind].name);
	if (status == 0 && kinds[kind].required & ~given)
		status = complain(error, room, "'%s' needs %s", kinds[kind].name,
			missing_name(kinds[kind].required));
	if (status < 0) {
		fault_destroy(fault);
		return status;
	}
	fault->kind = (enum fault_kind)kind;
	*result = fault;
	return 0;
}

void fault_destroy(struct fault *fault)
{
	if (!fault)
		return;
	list_remove(&fault->link);
	free(fault->line);
	free(fault);
}

static bool fits(const struct fault *fault, const struct victim *victim)
{
	if (fault->line && strcmp(fault->line, victim->line) != 0)
		return false;
	bool at_accept = fault->kind == FAULT_SLOW_ACCEPT || fault->kind == FAULT_HANG_UP;
	if (victim->accepting || at_accept)
		return victim->accepting && at_accept;
	if (fault->unit >= 0 && fault->unit != victim->unit)
		return false;
	if (fault->function >= 0 && fault->function != victim->function)
		return false;
	if (fault->kind == FAULT_TRANSACTION)
		return victim->framing == FRAMING_TCP;
	return fault->kind != FAULT_CLOSE || victim->stream;
}

struct fault *fault_choose(struct list *faults, struct dice *dice, const struct victim *victim)
{
	list_for_each (link, faults) {
		struct fault *fault = container_of(link, struct fault, link);
		if (fault->left == 0 || !fits(fault, victim) ||
			!dice_falls(dice, fault->probability))
			continue;
		fault->used++;
		if (fault->left > 0)
			fault->left--;
		return fault;
	}
	return NULL;
}

void fault_print(const struct fault *fault, struct buffer *json)
{
	buffer_printf(
		json, "{\"number\":%u,\"kind\":\"%s\"", fault->number, fault_name(fault->kind));
	if (fault->line) {
		buffer_put_text(json, ",\"line\":");
		json_put_text(json, fault->line);
	}
	if (fault->unit >= 0)
		buffer_printf(json, ",\"unit\":%d", fault->unit);
	if (fault->function >= 0)
		buffer_printf(json, ",\"function\":%d", fault->function);
	buffer_put_text(json, ",\"p\":");
	json_put_real(json, fault->probability);
	if (fault->left >= 0)
		buffer_printf(json, ",\"left\":%lld", (long long)fault->left);
	buffer_printf(json, ",\"used\":%llu}", (unsigned long long)fault->used);
}
