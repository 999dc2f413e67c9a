/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_section.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/conf.h"
#include "util/alloc.h"
#include "util/hex.h"

#define ALL_VARIANTS UINT32_MAX

/* What reading one group works on. */
struct reader {
	const struct section *section;
	const struct node *group;
	void *target;
	uint32_t variants; /* the one that is configured, as a set; all where that is unknown */
	struct problems *problems;
};

static void *slot_of(const struct field *field, void *target)
{
	return (char *)target + field->offset;
}

static void put_text(const struct field *field, void *target, const char *text)
{
	char **slot = slot_of(field, target);
	free(*slot);
	*slot = must_strdup(text);
}

static void put_number(const struct field *field, void *target, int64_t number)
{
	uint64_t bits = (uint64_t)number;
	uint8_t byte = (uint8_t)bits;
	uint16_t half = (uint16_t)bits;
	uint32_t word = (uint32_t)bits;
	const void *from = field->size == 1 ? (const void *)&byte
		: field->size == 2          ? (const void *)&half
		: field->size == 4          ? (const void *)&word
					    : (const void *)&bits;
	/* A field without a place, like the one choice of security, is checked only. */
	memcpy(slot_of(field, target), from, field->size);
}

static void put_real(const struct field *field, void *target, double real)
{
	memcpy(slot_of(field, target), &real, sizeof(real));
}

static void free_texts(char **texts)
{
	for (char **text = texts; text && *text; text++)
		free(*text);
	free(texts);
}

static int answer_number(const char *word)
{
	return strcmp(word, "auto") == 0 ? ANSWER_AUTO : -1;
}

static int put_bytes(const struct field *field, void *target, const char *digits)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	if (hex_parse(&bytes, digits) < 0 || bytes.size != field->size)
		return -EINVAL;
	memcpy(slot_of(field, target), bytes.data, field->size);
	return 0;
}

static void set_default(const struct field *field, void *target)
{
	const char *word = field->fallback;
	switch (field->kind) {
	case FIELD_TEXT:
	case FIELD_SECRET:
		put_text(field, target, word);
		break;
	case FIELD_NUMBER:
		put_number(field, target, llrint(strtod(word, NULL) * (double)field->scale));
		break;
	case FIELD_BOOLEAN:
		put_number(field, target, strcmp(word, "true") == 0);
		break;
	case FIELD_CHOICE:
		put_number(field, target, choice_number(field->choices, word));
		break;
	case FIELD_ANSWER:
		put_number(field, target, answer_number(word));
		break;
	case FIELD_BYTES:
		put_bytes(field, target, word);
		break;
	case FIELD_REAL:
		put_real(field, target, strtod(word, NULL));
		break;
	case FIELD_TEXTS:
	case FIELD_RANGE:
	case FIELD_NUMBERS:
	case FIELD_GROUP:
	case FIELD_GROUPS:
		break;
	}
}

void section_defaults(const struct section *section, void *target)
{
	for (const struct field *field = section->fields; field->key; field++) {
		if (field->fallback)
			set_default(field, target);
	}
}

void section_finish(const struct section *section, void *target)
{
	for (const struct field *field = section->fields; field->key; field++) {
		void *slot = slot_of(field, target);
		if (field->kind == FIELD_TEXT || field->kind == FIELD_SECRET)
			free(*(char **)slot);
		else if (field->kind == FIELD_TEXTS)
			free_texts(*(char ***)slot);
	}
}

static bool is_exchanged(const struct node *range)
{
	return (range->type == NODE_ARRAY || range->type == NODE_LIST) && range->count == 2 &&
		range->items[0].type == NODE_INTEGER && range->items[1].type == NODE_INTEGER &&
		range->items[0].integer > range->items[1].integer;
}

static void refuse_type(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	OWNED_BUFFER must = BUFFER_EMPTY;
	field_describe(field, &must);
	/* Of a range the type says little. */
	if (field->kind == FIELD_RANGE && is_exchanged(node))
		problem_error(reader->problems, node->place,
			"%s has its ends exchanged: write [ %" PRId64 ", %" PRId64 " ]", field->key,
			node->items[1].integer, node->items[0].integer);
	else if (field->kind == FIELD_RANGE)
		problem_error(reader->problems, node->place, "%s must be %s", field->key,
			buffer_text(&must));
	else
		problem_error(reader->problems, node->place, "%s is %s: it must be %s", field->key,
			node_type_name(node->type), buffer_text(&must));
}

