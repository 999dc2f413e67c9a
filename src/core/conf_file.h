/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file, from its text to a tree of nodes. */
#ifndef EB_CORE_CONF_FILE_H
#define EB_CORE_CONF_FILE_H

#include <stdbool.h>

#include "core/conf_node.h"

/* The most bytes of one file. */
#define CONF_FILE_MAX (64u << 20)

struct conf_source {
	const char *file; /* as places name it; owned by whoever has the configuration */
	bool open_to_others; /* any user of the machine can read it */
	struct node root; /* a group; bad where the file could not be parsed */
};

void conf_source_finish(struct conf_source *source);
/* Reads source->file.  What is wrong goes to the problems; the root is usable as far as it goes. */
void conf_source_read(struct conf_source *source, struct problems *problems);
/* The same from a text in memory. */
void conf_source_parse(
	struct conf_source *source, const char *text, size_t size, struct problems *problems);

#endif
