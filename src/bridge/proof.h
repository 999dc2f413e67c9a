/* SPDX-License-Identifier: Apache-2.0 */
/* A script is loaded for use only where it can be, and where its fixtures pass. */
#ifndef EB_BRIDGE_PROOF_H
#define EB_BRIDGE_PROOF_H

#include "core/conf.h"
#include "script/script.h"

/*
 * Loads the file.  0, or -EINVAL with the problem: file, line, and the line of the source.
 */
int proof_load(struct script **script, const char *path, const struct conf *conf,
	struct problems *problems);
/*
 * Runs the fixtures beside it, where there are any and conf->scripts.fixtures asks for that.  0, or
 * -EINVAL with the problems; warnings may be there in both cases.
 */
int proof_run(const char *path, const struct conf *conf, struct problems *problems);
/* Adds what was found of a script, each with the line of its source that it is about. */
void proof_add(struct problems *problems, const struct problems *found, const char *path);

#endif
