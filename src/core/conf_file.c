/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/conf_scan.h"
#include "util/alloc.h"

struct conversion {
	const char *file;
	bool bad_integers;
	struct problems *problems;
};

static void convert(
	const struct conversion *conversion, config_setting_t *setting, struct node *node);

static void convert_items(
	const struct conversion *conversion, config_setting_t *setting, struct node *node)
{
	int count = config_setting_length(setting);
	node->items = must_array((size_t)count, sizeof(*node->items));
	node->count = (size_t)count;
	for (int i = 0; i < count; i++)
		convert(conversion, config_setting_get_elem(setting, (unsigned)i), &node->items[i]);
}

static void convert_integer(
	const struct conversion *conversion, config_setting_t *setting, struct node *node)
{
	bool wide = config_setting_type(setting) == CONFIG_TYPE_INT64;
	node->integer = wide ? config_setting_get_int64(setting) : config_setting_get_int(setting);
	bool bad = conversion->bad_integers &&
		node->integer == (wide ? SCAN_BAD_64 : (int64_t)SCAN_BAD_32);
	node->type = bad ? NODE_BAD : NODE_INTEGER;
}

static void convert_real(
	const struct conversion *conversion, config_setting_t *setting, struct node *node)
{
	node->type = NODE_REAL;
	node->real = config_setting_get_float(setting);
	if (isfinite(node->real))
		return;
	node->type = NODE_BAD;
	problem_error(conversion->problems, node->place,
		"this number is beyond the range of reals: the most is 1.7e308");
}

static void convert(
	const struct conversion *conversion, config_setting_t *setting, struct node *node)
{
	const char *key = config_setting_name(setting);
	node->key = key ? must_strdup(key) : NULL;
	node->place = (struct place){ conversion->file, setting->line };
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		convert_integer(conversion, setting, node);
		break;
	case CONFIG_TYPE_FLOAT:
		convert_real(conversion, setting, node);
		break;
	case CONFIG_TYPE_BOOL:
		node->type = NODE_BOOLEAN;
		node->integer = config_setting_get_bool(setting) != 0;
		break;
	case CONFIG_TYPE_STRING:
		node->type = NODE_TEXT;
		const char *text = config_setting_get_string(setting);
		node->text = must_strdup(text ? text : "");
		break;
	case CONFIG_TYPE_ARRAY:
		node->type = NODE_ARRAY;
		convert_items(conversion, setting, node);
		break;
	case CONFIG_TYPE_LIST:
		node->type = NODE_LIST;
		convert_items(conversion, setting, node);
		break;
	case CONFIG_TYPE_GROUP:
		node->type = NODE_GROUP;
		convert_items(conversion, setting, node);
		break;
	}
}

/* libconfig's few words, and what to do about them. */
static const char *advice(const char *words)
{
	if (strstr(words, "duplicate"))
		return "this key stands twice in its group: keep one of them";
	if (strstr(words, "mismatched"))
		return "the items of an array [ ] must be of one type: write a list ( ) for a mixture";
	return "syntax error here or just before: look for a missing ';', ',', '=', quote or bracket";
}

void conf_source_parse(
	struct conf_source *source, const char *text, size_t size, struct problems *problems)
{
	OWNED_BUFFER clean = BUFFER_EMPTY;
	struct scan scan = scan_text(&clean, text, size, source->file, problems);
	if (!scan.parse)
		return;
	config_t config;
	config_init(&config);
	if (config_read_string(&config, buffer_text(&clean))) {
		struct conversion conversion = { source->file, scan.bad_integers, problems };
		convert(&conversion, config_root_setting(&config), &source->root);
	} else {
		struct place place = { source->file, (unsigned)config_error_line(&config) };
		problem_error(problems, place, "%s", advice(config_error_text(&config)));
	}
	config_destroy(&config);
}

static int read_all(int fd, struct buffer *text)
{
	for (;;) {
		ssize_t got = read(fd, buffer_reserve(text, 65536), 65536);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		text->size += (size_t)got;
		if (text->size > CONF_FILE_MAX)
			return -EFBIG;
	}
}

/* O_NONBLOCK: a pipe in the file's place must not stop us. */
static int read_file(struct conf_source *source, struct buffer *text)
{
	struct stat status;
	int fd = open(source->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	int result = fstat(fd, &status) < 0 ? -errno : 0;
	if (result == 0 && !S_ISREG(status.st_mode))
		result = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
	if (result == 0) {
		source->open_to_others = status.st_mode & S_IROTH;
		result = read_all(fd, text);
	}
	close(fd);
	return result;
}

void conf_source_read(struct conf_source *source, struct problems *problems)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	int result = read_file(source, &text);
	if (result == 0) {
		conf_source_parse(source, buffer_text(&text), text.size, problems);
		return;
	}
	struct place place = { source->file, 0 };
	if (result == -EFBIG)
		problem_error(problems, place,
			"larger than %u MiB: split it into files of devices.d",
			CONF_FILE_MAX >> 20);
	else if (result == -EINVAL)
		problem_error(problems, place, "cannot be read: it is no regular file");
	else
		problem_error(problems, place,
			"cannot be read: %s: check the path, and that user %u may read it",
			strerror(-result), (unsigned)geteuid());
}

void conf_source_finish(struct conf_source *source)
{
	node_finish(&source->root);
}
