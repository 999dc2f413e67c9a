/* SPDX-License-Identifier: Apache-2.0 */
/* A master's connection to a TCP line: requests in, answers out, each at its time. */
#ifndef EB_SIM_FIELD_CONNECTION_H
#define EB_SIM_FIELD_CONNECTION_H

#include "sim/field/line.h"

struct connection;

/*
 * Takes the socket over when it returns 0, else -errno.  gone is called once, when the connection has
 * ended by itself, and has to destroy it.
 */
int connection_create(struct connection **connection, struct line *line, int fd,
	void (*gone)(void *context, struct connection *connection), void *context);
void connection_destroy(struct connection *connection);

/* Where its owner keeps it. */
struct list *connection_link(struct connection *connection);
struct connection *connection_of(struct list *link);

#endif
