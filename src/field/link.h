/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link carries bytes: a serial port, a TCP connection, or a test's own.  It knows no frames and
 * keeps no time; what it does never blocks.
 */
#ifndef EB_FIELD_LINK_H
#define EB_FIELD_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/conf.h"
#include "core/resolver.h"
#include "util/loop.h"

/* Room for the text that says why a link is down. */
#define LINK_WHY_MAX 160

struct link;

/* What a link tells its owner: always from the loop, never from within a call to the link. */
struct link_events {
	void (*opened)(void *owner);
	/* It did not open, and is closed. */
	void (*failed)(void *owner, const char *why);
	/* There are bytes, or an end that read() will tell of. */
	void (*readable)(void *owner);
	/* After a write() that took less than all: there is room again. */
	void (*writable)(void *owner);
};

struct link_ops {
	/*
	 * Returns 0 where it is open, -EINPROGRESS where opened() or failed() follows, else -errno
	 * with the reason in why (LINK_WHY_MAX bytes).
	 */
	int (*open)(struct link *link, char *why);
	/* Bytes read, 0 where there are none now, or -errno: the link is lost and wants closing. */
	ssize_t (*read)(struct link *link, void *bytes, size_t room);
	/* Bytes taken, maybe fewer than size, or -errno as with read(). */
	ssize_t (*write)(struct link *link, const void *bytes, size_t size);
	/* Harmless where it is closed.  What was not sent yet is dropped. */
	void (*close)(struct link *link);
	void (*destroy)(struct link *link);
	/* Where it leads and what errno of read() or write() means there, into why. */
	void (*explain)(const struct link *link, int error, char *why);
};

struct link {
	const struct link_ops *ops;
	const struct link_events *events; /* set by the owner before open() */
	void *owner;
	/* Set by open(): a real UART, whose bytes take the time that the baud rate says. */
	bool paced;
};

struct link *link_serial_create(struct loop *loop, const struct conf_link *conf);
struct link *link_tcp_create(
	struct loop *loop, struct resolver_client *resolver, const struct conf_link *conf);

#endif
