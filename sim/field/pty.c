/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static int open_slave(struct pty *pty, char *name, size_t room)
{
	struct termios settings;
	if (grantpt(pty->master) < 0 || unlockpt(pty->master) < 0 ||
		ptsname_r(pty->master, name, room) != 0)
		return -errno;
	pty->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pty->slave < 0 || tcgetattr(pty->slave, &settings) < 0)
		return -errno;
	/* Until a master sets its own: no echo, no line editing, every byte as it is. */
	cfmakeraw(&settings);
	return tcsetattr(pty->slave, TCSANOW, &settings) < 0 ? -errno : 0;
}

static int link_to(const char *name, const char *path)
{
	struct stat status;
	if (lstat(path, &status) == 0 && !S_ISLNK(status.st_mode))
		return -EEXIST;
	unlink(path);
	return symlink(name, path) < 0 ? -errno : 0;
}

int pty_open(struct pty *pty, const char *path)
{
	char name[PATH_MAX];
	pty->slave = -1;
	pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	int result = pty->master < 0 ? -errno : open_slave(pty, name, sizeof(name));
	if (result == 0)
		result = link_to(name, path);
	if (result < 0) {
		if (pty->slave >= 0)
			close(pty->slave);
		if (pty->master >= 0)
			close(pty->master);
		pty->master = pty->slave = -1;
	}
	return result;
}

void pty_close(struct pty *pty, const char *path)
{
	unlink(path);
	close(pty->master);
	close(pty->slave);
	pty->master = pty->slave = -1;
}
