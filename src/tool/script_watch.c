/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/script_watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "util/alloc.h"

/* An editor may write a file in pieces, or save two at once. */
#define SETTLE_MS 100
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO)

struct watched {
	int directory; /* inotify's number of it */
	char *name; /* within it */
};

struct script_watch {
	int fd;
	struct watched *files;
	size_t count;
};

static int add(struct script_watch *watch, const char *path, struct watched *file)
{
	const char *slash = strrchr(path, '/');
	char *directory OWNED = slash ? must_printf("%.*s", (int)(slash - path) + 1, path)
				      : must_strdup(".");
	file->name = must_strdup(slash ? slash + 1 : path);
	file->directory = inotify_add_watch(watch->fd, directory, EVENTS);
	return file->directory < 0 ? -errno : 0;
}

struct script_watch *script_watch_create(char *const *files, size_t count)
{
	struct script_watch *watch = must_alloc(sizeof(*watch));
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	watch->files = must_array(count, sizeof(*watch->files));
	int result = watch->fd < 0 ? -errno : 0;
	for (size_t i = 0; i < count && result == 0; i++) {
		watch->count++;
		result = add(watch, files[i], &watch->files[i]);
	}
	if (result == 0)
		return watch;
	script_watch_destroy(watch);
	errno = -result;
	return NULL;
}

void script_watch_destroy(struct script_watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->count; i++)
		free(watch->files[i].name);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch->files);
	free(watch);
}

static bool note(struct script_watch *watch, const struct inotify_event *event, bool *changed)
{
	bool any = false;
	for (size_t i = 0; i < watch->count && event->len; i++) {
		if (watch->files[i].directory != event->wd ||
			strcmp(watch->files[i].name, event->name) != 0)
			continue;
		changed[i] = any = true;
	}
	return any;
}

/* Takes all events that are there; whether one was about a watched file, or -errno. */
static int take(struct script_watch *watch, bool *changed)
{
	_Alignas(struct inotify_event) char bytes[4096];
	bool any = false;
	for (;;) {
		ssize_t size = read(watch->fd, bytes, sizeof(bytes));
		if (size < 0 && errno == EAGAIN)
			return any;
		if (size < 0)
			return -errno;
		for (const char *at = bytes; at < bytes + size;) {
			const struct inotify_event *event = (const void *)at;
			any = note(watch, event, changed) || any;
			at += sizeof(*event) + event->len;
		}
	}
}

int script_watch_wait(struct script_watch *watch, bool *changed)
{
	struct pollfd item = { .fd = watch->fd, .events = POLLIN };
	memset(changed, 0, watch->count * sizeof(*changed));
	bool any = false;
	for (;;) {
		int ready = poll(&item, 1, any ? SETTLE_MS : -1);
		if (ready < 0)
			return -errno;
		if (ready == 0)
			return 0;
		int taken = take(watch, changed);
		if (taken < 0)
			return taken;
		any = any || taken;
	}
}
