/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/command.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "sim/field/transcript.h"
#include "util/alloc.h"
#include "util/json.h"

#define WORDS_MAX 140
#define TIMEOUT_S 10
#define REGISTERS_MAX 125

/* A command taken apart: plain words, and the keys that any of them knows. */
struct words {
	char *plain[WORDS_MAX];
	int count;
	const char *line, *value, *times, *timeout, *number;
};

static int refuse(struct buffer *answer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(struct buffer *answer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	buffer_vprintf(answer, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static bool take_key(struct words *words, char *word)
{
	struct {
		const char *name;
		const char **place;
	} keys[] = { { "line=", &words->line }, { "value=", &words->value },
		{ "count=", &words->times }, { "timeout=", &words->timeout },
		{ "number=", &words->number } };
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		size_t length = strlen(keys[i].name);
		if (strncmp(word, keys[i].name, length) == 0) {
			*keys[i].place = word + length;
			return true;
		}
	}
	return false;
}

static int split(char *text, struct words *words, struct buffer *answer)
{
	char *word;
	*words = (struct words){ .count = 0 };
	while ((word = strsep(&text, " \t\n"))) {
		if (!*word || take_key(words, word))
			continue;
		if (strchr(word, '='))
			return refuse(answer, "'%s' is no key of a command", word);
		if (words->count == WORDS_MAX)
			return refuse(answer, "more than %d words", WORDS_MAX);
		words->plain[words->count++] = word;
	}
	return 0;
}

static bool parse_real(const char *text, double min, double max, double *number)
{
	char *end;
	*number = strtod(text, &end);
	return end != text && !*end && *number >= min && *number <= max;
}

static int parse_whole(
	const char *text, const char *what, uint32_t max, uint32_t *number, struct buffer *answer)
{
	double value;
	if (!text || !parse_real(text, 0, max, &value) || value != (uint32_t)value)
		return refuse(answer, "%s: a number from 0 to %u, not '%s'", what, max,
			text ? text : "nothing");
	*number = (uint32_t)value;
	return 0;
}

static const char *word_at(const struct words *words, int index)
{
	return index < words->count ? words->plain[index] : NULL;
}

/* The line and the unit that word 1 means; the line may be left out where just one has the unit. */
static int find_unit(const struct sim *sim, const struct words *words, struct line **found,
	struct unit **unit, struct buffer *answer)
{
	uint32_t id;
	if (parse_whole(word_at(words, 1), "unit", 255, &id, answer) < 0)
		return -EINVAL;
	if (words->line && !sim_line(sim, words->line))
		return refuse(answer, "there is no line '%s'", words->line);
	*found = NULL;
	list_for_each (link, (struct list *)(uintptr_t)&sim->lines) {
		struct line *line = container_of(link, struct line, link);
		struct unit *candidate = line_unit(line, (uint8_t)id);
		if (!candidate || (words->line && strcmp(words->line, line->name) != 0))
			continue;
		if (*found)
			return refuse(answer, "unit %u is on lines %s and %s: say line=NAME", id,
				(*found)->name, line->name);
		*found = line;
		*unit = candidate;
	}
	return *found ? 0 : refuse(answer, "there is no unit %u", id);
}

static int find_register(
	const struct words *words, enum table *table, uint32_t *address, struct buffer *answer)
{
	const char *name = word_at(words, 2);
	int result = name ? table_parse(name) : -EINVAL;
	if (result < 0)
		return refuse(answer, "'%s' is no table: coils, discrete, input or holding",
			name ? name : "");
	*table = (enum table)result;
	return parse_whole(word_at(words, 3), "address", UINT16_MAX, address, answer);
}

static int run_get(struct sim *sim, const struct words *words, struct buffer *answer)
{
	struct line *line;
	struct unit *unit;
	enum table table;
	uint32_t address, count = 1;
	if (find_unit(sim, words, &line, &unit, answer) < 0 ||
		find_register(words, &table, &address, answer) < 0 ||
		(words->count > 4 &&
			parse_whole(words->plain[4], "count", REGISTERS_MAX, &count, answer) < 0))
		return -EINVAL;
	OWNED_BUFFER writes = BUFFER_EMPTY;
	OWNED_BUFFER values = BUFFER_EMPTY;
	for (uint32_t i = 0; i < count; i++) {
		uint16_t value;
		if (address + i > UINT16_MAX ||
			unit_read(unit, table, (uint16_t)(address + i), sim->start_us,
				loop_now(sim->loop), &value) < 0)
			return refuse(answer, "unit %u has no %s %u", unit->id, table_name(table),
				address + i);
		buffer_printf(&values, i ? ",%u" : "%u", value);
		buffer_printf(&writes, i ? ",%u" : "%u",
			unit_writes(unit, table, (uint16_t)(address + i)));
	}
	buffer_printf(answer, "{\"values\":[%s],\"writes\":[%s]}", buffer_text(&values),
		buffer_text(&writes));
	return 0;
}

/* The registers that the words from 4 on mean. */
static int parse_values(const struct words *words, enum table table, uint16_t *values,
	uint32_t *count, struct buffer *answer)
{
	int number = words->number ? number_parse(words->number) : NUMBER_UINT16;
	if (number < 0)
		return refuse(answer, "number=%s: uint16, int32, float32...", words->number);
	*count = 0;
	for (int i = 4; i < words->count; i++) {
		double value, least = number == NUMBER_UINT16 ? 0 : -1e300;
		double most = table_is_bits(table) ? 1 : number == NUMBER_UINT16 ? 65535 : 1e300;
		if (!parse_real(words->plain[i], least, most, &value))
			return refuse(answer, "'%s' is no value for this", words->plain[i]);
		if (*count + 4 > REGISTERS_MAX)
			return refuse(answer, "more than %d registers", REGISTERS_MAX);
		*count += number_encode((enum number)number, false, value, values + *count);
	}
	return *count ? 0 : refuse(answer, "no value; set UNIT TABLE ADDRESS VALUE...");
}

static int run_set(struct sim *sim, const struct words *words, struct buffer *answer)
{
	struct line *line;
	struct unit *unit;
	enum table table;
	uint16_t values[REGISTERS_MAX];
	uint32_t address = 0, count = 0;
	if (find_unit(sim, words, &line, &unit, answer) < 0 ||
		find_register(words, &table, &address, answer) < 0 ||
		parse_values(words, table, values, &count, answer) < 0)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		if (address + i > UINT16_MAX ||
			unit_set(unit, table, (uint16_t)(address + i), values[i]) < 0)
			return refuse(answer, "unit %u has no %s %u", unit->id, table_name(table),
				address + i);
	}
	buffer_printf(answer, "{\"set\":%u}", count);
	return 0;
}

static int run_faults(struct sim *sim, const struct words *words, struct buffer *answer)
{
	buffer_put_byte(answer, '[');
	list_for_each (link, &sim->faults) {
		if (link != sim->faults.next)
			buffer_put_byte(answer, ',');
		fault_print(container_of(link, struct fault, link), answer);
	}
	buffer_put_byte(answer, ']');
	return 0;
}

static int run_clear(struct sim *sim, const struct words *words, struct buffer *answer)
{
	uint32_t number = 0, cleared = 0;
	if (words->count > 1 &&
		parse_whole(words->plain[1], "number of a fault", UINT32_MAX, &number, answer) < 0)
		return -EINVAL;
	list_for_each (link, &sim->faults) {
		struct fault *fault = container_of(link, struct fault, link);
		if (words->count > 1 && fault->number != number)
			continue;
		fault_destroy(fault);
		cleared++;
	}
	if (words->count > 1 && !cleared)
		return refuse(answer, "there is no fault %u", number);
	buffer_printf(answer, "{\"cleared\":%u}", cleared);
	return 0;
}

static int find_line(
	const struct sim *sim, const struct words *words, struct line **line, struct buffer *answer)
{
	const char *name = word_at(words, 1);
	*line = name ? sim_line(sim, name) : NULL;
	return *line ? 0 : refuse(answer, "there is no line '%s'", name ? name : "");
}

static int run_unplug(struct sim *sim, const struct words *words, struct buffer *answer)
{
	struct line *line;
	if (find_line(sim, words, &line, answer) < 0)
		return -EINVAL;
	if (line_unplug(line) < 0)
		return refuse(answer, "line %s is unplugged already", line->name);
	buffer_put_text(answer, "{\"plugged\":false}");
	return 0;
}

static int run_replug(struct sim *sim, const struct words *words, struct buffer *answer)
{
	struct line *line;
	if (find_line(sim, words, &line, answer) < 0)
		return -EINVAL;
	int result = line_plug(line);
	if (result < 0)
		return refuse(answer, "line %s: %s", line->name,
			result == -EALREADY ? "is plugged already" : strerror(-result));
	buffer_put_text(answer, "{\"plugged\":true}");
	return 0;
}

/* All lines, or the one that is named. */
static int run_stats(struct sim *sim, const struct words *words, struct buffer *answer)
{
	struct line *line;
	if (words->count > 1) {
		if (find_line(sim, words, &line, answer) < 0)
			return -EINVAL;
		line_print(line, answer);
		return 0;
	}
	buffer_printf(answer, "{\"us\":%lld,\"lines\":[", (long long)loop_now(sim->loop));
	list_for_each (link, &sim->lines) {
		if (link != sim->lines.next)
			buffer_put_byte(answer, ',');
		line_print(container_of(link, struct line, link), answer);
	}
	buffer_put_text(answer, "]}");
	return 0;
}

static int run_mark(struct sim *sim, const struct words *words, struct buffer *answer)
{
	struct line *only = NULL;
	if (words->count > 1 && find_line(sim, words, &only, answer) < 0)
		return -EINVAL;
	list_for_each (link, &sim->lines) {
		struct line *line = container_of(link, struct line, link);
		if (!only || line == only)
			line_mark(line);
	}
	buffer_printf(answer, "{\"us\":%lld}", (long long)loop_now(sim->loop));
	return 0;
}

static int prepare_wait(
	struct sim *sim, const struct words *words, struct buffer *answer, struct wait **result)
{
	OWNED struct wait *wait = must_alloc(sizeof(*wait));
	struct unit *unit;
	uint32_t address = 0, times = 1, value = 0;
	double seconds = TIMEOUT_S;
	wait->write = strcmp(words->plain[0], "wait-write") == 0;
	if (find_unit(sim, words, &wait->line, &unit, answer) < 0)
		return -EINVAL;
	if (wait->write && find_register(words, &wait->table, &address, answer) < 0)
		return -EINVAL;
	if (words->times && parse_whole(words->times, "count", UINT32_MAX, &times, answer) < 0)
		return -EINVAL;
	if (words->value && parse_whole(words->value, "value", UINT16_MAX, &value, answer) < 0)
		return -EINVAL;
	if (words->timeout && !parse_real(words->timeout, 0, 86400, &seconds))
		return refuse(answer, "timeout: seconds from 0 to 86400");
	wait->unit = unit->id;
	wait->address = (uint16_t)address;
	wait->count = times;
	wait->with_value = words->value != NULL;
	wait->value = (uint16_t)value;
	wait->timeout_us = (int64_t)(seconds * USEC_PER_SEC);
	*result = TAKE(wait);
	return 0;
}

static int run_fault(struct sim *sim, const char *text, struct buffer *answer)
{
	char error[160];
	int number = sim_add_fault(sim, text, error, sizeof(error));
	if (number < 0)
		return refuse(answer, "%s", error);
	buffer_printf(answer, "{\"number\":%d}", number);
	return 0;
}

int command_run(struct sim *sim, const char *text, struct buffer *answer, struct wait **wait)
{
	static const struct {
		const char *name;
		int (*run)(struct sim *sim, const struct words *words, struct buffer *answer);
	} commands[] = { { "get", run_get }, { "set", run_set }, { "faults", run_faults },
		{ "clear", run_clear }, { "unplug", run_unplug }, { "replug", run_replug },
		{ "stats", run_stats }, { "mark", run_mark } };
	struct words words;
	OWNED char *copy = must_strdup(text);
	transcript_flush(sim->transcript);
	text += strspn(text, " \t");
	/* A fault has its own keys. */
	if (strncmp(text, "fault ", 6) == 0)
		return run_fault(sim, text + 6, answer);
	if (split(copy, &words, answer) < 0)
		return -EINVAL;
	if (!words.count)
		return refuse(answer, "an empty command");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(words.plain[0], commands[i].name) == 0)
			return commands[i].run(sim, &words, answer);
	}
	if (strcmp(words.plain[0], "wait-write") == 0 ||
		strcmp(words.plain[0], "wait-requests") == 0)
		return prepare_wait(sim, &words, answer, wait);
	return refuse(answer,
		"'%s' is no command: set get fault faults clear unplug replug stats mark "
		"wait-write wait-requests",
		words.plain[0]);
}
