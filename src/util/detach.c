/* SPDX-License-Identifier: Apache-2.0 */
#include "util/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "util/log.h"

static void to_syslog(enum log_level level, const char *line, void *context)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	syslog(priorities[level], "%s", line);
}

static void wait_for_child(pid_t child, int ready)
{
	char byte;
	ssize_t got;
	do {
		got = read(ready, &byte, 1);
	} while (got < 0 && errno == EINTR);
	if (got == 1)
		_exit(0);
	int status = 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

int detach(struct detached *detached, const char *name)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t child = fork();
	if (child < 0) {
		int error = errno;
		close(ends[0]);
		close(ends[1]);
		return -error;
	}
	if (child > 0) {
		close(ends[1]);
		wait_for_child(child, ends[0]);
	}
	close(ends[0]);
	detached->ready = ends[1];
	setsid();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	openlog(name, LOG_PID, LOG_DAEMON);
	log_set_sink(to_syslog, NULL);
	return 0;
}

void detach_ready(struct detached *detached)
{
	if (detached->ready < 0)
		return;
	ssize_t written = write(detached->ready, "", 1);
	(void)written; /* a parent that was killed meanwhile needs no answer */
	close(detached->ready);
	detached->ready = -1;
}
