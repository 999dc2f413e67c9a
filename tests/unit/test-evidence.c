/* SPDX-License-Identifier: Apache-2.0 */
/* What a bus says of its trouble: frames at the first error of a kind, captures, counters. */
#include "field-rig.h"

#include <string.h>

#include "field/answers.h"
#include "field/capture.h"
#include "util/alloc.h"
#include "util/json.h"

#define HOUR_US (3600 * USEC_PER_SEC)

struct heap {
	struct buffer text;
	uint32_t count, error;
};

static void keep(struct rig *rig, const struct evidence *evidence)
{
	struct heap *heap = rig->context;
	buffer_clear(&heap->text);
	buffer_put(&heap->text, evidence->text.data, evidence->text.size);
	heap->count++;
	heap->error = evidence->error;
}

static struct rig *create(struct heap *heap, uint32_t devices, uint32_t files)
{
	*heap = (struct heap){ .count = 0 };
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = devices,
		.baud = 9600,
		.paced = true,
		.echo = ANSWER_NO,
		.timeout_ms = 200 });
	rig->conf.gateway.evidence_files = files;
	rig->context = heap;
	rig->on_evidence = keep;
	return rig;
}

static void test_first_error_of_a_kind(void **state)
{
	struct heap heap;
	struct rig *rig = create(&heap, 2, 2);
	rig_poll_all(rig, &(struct rig_poll){ .count = 2, .period = 1 });
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(0, heap.count);
	rig->units[2].dead = true;
	rig_run(rig, 2 * USEC_PER_SEC);
	assert_int_equal(0, heap.count);
	rig_run(rig, 4 * USEC_PER_SEC);
	assert_int_equal(1, heap.count);
	assert_int_equal(EB_TIMEOUT, heap.error);
	const char *text = buffer_text(&heap.text);
	assert_int_equal(0, strncmp(text, "# enos-bridge recording 1\n# bus bus\n", 36));
	assert_non_null(strstr(text, "class timeout within an hour"));
	/* What came after the error is there as well. */
	const char *failed = strstr(text, "unit-2: failed: timeout");
	assert_non_null(failed);
	assert_non_null(strstr(failed, "unit-1: answer"));
	/* It stays dead: no further file, however long. */
	rig_run(rig, 3 * HOUR_US);
	assert_int_equal(1, heap.count);
	/* It was well for more than an hour. */
	rig->units[2].dead = false;
	rig_run(rig, 2 * HOUR_US);
	rig->units[2].dead = true;
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(2, heap.count);
	buffer_finish(&heap.text);
	rig_destroy(rig);
}

static void test_so_many_an_hour(void **state)
{
	struct heap heap;
	struct rig *rig = create(&heap, 1, 1);
	rig_poll_all(rig, &(struct rig_poll){ .count = 2, .period = 1 });
	rig_run(rig, USEC_PER_SEC);
	rig->units[1].exception = 2;
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_int_equal(1, heap.count);
	assert_int_equal(EB_EXCEPTION, heap.error);
	rig->units[1].exception = 0;
	rig->units[1].dead = true;
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_int_equal(1, heap.count);
	/* Another kind, when the hour is over. */
	rig->units[1].dead = false;
	rig_run(rig, 2 * HOUR_US);
	rig->units[1].dead = true;
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_int_equal(2, heap.count);
	buffer_finish(&heap.text);
	rig_destroy(rig);
	rig = create(&heap, 1, 0);
	rig->units[1].dead = true;
	rig_poll_all(rig, &(struct rig_poll){ .count = 2, .period = 1 });
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_int_equal(0, heap.count);
	rig_destroy(rig);
}

/* What is being gathered when the bus ends is told all the same. */
static void test_error_before_the_end(void **state)
{
	struct heap heap;
	struct rig *rig = create(&heap, 1, 5);
	rig->units[1].dead = true;
	rig_poll_all(rig, &(struct rig_poll){ .count = 2, .period = 1 });
	rig_run(rig, USEC_PER_SEC);
	assert_int_equal(0, heap.count);
	bus_abort(rig->bus);
	rig_collect(rig);
	assert_int_equal(1, heap.count);
	buffer_finish(&heap.text);
	rig_destroy(rig);
}

