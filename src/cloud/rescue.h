/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with a database that is damaged. */
#ifndef EB_CLOUD_RESCUE_H
#define EB_CLOUD_RESCUE_H

#include "core/message.h"

/*
 * Renames the closed database at path, and its log, to a name that nothing has yet: *aside, which the
 * caller frees.  0, or -EIO with nothing changed.
 */
int rescue_set_aside(const char *path, char **aside);
/* Removes all that were set aside but the newest few. */
void rescue_prune(const char *path);
/* Undoes it. */
void rescue_put_back(const char *path, const char *aside);
typedef int rescue_keep(void *context, uint64_t id, uint64_t device, const struct report *report);
/*
 * Calls keep with each report that can be read of the database, in the order of their ids.  Where nothing
 * can, the first page of the database at model, which was checkpointed, stands in for its own.  0, or what
 * keep returned if that was not 0.
 */
int rescue_rows(const char *path, const char *model, rescue_keep *keep, void *context);

#endif
