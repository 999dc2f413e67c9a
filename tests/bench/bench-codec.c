/* SPDX-License-Identifier: Apache-2.0 */
/* What the modbus codec costs: one request encoded and its answer received, in each framing. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/codec.h"
#include "tests/frames.h"

extern const struct eb_plugin eb_plugin;

#define ROUNDS 100000

static double cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double exchange(
	struct codec *codec, const struct eb_outstanding *sent, const struct buffer *answer)
{
	const struct eb_input input = { .bytes = answer->data,
		.size = answer->size,
		.count = 1,
		.outstanding = sent,
		.content = codec->content };
	static uint8_t frame[EB_FRAME_MAX];
	double begin = cpu_ns();
	for (int i = 0; i < ROUNDS; i++) {
		struct eb_verdict verdict = { .kind = EB_MORE };
		if (eb_plugin.encode(codec->state, sent, frame) <= 0)
			abort();
		eb_plugin.receive(codec->state, &input, &verdict);
		if (verdict.kind != EB_ANSWER)
			abort();
	}
	return (cpu_ns() - begin) / ROUNDS;
}

static void measure(const char *name, int framing, const char *options, int registers)
{
	struct codec codec;
	char text[80];
	OWNED_BUFFER pdu = BUFFER_EMPTY, answer = BUFFER_EMPTY;
	const struct eb_line *line = framing == TCP ? &codec_tcp : &codec_serial;
	if (codec_open(&codec, &eb_plugin, line, options) < 0)
		abort();
	snprintf(text, sizeof(text), "{\"read\":\"holding_registers\",\"address\":0,\"count\":%d}",
		registers);
	struct request *request = codec_request(&codec, "{\"unit\":17}", text);
	const struct eb_outstanding sent = { .request = &request->wire, .tag = 1 };
	buffer_printf(&pdu, "03 %02x", 2 * registers);
	for (int i = 0; i < registers; i++)
		buffer_printf(&pdu, "%04x", i * 77 & 0xffff);
	put_frame(&answer, framing, 1, 17, buffer_text(&pdu));
	double best = exchange(&codec, &sent, &answer);
	for (int i = 0; i < 8; i++) {
		double took = exchange(&codec, &sent, &answer);
		best = took < best ? took : best;
	}
	printf("%s, %d registers: %.0f ns\n", name, registers, best);
	request_destroy(request);
	codec_close(&codec);
}

int main(void)
{
	static const int sizes[] = { 10, 125 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		measure("rtu", RTU, "{}", sizes[i]);
		measure("ascii", ASCII, "{\"framing\":\"ascii\"}", sizes[i]);
		measure("tcp", TCP, "{}", sizes[i]);
	}
	return 0;
}
