/* SPDX-License-Identifier: Apache-2.0 */
/* What came in: to the plugin, and on by its verdict. */
#ifndef EB_FIELD_RECEIVE_H
#define EB_FIELD_RECEIVE_H

#include "field/bus.h"

/* Reads what there is and hands it on.  Returns how many bytes there were; the link may be lost then. */
size_t receive_read(struct bus *bus);
/* Tells of silence whom it was promised; returns when to look again, INT64_MAX: never. */
int64_t receive_silence(struct bus *bus);

#endif
