/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file, numbers in the machine's own order: 8 bytes of magic, a CRC-32 and the size of all that
 * follows; then for each device the size of its name and the name, the size of its state and the state.
 */
#include "bridge/keepsake.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/fleet.h"
#include "util/alloc.h"
#include "util/log.h"

/* Of 10,000 devices with full states, and some more. */
#define FILE_MAX (256 * 1024 * 1024)

struct header {
	char magic[8];
	uint32_t crc, size;
};

static const char magic[8] = "ebstate1";

struct keepsake {
	char *directory, *path, *new_path;
	struct buffer loaded; /* what follows the header */
	size_t at; /* behind what was found last: devices are asked for in their order */
	struct buffer found; /* scratch of keepsake_find() */
	uint32_t crc; /* of what the file has */
	size_t size;
	bool there; /* a file that has it */
	bool failing; /* and it was said */
	pthread_t thread; /* that writes: bytes and the four above are its own until it ended */
	bool started;
	atomic_bool ended;
	struct buffer bytes; /* what is to be written behind the header */
};

/* ---- bytes ---------------------------------------------------------------------------------- */

/* steps[n][byte]: what a byte with n others behind it does to the CRC. */
static void fill_steps(uint32_t steps[4][256])
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
		steps[0][byte] = crc;
	}
	for (int behind = 1; behind < 4; behind++) {
		for (int byte = 0; byte < 256; byte++) {
			uint32_t crc = steps[behind - 1][byte];
			steps[behind][byte] = crc >> 8 ^ steps[0][crc & 0xff];
		}
	}
}

/* CRC-32/ISO-HDLC, four bytes at a time: the main thread waits for it, and states can be many. */
static uint32_t crc_of(const struct buffer *bytes)
{
	uint32_t steps[4][256], crc = ~UINT32_C(0);
	size_t i = 0;
	fill_steps(steps);
	for (; bytes->size - i >= 4; i += 4) {
		const uint8_t *at = bytes->data + i;
		crc ^= at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
		crc = steps[3][crc & 0xff] ^ steps[2][crc >> 8 & 0xff] ^
			steps[1][crc >> 16 & 0xff] ^ steps[0][crc >> 24];
	}
	for (; i < bytes->size; i++)
		crc = crc >> 8 ^ steps[0][(crc ^ bytes->data[i]) & 0xff];
	return ~crc;
}

static void put_part(struct buffer *to, const void *bytes, size_t size)
{
	uint32_t count = (uint32_t)size;
	buffer_put(to, &count, sizeof(count));
	buffer_put(to, bytes, size);
}

/* The part that stands at *at, which goes on behind it.  False at the end, or where it is cut off. */
static bool next_part(
	const struct buffer *from, size_t *at, const uint8_t **part, size_t *part_size)
{
	uint32_t size;
	if (from->size - *at < sizeof(size))
		return false;
	memcpy(&size, from->data + *at, sizeof(size));
	*at += sizeof(size);
	if (from->size - *at < size)
		return false;
	*part = from->data + *at;
	*part_size = size;
	*at += size;
	return true;
}

