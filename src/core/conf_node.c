/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_node.h"

#include <stdlib.h>
#include <string.h>

#include "util/value.h"

void node_finish(struct node *node)
{
	for (size_t i = 0; i < node->count; i++)
		node_finish(&node->items[i]);
	free(node->items);
	free(node->key);
	free(node->text);
	*node = (struct node){ .type = NODE_BAD };
}

const struct node *node_find(const struct node *group, const char *key)
{
	for (size_t i = 0; group->type == NODE_GROUP && i < group->count; i++) {
		if (strcmp(group->items[i].key, key) == 0)
			return &group->items[i];
	}
	return NULL;
}

const char *node_type_name(enum node_type type)
{
	static const char *const names[] = { "unreadable", "an integer", "a real number",
		"a boolean", "a text", "an array [ ]", "a list ( )", "a group { }" };
	return names[type];
}

static void put_items(const struct node *node, struct buffer *value)
{
	for (size_t i = 0; i < node->count; i++) {
		if (node->type == NODE_GROUP)
			value_put_text(value, node->items[i].key);
		node_put_value(&node->items[i], value);
	}
}

void node_put_value(const struct node *node, struct buffer *value)
{
	switch (node->type) {
	case NODE_BAD:
		value_put_null(value);
		break;
	case NODE_INTEGER:
		value_put_integer(value, node->integer);
		break;
	case NODE_REAL:
		value_put_real(value, node->real);
		break;
	case NODE_BOOLEAN:
		value_put_bool(value, node->integer != 0);
		break;
	case NODE_TEXT:
		value_put_text(value, node->text);
		break;
	case NODE_ARRAY:
	case NODE_LIST:
		value_put_list(value, (uint32_t)node->count);
		put_items(node, value);
		break;
	case NODE_GROUP:
		value_put_map(value, (uint32_t)node->count);
		put_items(node, value);
		break;
	}
}
