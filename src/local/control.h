/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: a unix stream socket that takes one request a line, {"command":"status",...}, and
 * gives one answer a line, {"ok":true,"result":{...}} or {"ok":false,"error":"..."}.  Who may ask what
 * is decided by SO_PEERCRED: root and the daemon's own user everything; others, who can open the
 * socket by its mode, only look.
 */
#ifndef EB_LOCAL_CONTROL_H
#define EB_LOCAL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buffer.h"
#include "util/loop.h"
#include "util/value.h"

struct control;

/* One request that waits for its answer. */
struct control_request {
	const char *command;
	const void *arguments; /* value, a map: the whole request */
	size_t size;
	bool privileged;
	uint64_t token; /* names the request in control_answer() */
};

struct control_setup {
	struct loop *loop;
	const char *path; /* an old socket that nobody listens on is replaced */
	void *context;
	/* Answers at once or later, by the token; a client that went away is no error. */
	void (*request)(void *context, const struct control_request *request);
};

int control_create(struct control **control, const struct control_setup *setup);
/* Closes, and removes the socket. */
void control_destroy(struct control *control);
/* json: the text of the result; copied. */
void control_answer(struct control *control, uint64_t token, const char *json);
void control_refuse(struct control *control, uint64_t token, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
