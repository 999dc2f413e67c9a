/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture: every frame of a bus as a line of a recording, kept until the one who captures comes for
 * them.  Who does not come for a while has gone, and the capture ends by itself.
 */
#ifndef EB_FIELD_CAPTURE_H
#define EB_FIELD_CAPTURE_H

#include <stdbool.h>

#include "field/trace.h"

struct bus;
struct capture;

/*
 * Appends a JSON object for whoever captures under this number: what was captured since it asked
 * last; the first time, the lines that a recording begins with.  ends: it asks no more.  Where another
 * captures the bus, "busy" says so.
 */
void capture_answer(struct bus *bus, uint64_t who, bool ends, struct buffer *json);
void capture_put(struct bus *bus, const struct trace_frame *frame);
void capture_destroy(struct capture *capture);

#endif
