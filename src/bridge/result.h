/* SPDX-License-Identifier: Apache-2.0 */
/* The replies to commands: their codes and their form. */
#ifndef EB_BRIDGE_RESULT_H
#define EB_BRIDGE_RESULT_H

#include "core/conf.h"
#include "core/message.h"

/* Codes of replies besides 200; EnOS takes anything but 200 for an error of the device. */
enum reply_code {
	REPLY_DONE = 200,
	REPLY_REFUSED = 400, /* the script refuses, or the payload makes no sense */
	REPLY_FORBIDDEN = 403, /* the configuration does not allow it */
	REPLY_UNKNOWN = 404, /* the device takes no such commands */
	REPLY_EXPIRED = 408, /* its deadline passed before it reached the device */
	REPLY_SUPERSEDED = 409, /* a newer command writes the same: nothing was sent */
	REPLY_SCRIPT = 500, /* the script failed */
	REPLY_DEVICE =
		502, /* the device refused, only our own bytes came back, or it reads otherwise */
	REPLY_BUSY = 503, /* too much waits, the line is down, the disk fails: nothing was sent */
	REPLY_TIMEOUT = 504, /* no answer: it may have been executed */
};

#define RESULT_REASON_MAX 600

/* Appends {"id":"7","code":200,"data":...}, as enos-protocol asks of a JSON command's result. */
void result_print(struct buffer *json, const struct command *command, int code, const char *message,
	const struct buffer *data);
/* A reply that says why nothing came of the command; why NULL: nothing is wrong. */
struct reply *result_create(const struct command *command, int code, const char *why);
/* What does not fit into a message of so many bytes would never reach the cloud: it is told that. */
void result_fit(struct reply *reply, const struct command *command, size_t room);
/* The code for the first step that did not go well (NULL: all did), and the words: "" where fine. */
int result_code(const struct step_outcome *step, char *why, size_t room);

#endif
