/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames around the first error of a kind, as files in state_dir/evidence: <time>-<bus>-<class>.txt,
 * each a recording, of which so many are kept.  A thread that lives while there is something to write
 * waits for the disk, so that neither the sessions nor a bus do.
 */
#ifndef EB_BRIDGE_EVIDENCE_H
#define EB_BRIDGE_EVIDENCE_H

#include "core/conf.h"
#include "core/message.h"

struct evidence_keeper;

struct evidence_keeper *evidence_keeper_create(const struct conf *conf);
/* Waits until all is written. */
void evidence_keeper_destroy(struct evidence_keeper *keeper);
/* Owns the evidence from then on. */
void evidence_keep(struct evidence_keeper *keeper, struct evidence *evidence);

#endif
