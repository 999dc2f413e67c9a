/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's control socket: a unix stream socket, one request a line as JSON, one answer a line,
 * {"ok":true,"result":...} or {"ok":false,"error":"..."}.  After a request to follow, lines of the
 * transcript come until the client closes.
 */
#ifndef SIM_CLOUD_CONTROL_H
#define SIM_CLOUD_CONTROL_H

#include "sim.h"

struct sim_control;
/* Returns 0 or -errno. An old socket file of the path is replaced. */
int sim_control_create(struct sim_control **control, struct sim *sim, const char *path);
/* Closes, and removes the socket. */
void sim_control_destroy(struct sim_control *control);

#endif
