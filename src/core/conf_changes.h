/* SPDX-License-Identifier: Apache-2.0 */
/* In what two configurations differ, for whoever runs one of them and has read the other. */
#ifndef EB_CORE_CONF_CHANGES_H
#define EB_CORE_CONF_CHANGES_H

#include "core/conf.h"

#define CONF_CHANGES_MAX 20

/*
 * Says each difference but the secrets of devices, as "enos.lifetime" or "device meter-1: parameters";
 * at most CONF_CHANGES_MAX of them.  Returns how many there are.
 */
size_t conf_changes(const struct conf *old, const struct conf *fresh,
	void (*say)(void *context, const char *what), void *context);

#endif
