/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/modbus.h"

#include <stdlib.h>

#include "tests/codec.h"

extern const struct eb_plugin eb_plugin;

static const char *const requests[] = {
	"{\"read\":\"holding_registers\",\"address\":107,\"count\":3}",
	"{\"read\":\"coils\",\"address\":19,\"count\":19}",
	"{\"read\":\"discrete_inputs\",\"address\":0,\"count\":2000}",
	"{\"read\":\"input_registers\",\"address\":0,\"count\":125}",
	"{\"write\":\"coils\",\"address\":172,\"values\":[1]}",
	"{\"write\":\"holding_registers\",\"address\":1,\"values\":[3]}",
	"{\"write\":\"coils\",\"address\":19,\"values\":[1,0,1]}",
	"{\"write\":\"holding_registers\",\"address\":1,\"values\":[10,258]}",
	"{\"write\":\"holding_registers\",\"address\":4,\"and_mask\":242,\"or_mask\":37}",
	"{\"write\":\"holding_registers\",\"address\":1,\"values\":[1],"
	"\"read\":\"holding_registers\",\"read_address\":3,\"count\":6}",
};

#define REQUESTS (sizeof(requests) / sizeof(*requests))
#define OUT_MAX 4u

/* What is received after a verdict, until all has been. */
static void feed(struct codec *codec, const struct eb_outstanding *sent, uint32_t count,
	const struct request *declared, const uint8_t *bytes, size_t size, size_t chunk)
{
	while (size) {
		const struct eb_verdict *verdict = codec_feed(
			codec, sent, count, bytes, size, chunk, NULL);
		/* What another poll would get of an unasked frame. */
		if (verdict->kind == EB_UNASKED && declared) {
			uint8_t content[EB_ANSWER_MAX];
			int got = codec->plugin->match(
				codec->state, &declared->wire, verdict, content);
			if (got > (int)EB_ANSWER_MAX)
				abort();
		}
		/* What is left when nothing more comes is given up, as the field does it. */
		if (codec->consumed == size || verdict->kind == EB_MORE ||
			verdict->kind == EB_NOISE)
			break;
		size_t done = codec->consumed;
		bytes += done;
		size -= done;
	}
}

void fuzz_modbus(const struct eb_line *line, const char *options, const uint8_t *data, size_t size)
{
	struct codec codec;
	struct request *made[OUT_MAX] = { NULL };
	struct eb_outstanding sent[OUT_MAX];
	uint32_t count = 0;
	if (size < 2 || size > 4096)
		return;
	if (codec_open(&codec, &eb_plugin, line, options) < 0)
		abort();
	uint32_t wanted = data[1] % (OUT_MAX + 1), most = codec.timing.max_in_flight;
	for (; count < wanted && count < most; count++) {
		made[count] = codec_request(
			&codec, "{\"unit\":17}", requests[(data[0] + count) % REQUESTS]);
		/* On a bus that only listens there are no writes. */
		if (!made[count])
			break;
		sent[count] = (struct eb_outstanding){ .request = &made[count]->wire,
			.tag = count };
	}
	/* There polls are declared and never sent. */
	bool listens = count && made[0]->wire.flags & EB_LISTEN;
	feed(&codec, sent, listens ? 0 : count, made[0], data + 2, size - 2, 1 + data[1] / 8);
	for (uint32_t i = 0; i < count; i++)
		request_destroy(made[i]);
	codec_close(&codec);
}
