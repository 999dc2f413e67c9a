/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_schema.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

const struct field *section_field(const struct section *section, const char *key)
{
	for (const struct field *field = section->fields; field->key; field++) {
		if (strcmp(field->key, key) == 0)
			return field;
	}
	return NULL;
}

/* The word at *at in "a|b|c", which then moves on; its length, or -1 behind the last. */
static int next_choice(const char **at, const char **word)
{
	if (!*at)
		return -1;
	*word = *at;
	const char *bar = strchr(*at, '|');
	*at = bar ? bar + 1 : NULL;
	return bar ? (int)(bar - *word) : (int)strlen(*word);
}

int choice_number(const char *choices, const char *word)
{
	const char *at = choices, *choice;
	int size;
	for (int number = 0; (size = next_choice(&at, &choice)) >= 0; number++) {
		if (strlen(word) == (size_t)size && memcmp(word, choice, (size_t)size) == 0)
			return number;
	}
	return -1;
}

int choice_count(const char *choices)
{
	const char *at = choices, *choice;
	int count = 0;
	while (next_choice(&at, &choice) >= 0)
		count++;
	return count;
}

void choice_put(const char *choices, int number, struct buffer *text)
{
	const char *at = choices, *choice = "";
	int size = 0;
	for (int i = 0; i <= number && size >= 0; i++)
		size = next_choice(&at, &choice);
	if (size > 0)
		buffer_put(text, choice, (size_t)size);
}

void choices_put(const char *choices, uint32_t set, struct buffer *text)
{
	int count = choice_count(choices);
	set &= (uint32_t)((UINT64_C(1) << count) - 1);
	for (int i = 0; i < count; i++) {
		if (!(set & 1u << i))
			continue;
		set &= ~(1u << i);
		buffer_put_byte(text, '"');
		choice_put(choices, i, text);
		buffer_put_byte(text, '"');
		if (set)
			buffer_put_text(text, set & (set - 1) ? ", " : " or ");
	}
}

const char *form_describe(enum field_form form)
{
	switch (form) {
	case FORM_ANY:
		return "characters that can be printed";
	case FORM_NAME:
		return "letters, digits, '-', '_' and '.'";
	case FORM_PLUGIN:
		return "lower-case letters, digits and '-'";
	case FORM_FILE:
		return "a file name without '/'";
	case FORM_PATH:
		return "an absolute path";
	case FORM_HOST:
		return "a host name or a numeric address";
	case FORM_KEY:
		return "letters, digits and signs other than '/', '+', '#', '\"', '\\' and ','";
	case FORM_TOPIC:
		return "levels of a topic, without '+', '#', blanks, and '/' at either end";
	case FORM_TOKEN:
		return "visible ASCII characters";
	}
	return "";
}

void field_describe_range(const struct field *field, struct buffer *text)
{
	double scale = (double)field->scale;
	buffer_printf(
		text, "%.10g to %.10g", (double)field->min / scale, (double)field->max / scale);
	if (field->unit)
		buffer_printf(text, " %s", field->unit);
}

void field_describe(const struct field *field, struct buffer *text)
{
	switch (field->kind) {
	case FIELD_TEXT:
	case FIELD_SECRET:
		buffer_printf(text, "a text of %" PRId64 " to %" PRId64 " bytes: %s", field->min,
			field->max, form_describe(field->form));
		break;
	case FIELD_TEXTS:
		buffer_printf(text, "an array of texts, each %s", form_describe(field->form));
		break;
	case FIELD_NUMBER:
		buffer_put_text(text, field->scale > 1 ? "a number, " : "an integer, ");
		field_describe_range(field, text);
		break;
	case FIELD_BOOLEAN:
		buffer_put_text(text, "true or false");
		break;
	case FIELD_CHOICE:
		choices_put(field->choices, UINT32_MAX, text);
		break;
	case FIELD_ANSWER:
		buffer_put_text(text, "true, false or \"auto\"");
		break;
	case FIELD_BYTES:
		buffer_printf(text, "a text of %zu hexadecimal digits", 2 * field->size);
		break;
	case FIELD_REAL:
		buffer_put_text(text, "a number");
		break;
	case FIELD_NUMBERS:
		buffer_put_text(text, "an array [ ] of numbers");
		break;
	case FIELD_GROUP:
		buffer_put_text(text, "a group { }");
		break;
	case FIELD_RANGE:
		buffer_put_text(text,
			field->min == 0 ? "an integer from 0, or [ first, last ]"
					: "an integer, or [ least, greatest ]");
		break;
	case FIELD_GROUPS:
		buffer_put_text(text, "a list ( ) of groups { }");
		break;
	}
}

void field_describe_variants(
	const struct section *section, const struct field *field, struct buffer *text)
{
	if (!field->variants)
		return;
	buffer_printf(text, "%s = ", section->variant_key);
	choices_put(section_field(section, section->variant_key)->choices, field->variants, text);
}