/* Asks for what was captured; the text, owned by the caller, NULL: another captures. */
static char *fetch(struct rig *rig, uint64_t who, bool end, int64_t *lost)
{
	OWNED_BUFFER json = BUFFER_EMPTY;
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[100];
	struct value item;
	capture_answer(rig->bus, who, end, &json);
	assert_int_equal(0, json_parse(&value, json.data, json.size, error, sizeof(error)));
	if (value_find(value.data, value.size, "busy", &item, NULL))
		return NULL;
	assert_true(value_find(value.data, value.size, "lost", &item, NULL));
	*lost = item.integer;
	assert_true(value_find(value.data, value.size, "text", &item, NULL));
	return must_strdup(item.text);
}

static unsigned count_lines(const char *text, const char *with)
{
	unsigned count = 0;
	for (; (text = strstr(text, with)); text++)
		count++;
	return count;
}

static void test_capture(void **state)
{
	struct heap heap;
	struct rig *rig = create(&heap, 2, 0);
	int64_t lost;
	rig_poll_all(rig, &(struct rig_poll){ .count = 2, .period = 1 });
	rig_run(rig, USEC_PER_SEC);
	OWNED char *head = fetch(rig, 7, false, &lost);
	assert_int_equal(0, strncmp(head, "# enos-bridge recording 1\n", 26));
	assert_int_equal(0, count_lines(head, "  tx  "));
	rig_run(rig, 4 * USEC_PER_SEC);
	OWNED char *frames = fetch(rig, 7, false, &lost);
	assert_int_equal(8, count_lines(frames, "  tx  "));
	assert_int_equal(8, count_lines(frames, ": answer\n"));
	assert_int_equal(0, lost);
	assert_null(fetch(rig, 8, false, &lost));
	OWNED char *rest = fetch(rig, 7, true, &lost);
	assert_string_equal("", rest);
	assert_null(rig->bus->capture);
	/* Who is not heard of any more does not keep others from it, nor memory. */
	OWNED char *second = fetch(rig, 8, false, &lost);
	rig_run(rig, 30 * USEC_PER_SEC);
	assert_null(rig->bus->capture);
	OWNED char *third = fetch(rig, 9, false, &lost);
	assert_non_null(third);
	rig_destroy(rig);
}

/* A bus that carries nothing: the one who went away is not there to be asked. */
static void test_capture_of_silence(void **state)
{
	struct heap heap;
	struct rig *rig = create(&heap, 1, 0);
	int64_t lost;
	OWNED char *first = fetch(rig, 7, false, &lost);
	rig_run(rig, 11 * USEC_PER_SEC);
	OWNED char *second = fetch(rig, 8, false, &lost);
	assert_non_null(second);
	assert_null(fetch(rig, 7, false, &lost));
	rig_destroy(rig);
}

static void test_capture_has_an_end(void **state)
{
	struct heap heap;
	struct rig *rig = create(&heap, 1, 0);
	int64_t lost;
	uint8_t bytes[1000] = { 0 };
	OWNED char *head = fetch(rig, 7, false, &lost);
	for (int i = 0; i < 1000; i++)
		bus_trace(rig->bus, TRACE_NOISE, NULL, EB_CRC, bytes, sizeof(bytes));
	OWNED char *frames = fetch(rig, 7, false, &lost);
	unsigned kept = count_lines(frames, "noise: crc");
	assert_int_equal(1000, kept + lost);
	assert_true(kept > 100 && lost > 100);
	bus_trace(rig->bus, TRACE_NOISE, NULL, EB_CRC, bytes, sizeof(bytes));
	OWNED char *more = fetch(rig, 7, false, &lost);
	assert_int_equal(1, count_lines(more, "noise: crc"));
	assert_int_equal(0, lost);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_error_of_a_kind),
		cmocka_unit_test(test_so_many_an_hour),
		cmocka_unit_test(test_error_before_the_end),
		cmocka_unit_test(test_capture),
		cmocka_unit_test(test_capture_of_silence),
		cmocka_unit_test(test_capture_has_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
