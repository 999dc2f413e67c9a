/* SPDX-License-Identifier: Apache-2.0 */
/* A line's bytes through a plugin, as the field does it. */
#ifndef EB_TESTS_FUZZ_FEED_H
#define EB_TESTS_FUZZ_FEED_H

#include <stdlib.h>

#include "tests/codec.h"

/*
 * Feeds all of it, whatever the verdicts; what nobody asked for is offered to a declared poll, which may
 * be NULL.
 */
static inline void feed_all(struct codec *codec, struct eb_outstanding *sent, uint32_t count,
	const struct request *declared, const uint8_t *bytes, size_t size, size_t chunk)
{
	uint8_t *content = malloc(EB_ANSWER_MAX), *so_far = calloc(1, EB_ANSWER_MAX);
	while (size && content && so_far) {
		const struct eb_verdict *verdict = codec_feed(
			codec, sent, count, bytes, size, chunk, NULL);
		if (verdict->kind == EB_UNASKED && declared && codec->plugin->match) {
			int got = codec->plugin->match(
				codec->state, &declared->wire, verdict, content);
			if (got > (int)EB_ANSWER_MAX)
				abort();
		}
		if (verdict->kind == EB_CONTINUE && count) {
			sent->step++;
			sent->so_far = so_far;
			sent->so_far_size += verdict->content_size;
		}
		/* What is left when nothing more comes is given up. */
		if (codec->consumed == size || verdict->kind == EB_MORE ||
			verdict->kind == EB_NOISE)
			break;
		bytes += codec->consumed;
		size -= codec->consumed;
	}
	free(content);
	free(so_far);
}

#endif
