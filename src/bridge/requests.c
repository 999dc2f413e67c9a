/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/requests.h"

#include <errno.h>

#include "core/codec.h"
#include "util/alloc.h"

void requests_finish(struct requests *requests)
{
	for (size_t i = 0; i < requests->count; i++)
		request_destroy(requests->items[i]);
	free(requests->items);
	*requests = (struct requests){ .items = NULL };
}

/* Makes the request of the map that stands before the reader. */
static int make_one(struct request **request, const struct codec *codec,
	const struct eb_address *address, struct value_reader *reader, struct place place,
	struct problems *problems)
{
	const uint8_t *map;
	size_t size;
	if (!value_item(reader, &map, &size))
		return -EINVAL;
	int result = request_create(request, codec->plugin, codec->state, address, map, size,
		SETTINGS_SCRIPT, place, problems);
	if (result < 0 || !(*request)->read_back.wanted)
		return result;
	problem_error(problems, place,
		"read_back belongs to a command's write: leave it out, nobody would compare");
	request_destroy(TAKE(*request));
	return -EINVAL;
}

int requests_make(struct requests *requests, const struct conf *conf, uint32_t device,
	const struct buffer *list, const char *what, const char *file, struct problems *problems)
{
	const struct conf_device *of = &conf->devices[device];
	struct value_reader reader = value_reader(list->data, list->size);
	struct value header;
	struct eb_address address;
	OWNED_CODEC codec = { .plugin = NULL };
	*requests = (struct requests){ .items = NULL };
	if (!list->size || !value_next(&reader, &header) || !header.size)
		return 0;
	if (codec_open(&codec, &conf->buses[of->bus], problems) < 0 ||
		codec_address(&codec, of, &address, problems) < 0)
		return -EINVAL;
	size_t errors = problems->errors;
	requests->items = must_array(header.size, sizeof(*requests->items));
	for (size_t i = 0; i < header.size; i++) {
		struct problems own = PROBLEMS_NONE;
		struct place place = { .file = file };
		struct request **slot = &requests->items[requests->count];
		if (make_one(slot, &codec, &address, &reader, place, &own) == 0)
			requests->count++;
		for (size_t k = 0; k < own.count; k++)
			problem_error(problems, place, "device \"%s\": %s %zu: %s", of->name, what,
				i + 1, own.items[k].text);
		problems_finish(&own);
	}
	if (problems->errors == errors)
		return 0;
	requests_finish(requests);
	return -EINVAL;
}
