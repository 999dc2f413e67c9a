/* SPDX-License-Identifier: Apache-2.0 */
/* Built without libsystemd: nobody is told. */
#include "util/service.h"

void service_ready(void)
{
}

void service_reloading(void)
{
}

void service_stopping(void)
{
}

void service_status(const char *format, ...)
{
}

int64_t service_watchdog_us(void)
{
	return 0;
}

void service_watchdog(void)
{
}
