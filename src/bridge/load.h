/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the polls of a bus ask of its line, and which of them it has no time for.  Reckoned at best:
 * every request is answered at once and never repeated.
 */
#ifndef EB_BRIDGE_LOAD_H
#define EB_BRIDGE_LOAD_H

#include "bridge/fleet.h"
#include "core/codec.h"
#include "field/merge.h"

/* A request that is sent again and again, for one poll or for several. */
struct ask {
	const struct member *device;
	const struct merge *merge;
	const struct request *request;
	uint32_t first, count; /* parts of merge */
	double cost_s; /* on the line, its silences included; 0: unknown */
	double period_s; /* 0: as fast as can be */
	double reached_s; /* how often the line has time for it, at least period_s */
	bool urgent;
};

struct load {
	const struct conf_bus *bus;
	struct ask *asks;
	size_t count;
	struct merge *merges; /* of each device */
	uint32_t devices;
	double rate; /* requests per second with a period */
	double share; /* of the line that those take; more than 1: it has no time for all */
	double round_s; /* all of them once, those without a period too */
	double fast_s; /* those without a period once */
	double lost_s; /* the longest that a device which falls silent keeps the line from the others */
};

/* Of all devices of the bus; borrows the fleet and the codec. */
void load_init(
	struct load *load, const struct fleet *fleet, uint32_t bus, const struct codec *codec);
void load_finish(struct load *load);
const char *ask_name(const struct ask *ask, uint32_t part);
/* Whether the line has no time for it as often as it is asked for. */
bool ask_is_missed(const struct ask *ask);

#endif
