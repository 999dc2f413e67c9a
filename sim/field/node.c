/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct node node_root(const void *data, size_t size, char *problem, size_t room)
{
	struct value_reader reader = value_reader(data, size);
	problem[0] = 0;
	return (struct node){ reader.at, reader.end, problem, room, "" };
}

static bool header(const struct node *node, struct value_reader *reader, struct value *value)
{
	*reader = value_reader(node->at, (size_t)(node->end - node->at));
	return value_next(reader, value);
}

enum value_type node_type(const struct node *node)
{
	struct value_reader reader;
	struct value value;
	return header(node, &reader, &value) ? value.type : VALUE_NULL;
}

void node_wrong(const struct node *node, const char *format, ...)
{
	if (node_failed(node))
		return;
	char reason[200];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	const char *path = node->path[0] == '.' ? node->path + 1 : node->path;
	snprintf(node->problem, node->room, "%s%s%s", path, *path ? ": " : "", reason);
}

/* The node of the value that stands next. */
static struct node next_value(const struct node *parent, struct value_reader *reader)
{
	struct node child = { .at = reader->at, .problem = parent->problem, .room = parent->room };
	value_skip(reader);
	child.end = reader->at;
	return child;
}

struct node_walk node_begin(const struct node *node, enum value_type type)
{
	struct node_walk walk = { .pairs = type == VALUE_MAP };
	struct value value;
	if (header(node, &walk.reader, &value) && value.type == type)
		walk.left = value.size;
	else
		node_wrong(node,
			type == VALUE_MAP ? "an object {...} is wanted here"
					  : "a list [...] is wanted here");
	return walk;
}

/* A path that is too long is cut: it is for people. */
static void place(struct node *child, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void place(struct node *child, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(child->path, sizeof(child->path), format, arguments);
	va_end(arguments);
}

bool node_next(
	const struct node *node, struct node_walk *walk, const char **key, struct node *child)
{
	struct value name;
	if (!walk->left)
		return false;
	walk->left--;
	if (walk->pairs && (!value_next(&walk->reader, &name) || name.type != VALUE_STRING))
		return false;
	*child = next_value(node, &walk->reader);
	if (walk->pairs) {
		*key = name.text;
		place(child, "%s.%s", node->path, name.text);
	} else {
		place(child, "%s[%zu]", node->path, walk->index++);
	}
	return true;
}

bool node_child(const struct node *node, const char *key, struct node *child)
{
	struct node_walk walk = node_begin(node, VALUE_MAP);
	const char *name;
	while (node_next(node, &walk, &name, child)) {
		if (strcmp(name, key) == 0)
			return true;
	}
	return false;
}

static bool is_among(const char *key, const char *words)
{
	size_t length = strlen(key);
	for (const char *at = words; (at = strstr(at, key)); at += length) {
		bool begins = at == words || at[-1] == ' ';
		if (length && begins && (at[length] == ' ' || !at[length]))
			return true;
	}
	return false;
}

void node_check(const struct node *node, const char *known)
{
	struct node_walk walk = node_begin(node, VALUE_MAP);
	const char *key;
	struct node child;
	while (node_next(node, &walk, &key, &child)) {
		if (!is_among(key, known))
			node_wrong(&child, "unknown key; known here: %s", known);
	}
}

const char *node_text(const struct node *node)
{
	struct value_reader reader;
	struct value value;
	if (header(node, &reader, &value) && value.type == VALUE_STRING)
		return value.text;
	node_wrong(node, "a string is wanted here");
	return "";
}

int64_t node_integer(const struct node *node, int64_t min, int64_t max)
{
	struct value_reader reader;
	struct value value;
	if (header(node, &reader, &value) && value.type == VALUE_INTEGER && value.integer >= min &&
		value.integer <= max)
		return value.integer;
	node_wrong(node, "an integer from %lld to %lld is wanted here", (long long)min,
		(long long)max);
	return min;
}

double node_real(const struct node *node, double min, double max)
{
	struct value_reader reader;
	struct value value = { .type = VALUE_NULL };
	header(node, &reader, &value);
	bool number = value.type == VALUE_INTEGER || value.type == VALUE_REAL;
	double real = value.type == VALUE_INTEGER ? (double)value.integer : value.real;
	if (number && real >= min && real <= max)
		return real;
	node_wrong(node, "a number from %g to %g is wanted here", min, max);
	return min;
}

bool node_bool(const struct node *node)
{
	enum value_type type = node_type(node);
	if (type != VALUE_TRUE && type != VALUE_FALSE)
		node_wrong(node, "true or false is wanted here");
	return type == VALUE_TRUE;
}

void node_get_text(const struct node *node, const char *key, const char **text)
{
	struct node child;
	if (node_child(node, key, &child))
		*text = node_text(&child);
}

void node_get_integer(
	const struct node *node, const char *key, int64_t min, int64_t max, int64_t *integer)
{
	struct node child;
	if (node_child(node, key, &child))
		*integer = node_integer(&child, min, max);
}

void node_get_real(const struct node *node, const char *key, double min, double max, double *real)
{
	struct node child;
	if (node_child(node, key, &child))
		*real = node_real(&child, min, max);
}

void node_get_bool(const struct node *node, const char *key, bool *truth)
{
	struct node child;
	if (node_child(node, key, &child))
		*truth = node_bool(&child);
}
