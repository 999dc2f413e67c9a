/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus: a link, the devices on it, and the one state machine that asks them in turn.  This header is
 * shared by the files that make it up; the rest of the field uses the functions at its end.
 *
 *	down -> opening -> pause -> ready <-> drain
 *	  ^________|__________|______|_________|	the link failed
 *	resting: closed on purpose until something is due (close_after_poll)
 *
 * In ready, requests are sent when the line has been silent for the gap, and each one outstanding has
 * its deadline.  Everything happens in bus_turn(), which does what can be done now and arms the
 * one timer for what cannot.
 */
#ifndef EB_FIELD_BUS_H
#define EB_FIELD_BUS_H

#include "core/conf.h"
#include "field/capture.h"
#include "field/device.h"
#include "field/link.h"
#include "field/plane.h"
#include "field/trace.h"
#include "field/trouble.h"
#include "util/loop.h"

#define BUS_IN_FLIGHT_MAX 32
#define BUS_ORDERS_MAX 64

enum bus_state { BUS_DOWN, BUS_OPENING, BUS_PAUSE, BUS_READY, BUS_DRAIN, BUS_RESTING };

enum bus_told { TOLD_NOTHING, TOLD_UP, TOLD_DOWN };

/* Whether the line gives back what we send. */
enum echo_nature { ECHO_UNKNOWN, ECHO_NONE, ECHO_PRESENT };

/* The order that has the bus to itself. */
struct running_order {
	struct order *order; /* NULL: none */
	struct outcome *outcome;
	uint32_t step, tries;
};

struct bus {
	struct plane *plane;
	const struct conf_bus *conf;
	struct link *link;
	void *state; /* the plugin's */
	struct timer timer;
	uint32_t number;
	uint8_t machine; /* enum bus_state */
	uint8_t in_flight_max, in_flight;
	uint8_t echo; /* enum echo_nature */
	uint8_t turns; /* in which polls of several ranks were due */
	uint8_t told; /* enum bus_told: what the main plane knows of the link */
	bool tagged; /* answers carry what request they belong to */
	bool stopping, in_turn;
	uint8_t lately; /* periods missed, up to those that are said */
	bool blamed; /* the log was told of a fault of the plugin */
	uint32_t gap_us; /* silence before a request, all in all */
	uint32_t char_ns; /* time of a character on the wire; 0 unknown */
	uint32_t tag;
	uint32_t device_count;
	struct list devices; /* struct device, turn */

	/* the line */
	int64_t wake_us; /* opening, pause, down: until when; drain: at the latest until */
	int64_t received_us; /* the last bytes came */
	int64_t sent_us; /* the last bit of ours left, or will have */
	int64_t noisy_us; /* since when it has not been silent though nobody was asked; 0 */
	int64_t late_until_us; /* what timed out may be answered until then */
	struct buffer pending; /* received and not yet consumed */
	const struct device *spoke_to; /* last; NULL: nobody yet */
	uint32_t silence_us; /* that the plugin wants to hear of; 0 none */

	/* what is under way */
	uint32_t order_count;
	struct list orders; /* struct order, mail.link */
	struct list outstanding; /* struct transaction, oldest first */
	struct running_order running;

	/* reopening */
	uint32_t reopen_ms;
	uint32_t attempts; /* failed ones since it was up */
	uint32_t mute; /* time-outs in a row without one byte received */
	int64_t up_us; /* since when the link is up */
	int64_t lost_us; /* since when it is down, or was without an answer after it; 0: it is not */
	char *why; /* it is down; NULL: it is not, or was never tried */

	/* probing */
	int64_t probe_us; /* the line's budget for down devices is used up until then */
	uint32_t down_count, unlinked_count;
	uint32_t eager; /* down devices still to be probed since one of them came back */

	/* more to do than the line has time for */
	uint32_t missed; /* periods of polls whose device and link were well */
	int64_t lately_us; /* since when lately counts; to come: it was said, and is not again before */

	/* evidence */
	struct trace trace;
	struct stats stats;
	uint64_t busy_us; /* while something was outstanding */
	int64_t busy_from_us;
	int64_t since_us;
	uint32_t noise_bytes, unasked, early, echoes, link_losses;
	uint32_t unknown_noise; /* bytes of noise since the last answer */
	uint32_t late_noise; /* bytes since the last request that may be a late answer */
	struct capture *capture; /* NULL: nobody captures */
	struct trouble *trouble; /* NULL: it had none yet */
};

/* link NULL: as the configuration says.  A given link is owned.  0, or -EINVAL with the error. */
int bus_create(struct bus **bus, struct plane *plane, uint32_t number, struct link *link,
	struct eb_error *error);
/* Every order was answered before: bus_stop(). */
void bus_destroy(struct bus *bus);
/* Opens the link, at open_us. */
void bus_start(struct bus *bus, int64_t open_us);
/* Asks nothing more; bus_idle() tells when the transactions on the wire are over. */
void bus_stop(struct bus *bus);
bool bus_idle(const struct bus *bus);
/* Closes, and answers all orders that are still there. */
void bus_abort(struct bus *bus);
/* Takes the order; exactly one outcome follows. */
void bus_order(struct bus *bus, struct order *order);

/* ---- between the files that make up a bus --------------------------------------------------- */

/* Does what can be done now, and arms the timer for the rest. */
void bus_turn(struct bus *bus);
/* The link failed or was lost: closes, fails what is outstanding, opens again with back-off. */
void bus_link_lost(struct bus *bus, const char *why);
/* The same, of an errno that reading or writing gave. */
void bus_link_error(struct bus *bus, int error);
/* Opens a connection anew on which nothing comes, without a word unless that fails. */
void bus_renew(struct bus *bus);
/* Drops what comes until the line is silent. */
void bus_drain(struct bus *bus);
/* Earliest time at which the line has been silent long enough for a request. */
int64_t bus_free_us(const struct bus *bus);
/* A line of the log about the bus comes from where a state changes. */
const char *bus_name(const struct bus *bus);
/* Whether answers carry what request they belong to: then nothing late can be mistaken. */
bool bus_matches_tags(const struct bus *bus);
static inline int64_t bus_now(const struct bus *bus)
{
	return loop_now(bus->plane->loop);
}
static inline int64_t bus_wire_us(const struct bus *bus, size_t bytes)
{
	return (int64_t)bytes * bus->char_ns / 1000;
}
/* A reading of the poll, for the main plane. */
void bus_deliver(struct device *device, uint32_t poll, const uint8_t *content, size_t size);
void bus_trace(struct bus *bus, enum trace_kind kind, const struct device *device, uint32_t error,
	const void *bytes, size_t size);

#endif
