/* SPDX-License-Identifier: Apache-2.0 */
/* The command line. */
#ifndef SIM_CLOUD_OPTIONS_H
#define SIM_CLOUD_OPTIONS_H

#include "sim.h"

/* Words of the command line that are for later, in their order. */
struct words {
	const char **all;
	size_t count;
};

struct options {
	struct sim_settings settings;
	struct words devices, device_files, rules, products, faults;
	const char *control_socket, *port_file, *schedule, *transcript;
	bool strict; /* exit status 1 where there were violations */
	const char *control; /* the client mode: whom to ask, and what */
	int request_count;
	char **request;
};

/*
 * Returns -1 to go on, else the exit status: 0 after --help and --version, 64 where the words are wrong,
 * which was said then.
 */
int options_parse(struct options *options, int count, char **words);
void options_finish(struct options *options);

#endif
