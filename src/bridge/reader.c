/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"

static void check(const char *path, struct place place, const char *user, struct problems *problems)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	if (fd >= 0)
		close(fd);
	else if (path && errno == EACCES)
		problem_warning(problems, place,
			"user %s, as whom the service runs, cannot read %s: let its group read it, "
			"and enter the folders above: chgrp %s, chmod g+r",
			user, path, user);
}

static void check_all(const struct conf *conf, const char *user, struct problems *problems)
{
	for (char **file = conf->files; file && *file; file++)
		check(*file, (struct place){ *file, 0 }, user, problems);
	check(conf->mqtt.password_file, (struct place){ conf->path, 0 }, user, problems);
	for (uint32_t i = 0; i < conf->device_count; i++) {
		const struct conf_device *device = &conf->devices[i];
		check(device->secret_file, device->place, user, problems);
		check(device->product_secret_file, device->place, user, problems);
		/* Said once where neighbours have one script. */
		if (!i || !device->script_path || !device[-1].script_path ||
			strcmp(device->script_path, device[-1].script_path) != 0)
			check(device->script_path, device->place, user, problems);
	}
}

void reader_check(const struct conf *conf, const char *user, struct problems *problems)
{
	const struct passwd *entry = geteuid() == 0 ? getpwnam(user) : NULL;
	int count = entry ? getgroups(0, NULL) : -1;
	if (count < 0)
		return;
	gid_t own = getegid(), *groups OWNED = must_array((size_t)count + 1, sizeof(*groups));
	count = getgroups(count, groups);
	if (count >= 0 && initgroups(user, entry->pw_gid) == 0 && setegid(entry->pw_gid) == 0 &&
		seteuid(entry->pw_uid) == 0)
		check_all(conf, user, problems);
	/* Root may go back to what it was. */
	if (seteuid(0) < 0 || setegid(own) < 0 ||
		(count >= 0 && setgroups((size_t)count, groups) < 0))
		problem_warning(problems, (struct place){ conf->path, 0 },
			"cannot be root again after looking as user %s: %s", user, strerror(errno));
}
