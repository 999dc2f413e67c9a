/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that are down for a while: when it is time that EnOS shows them offline. */
#ifndef EB_BRIDGE_ABSENCE_H
#define EB_BRIDGE_ABSENCE_H

#include "core/conf.h"
#include "core/message.h"
#include "util/loop.h"

struct absences;

struct absences_setup {
	const struct conf *conf;
	struct loop *loop;
	void *context;
	/* The device is down for as long as its offline_after says; or is not any more. */
	void (*changed)(void *context, uint32_t device, bool absent);
};

struct absences *absences_create(const struct absences_setup *setup);
void absences_destroy(struct absences *absences);
void absences_health(struct absences *absences, uint32_t device, enum health_state state);

#endif
