/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_section.h"

#include <arpa/inet.h>
#include <string.h>

#include "util/alloc.h"

#define QUOTED_MAX 60
#define WORD_MAX 64

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool consists_of(const char *text, const char *allowed)
{
	return text[strspn(text, allowed)] == 0;
}

/* All bytes from first to last, and none of the excluded. */
static bool between(const char *text, uint8_t first, uint8_t last, const char *excluded)
{
	for (; *text; text++) {
		uint8_t byte = (uint8_t)*text;
		if (byte < first || byte > last || byte == 0x7f || strchr(excluded, *text))
			return false;
	}
	return true;
}

static bool is_topic(const char *text)
{
	size_t size = strlen(text);
	return between(text, 0x21, 0xff, "+#\"\\") && !strstr(text, "//") &&
		(!size || (text[0] != '/' && text[size - 1] != '/'));
}

/* A colon only in an IPv6 address, which may have a scope: "fe80::1%eth0". */
static bool is_host(const char *text)
{
	char address[INET6_ADDRSTRLEN] = "";
	struct in6_addr parsed;
	size_t size = strcspn(text, "%");
	if (!consists_of(text, LETTERS DIGITS ".-_:%"))
		return false;
	if (!strchr(text, ':'))
		return true;
	if (size >= sizeof(address))
		return false;
	memcpy(address, text, size);
	return inet_pton(AF_INET6, address, &parsed) == 1;
}

bool form_matches(enum field_form form, const char *text)
{
	switch (form) {
	case FORM_ANY:
		return between(text, 0x20, 0xff, "");
	case FORM_NAME:
		return consists_of(text, LETTERS DIGITS "-_.");
	case FORM_PLUGIN:
		return consists_of(text, "abcdefghijklmnopqrstuvwxyz" DIGITS "-");
	case FORM_FILE:
		return between(text, 0x20, 0xff, "/") && text[0] != '.';
	case FORM_PATH:
		return between(text, 0x20, 0xff, "") && (text[0] == '/' || !text[0]);
	case FORM_HOST:
		return is_host(text);
	case FORM_KEY:
		return between(text, 0x21, 0x7e, "/+#\"\\,");
	case FORM_TOPIC:
		return is_topic(text);
	case FORM_TOKEN:
		return between(text, 0x21, 0x7e, "");
	}
	return false;
}

void quote_put(struct buffer *buffer, const char *text)
{
	buffer_put_byte(buffer, '"');
	for (size_t i = 0; text[i] && i < QUOTED_MAX; i++) {
		bool printable = (uint8_t)text[i] >= 0x20 && text[i] != 0x7f;
		buffer_put_byte(buffer, (uint8_t)(printable ? text[i] : '?'));
	}
	buffer_put_text(buffer, strlen(text) > QUOTED_MAX ? "...\"" : "\"");
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;
	return least < c ? least : c;
}

/* How many letters must be put in, taken out or replaced (Levenshtein). */
static size_t distance(const char *from, const char *to)
{
	size_t row[WORD_MAX + 1], width = strlen(to);
	for (size_t i = 0; i <= width; i++)
		row[i] = i;
	for (size_t line = 1; from[line - 1]; line++) {
		size_t diagonal = row[0];
		row[0] = line;
		for (size_t i = 1; i <= width; i++) {
			size_t replaced = diagonal + (from[line - 1] != to[i - 1]);
			diagonal = row[i];
			row[i] = smallest(row[i] + 1, row[i - 1] + 1, replaced);
		}
	}
	return row[width];
}

void nearest_try(struct nearest *nearest, const char *candidate)
{
	size_t length = strlen(candidate);
	if (strlen(nearest->to) > WORD_MAX || length > WORD_MAX)
		return;
	size_t apart = distance(nearest->to, candidate), given = strlen(nearest->to);
	bool near = apart <= 2 && 2 * apart <= length;
	/* "timeout" for timeout_ms, "password" for password_file */
	if (!near && strncmp(candidate, nearest->to, given) == 0 && candidate[given] == '_') {
		near = true;
		apart = 2;
	}
	/* "baudrate" for baud */
	if (!near && length >= 4 && strncmp(candidate, nearest->to, length) == 0) {
		near = true;
		apart = 2;
	}
	if (near && (!nearest->best || apart < nearest->distance)) {
		nearest->best = candidate;
		nearest->distance = apart;
	}
}

void nearest_try_section(struct nearest *nearest, const struct section *section)
{
	for (const struct field *field = section->fields; field->key; field++)
		nearest_try(nearest, field->key);
}

void node_list_finish(struct node_list *list)
{
	free(list->items);
	*list = (struct node_list){ .items = NULL };
}
