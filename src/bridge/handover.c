/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/handover.h"

#include "util/alloc.h"
#include "util/log.h"

#define AGAIN_US USEC_PER_SEC

struct handover {
	const struct fleet *fleet;
	struct loop *loop;
	struct mailbox *to_field;
	bool *late; /* for each device: its plan found no room */
	size_t waiting; /* of them */
	struct timer again;
};

static bool put(struct handover *handover, struct member *device)
{
	if (device->sent == device->plan)
		return true;
	struct plan_change *change = plan_change_create(device->plan);
	if (!mailbox_put(handover->to_field, &change->mail))
		return false;
	plan_release(device->sent);
	device->sent = plan_reference(device->plan);
	return true;
}

static void note(struct handover *handover, uint32_t device, bool late)
{
	handover->waiting += late;
	handover->waiting -= handover->late[device];
	handover->late[device] = late;
}

/* Whatever plan the device has by now. */
static void try_again(struct timer *timer, int64_t now_us)
{
	struct handover *handover = container_of(timer, struct handover, again);
	for (uint32_t i = 0; i < handover->fleet->conf->device_count; i++) {
		if (!handover->late[i])
			continue;
		if (!put(handover, &handover->fleet->devices[i])) {
			loop_arm(handover->loop, timer, now_us + AGAIN_US);
			return;
		}
		note(handover, i, false);
	}
	log_info("bridge: the field has the polls of all devices now");
}

struct handover *handover_create(
	const struct fleet *fleet, struct loop *loop, struct mailbox *to_field)
{
	struct handover *handover = must_alloc(sizeof(*handover));
	handover->fleet = fleet;
	handover->loop = loop;
	handover->to_field = to_field;
	handover->late = must_array(fleet->conf->device_count, sizeof(*handover->late));
	handover->again.expired = try_again;
	return handover;
}

void handover_destroy(struct handover *handover)
{
	if (!handover)
		return;
	loop_disarm(handover->loop, &handover->again);
	free(handover->late);
	free(handover);
}

void handover_send(struct handover *handover, struct member *device)
{
	bool late = !put(handover, device);
	note(handover, device->number, late);
	if (!late || timer_armed(&handover->again))
		return;
	log_warning(
		"device %s: its polls wait, as those of others may: the field has too much to do "
		"already; they are handed over as soon as it has room",
		device->conf->name);
	loop_arm(handover->loop, &handover->again, loop_now(handover->loop) + AGAIN_US);
}
