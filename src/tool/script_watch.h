/* SPDX-License-Identifier: Apache-2.0 */
/* Which of some files were saved, for "enos-bridge script test --watch". */
#ifndef EB_TOOL_SCRIPT_WATCH_H
#define EB_TOOL_SCRIPT_WATCH_H

#include <stdbool.h>
#include <stddef.h>

struct script_watch;

/* The directories of the files are watched, since many editors replace a file.  NULL with errno. */
struct script_watch *script_watch_create(char *const *files, size_t count);
void script_watch_destroy(struct script_watch *watch);
/*
 * Waits until some are saved; changed[i] says whether number i is among them.  What follows within a
 * moment counts as one save.  0, or -errno.
 */
int script_watch_wait(struct script_watch *watch, bool *changed);

#endif
