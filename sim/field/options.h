/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: what to simulate, or what to ask a simulation that runs. */
#ifndef EB_SIM_FIELD_OPTIONS_H
#define EB_SIM_FIELD_OPTIONS_H

#include "sim/field/sim.h"

struct options {
	const char *control; /* client: the socket to ask at */
	char *const *commands; /* client */
	int command_count;
	const char *socket, *transcript, *port_file;
};

/*
 * Reads the command line and adds what it and the files that it names describe to the simulation.
 * Returns 0, or the exit status plus 1 where there is nothing to run: 1 after --help, 65 after an
 * error, which was printed.
 */
int options_read(struct options *options, struct sim *sim, int argc, char **argv);

#endif
