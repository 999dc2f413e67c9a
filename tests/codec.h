/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin driven through its table of functions, as the field drives it, for tests and fuzz targets.
 * What breaks the interface's contract aborts.
 */
#ifndef EB_TESTS_CODEC_H
#define EB_TESTS_CODEC_H

#include "core/plan.h"

struct codec {
	const struct eb_plugin *plugin;
	void *state;
	struct eb_timing timing;
	char *error; /* of what failed last; owned */
	/* of the last codec_receive() */
	struct eb_verdict verdict;
	size_t consumed; /* by all verdicts of the last codec_feed() */
	uint8_t *content, *frame; /* blocks of their own: a sanitizer guards their ends */
};

extern const struct eb_line codec_serial; /* 9600 baud, 8N1 */
extern const struct eb_line codec_tcp;

/* options: JSON.  Returns what open() returned. */
int codec_open(struct codec *codec, const struct eb_plugin *plugin, const struct eb_line *line,
	const char *options);
void codec_close(struct codec *codec);
/* A request of a device, both JSON; NULL with codec->error.  The caller destroys it. */
struct request *codec_request(struct codec *codec, const char *device, const char *request);
/* Encodes into codec->frame; returns the size. */
size_t codec_encode(struct codec *codec, const struct eb_outstanding *outstanding);
/* The verdict on bytes, whose contents are in codec->content then. */
const struct eb_verdict *codec_receive(struct codec *codec,
	const struct eb_outstanding *outstanding, uint32_t count, const void *bytes, size_t size,
	uint32_t silent_us);
/*
 * Feeds all bytes, chunk by chunk, and the silence that is asked for at the end, until a verdict
 * that is neither EB_MORE nor EB_NOISE, nor EB_CONTINUE of what others say; that one is returned, or the last one.  dropped[class] counts
 * the noise, where dropped is not NULL.
 */
const struct eb_verdict *codec_feed(struct codec *codec, const struct eb_outstanding *outstanding,
	uint32_t count, const void *bytes, size_t size, size_t chunk, unsigned *dropped);

#endif
