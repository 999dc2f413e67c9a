/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of the control socket, for people and shell scripts. */
#ifndef SIM_CLOUD_CLIENT_H
#define SIM_CLOUD_CLIENT_H

/*
 * Asks the simulator at the socket what the words say ("wait-reading dk1 voltage --timeout 10") and
 * prints the answer.  Returns the exit status: 0 done, 1 refused or timed out, 2 the words make no
 * request, 3 nobody answers.
 */
int client_run(const char *path, int count, char **words);

#endif
