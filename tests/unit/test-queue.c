/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cloud/queue.h"

static int64_t reading_time;

/* A report of a reading of its own; its size tells it apart. */
static struct report *make(enum report_kind kind, uint32_t replaces, uint32_t mark)
{
	static const uint8_t zeros[100];
	struct stamp stamp = { .mono_us = ++reading_time };
	struct report *report = report_create(0, kind, &stamp, zeros, mark);
	report->replaces = replaces;
	return report;
}

static enum queue_change put_report(
	struct queue *queue, struct report *report, uint32_t limit, uint32_t *displaced_mark)
{
	struct report *displaced;
	enum queue_change change = queue_put(queue, report, limit, &displaced);
	report_release(report);
	*displaced_mark = displaced ? displaced->size : 0;
	if (displaced)
		report_release(displaced);
	return change;
}

static enum queue_change put(
	struct queue *queue, enum report_kind kind, uint32_t replaces, uint32_t mark)
{
	uint32_t displaced;
	return put_report(queue, make(kind, replaces, mark), 100, &displaced);
}

static void assert_order(struct queue *queue, size_t count, const uint32_t *marks)
{
	const struct report *reports[100];
	assert_int_equal(queue_peek(queue, reports, 100), count);
	assert_int_equal(queue->count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(reports[i]->size, marks[i]);
}

static void keeps_the_order(void **state)
{
	struct queue queue;
	queue_init(&queue);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(put(&queue, REPORT_RAW, 0, i), QUEUE_GREW);
	assert_order(&queue, 3, (uint32_t[]){ 1, 2, 3 });
	report_release(queue_take(&queue));
	assert_order(&queue, 2, (uint32_t[]){ 2, 3 });
	queue_finish(&queue);
	assert_true(queue_empty(&queue));
}

static void drops_the_oldest_that_is_not_held(void **state)
{
	struct queue queue;
	uint32_t gone;
	queue_init(&queue);
	for (uint32_t i = 1; i <= 3; i++)
		put_report(&queue, make(REPORT_RAW, 0, i), 3, &gone);
	assert_int_equal(put_report(&queue, make(REPORT_RAW, 0, 4), 3, &gone), QUEUE_OVERFLOWED);
	assert_int_equal(gone, 1);
	queue_hold(&queue, 2);
	put_report(&queue, make(REPORT_RAW, 0, 5), 3, &gone);
	assert_int_equal(gone, 4);
	assert_order(&queue, 3, (uint32_t[]){ 2, 3, 5 });
	/* All held: better one too many than to take one away that is under way. */
	queue_hold(&queue, 3);
	assert_int_equal(put_report(&queue, make(REPORT_RAW, 0, 6), 3, &gone), QUEUE_GREW);
	assert_order(&queue, 4, (uint32_t[]){ 2, 3, 5, 6 });
	queue_finish(&queue);
}

static void replaces_points_in_their_place(void **state)
{
	struct queue queue;
	uint32_t gone;
	queue_init(&queue);
	put(&queue, REPORT_POINTS, 1, 1);
	put(&queue, REPORT_POINTS, 2, 2);
	put(&queue, REPORT_POINTS, 0, 3);
	assert_int_equal(put_report(&queue, make(REPORT_POINTS, 1, 4), 100, &gone), QUEUE_REPLACED);
	assert_int_equal(gone, 1);
	assert_order(&queue, 3, (uint32_t[]){ 4, 2, 3 });
	/* Of another kind, or without a poll to replace: it queues. */
	assert_int_equal(put(&queue, REPORT_ATTRIBUTES, 1, 5), QUEUE_GREW);
	assert_int_equal(put(&queue, REPORT_POINTS, 0, 6), QUEUE_GREW);
	assert_order(&queue, 5, (uint32_t[]){ 4, 2, 3, 5, 6 });
	queue_finish(&queue);
}

static void raw_bytes_stay_in_order_and_events_stay(void **state)
{
	struct queue queue;
	queue_init(&queue);
	put(&queue, REPORT_RAW, 1, 1);
	put(&queue, REPORT_RAW, 0, 2);
	assert_int_equal(put(&queue, REPORT_RAW, 1, 3), QUEUE_REPLACED);
	assert_order(&queue, 2, (uint32_t[]){ 2, 3 });
	put(&queue, REPORT_EVENT, 1, 4);
	assert_int_equal(put(&queue, REPORT_EVENT, 1, 5), QUEUE_GREW);
	assert_order(&queue, 4, (uint32_t[]){ 2, 3, 4, 5 });
	queue_finish(&queue);
}

static void what_is_under_way_is_not_replaced(void **state)
{
	struct queue queue;
	queue_init(&queue);
	put(&queue, REPORT_POINTS, 1, 1);
	queue_hold(&queue, 1);
	assert_int_equal(put(&queue, REPORT_POINTS, 1, 2), QUEUE_GREW);
	assert_int_equal(put(&queue, REPORT_POINTS, 1, 3), QUEUE_REPLACED);
	assert_order(&queue, 2, (uint32_t[]){ 1, 3 });
	queue_finish(&queue);
}

static void two_of_one_reading_both_stay(void **state)
{
	struct queue queue;
	uint32_t gone;
	queue_init(&queue);
	struct report *first = make(REPORT_POINTS, 1, 1);
	struct report *second = make(REPORT_POINTS, 1, 2);
	second->stamp = first->stamp;
	put_report(&queue, first, 100, &gone);
	assert_int_equal(put_report(&queue, second, 100, &gone), QUEUE_GREW);
	struct report *third = make(REPORT_POINTS, 1, 3);
	struct report *fourth = make(REPORT_POINTS, 1, 4);
	fourth->stamp = third->stamp;
	put_report(&queue, third, 100, &gone);
	assert_int_equal(gone, 1);
	put_report(&queue, fourth, 100, &gone);
	assert_int_equal(gone, 2);
	assert_order(&queue, 2, (uint32_t[]){ 3, 4 });
	queue_finish(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_order),
		cmocka_unit_test(drops_the_oldest_that_is_not_held),
		cmocka_unit_test(replaces_points_in_their_place),
		cmocka_unit_test(raw_bytes_stay_in_order_and_events_stay),
		cmocka_unit_test(what_is_under_way_is_not_replaced),
		cmocka_unit_test(two_of_one_reading_both_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
