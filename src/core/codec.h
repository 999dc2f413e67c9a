/* SPDX-License-Identifier: Apache-2.0 */
/* A bus's plugin with a state of its own, in the main thread: for making requests, not for wires. */
#ifndef EB_CORE_CODEC_H
#define EB_CORE_CODEC_H

#include "core/conf.h"
#include "core/plan.h"
#include "core/problem.h"

struct codec {
	const struct eb_plugin *plugin;
	void *state;
	struct eb_timing timing;
};

/* Opens a state from the bus's options.  0, or -EINVAL with the problems; codec_close() either way. */
int codec_open(struct codec *codec, const struct conf_bus *bus, struct problems *problems);
void codec_close(struct codec *codec);
/* The address of a device of that bus. 0 or -EINVAL. */
int codec_address(const struct codec *codec, const struct conf_device *device,
	struct eb_address *address, struct problems *problems);

#define OWNED_CODEC __attribute__((cleanup(codec_close))) struct codec

#endif
