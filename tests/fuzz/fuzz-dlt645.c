/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte chooses what was asked, or that nobody asked, the second the meter and how many bytes
 * come at a time.
 */
#include "tests/fuzz/feed.h"

extern const struct eb_plugin eb_plugin;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const meters[] = {
	"{\"address\":\"652022122003\"}",
	"{\"address\":\"AAAAAAAAAAAA\"}",
	"{\"address\":\"AAAAAA122003\"}",
};

static const char *const requests[] = {
	"{\"read\":\"00000000\"}",
	"{\"read\":\"0201FF00\",\"parameters\":\"01\"}",
	"{\"write\":\"04000102\",\"bytes\":\"01\",\"password\":\"02000000\"}",
	"{\"read_address\":true}",
};

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct codec codec;
	if (size < 2 || size > 8192)
		return 0;
	if (codec_open(&codec, &eb_plugin, &codec_serial, "{}") < 0)
		abort();
	struct request *request = codec_request(
		&codec, meters[data[1] % COUNT(meters)], requests[data[0] % COUNT(requests)]);
	if (!request)
		abort();
	struct eb_outstanding sent = { .request = &request->wire };
	feed_all(&codec, &sent, data[0] < 128, NULL, data + 2, size - 2, 1 + data[1] / 8);
	request_destroy(request);
	codec_close(&codec);
	return 0;
}
