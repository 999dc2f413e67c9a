/* SPDX-License-Identifier: Apache-2.0 */
/* A group of the configuration, read into its struct by the table of its section. */
#ifndef EB_CORE_CONF_SECTION_H
#define EB_CORE_CONF_SECTION_H

#include <stdbool.h>

#include "core/conf_node.h"
#include "core/conf_schema.h"

/* Nodes that are borrowed from a tree. */
struct node_list {
	const struct node **items;
	size_t count;
};

void node_list_finish(struct node_list *list);

/* What a misspelt word may have meant. */
struct nearest {
	const char *to;
	const char *best; /* NULL: nothing is near */
	size_t distance;
	const char *hint; /* said where nothing is near; NULL: none */
};

void nearest_try(struct nearest *nearest, const char *candidate);
void nearest_try_section(struct nearest *nearest, const struct section *section);

/* Sets what has a default; the struct is zeroed or has texts that can be freed. */
void section_defaults(const struct section *section, void *target);
/*
 * Reads the group's keys; every fault is a problem at its own line.  Keys that the section does not
 * know go to others, or, where that is NULL, are reported.
 */
void section_read(const struct section *section, const struct node *group, void *target,
	struct node_list *others, struct problems *problems);
/* Frees what reading and defaults allocated. */
void section_finish(const struct section *section, void *target);
/* Says that the section does not know this key, and which it may have meant. */
void section_refuse_key(const struct section *section, const struct node *node,
	struct nearest *nearest, struct problems *problems);

/* Whether the text is of that form. */
bool form_matches(enum field_form form, const char *text);
/* Appends the text between quotes, fit to be printed, cut where it is long. */
void quote_put(struct buffer *buffer, const char *text);

#endif
