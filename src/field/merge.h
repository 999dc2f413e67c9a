/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which polls of a device are read together.  Polls of one period, priority and time-out whose reads the
 * plugin can join stand in a row, with a seam between neighbours; what lies between two seams that are
 * open is a run, and is one request.
 *
 *	fixed    these two are never read together
 *	closed <-------------- trial     answered
 *	closed --refused--> open --both sides answered, and its time has come--> trial --refused--> open
 *
 * Where a device refuses a run, its middle seam is opened, and so on with the half that is refused,
 * until what is refused stands alone.  A seam is tried again at once, as the refusal may have been noise,
 * then after a minute, then less and less often, one in a run at a time, so that it is known which one
 * is to blame.
 */
#ifndef EB_FIELD_MERGE_H
#define EB_FIELD_MERGE_H

#include "core/plan.h"

enum seam { SEAM_FIXED, SEAM_CLOSED, SEAM_TRIAL, SEAM_OPEN };

/* A poll at its place in the row, and the seam behind it. */
struct part {
	struct request *request; /* first of a run of several: reads them all; owned */
	int64_t until_us; /* an open seam is not tried before */
	uint32_t poll; /* in the plan */
	uint32_t count; /* first of a run: its parts; 0: not the first */
	uint8_t seam; /* enum seam; of the last part fixed */
	uint8_t refused; /* in a row: how often the seam had to be opened */
	bool left_good, right_good; /* open: the run before it, behind it was answered last */
	bool running; /* first of a run */
};

struct merge {
	const struct eb_plugin *plugin;
	const void *state;
	const struct plan *plan; /* borrowed */
	uint32_t hole;
	uint32_t count;
	struct part *parts;
};

/* first is the first part of each run. */
#define merge_for_each_run(first, merge) \
	for (uint32_t first = 0; first < (merge)->count; first += (merge)->parts[first].count)

/* hole below 0: nothing is merged.  state is the plugin's, of this bus. */
void merge_init(struct merge *merge, const struct plan *plan, const struct eb_plugin *plugin,
	const void *state, int64_t hole);
void merge_finish(struct merge *merge);
/* What the run that begins at first asks for. */
static inline const struct request *merge_request(const struct merge *merge, uint32_t first)
{
	const struct part *part = &merge->parts[first];
	return part->request ? part->request : merge->plan->polls[part->poll].request;
}
/* Whether it is only tried whether the device answers it: then it is to blame where that fails. */
bool merge_on_trial(const struct merge *merge, uint32_t first);
/* The run begins; one of the next three follows. */
void merge_begun(struct merge *merge, uint32_t first);
/* It was answered: a seam may be closed for trial, then the run's request is gone. */
void merge_answered(struct merge *merge, uint32_t first, int64_t now_us);
/* It failed in a way that says nothing of its parts. */
void merge_failed(struct merge *merge, uint32_t first);
/* The device refuses it as a whole: a run of several becomes two, and its request is gone. */
void merge_refused(struct merge *merge, uint32_t first, int64_t now_us);

#endif
