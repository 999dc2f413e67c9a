/* SPDX-License-Identifier: Apache-2.0 */
#include "core/codec.h"

#include <errno.h>

#include "util/alloc.h"

int codec_open(struct codec *codec, const struct conf_bus *bus, struct problems *problems)
{
	*codec = (struct codec){ .plugin = bus->plugin };
	struct settings options;
	if (settings_from_value(&options, bus->plugin->bus_keys, NULL, bus->options.data,
		    bus->options.size, SETTINGS_CONFIGURATION, bus->place, problems) < 0)
		return -EINVAL;
	codec->state = must_alloc(bus->plugin->state_size);
	struct eb_error error = { .text = "" };
	int result = bus->plugin->open(
		codec->state, &options.view, &bus->line, &codec->timing, &error);
	settings_finish(&options);
	if (result < 0)
		problem_error(problems, bus->place, "bus \"%s\": %s", bus->name, error.text);
	return result < 0 ? -EINVAL : 0;
}

void codec_close(struct codec *codec)
{
	free(TAKE(codec->state));
}

int codec_address(const struct codec *codec, const struct conf_device *device,
	struct eb_address *address, struct problems *problems)
{
	struct settings settings;
	if (settings_from_value(&settings, codec->plugin->device_keys, NULL, device->address.data,
		    device->address.size, SETTINGS_CONFIGURATION, device->place, problems) < 0)
		return -EINVAL;
	struct eb_error error = { .text = "" };
	*address = (struct eb_address){ .size = 0 };
	int result = codec->plugin->address(codec->state, &settings.view, address, &error);
	settings_finish(&settings);
	if (result < 0)
		problem_error(
			problems, device->place, "device \"%s\": %s", device->name, error.text);
	return result < 0 ? -EINVAL : 0;
}
