/* SPDX-License-Identifier: Apache-2.0 */
#include "util/service.h"

#include <stdarg.h>
#include <systemd/sd-daemon.h>

#include "util/alloc.h"
#include "util/buffer.h"
#include "util/clock.h"

/* The environment stays as it is: READY is said again after each reload. */
static void notify(const char *state)
{
	(void)sd_notify(0, state); /* where nobody listens there is nobody to tell */
}

void service_ready(void)
{
	notify("READY=1");
}

void service_reloading(void)
{
	const struct clock clock = CLOCK_SYSTEM;
	OWNED_BUFFER state = BUFFER_EMPTY;
	buffer_printf(&state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us(&clock));
	notify(buffer_text(&state));
}

void service_stopping(void)
{
	notify("STOPPING=1");
}

void service_status(const char *format, ...)
{
	OWNED_BUFFER state = BUFFER_EMPTY;
	buffer_put_text(&state, "STATUS=");
	va_list arguments;
	va_start(arguments, format);
	buffer_vprintf(&state, format, arguments);
	va_end(arguments);
	/* A newline would begin another assignment. */
	for (size_t i = 0; i < state.size; i++) {
		if (state.data[i] == '\n')
			state.data[i] = ' ';
	}
	notify(buffer_text(&state));
}

int64_t service_watchdog_us(void)
{
	uint64_t span_us = 0;
	return sd_watchdog_enabled(0, &span_us) > 0 ? (int64_t)span_us : 0;
}

void service_watchdog(void)
{
	notify("WATCHDOG=1");
}
