/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"

#define SECRET_MAX 256

char *path_resolve(const struct conf_parts *parts, const char *path)
{
	return path[0] == '/' ? must_strdup(path) : must_printf("%s/%s", parts->dir, path);
}

/* The whole file, where it is not longer than room.  Its size, or -errno. */
static ssize_t read_whole(int fd, char *text, size_t room)
{
	size_t size = 0;
	while (size < room) {
		ssize_t got = read(fd, text + size, room - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return (ssize_t)size;
		size += (size_t)got;
	}
	return -EFBIG;
}

/* O_NONBLOCK: a pipe in the file's place must not stop us. */
static ssize_t read_file(const char *path, char *text, size_t room, mode_t *mode)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t result = fstat(fd, &status) < 0 ? -errno : 0;
	if (result == 0 && !S_ISREG(status.st_mode))
		result = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
	if (result == 0) {
		*mode = status.st_mode;
		result = read_whole(fd, text, room);
	}
	close(fd);
	return result;
}

static void refuse(
	const struct conf_parts *parts, const struct node *node, const char *path, ssize_t error)
{
	struct problems *problems = parts->problems;
	if (error == -ENOENT)
		problem_error(problems, node->place,
			"%s %s does not exist: create it with the secret in one line", node->key,
			path);
	else if (error == -EFBIG)
		problem_error(problems, node->place,
			"%s %s is too long: it must hold one line of at most %d bytes", node->key,
			path, SECRET_MAX);
	else if (error == -EINVAL)
		problem_error(problems, node->place, "%s %s is no regular file", node->key, path);
	else
		problem_error(problems, node->place,
			"%s %s cannot be read: %s: check that user %u may read it", node->key, path,
			strerror((int)-error), (unsigned)geteuid());
}

char *secret_read(const struct conf_parts *parts, const struct node *node, const char *path,
	enum field_form form)
{
	char text[SECRET_MAX + 4];
	mode_t mode = 0;
	ssize_t size = read_file(path, text, sizeof(text), &mode);
	if (size < 0) {
		refuse(parts, node, path, size);
		return NULL;
	}
	while (size > 0 && strchr(" \t\r\n", text[size - 1]))
		size--;
	text[size] = 0;
	char *secret = NULL;
	if (size == 0)
		problem_error(parts->problems, node->place,
			"%s %s is empty: write the secret into it, in one line", node->key, path);
	else if (size > SECRET_MAX)
		refuse(parts, node, path, -EFBIG);
	else if (strlen(text) != (size_t)size || !form_matches(form, text))
		problem_error(parts->problems, node->place,
			"%s %s holds what cannot be in a secret: it must be one line of %s",
			node->key, path, form_describe(form));
	else
		secret = must_strdup(text);
	explicit_bzero(text, sizeof(text));
	if (mode & S_IROTH)
		problem_warning(parts->problems, node->place,
			"%s %s can be read by every user of this machine: chmod o= it", node->key,
			path);
	return secret;
}
