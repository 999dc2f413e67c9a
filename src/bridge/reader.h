/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the service may read what root could. */
#ifndef EB_BRIDGE_READER_H
#define EB_BRIDGE_READER_H

#include "core/conf.h"

/*
 * Warns of files of the configuration, secrets and scripts that the user cannot read.  Does nothing
 * where root does not ask, or there is no such user.  Changes the process's user meanwhile: only for
 * a process that has one thread.
 */
void reader_check(const struct conf *conf, const char *user, struct problems *problems);

#endif
