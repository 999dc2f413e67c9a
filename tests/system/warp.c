/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands before the C library's clocks and resolver in a daemon under test.  The environment's WARP
 * names a file of 64-bit integers, which the test writes while the daemon runs: by how many µs the wall
 * clock is off; where it is not 0, that no name resolves until it is 0 again; and N of 127.0.0.N, which
 * is where the name moving.test leads.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 2000

struct warp {
	_Atomic int64_t wall_us;
	_Atomic int64_t hold;
	_Atomic int64_t moved; /* a file of 16 bytes says 0 */
};

static struct warp nothing;
static struct warp *warp = &nothing;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_getaddrinfo)(
	const char *, const char *, const struct addrinfo *, struct addrinfo **);

__attribute__((constructor)) static void open_warp(void)
{
	const char *path = getenv("WARP");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;
	if (fd >= 0)
		map = mmap(NULL, sizeof(*warp), PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		fputs("WARP must name a file of 16 bytes or more\n", stderr);
		_exit(1);
	}
	close(fd);
	warp = map;
}

/* Sanitizers ask for the time before constructors run; so what is missing is looked up at need. */
int clock_gettime(clockid_t id, struct timespec *now)
{
	if (!real_clock_gettime)
		*(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real_clock_gettime(id, now);
	if (result < 0 || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
		return result;
	int64_t us = atomic_load(&warp->wall_us) + now->tv_nsec / 1000;
	int64_t seconds = us / 1000000 - (us % 1000000 < 0);
	now->tv_sec += seconds;
	now->tv_nsec = (us - seconds * 1000000) * 1000;
	return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;
	clock_gettime(CLOCK_REALTIME, &exact);
	*now = (struct timeval){ .tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *seconds)
{
	struct timespec exact;
	clock_gettime(CLOCK_REALTIME, &exact);
	if (seconds)
		*seconds = exact.tv_sec;
	return exact.tv_sec;
}

int getaddrinfo(const char *restrict host, const char *restrict service,
	const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
	if (!real_getaddrinfo)
		*(void **)&real_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
	char moved[32];
	if (host && strcmp(host, "moving.test") == 0) {
		snprintf(moved, sizeof(moved), "127.0.0.%d", (int)atomic_load(&warp->moved));
		return real_getaddrinfo(moved, service, hints, list);
	}
	/* No resolver is asked for what is an address already. */
	struct addrinfo numeric = { .ai_flags = AI_NUMERICHOST };
	struct addrinfo *found;
	if (host && real_getaddrinfo(host, NULL, &numeric, &found) == 0)
		freeaddrinfo(found);
	else
		while ((!hints || !(hints->ai_flags & AI_NUMERICHOST)) && atomic_load(&warp->hold))
			usleep(LOOK_US);
	return real_getaddrinfo(host, service, hints, list);
}
