/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of the configuration, as tables: what it may be, what it is when it is left out, and
 * where it goes.  Reading, checking and docs/configuration.md all follow these tables.
 */
#ifndef EB_CORE_CONF_SCHEMA_H
#define EB_CORE_CONF_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

enum field_kind {
	FIELD_TEXT, /* char * */
	FIELD_TEXTS, /* char **, NULL-terminated; an array of texts */
	FIELD_NUMBER, /* unsigned integer of size bytes */
	FIELD_BOOLEAN, /* bool */
	FIELD_CHOICE, /* an enum that counts up in the order of choices */
	FIELD_ANSWER, /* enum conf_answer: true, false or "auto" */
	FIELD_BYTES, /* size bytes, from hexadecimal digits */
	FIELD_RANGE, /* int64_t[2]; one integer or [ first, last ] */
	FIELD_REAL, /* double, any that is finite */
	FIELD_NUMBERS, /* an array of numbers, read by whoever reads the section; */
	FIELD_GROUP, /* so are these two */
	FIELD_GROUPS,
	FIELD_SECRET, /* char *, which no message shows */
};

/* What characters a text may have. */
enum field_form {
	FORM_ANY, /* all that can be printed */
	FORM_NAME, /* a level of MQTT topics */
	FORM_PLUGIN,
	FORM_FILE, /* no slash */
	FORM_PATH, /* begins with a slash; "" where the shortest length allows it */
	FORM_HOST,
	FORM_KEY, /* a product or device key: a level of topics, a segment of a CoAP path */
	FORM_TOPIC,
	FORM_TOKEN, /* visible ASCII */
};

#define FIELD_REQUIRED 1u

struct field {
	const char *key;
	enum field_kind kind;
	uint32_t flags;
	uint32_t variants; /* set of 1 << number of the variant key's choice; 0: all of them */
	size_t offset, size; /* in the struct of the section */
	enum field_form form;
	int64_t min, max; /* of a number, as it is stored; of a text its bytes */
	int64_t scale; /* what is stored is number * scale; above 1, fractions may be written */
	const char *unit; /* of a number: "s", "ms", "bytes"; NULL: a count */
	const char *choices; /* "none|even|odd" */
	const char *fallback; /* what stands for it when it is left out, as it is written */
	const char *otherwise; /* the same in words, where it depends on something else */
	const char *help;
};

struct section {
	const char *name;
	const struct field *fields; /* ends with key NULL */
	const char *variant_key; /* of one of its choices the variants speak; NULL: none */
	const struct section *inner; /* of a group in it: where a key that is unknown may belong */
};

extern const struct section gateway_section, scripts_section, enos_section, mqtt_section,
	spool_section;
extern const struct section link_section, bus_section, device_section, device_enos_section,
	rule_section, read_back_section, point_section;
/* The file itself: its groups and lists. */
extern const struct section file_section;
/* All of these, NULL-terminated. */
extern const struct section *const conf_sections[];

const struct field *section_field(const struct section *section, const char *key);
/* The place of a word in "a|b|c", or -1; the word of a place. */
int choice_number(const char *choices, const char *word);
int choice_count(const char *choices);
void choice_put(const char *choices, int number, struct buffer *text);

/* "none", "even" or "odd"; of the choices whose bits are in set. */
void choices_put(const char *choices, uint32_t set, struct buffer *text);

/* "30 to 86400 s" */
void field_describe_range(const struct field *field, struct buffer *text);
/* What it may be, in words: "integer, 30 to 86400 s". */
void field_describe(const struct field *field, struct buffer *text);
/* "type = "serial"", of a field that not all variants have; nothing for others. */
void field_describe_variants(
	const struct section *section, const struct field *field, struct buffer *text);
const char *form_describe(enum field_form form);

#endif
