/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enos-bridge script ...: what an integrator does with scripts and their fixtures, without a daemon.
 * Each gets the words behind its name, with the name first, and gives the exit status.
 */
#ifndef EB_TOOL_SCRIPT_H
#define EB_TOOL_SCRIPT_H

#include "core/conf.h"

#define SCRIPT_FAILED 1
#define SCRIPT_USAGE 2

/* What a call of a script may use, as the daemon's defaults. */
extern const struct conf_scripts script_limits;

int script_main(int argc, char **argv);
int script_test(int argc, char **argv);
int script_run(int argc, char **argv);
int script_new(int argc, char **argv);

#endif
