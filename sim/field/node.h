/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A description's values, read by key; the first thing that is wrong is kept with its place,
 * "lines[0].units[1].baud: ...", and what was not wrong keeps its default.
 */
#ifndef EB_SIM_FIELD_NODE_H
#define EB_SIM_FIELD_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/value.h"

struct node {
	const uint8_t *at, *end; /* one value */
	char *problem; /* shared by all nodes of a description; "" while nothing is wrong */
	size_t room;
	char path[120];
};

struct node node_root(const void *data, size_t size, char *problem, size_t room);
enum value_type node_type(const struct node *node);
/* Notes that the node is wrong, and why. */
void node_wrong(const struct node *node, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline bool node_failed(const struct node *node)
{
	return node->problem[0] != 0;
}

/* The value of a map's key; false where there is none. */
bool node_child(const struct node *node, const char *key, struct node *child);
/* Notes that a map is none, or has keys that are not among the known ones, which blanks part. */
void node_check(const struct node *node, const char *known);

/* Goes through a list or, with the key of each pair, a map. */
struct node_walk {
	struct value_reader reader;
	size_t left, index;
	bool pairs;
};
struct node_walk node_begin(const struct node *node, enum value_type type);
bool node_next(
	const struct node *node, struct node_walk *walk, const char **key, struct node *child);

/* The value itself, or its default where it is of another type, which is noted. */
const char *node_text(const struct node *node);
int64_t node_integer(const struct node *node, int64_t min, int64_t max);
double node_real(const struct node *node, double min, double max);
bool node_bool(const struct node *node);

/* The same of a map's key, where it has it. */
void node_get_text(const struct node *node, const char *key, const char **text);
void node_get_integer(
	const struct node *node, const char *key, int64_t min, int64_t max, int64_t *integer);
void node_get_real(const struct node *node, const char *key, double min, double max, double *real);
void node_get_bool(const struct node *node, const char *key, bool *truth);

#endif
