/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its response: what is sent for a purpose, and what the answer means for it. */
#ifndef EB_CLOUD_EXCHANGE_H
#define EB_CLOUD_EXCHANGE_H

#include "cloud/session.h"

/* Connects the endpoint to the server's address; the secret is for a secured one.  0 or -errno. */
int exchange_connect(struct session *session, const struct endpoint_secret *secret);
/*
 * Sends the request under a token of its own, which a retransmission keeps; connects a plain endpoint
 * first where it is not.  0 or -errno.
 */
int exchange_transmit(struct session *session, struct cloud_request *request);
/* Sends the login.  0 or -errno. */
int exchange_login(struct session *session);
/* Chooses what goes next.  False: nothing waits. */
bool exchange_choose(struct session *session);
/*
 * Sends the message that was chosen, as a new one if it went before.  0, -errno, or -EINVAL: there
 * was nothing in it that could be sent, and it is done with.
 */
int exchange_send(struct session *session);
/* The input that a response means; reason gets why where it is not good (room bytes). */
enum input exchange_read(
	struct session *session, const struct cloud_response *response, char *reason, size_t room);
/* The message was accepted, or refused for good: forgets it and says what became of it. */
void exchange_accepted(struct session *session);
void exchange_refused(struct session *session, const char *reason);

#endif
