/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/hex.h"
#include "util/json.h"
#include "util/list.h"
#include "util/log.h"

#define FLUSH_AT 65536
#define FLUSH_AFTER_US (100 * USEC_PER_MSEC)

struct transcript {
	struct loop *loop;
	struct timer timer;
	struct buffer text;
	int fd;
};

static void flush_later(struct timer *timer, int64_t now_us)
{
	transcript_flush(container_of(timer, struct transcript, timer));
}

int transcript_open(struct transcript **result, struct loop *loop, const char *path)
{
	int fd = strcmp(path, "-") == 0
		? STDOUT_FILENO
		: open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	struct transcript *transcript = must_alloc(sizeof(*transcript));
	transcript->loop = loop;
	transcript->fd = fd;
	transcript->timer.expired = flush_later;
	*result = transcript;
	return 0;
}

void transcript_flush(struct transcript *transcript)
{
	if (!transcript)
		return;
	loop_disarm(transcript->loop, &transcript->timer);
	size_t at = 0;
	while (at < transcript->text.size) {
		ssize_t count = write(
			transcript->fd, transcript->text.data + at, transcript->text.size - at);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			log_error("transcript: %zu bytes lost: %s", transcript->text.size - at,
				strerror(errno));
			break;
		}
		at += (size_t)count;
	}
	buffer_clear(&transcript->text);
}

void transcript_close(struct transcript *transcript)
{
	if (!transcript)
		return;
	transcript_flush(transcript);
	if (transcript->fd != STDOUT_FILENO)
		close(transcript->fd);
	buffer_finish(&transcript->text);
	free(transcript);
}

struct buffer *transcript_begin(
	struct transcript *transcript, int64_t now_us, const char *line, const char *event)
{
	if (!transcript)
		return NULL;
	buffer_printf(&transcript->text, "{\"us\":%lld,\"line\":", (long long)now_us);
	json_put_text(&transcript->text, line);
	buffer_printf(&transcript->text, ",\"event\":\"%s\"", event);
	return &transcript->text;
}

void transcript_end(struct transcript *transcript)
{
	buffer_put(&transcript->text, "}\n", 2);
	if (transcript->text.size >= FLUSH_AT)
		transcript_flush(transcript);
	else if (!timer_armed(&transcript->timer))
		loop_arm(transcript->loop, &transcript->timer,
			loop_now(transcript->loop) + FLUSH_AFTER_US);
}

void transcript_put_bytes(struct buffer *json, const char *name, const uint8_t *bytes, size_t size)
{
	buffer_printf(json, ",\"%s\":\"", name);
	hex_put(json, bytes, size);
	buffer_put_byte(json, '"');
}
