/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A datagram as the simulated cloud takes it: the message, then its payload as each kind of JSON that a
 * device can send.  What passes the checks must be walked without leaving the payload.
 */
#include <stdlib.h>

#include "../../sim/cloud/packet.h"
#include "../../sim/cloud/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void walk(const struct payload *payload, bool batch)
{
	const uint8_t *begin = payload->value.data, *end = begin + payload->value.size;
	size_t count;
	struct value_reader reader = payload_reports(payload, batch, &count);
	for (size_t i = 0; i < count; i++) {
		struct points_report report;
		report_next(&reader, &report);
		require(report.count > 0 && (report.has_time || !batch));
		for (size_t p = 0; p < report.count; p++) {
			struct reported_point point;
			report_next_point(&report, &point);
			const uint8_t *at = point.value.data;
			require(at >= begin && at + point.value.size <= end);
			require(point.name_size > 0 && point.quality >= -1 && point.quality <= 9);
			require(value_valid(at, point.value.size));
		}
	}
}

static void read_payload(struct bytes text)
{
	struct payload payload = { .id = NULL };
	struct verdict verdict = { .violation = VIOLATION_NONE };
	if (payload_parse(&payload, text, &verdict)) {
		/* The method is the payload's own, so that the shape decides. */
		const char *method = payload.method ? payload.method : "";
		if (payload_check_report(&payload, method, &verdict))
			walk(&payload, false);
		if (payload_check_batch(&payload, method, &verdict))
			walk(&payload, true);
		payload_check_event(&payload, method, &verdict);
		payload_check_attributes(&payload, method, &verdict);
		payload_check_query(&payload, method, &verdict);
		payload_check_reply(&payload, &verdict);
	}
	require(verdict.violation < VIOLATION_COUNT);
	payload_finish(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet packet;
	if (packet_parse(&packet, data, size) < 0)
		return 0;
	const uint8_t *payload = packet.payload.data;
	require(!packet.payload.size ||
		(payload > data && payload + packet.payload.size == data + size));
	for (size_t i = 0; i < packet.segments && i < PACKET_SEGMENTS_MAX; i++) {
		const uint8_t *segment = packet.path[i].data;
		require(segment >= data && segment + packet.path[i].size <= data + size);
	}
	read_payload(packet.payload);
	return 0;
}
