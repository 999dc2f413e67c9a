/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloud/crypto.h"
#include "util/alloc.h"
#include "util/json.h"

#define SECRET_MAX 256
#define FILE_MAX 2048
#define HEAD "enos-bridge activation 1\n"

static void wipe(struct buffer *buffer)
{
	if (buffer->data)
		explicit_bzero(buffer->data, buffer->size);
	buffer_finish(buffer);
}

#define WIPED_BUFFER __attribute__((cleanup(wipe))) struct buffer

static bool is_secret(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] <= 0x20 || text[i] > 0x7e)
			return false;
	}
	return size && size <= SECRET_MAX;
}

static bool text_is(const struct value *value, const char *text)
{
	return value->type == VALUE_STRING && value->size == strlen(text) &&
		memcmp(value->text, text, value->size) == 0;
}

/* The secret in the map of params; keys that stand there must be the device's. */
static char *find_secret(
	struct value_reader reader, size_t pairs, const char *product_key, const char *device_key)
{
	const char *secret = NULL;
	struct value key, value;
	for (size_t i = 0; i < pairs; i++) {
		struct value_reader at;
		if (!value_next(&reader, &key))
			return NULL;
		at = reader;
		if (!value_next(&at, &value) || !value_skip(&reader))
			return NULL;
		if ((text_is(&key, "productKey") && !text_is(&value, product_key)) ||
			(text_is(&key, "deviceKey") && !text_is(&value, device_key)))
			return NULL;
		if (text_is(&key, "deviceSecret") && value.type == VALUE_STRING &&
			is_secret(value.text, value.size))
			secret = value.text;
	}
	return secret ? must_strdup(secret) : NULL;
}

char *activation_read(struct buffer *scratch, const void *payload, size_t size,
	const char *product_key, const char *device_key)
{
	struct value_reader inside;
	struct value params;
	char error[120], *secret = NULL;
	buffer_clear(scratch);
	if (size && json_parse(scratch, payload, size, error, sizeof(error)) == 0 &&
		value_find(scratch->data, scratch->size, "params", &params, &inside) &&
		params.type == VALUE_MAP)
		secret = find_secret(inside, params.size, product_key, device_key);
	if (scratch->data)
		explicit_bzero(scratch->data, scratch->capacity);
	buffer_clear(scratch);
	return secret;
}

/* What the file holds: the device, its secret, and a sum of all that. */
static void put_file(
	struct buffer *text, const char *product_key, const char *device_key, const char *secret)
{
	char sum[65];
	buffer_reserve(text, FILE_MAX);
	buffer_printf(text, HEAD "%s\n%s\n%s\n", product_key, device_key, secret);
	crypto_sum(sum, text->data, text->size);
	buffer_printf(text, "%s\n", sum);
}

/* 0 or -errno; the text ends in a NUL. */
static int read_file(const char *path, struct buffer *text)
{
	char *bytes = (char *)buffer_reserve(text, FILE_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t size = read(fd, bytes, FILE_MAX - 1);
	int error = size < 0 ? -errno : 0;
	close(fd);
	if (error < 0)
		return error;
	bytes[size] = 0;
	text->size = (size_t)size;
	return 0;
}

/* A copy of the line that many lines behind the first. */
static char *line_of(const char *text, int number)
{
	for (; number; number--) {
		text = strchr(text, '\n');
		if (!text++)
			return NULL;
	}
	size_t size = strcspn(text, "\n");
	return is_secret(text, size) ? must_printf("%.*s", (int)size, text) : NULL;
}

static char *path_of(const char *state_dir, const char *product_key, const char *device_key)
{
	return must_printf("%s/" ACTIVATION_FOLDER "/%s,%s", state_dir, product_key, device_key);
}

int activation_load(
	const char *state_dir, const char *product_key, const char *device_key, char **result)
{
	WIPED_BUFFER text = BUFFER_EMPTY;
	WIPED_BUFFER good = BUFFER_EMPTY;
	OWNED char *path = path_of(state_dir, product_key, device_key);
	int error = read_file(path, &text);
	if (error < 0)
		return error;
	char *secret = line_of((const char *)text.data, 3);
	put_file(&good, product_key, device_key, secret ? secret : "");
	if (secret && good.size == text.size && memcmp(good.data, text.data, good.size) == 0) {
		*result = secret;
		return 0;
	}
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
	OWNED char *aside = must_printf("%s.bad", path);
	return rename(path, aside) < 0 ? -errno : -EBADMSG;
}

static int write_file(const char *path, const struct buffer *text)
{
	/* What an interrupted one left behind may have another mode. */
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	ssize_t size = write(fd, text->data, text->size);
	int error = size == (ssize_t)text->size ? 0 : size < 0 ? -errno : -ENOSPC;
	if (error == 0 && fsync(fd) < 0)
		error = -errno;
	close(fd);
	return error;
}

static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return error;
}

int activation_store(
	const char *state_dir, const char *product_key, const char *device_key, const char *secret)
{
	WIPED_BUFFER text = BUFFER_EMPTY;
	OWNED char *path = path_of(state_dir, product_key, device_key);
	OWNED char *fresh = must_printf("%s.new", path);
	OWNED char *folder = must_printf("%s/" ACTIVATION_FOLDER, state_dir);
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	put_file(&text, product_key, device_key, secret);
	int error = write_file(fresh, &text);
	if (error == 0 && rename(fresh, path) < 0)
		error = -errno;
	if (error < 0)
		unlink(fresh);
	return error < 0 ? error : sync_folder(folder);
}
