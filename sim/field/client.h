/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of the control socket: enos-field-sim --control SOCKET COMMAND... */
#ifndef EB_SIM_FIELD_CLIENT_H
#define EB_SIM_FIELD_CLIENT_H

/*
 * Sends the commands one by one and prints each result as a line of JSON.  Returns the exit status:
 * 0, 1 where a command was refused (the reason goes to standard error), 2 where nobody answers.
 */
int client_ask(const char *path, char *const *commands, int count);

#endif
