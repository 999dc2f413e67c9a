/* SPDX-License-Identifier: Apache-2.0 */
/* One question to the daemon over its control socket, and its answer. */
#ifndef EB_TOOL_CLIENT_H
#define EB_TOOL_CLIENT_H

#include "util/buffer.h"

enum client_answer {
	CLIENT_RESULT, /* text has a value: what the daemon says */
	CLIENT_REFUSED, /* text says why, in the daemon's words */
	CLIENT_UNREACHABLE, /* text says what is wrong and what to check */
};

/* Sends the request, a line of JSON without its newline, and waits at most wait_ms. */
enum client_answer client_ask(
	const char *path, const char *request, int wait_ms, struct buffer *text);

#endif
