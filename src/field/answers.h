/* SPDX-License-Identifier: Apache-2.0 */
/* What the field answers to queries: JSON about buses, devices and their last frames. */
#ifndef EB_FIELD_ANSWERS_H
#define EB_FIELD_ANSWERS_H

#include "field/bus.h"

/* What the times of the bus's frames are told by. */
struct trace_view answer_view(const struct bus *bus);
void answer_dump(const struct bus *bus, struct buffer *text);
void answer_bus(const struct bus *bus, struct buffer *text);
void answer_device(const struct device *device, struct buffer *text);
/* Totals, and one line per bus. */
void answer_status(struct bus *const *buses, uint32_t count, struct buffer *text);

#endif
