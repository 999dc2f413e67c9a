/* SPDX-License-Identifier: Apache-2.0 */
#include "util/service.h"

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/buffer.h"
#include "util/clock.h"

/* A name without a file is written with @ for the zero byte that it begins with.  0: no address. */
static socklen_t read_address(const char *name, struct sockaddr_un *address)
{
	size_t length = name ? strlen(name) : 0;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (length < 2 || length >= sizeof(address->sun_path) || !strchr("/@", name[0]))
		return 0;
	memcpy(address->sun_path, name, length);
	if (name[0] == '@')
		address->sun_path[0] = 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/*
 * One datagram, as sd_notify(3) describes.  libsystemd would do it, and brings 1 MiB of pages of its
 * own and of libraries for its journal.  The environment stays as it is: READY is said again after
 * each reload.  Where nobody listens there is nobody to tell.
 */
static void notify(const char *state)
{
	struct sockaddr_un address;
	socklen_t size = read_address(getenv("NOTIFY_SOCKET"), &address);
	int fd = size ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	if (fd < 0)
		return;
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
	close(fd);
}

/* A variable of the environment that is a number and nothing else; 0 where it is not. */
static int64_t number_of(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	if (!text || text[0] < '0' || text[0] > '9')
		return 0;
	long long number = strtoll(text, &end, 10);
	return *end || number == LLONG_MAX ? 0 : number;
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
	/* Named by its id where it is not meant for what the process may start. */
	if (getenv("WATCHDOG_PID") && number_of("WATCHDOG_PID") != getpid())
		return 0;
	return number_of("WATCHDOG_USEC");
}

void service_watchdog(void)
{
	notify("WATCHDOG=1");
}
