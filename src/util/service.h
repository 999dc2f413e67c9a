/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service manager wants to know (sd_notify).  Without one all of these do nothing, and the
 * watchdog's interval is 0.
 */
#ifndef EB_UTIL_SERVICE_H
#define EB_UTIL_SERVICE_H

#include <stdint.h>

/* Started, or done with what service_reloading() said. */
void service_ready(void);
void service_reloading(void);
void service_stopping(void);
/* One line of how it goes, for `systemctl status`. */
void service_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Within this time of the last one service_watchdog() must be called, or the service is killed and
 * started again; µs, 0 for never.  Call it twice as often.
 */
int64_t service_watchdog_us(void);
void service_watchdog(void);

#endif
