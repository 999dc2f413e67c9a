/* SPDX-License-Identifier: Apache-2.0 */
/* What is logged of reports that the cloud rejects: it may be all that a device has to say. */
#ifndef EB_BRIDGE_REJECTION_H
#define EB_BRIDGE_REJECTION_H

#include "core/conf.h"
#include "core/message.h"
#include "util/loop.h"

struct rejections;

struct rejections *rejections_create(const struct conf *conf, struct loop *loop);
void rejections_destroy(struct rejections *rejections);
/* Says so, once for each device and minute. */
void rejections_say(struct rejections *rejections, const struct report *report, const char *reason);

#endif
