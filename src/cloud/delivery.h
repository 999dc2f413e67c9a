/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that wait in the cloud and come with the responses (enos-protocol, 3 and 5). */
#ifndef EB_CLOUD_DELIVERY_H
#define EB_CLOUD_DELIVERY_H

#include "cloud/session.h"

/*
 * Looks for a command in a response: options 2100 and 2102; and the payload, where the request was a
 * GET for a command.  To be called once for each response, before the session moves on.  True: it was
 * a block of one, and the next is to be asked for.
 */
bool delivery_read(struct session *session, const struct cloud_response *response);

#endif
