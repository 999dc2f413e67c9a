/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses what a frame is, the second what was asked and how many bytes come at a time. */
#include "tests/fuzz/feed.h"

extern const struct eb_plugin eb_plugin;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const buses[] = {
	"{\"start\":\"24\",\"delimiter\":\"0d0a\",\"checksum\":\"nmea\"}",
	"{\"delimiter\":\"0a\",\"max_length\":16}",
	"{\"delimiter\":\"0d0a\",\"checksum\":\"sum8\"}",
	"{\"start\":\"02\",\"delimiter\":\"03\",\"checksum\":\"xor8\",\"checksum_from\":1,"
	"\"checksum_end\":0}",
	"{\"length\":6,\"checksum\":\"crc16-ccitt\"}",
	"{\"length\":4}",
	"{\"start\":\"aa\",\"length_field\":1,\"length_size\":2,\"length_order\":\"little\","
	"\"length_adjust\":5,\"checksum\":\"crc16-modbus\"}",
	"{\"length_field\":2,\"length_size\":4,\"length_adjust\":-2}",
	"{\"silence_ms\":20,\"max_length\":32,\"checksum\":\"crc8\",\"checksum_end\":2}",
	"{\"delimiter\":\"0a\",\"strip\":false,\"match_offset\":1,\"match_size\":2}",
};

static const char *const requests[] = {
	"{}",
	"{\"expect_text\":\"$GPGGA\"}",
	"{\"send_text\":\"?\"}",
	"{\"send_text\":\"?\",\"expect\":\"02\"}",
};

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct codec codec;
	if (size < 2 || size > 8192)
		return 0;
	const char *options = buses[data[0] % COUNT(buses)];
	const char *device = data[0] % COUNT(buses) == COUNT(buses) - 1 ? "{\"match_text\":\"P1\"}"
									: "{}";
	if (codec_open(&codec, &eb_plugin, &codec_tcp, options) < 0)
		abort();
	struct request *request = codec_request(
		&codec, device, requests[data[1] % COUNT(requests)]);
	struct request *listener = codec_request(&codec, device, requests[data[0] % 2]);
	if (!request || !listener)
		abort();
	struct eb_outstanding sent = { .request = &request->wire };
	bool asked = !(request->wire.flags & EB_LISTEN);
	feed_all(&codec, &sent, asked, listener, data + 2, size - 2, 1 + data[1] / 8);
	request_destroy(request);
	request_destroy(listener);
	codec_close(&codec);
	return 0;
}
