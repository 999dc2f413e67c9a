/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the field does for a device: its polls, as requests that the plugin has accepted.  Made by the
 * main thread, constant from then on, shared by reference count.
 */
#ifndef EB_CORE_PLAN_H
#define EB_CORE_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/plugin.h"

/* Whether what is written is read again afterwards and compared. */
struct read_back {
	bool wanted, never; /* never: said by a request, whatever its device has */
	uint32_t settle_ms; /* from the write to the read */
	uint32_t tolerance; /* by which each number may differ */
};
#define READ_BACK_SETTLE_MS 500
#define READ_BACK_SETTLE_MAX_MS 60000
#define READ_BACK_TOLERANCE_MAX 1000000

/* A request with the host's own settings beside the plugin's. */
struct request {
	struct eb_request wire; /* wire.data points into this allocation */
	bool retry_safe; /* a write that may be sent again */
	int64_t timeout_us; /* 0: the bus's */
	struct read_back read_back; /* of a command's write */
	char *name; /* of a poll; NULL in a command */
	char *text; /* as plugin->describe() says it, for logs */
};

struct poll {
	struct request *request;
	int64_t period_us; /* 0: as fast as the bus allows */
	bool urgent; /* priority = "high" */
	/*
	 * Readings of it that the main plane has not taken yet.  The one thing in a plan that changes:
	 * a poll without a period is not repeated while its last reading still waits.
	 */
	atomic_uint untaken;
};

struct plan {
	atomic_uint references;
	uint32_t device;
	struct eb_address address;
	/* Sent in order before the first poll, and again before the polls go on after it was down. */
	struct request **setup; /* owned; NULL where there are none */
	size_t setup_count;
	size_t count;
	struct poll polls[];
};

/*
 * Host keys of a request: name, period, priority, timeout, retry_safe, read_back.  All others are the
 * plugin's.
 */
extern const char *const request_host_keys[];

#define REQUEST_PERIOD_MAX_S 86400

/*
 * Makes a request from a map {read = ..., address = ...}.  state is an opened state of the device's
 * bus.  Problems name place and, where it has one, the request's name.  The caller owns *request.
 * Returns 0, or -EINVAL with the problems.
 */
int request_create(struct request **request, const struct eb_plugin *plugin, const void *state,
	const struct eb_address *address, const void *map, size_t size, enum settings_source source,
	struct place place, struct problems *problems);
/* A request that the plugin made, out of settings or of another one; the host's settings are unset. */
struct request *request_wrap(
	const struct eb_plugin *plugin, const void *state, const struct eb_request *wire);
void request_destroy(struct request *request);
/* Whether all that it does is to read: it writes nothing, is answered, and is sent at all. */
static inline bool request_is_read(const struct request *request)
{
	return !(request->wire.flags & (EB_WRITE | EB_NO_ANSWER | EB_LISTEN));
}
/* Whether it may be repeated without doing anything twice. */
static inline bool request_is_repeatable(const struct request *request)
{
	return !(request->wire.flags & EB_WRITE) || request->retry_safe;
}
/* Whether both are the same to the device: the same bytes to the same address. */
bool request_same_wire(const struct request *one, const struct request *other);
/*
 * One read for what a and b read, across at most hole units of unread data, with a's time-out; NULL
 * where the plugin cannot do that.  The caller owns it.
 */
struct request *request_merge(const struct eb_plugin *plugin, const void *state,
	const struct request *a, const struct request *b, uint32_t hole);
/*
 * The same with a poll's keys (name and period are required, unless the request only listens).
 * The caller owns poll->request.
 */
int poll_init(struct poll *poll, const struct eb_plugin *plugin, const void *state,
	const struct eb_address *address, const void *map, size_t size, enum settings_source source,
	struct place place, struct problems *problems);

/* A plan of one reference with room for count polls, all zero; count may be lowered afterwards. */
struct plan *plan_create(uint32_t device, const struct eb_address *address, size_t count);
/* Gives the plan its setup, before it is shared; owns the requests and their array from then on. */
void plan_take_setup(struct plan *plan, struct request **setup, size_t count);
/* Whether both do the same: the same polls and setup, to the byte and by the same names. */
bool plan_equal(const struct plan *one, const struct plan *other);
struct plan *plan_reference(struct plan *plan);
void plan_release(struct plan *plan);

#endif
