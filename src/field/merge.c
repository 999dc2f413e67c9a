/* SPDX-License-Identifier: Apache-2.0 */
#include "field/merge.h"

#include <stdlib.h>
#include <string.h>

#include "field/backoff.h"
#include "util/alloc.h"
#include "util/clock.h"

/* Refused a second time, a seam is left open for so long, then for twice that, and so on. */
#define AGAIN_FIRST_US (60 * USEC_PER_SEC)
#define AGAIN_MAX_US (3600 * USEC_PER_SEC)

static const struct poll *poll_of(const struct merge *merge, uint32_t part)
{
	return &merge->plan->polls[merge->parts[part].poll];
}

static int compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* What may be read together stands together, in the order of the plugin's data. */
static int compare(const void *left, const void *right, void *context)
{
	const struct plan *plan = context;
	uint32_t l = ((const struct part *)left)->poll, r = ((const struct part *)right)->poll;
	const struct poll *a = &plan->polls[l], *b = &plan->polls[r];
	const struct eb_request *of_a = &a->request->wire, *of_b = &b->request->wire;
	size_t size = of_a->data_size < of_b->data_size ? of_a->data_size : of_b->data_size;
	int order = request_is_read(b->request) - request_is_read(a->request);
	if (!order)
		order = b->urgent - a->urgent;
	if (!order)
		order = compare_numbers(a->period_us, b->period_us);
	if (!order)
		order = compare_numbers(a->request->timeout_us, b->request->timeout_us);
	if (!order && size)
		order = memcmp(of_a->data, of_b->data, size);
	if (!order)
		order = compare_numbers(of_a->data_size, of_b->data_size);
	return order ? order : compare_numbers(l, r);
}

static bool may_join(const struct merge *merge, uint32_t part)
{
	const struct poll *a = poll_of(merge, part), *b = poll_of(merge, part + 1);
	return request_is_read(a->request) && request_is_read(b->request) &&
		a->urgent == b->urgent && a->period_us == b->period_us &&
		a->request->timeout_us == b->request->timeout_us;
}

/* One request for count parts; NULL where the plugin cannot make it. */
static struct request *join(const struct merge *merge, uint32_t first, uint32_t count)
{
	struct request *joined = NULL;
	for (uint32_t i = 1; i < count; i++) {
		const struct request *before = joined ? joined : poll_of(merge, first)->request;
		struct request *more = request_merge(merge->plugin, merge->state, before,
			poll_of(merge, first + i)->request, merge->hole);
		request_destroy(joined);
		joined = more;
		if (!joined)
			break;
	}
	return joined;
}

/* As many as the plugin can join, one after the other. */
static void make_run(struct merge *merge, uint32_t first)
{
	struct part *part = &merge->parts[first];
	part->count = 1;
	while (first + part->count < merge->count) {
		uint32_t last = first + part->count - 1;
		const struct request *before = part->request ? part->request
							     : poll_of(merge, first)->request;
		struct request *more = may_join(merge, last)
			? request_merge(merge->plugin, merge->state, before,
				  poll_of(merge, last + 1)->request, merge->hole)
			: NULL;
		if (!more)
			break;
		request_destroy(part->request);
		part->request = more;
		merge->parts[last].seam = SEAM_CLOSED;
		part->count++;
	}
}

void merge_init(struct merge *merge, const struct plan *plan, const struct eb_plugin *plugin,
	const void *state, int64_t hole)
{
	*merge = (struct merge){ .plugin = plugin,
		.state = state,
		.plan = plan,
		.hole = hole > 0 ? (uint32_t)hole : 0,
		.count = (uint32_t)plan->count,
		.parts = must_array(plan->count, sizeof(struct part)) };
	for (uint32_t i = 0; i < merge->count; i++)
		merge->parts[i] = (struct part){ .poll = i, .count = 1 };
	if (hole < 0 || !plugin->merge || merge->count < 2)
		return;
	qsort_r(merge->parts, merge->count, sizeof(struct part), compare, (void *)plan);
	for (uint32_t i = 0; i < merge->count; i++)
		merge->parts[i].count = 0;
	for (uint32_t first = 0; first < merge->count; first += merge->parts[first].count)
		make_run(merge, first);
}

void merge_finish(struct merge *merge)
{
	for (uint32_t i = 0; i < merge->count; i++)
		request_destroy(merge->parts[i].request);
	free(merge->parts);
	*merge = (struct merge){ .count = 0 };
}