/* The 502 of "10.0.0.7:502", or NULL; what has more colons was meant for an IPv6 address. */
static const char *port_behind(const char *host)
{
	const char *colon = strchr(host, ':');
	if (!colon || colon == host || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")])
		return NULL;
	return colon + 1;
}

/* Whether the text has the field's length and form. */
static bool check_text(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	size_t size = strlen(node->text);
	OWNED_BUFFER quoted = BUFFER_EMPTY;
	if (field->kind != FIELD_SECRET) {
		buffer_put_byte(&quoted, ' ');
		quote_put(&quoted, node->text);
	}
	if ((int64_t)size < field->min)
		problem_error(reader->problems, node->place, "%s is empty: write %s", field->key,
			form_describe(field->form));
	else if ((int64_t)size > field->max)
		problem_error(reader->problems, node->place,
			"%s has %zu bytes: it must have at most %" PRId64, field->key, size,
			field->max);
	else if (!form_matches(field->form, node->text) && field->form == FORM_HOST &&
		port_behind(node->text))
		problem_error(reader->problems, node->place, "%s%s: write the port as port = %s",
			field->key, buffer_text(&quoted), port_behind(node->text));
	else if (!form_matches(field->form, node->text))
		problem_error(reader->problems, node->place, "%s%s is not allowed: it must be %s",
			field->key, buffer_text(&quoted), form_describe(field->form));
	else
		return true;
	return false;
}

static void read_text(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	if (node->type != NODE_TEXT)
		refuse_type(reader, field, node);
	else if (check_text(reader, field, node))
		put_text(field, reader->target, node->text);
}

static void read_texts(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	if (node->type != NODE_ARRAY && node->type != NODE_LIST) {
		refuse_type(reader, field, node);
		return;
	}
	char **texts = must_array(node->count + 1, sizeof(*texts));
	size_t count = 0;
	for (size_t i = 0; i < node->count; i++) {
		const struct node *item = &node->items[i];
		if (item->type != NODE_TEXT && item->type != NODE_BAD)
			problem_error(reader->problems, item->place,
				"an item of %s is %s: it must be a text: %s", field->key,
				node_type_name(item->type), form_describe(field->form));
		else if (item->type == NODE_TEXT && check_text(reader, field, item))
			texts[count++] = must_strdup(item->text);
	}
	char ***slot = slot_of(field, reader->target);
	free_texts(*slot);
	*slot = texts;
}

static void refuse_range(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	OWNED_BUFFER range = BUFFER_EMPTY;
	field_describe_range(field, &range);
	if (node->type == NODE_REAL)
		problem_error(reader->problems, node->place, "%s is %g: it must be %s", field->key,
			node->real, buffer_text(&range));
	else
		problem_error(reader->problems, node->place, "%s is %" PRId64 ": it must be %s",
			field->key, node->integer, buffer_text(&range));
}

static void read_number(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	double number = node->type == NODE_REAL ? node->real : (double)node->integer;
	double stored = nearbyint(number * (double)field->scale);
	if (node->type != NODE_INTEGER && (node->type != NODE_REAL || field->scale == 1))
		refuse_type(reader, field, node);
	else if (stored < (double)field->min || stored > (double)field->max)
		refuse_range(reader, field, node);
	else
		put_number(field, reader->target, (int64_t)stored);
}

/* libconfig makes no infinity of what it reads, save of a number that is too large. */
static bool read_real(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	double real = node->type == NODE_REAL ? node->real : (double)node->integer;
	if ((node->type != NODE_REAL && node->type != NODE_INTEGER) || !isfinite(real))
		return false;
	put_real(field, reader->target, real);
	return true;
}

static void refuse_choice(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	buffer_printf(&text, "%s is ", field->key);
	quote_put(&text, node->text);
	buffer_put_text(&text, ": it must be ");
	field_describe(field, &text);
	/* Where there is no choice, the reason is what helps. */
	if (field->kind == FIELD_CHOICE && choice_count(field->choices) == 1)
		buffer_printf(&text, ": %s", field->help);
	problem_error(reader->problems, node->place, "%s", buffer_text(&text));
}

static void read_choice(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	bool answer = field->kind == FIELD_ANSWER;
	if (answer && node->type == NODE_BOOLEAN) {
		put_number(field, reader->target, node->integer ? ANSWER_YES : ANSWER_NO);
		return;
	}
	if (node->type != NODE_TEXT) {
		refuse_type(reader, field, node);
		return;
	}
	int number = answer ? answer_number(node->text) : choice_number(field->choices, node->text);
	if (number < 0)
		refuse_choice(reader, field, node);
	else
		put_number(field, reader->target, number);
}

/* One integer, or the first and the last. */
static bool read_range(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	const struct node *first = node, *last = node;
	if (node->type == NODE_ARRAY || node->type == NODE_LIST) {
		if (node->count != 2)
			return false;
		first = &node->items[0];
		last = &node->items[1];
	}
	if (first->type != NODE_INTEGER || last->type != NODE_INTEGER ||
		first->integer > last->integer || first->integer < field->min)
		return false;
	const int64_t range[2] = { first->integer, last->integer };
	memcpy(slot_of(field, reader->target), range, sizeof(range));
	return true;
}

static bool is_list_of_groups(const struct node *node)
{
	return node->type == NODE_LIST || (node->type == NODE_ARRAY && node->count == 0);
}

static void read_field(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	bool fits = true;
	switch (field->kind) {
	case FIELD_TEXT:
	case FIELD_SECRET:
		read_text(reader, field, node);
		break;
	case FIELD_TEXTS:
		read_texts(reader, field, node);
		break;
	case FIELD_NUMBER:
		read_number(reader, field, node);
		break;
	case FIELD_BOOLEAN:
		fits = node->type == NODE_BOOLEAN;
		if (fits)
			put_number(field, reader->target, node->integer);
		break;
	case FIELD_CHOICE:
	case FIELD_ANSWER:
		read_choice(reader, field, node);
		break;
	case FIELD_BYTES:
		fits = node->type == NODE_TEXT;
		if (fits && put_bytes(field, reader->target, node->text) < 0)
			problem_error(reader->problems, node->place,
				"%s must be %zu hexadecimal digits", field->key, 2 * field->size);
		break;
	case FIELD_RANGE:
		fits = read_range(reader, field, node);
		break;
	case FIELD_REAL:
		fits = read_real(reader, field, node);
		break;
	case FIELD_NUMBERS:
		fits = node->type == NODE_ARRAY || node->type == NODE_LIST;
		break;
	case FIELD_GROUP:
		fits = node->type == NODE_GROUP;
		break;
	case FIELD_GROUPS:
		fits = is_list_of_groups(node);
		break;
	}
	if (!fits)
		refuse_type(reader, field, node);
}

/* The variant that is configured; all of them where that cannot be told. */
static uint32_t find_variants(const struct section *section, const struct node *group)
{
	if (!section->variant_key)
		return ALL_VARIANTS;
	const struct field *field = section_field(section, section->variant_key);
	const struct node *node = node_find(group, field->key);
	const char *word = node ? node->text : field->fallback;
	int number = word ? choice_number(field->choices, word) : -1;
	return number < 0 ? ALL_VARIANTS : 1u << number;
}

static bool in_variant(const struct reader *reader, const struct field *field)
{
	return !field->variants || (field->variants & reader->variants);
}

static void refuse_variant(
	const struct reader *reader, const struct field *field, const struct node *node)
{
	const struct section *section = reader->section;
	OWNED_BUFFER here = BUFFER_EMPTY, there = BUFFER_EMPTY;
	choices_put(section_field(section, section->variant_key)->choices, reader->variants, &here);
	field_describe_variants(section, field, &there);
	problem_error(reader->problems, node->place,
		"%s makes no sense with %s = %s: remove it; it goes with %s", field->key,
		section->variant_key, buffer_text(&here), buffer_text(&there));
}

void section_refuse_key(const struct section *section, const struct node *node,
	struct nearest *nearest, struct problems *problems)
{
	const struct section *inner = section->inner;
	if (nearest->best)
		problem_error(problems, node->place,
			"unknown key \"%s\" in %s: did you mean \"%s\"?", node->key, section->name,
			nearest->best);
	else if (inner && section_field(inner, node->key))
		problem_error(problems, node->place, "unknown key \"%s\" in %s: it belongs into %s",
			node->key, section->name, inner->name);
	else
		problem_error(problems, node->place,
			"unknown key \"%s\" in %s: enos-bridge.conf(5) lists the keys%s", node->key,
			section->name, nearest->hint ? nearest->hint : "");
}

static void read_node(
	const struct reader *reader, const struct node *node, struct node_list *others)
{
	const struct field *field = section_field(reader->section, node->key);
	if (field && !in_variant(reader, field)) {
		refuse_variant(reader, field, node);
	} else if (field && node->type != NODE_BAD) {
		read_field(reader, field, node);
	} else if (!field && others) {
		others->items = must_realloc(
			others->items, (others->count + 1) * sizeof(*others->items));
		others->items[others->count++] = node;
	} else if (!field) {
		struct nearest nearest = { .to = node->key };
		nearest_try_section(&nearest, reader->section);
		section_refuse_key(reader->section, node, &nearest, reader->problems);
	}
}

static void check_required(const struct reader *reader)
{
	for (const struct field *field = reader->section->fields; field->key; field++) {
		bool known = !field->variants || reader->variants != ALL_VARIANTS;
		if (!(field->flags & FIELD_REQUIRED) || !known || !in_variant(reader, field) ||
			node_find(reader->group, field->key))
			continue;
		problem_error(reader->problems, reader->group->place, "%s lacks %s: %s",
			reader->section->name, field->key, field->help);
	}
}

void section_read(const struct section *section, const struct node *group, void *target,
	struct node_list *others, struct problems *problems)
{
	struct reader reader = { .section = section,
		.group = group,
		.target = target,
		.variants = find_variants(section, group),
		.problems = problems };
	for (size_t i = 0; i < group->count; i++)
		read_node(&reader, &group->items[i], others);
	check_required(&reader);
}