static void put_name(struct buffer *name, const struct conf_device *device)
{
	buffer_printf(name, "%s/%s/%s", device->product_key, device->device_key, device->script);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int read_bytes(int fd, struct buffer *bytes, size_t size)
{
	while (bytes->size < size) {
		ssize_t got = read(
			fd, buffer_reserve(bytes, size - bytes->size), size - bytes->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EBADMSG;
		bytes->size += (size_t)got;
	}
	return 0;
}

/* 0, -ENOENT, -EBADMSG where it is damaged, or another -errno. */
static int read_file(struct keepsake *keepsake)
{
	int fd = open(keepsake->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	struct stat status;
	struct header header = { .crc = 0 };
	OWNED_BUFFER head = BUFFER_EMPTY;
	int result = fstat(fd, &status) < 0 ? -errno : 0;
	if (result == 0 && !S_ISREG(status.st_mode))
		result = -EINVAL;
	if (result == 0)
		result = read_bytes(fd, &head, sizeof(header));
	if (result == 0)
		memcpy(&header, head.data, sizeof(header));
	bool fits = header.size <= FILE_MAX &&
		(off_t)(sizeof(header) + header.size) == status.st_size;
	if (result == 0 && (memcmp(header.magic, magic, sizeof(magic)) != 0 || !fits))
		result = -EBADMSG;
	if (result == 0)
		result = read_bytes(fd, &keepsake->loaded, header.size);
	close(fd);
	if (result == 0 && crc_of(&keepsake->loaded) != header.crc)
		result = -EBADMSG;
	keepsake->crc = header.crc;
	keepsake->size = header.size;
	return result;
}

static void set_aside(const struct keepsake *keepsake)
{
	char *aside OWNED = must_printf("%s.damaged", keepsake->path);
	const char *kept = rename(keepsake->path, aside) == 0 ? aside : keepsake->path;
	log_error("scripts: %s is damaged: it is kept as %s, and each device.state begins empty: "
		  "check the disk",
		keepsake->path, kept);
}

struct keepsake *keepsake_load(const char *directory)
{
	struct keepsake *keepsake = must_alloc(sizeof(*keepsake));
	keepsake->directory = must_strdup(directory);
	keepsake->path = must_printf("%s/" KEEPSAKE_FILE, directory);
	keepsake->new_path = must_printf("%s.new", keepsake->path);
	int result = read_file(keepsake);
	keepsake->there = result == 0;
	if (result == 0)
		return keepsake;
	buffer_clear(&keepsake->loaded);
	if (result == -EBADMSG)
		set_aside(keepsake);
	else if (result != -ENOENT)
		log_error("scripts: %s cannot be read: %s: each device.state begins empty: check "
			  "its owner and its mode",
			keepsake->path, strerror(-result));
	return keepsake;
}

/* Waits for the thread, if there is one. */
static void collect(struct keepsake *keepsake)
{
	if (keepsake->started)
		pthread_join(keepsake->thread, NULL);
	keepsake->started = false;
	buffer_finish(&keepsake->bytes);
	keepsake->bytes = (struct buffer)BUFFER_EMPTY;
}

void keepsake_destroy(struct keepsake *keepsake)
{
	if (!keepsake)
		return;
	collect(keepsake);
	buffer_finish(&keepsake->loaded);
	buffer_finish(&keepsake->found);
	free(keepsake->directory);
	free(keepsake->path);
	free(keepsake->new_path);
	free(keepsake);
}

/* Looks from the cursor to the end. */
static bool find(struct keepsake *keepsake, const struct buffer *wanted)
{
	const uint8_t *name, *state;
	size_t name_size, size;
	while (next_part(&keepsake->loaded, &keepsake->at, &name, &name_size) &&
		next_part(&keepsake->loaded, &keepsake->at, &state, &size)) {
		if (name_size != wanted->size || memcmp(name, wanted->data, name_size) != 0)
			continue;
		buffer_clear(&keepsake->found);
		buffer_put(&keepsake->found, state, size);
		return true;
	}
	keepsake->at = 0;
	return false;
}

const struct buffer *keepsake_find(struct keepsake *keepsake, const struct conf_device *device)
{
	if (!keepsake || !device->script)
		return NULL;
	OWNED_BUFFER wanted = BUFFER_EMPTY;
	put_name(&wanted, device);
	/* Where it does not stand behind the last one, it may stand before it. */
	bool found = find(keepsake, &wanted) || find(keepsake, &wanted);
	return found ? &keepsake->found : NULL;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void gather(const struct fleet *fleet, struct buffer *bytes)
{
	OWNED_BUFFER name = BUFFER_EMPTY;
	for (uint32_t i = 0; i < fleet->conf->device_count; i++) {
		const struct member *device = &fleet->devices[i];
		const struct buffer *state = device->lua ? script_device_state(device->lua) : NULL;
		if (!state || !state->size)
			continue;
		buffer_clear(&name);
		put_name(&name, device->conf);
		put_part(bytes, name.data, name.size);
		put_part(bytes, state->data, state->size);
	}
}

static int write_bytes(int fd, const void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t put = write(fd, (const uint8_t *)bytes + done, size - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		done += (size_t)put;
	}
	return 0;
}

/* The new name is only as safe as the directory that has it. */
static int sync_directory(const struct keepsake *keepsake)
{
	int fd = open(keepsake->directory, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	if (fd < 0)
		return -errno;
	int result = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return result;
}

static int replace_file(
	const struct keepsake *keepsake, const struct header *header, const struct buffer *bytes)
{
	int fd = open(keepsake->new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int result = write_bytes(fd, header, sizeof(*header));
	if (result == 0)
		result = write_bytes(fd, bytes->data, bytes->size);
	if (result == 0 && fsync(fd) < 0)
		result = -errno;
	close(fd);
	if (result == 0 && rename(keepsake->new_path, keepsake->path) < 0)
		result = -errno;
	if (result < 0)
		unlink(keepsake->new_path);
	return result < 0 ? result : sync_directory(keepsake);
}

static void say(struct keepsake *keepsake, int result)
{
	if (result < 0 && !keepsake->failing)
		log_error("scripts: %s cannot be written: %s: a restart would lose what "
			  "device.state holds: check the disk and its rights",
			keepsake->path, strerror(-result));
	else if (result == 0 && keepsake->failing)
		log_info("scripts: %s is written again", keepsake->path);
	keepsake->failing = result < 0;
}

/* Writes the bytes where the file has others. */
static int write_down(struct keepsake *keepsake)
{
	const struct buffer *bytes = &keepsake->bytes;
	struct header header = { .crc = crc_of(bytes), .size = (uint32_t)bytes->size };
	memcpy(header.magic, magic, sizeof(magic));
	bool same = keepsake->there && header.crc == keepsake->crc && header.size == keepsake->size;
	if (same || (!keepsake->there && !bytes->size))
		return 0;
	int result = replace_file(keepsake, &header, bytes);
	say(keepsake, result);
	if (result < 0)
		return result;
	keepsake->there = true;
	keepsake->crc = header.crc;
	keepsake->size = header.size;
	return 0;
}

static void *run(void *context)
{
	struct keepsake *keepsake = context;
	write_down(keepsake);
	atomic_store(&keepsake->ended, true);
	return NULL;
}

/* What was loaded was handed out long ago. */
static void take_states(struct keepsake *keepsake, const struct fleet *fleet)
{
	collect(keepsake);
	buffer_finish(&keepsake->loaded);
	keepsake->loaded = (struct buffer)BUFFER_EMPTY;
	keepsake->at = 0;
	gather(fleet, &keepsake->bytes);
}

int keepsake_save(struct keepsake *keepsake, const struct fleet *fleet)
{
	take_states(keepsake, fleet);
	return write_down(keepsake);
}

void keepsake_save_aside(struct keepsake *keepsake, const struct fleet *fleet)
{
	/* A disk that takes so long is not asked for more. */
	if (keepsake->started && !atomic_load(&keepsake->ended))
		return;
	take_states(keepsake, fleet);
	atomic_store(&keepsake->ended, false);
	keepsake->started = pthread_create(&keepsake->thread, NULL, run, keepsake) == 0;
	if (!keepsake->started)
		write_down(keepsake);
}
