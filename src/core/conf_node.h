/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration file as a tree of nodes, each of which knows where it stands.  All that checks and
 * uses a configuration works on these; libconfig is known to conf_file.c alone.
 */
#ifndef EB_CORE_CONF_NODE_H
#define EB_CORE_CONF_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "core/problem.h"
#include "util/buffer.h"

enum node_type {
	NODE_BAD, /* was already reported: pass over it */
	NODE_INTEGER,
	NODE_REAL,
	NODE_BOOLEAN,
	NODE_TEXT,
	NODE_ARRAY, /* [ ]: scalars of one type */
	NODE_LIST, /* ( ): anything */
	NODE_GROUP, /* { } */
};

struct node {
	char *key; /* NULL: an item of an array or a list */
	enum node_type type;
	struct place place;
	int64_t integer; /* boolean: 0 or 1 */
	double real;
	char *text;
	struct node *items; /* of an array, a list or a group, in their order */
	size_t count;
};

void node_finish(struct node *node);
/* The node of that key in a group, or NULL. */
const struct node *node_find(const struct node *group, const char *key);
/* "an integer", "a group { }", ... */
const char *node_type_name(enum node_type type);
/* Appends the node as a value (util/value.h): a group becomes a map; what is bad becomes null. */
void node_put_value(const struct node *node, struct buffer *value);

#endif