void merge_begun(struct merge *merge, uint32_t first)
{
	merge->parts[first].running = true;
}

/* The seams at both ends of the run get to know how it went. */
static void tell_seams(struct merge *merge, uint32_t first, bool good)
{
	if (first)
		merge->parts[first - 1].right_good = good;
	merge->parts[first + merge->parts[first].count - 1].left_good = good;
}

void merge_failed(struct merge *merge, uint32_t first)
{
	merge->parts[first].running = false;
	tell_seams(merge, first, false);
}

bool merge_on_trial(const struct merge *merge, uint32_t first)
{
	for (uint32_t i = first; i + 1 < first + merge->parts[first].count; i++) {
		if (merge->parts[i].seam == SEAM_TRIAL)
			return true;
	}
	return false;
}

/* Makes one run of two where nothing speaks against it any more; first is the former's. */
static void try_seam(struct merge *merge, uint32_t first, int64_t now_us)
{
	struct part *left = &merge->parts[first];
	struct part *seam = &merge->parts[first + left->count - 1];
	if (seam->seam != SEAM_OPEN || !seam->left_good || !seam->right_good ||
		now_us < seam->until_us)
		return;
	uint32_t second = first + left->count;
	struct part *right = &merge->parts[second];
	if (left->running || right->running || merge_on_trial(merge, first) ||
		merge_on_trial(merge, second))
		return;
	struct request *joined = join(merge, first, left->count + right->count);
	if (!joined)
		return;
	request_destroy(left->request);
	request_destroy(TAKE(right->request));
	left->request = joined;
	left->count += right->count;
	right->count = 0;
	seam->seam = SEAM_TRIAL;
}

static uint32_t run_before(const struct merge *merge, uint32_t first)
{
	uint32_t before = first - 1;
	while (!merge->parts[before].count)
		before--;
	return before;
}

void merge_answered(struct merge *merge, uint32_t first, int64_t now_us)
{
	struct part *part = &merge->parts[first];
	part->running = false;
	for (uint32_t i = first; i + 1 < first + part->count; i++) {
		merge->parts[i].seam = SEAM_CLOSED;
		merge->parts[i].refused = 0;
	}
	tell_seams(merge, first, true);
	if (first && merge->parts[first - 1].seam == SEAM_OPEN) {
		uint32_t before = run_before(merge, first);
		try_seam(merge, before, now_us);
		first = part->count ? first : before;
	}
	try_seam(merge, first, now_us);
}

/* The one on trial is to blame; else it is looked for by halves. */
static uint32_t seam_to_open(const struct merge *merge, uint32_t first)
{
	uint32_t count = merge->parts[first].count;
	for (uint32_t i = first; i + 1 < first + count; i++) {
		if (merge->parts[i].seam == SEAM_TRIAL)
			return i;
	}
	return first + count / 2 - 1;
}

static int64_t again_us(const struct part *seam, int64_t now_us)
{
	if (seam->refused < 2)
		return 0;
	return now_us + backoff_us(AGAIN_FIRST_US, AGAIN_MAX_US, seam->refused - 1u);
}

/* The parts as one run, or each as its own where the plugin cannot join them after all. */
static void set_run(struct merge *merge, uint32_t first, uint32_t count)
{
	merge->parts[first].count = count;
	merge->parts[first].request = join(merge, first, count);
	if (merge->parts[first].request || count == 1)
		return;
	for (uint32_t i = first; i < first + count; i++) {
		merge->parts[i].count = 1;
		if (i + 1 < first + count)
			merge->parts[i].seam = SEAM_FIXED;
	}
}

void merge_refused(struct merge *merge, uint32_t first, int64_t now_us)
{
	struct part *part = &merge->parts[first];
	if (part->count < 2) {
		merge_failed(merge, first);
		return;
	}
	uint32_t last = first + part->count - 1, opened = seam_to_open(merge, first);
	struct part *seam = &merge->parts[opened];
	tell_seams(merge, first, false);
	seam->seam = SEAM_OPEN;
	seam->left_good = seam->right_good = false;
	if (seam->refused < UINT8_MAX)
		seam->refused++;
	seam->until_us = again_us(seam, now_us);
	request_destroy(TAKE(part->request));
	part->running = false;
	set_run(merge, first, opened - first + 1);
	set_run(merge, opened + 1, last - opened);
}
