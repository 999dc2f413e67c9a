/* SPDX-License-Identifier: Apache-2.0 */
/* Going to the background, for a daemon that is started from a shell and not by a service manager. */
#ifndef EB_UTIL_DETACH_H
#define EB_UTIL_DETACH_H

struct detached {
	int ready; /* written once by detach_ready(); -1 in the foreground */
};

/*
 * Forks.  In the parent it does not return: that waits until the child says that it is ready, or
 * ends, and exits with 0 or the child's failure.  In the child, which leads a session of its own,
 * it returns 0; log lines go to syslog from then on.  -errno where no child could be made.
 */
int detach(struct detached *detached, const char *name);
void detach_ready(struct detached *detached);

#endif
