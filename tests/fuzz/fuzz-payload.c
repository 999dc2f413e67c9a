/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload of a response; and the same text as the points of a report, whose messages must be
 * JSON within the limit, with every point in exactly one of them.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/payload.h"
#include "util/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool truth)
{
	if (!truth)
		abort();
}

static void check_message(const struct payload *payload, uint32_t max)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[120];
	check(payload->body.size <= max);
	/* Deeper than what was read, by the levels around the points. */
	int result = json_parse(
		&value, payload->body.data, payload->body.size, error, sizeof(error));
	check(result == 0 || strstr(error, "nested"));
}

static void send(const struct report *report, uint32_t max)
{
	struct payload payload = { .format = 0 };
	struct draft draft = { .to = 0 };
	struct payload_terms terms = { .max_size = max, .batch = true };
	const struct report *reports[] = { report, report, report };
	for (uint32_t id = 1; !draft.last; id++) {
		draft = (struct draft){ .id = id, .from = draft.to };
		int result = payload_write(&payload, reports, 1, &draft, &terms);
		check(draft.last || draft.to > draft.from);
		if (result == 0)
			check_message(&payload, max);
	}
	draft = (struct draft){ .id = 1 };
	if (payload_write(&payload, reports, 3, &draft, &terms) == 0) {
		uint32_t count = draft.count;
		size_t length = payload.body.size;
		check_message(&payload, max);
		check(payload_write(&payload, reports, 3, &draft, &terms) == 0);
		check(draft.count == count && payload.body.size == length);
	}
	payload_finish(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_BUFFER scratch = BUFFER_EMPTY;
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[120];
	int64_t code = payload_read_code(&scratch, data, size);
	check(code >= 0 || code == -EINVAL);
	free(payload_read_token(&scratch, data, size));
	if (size < 2 || json_parse(&value, data + 1, size - 1, error, sizeof(error)) < 0 ||
		value.data[0] != VALUE_MAP)
		return 0;
	struct stamp stamp = { .wall_ms = INT64_MIN };
	struct report *report = report_create(
		0, data[0] & 1 ? REPORT_POINTS : REPORT_ATTRIBUTES, &stamp, value.data, value.size);
	send(report, 128 + 8u * data[0]);
	report_release(report);
	return 0;
}
