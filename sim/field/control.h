/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket that commands come over: a unix stream socket, one request a line, {"command":"..."},
 * one answer a line, {"ok":true,"result":...} or {"ok":false,"error":"..."}.
 */
#ifndef EB_SIM_FIELD_CONTROL_H
#define EB_SIM_FIELD_CONTROL_H

#include "sim/field/sim.h"

struct control;

/* Listens at path; a socket that nobody listens on any more is replaced.  0 or -errno. */
int control_open(struct control **control, struct sim *sim, const char *path);
/* Closes and removes the socket; before the simulation is destroyed.  Takes NULL. */
void control_close(struct control *control);

#endif
