/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/keepsake.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "bridge/fleet.h"
#include "toy.h"
#include "util/alloc.h"

#define DEVICES 4

/* Counts its readings. */
static const char script_text[] = "return { polls = { { name = 'a', period = 1, cell = 1 } },\n"
				  "  decode = function(reading, device)\n"
				  "    device.state.count = (device.state.count or 0) + 1\n"
				  "    return { points = { count = device.state.count } }\n"
				  "  end }\n";

struct bench {
	char dir[64];
	char *script, *file, *aside;
	struct conf conf;
	struct conf_bus bus;
	struct conf_device devices[DEVICES];
	struct fleet *fleet;
	struct keepsake *keepsake;
};

static void start(struct bench *bench)
{
	struct problems problems = PROBLEMS_NONE;
	bench->keepsake = keepsake_load(bench->dir);
	bench->fleet = fleet_create(&bench->conf, bench->keepsake, &problems);
	problems_print(&problems, stderr);
	assert_non_null(bench->fleet);
}

/* As at a kill: nothing is saved. */
static void end(struct bench *bench)
{
	fleet_destroy(TAKE(bench->fleet));
	keepsake_destroy(TAKE(bench->keepsake));
}

static int save(struct bench *bench)
{
	return keepsake_save(bench->keepsake, bench->fleet);
}

static int set_up(void **state)
{
	static char names[DEVICES][2] = { "a", "b", "c", "d" };
	struct bench *bench = must_alloc(sizeof(*bench));
	snprintf(bench->dir, sizeof(bench->dir), "/tmp/test-keepsake-XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	bench->script = must_printf("%s/toy.lua", bench->dir);
	bench->file = must_printf("%s/" KEEPSAKE_FILE, bench->dir);
	bench->aside = must_printf("%s.damaged", bench->file);
	FILE *file = fopen(bench->script, "w");
	assert_non_null(file);
	fputs(script_text, file);
	fclose(file);
	bench->bus = (struct conf_bus){ .name = (char *)"b", .plugin = &toy };
	value_put_map(&bench->bus.options, 0);
	for (int i = 0; i < DEVICES; i++) {
		struct conf_device *device = &bench->devices[i];
		*device = (struct conf_device){ .name = names[i],
			.script = (char *)"toy.lua",
			.script_path = bench->script,
			.product_key = (char *)"pk",
			.device_key = names[i] };
		value_put_map(&device->address, 0);
		value_put_map(&device->parameters, 0);
		value_put_list(&device->polls, 0);
	}
	bench->conf = (struct conf){
		.scripts = { .instructions = 100000, .memory_kb = 1024, .wall_ms = 1000 },
		.buses = &bench->bus,
		.bus_count = 1,
		.devices = bench->devices,
		.device_count = DEVICES
	};
	start(bench);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	end(bench);
	buffer_finish(&bench->bus.options);
	for (int i = 0; i < DEVICES; i++) {
		buffer_finish(&bench->devices[i].address);
		buffer_finish(&bench->devices[i].parameters);
		buffer_finish(&bench->devices[i].polls);
	}
	chmod(bench->dir, 0700);
	unlink(bench->script);
	unlink(bench->file);
	unlink(bench->aside);
	assert_int_equal(rmdir(bench->dir), 0);
	free(bench->script);
	free(bench->file);
	free(bench->aside);
	free(bench);
	return 0;
}

/* Decodes a reading of the device, which is its expected-th one. */
static void count(struct bench *bench, int number, int64_t expected)
{
	struct member *device = &bench->fleet->devices[number];
	struct stamp stamp = { .wall_ms = 1 };
	struct reading *reading = reading_create(device->plan, 0, &stamp, "", 0);
	struct reports reports;
	struct value value;
	member_decode(device, reading, &reports);
	assert_int_equal(reports.count, 1);
	assert_true(
		value_find(reports.items[0]->data, reports.items[0]->size, "count", &value, NULL));
	assert_int_equal(value.integer, expected);
	reports_finish(&reports);
	message_destroy(&reading->mail);
}

static void is_kept(void **state)
{
	struct bench *bench = *state;
	struct stat status;
	count(bench, 0, 1);
	count(bench, 0, 2);
	count(bench, 2, 1);
	assert_int_equal(save(bench), 0);
	assert_int_equal(stat(bench->file, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	count(bench, 0, 3);
	end(bench);
	start(bench);
	count(bench, 0, 3);
	count(bench, 1, 1);
	count(bench, 2, 2);
	assert_int_equal(save(bench), 0);
	end(bench);
	start(bench);
	count(bench, 2, 3);
	count(bench, 1, 2);
	count(bench, 0, 4);
}

static ino_t inode(const struct bench *bench)
{
	struct stat status;
	assert_int_equal(stat(bench->file, &status), 0);
	return status.st_ino;
}

static void is_written_where_it_changed_only(void **state)
{
	struct bench *bench = *state;
	assert_int_equal(save(bench), 0);
	assert_int_equal(access(bench->file, F_OK), -1);
	count(bench, 0, 1);
	assert_int_equal(save(bench), 0);
	/* While the old one is held open, its inode is nobody else's. */
	FILE *held = fopen(bench->file, "r");
	ino_t first = inode(bench);
	assert_int_equal(save(bench), 0);
	assert_int_equal(inode(bench), first);
	count(bench, 0, 2);
	assert_int_equal(save(bench), 0);
	assert_int_not_equal(inode(bench), first);
	fclose(held);
	first = inode(bench);
	end(bench);
	start(bench);
	assert_int_equal(save(bench), 0);
	assert_int_equal(inode(bench), first);
}

/* A state is of one device of EnOS and one script, whatever they are called here. */
static void belongs_to_its_device_and_script(void **state)
{
	struct bench *bench = *state;
	count(bench, 0, 1);
	count(bench, 1, 1);
	assert_int_equal(save(bench), 0);
	end(bench);
	bench->devices[0].script = (char *)"other.lua";
	char *key = bench->devices[1].device_key;
	bench->devices[1].device_key = (char *)"z";
	start(bench);
	count(bench, 0, 1);
	count(bench, 1, 1);
	bench->devices[1].device_key = key;
}

static void read_all(const char *path, struct buffer *bytes)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	bytes->size = fread(buffer_reserve(bytes, 65536), 1, 65536, file);
	fclose(file);
}

static void write_all(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static void a_damaged_file_is_set_aside(void **state)
{
	struct bench *bench = *state;
	OWNED_BUFFER good = BUFFER_EMPTY;
	for (int i = 0; i < DEVICES; i++)
		count(bench, i, 1);
	assert_int_equal(save(bench), 0);
	read_all(bench->file, &good);
	/* Each byte wrong, then each length too short. */
	for (size_t at = 0; at < 2 * good.size; at++) {
		end(bench);
		size_t size = at < good.size ? good.size : at - good.size;
		if (at < good.size)
			good.data[at] ^= 0x55;
		write_all(bench->file, good.data, size);
		if (at < good.size)
			good.data[at] ^= 0x55;
		unlink(bench->aside);
		start(bench);
		assert_int_equal(access(bench->file, F_OK), -1);
		assert_int_equal(access(bench->aside, F_OK), 0);
		count(bench, 0, 1);
	}
	end(bench);
	good.size = buffer_reserve(&good, 1) ? good.size + 1 : 0;
	write_all(bench->file, good.data, good.size);
	start(bench);
	count(bench, 3, 1);
	assert_int_equal(save(bench), 0);
	end(bench);
	start(bench);
	count(bench, 3, 2);
}

static void what_cannot_be_written_is_tried_again(void **state)
{
	struct bench *bench = *state;
	char *blocker OWNED = must_printf("%s.new", bench->file);
	count(bench, 0, 1);
	assert_int_equal(mkdir(blocker, 0700), 0);
	assert_true(save(bench) < 0);
	assert_true(save(bench) < 0);
	assert_int_equal(rmdir(blocker), 0);
	assert_int_equal(save(bench), 0);
	end(bench);
	start(bench);
	count(bench, 0, 2);
}

static void what_is_no_file_is_left_alone(void **state)
{
	struct bench *bench = *state;
	end(bench);
	assert_int_equal(mkdir(bench->file, 0700), 0);
	start(bench);
	count(bench, 0, 1);
	assert_true(save(bench) < 0);
	assert_int_equal(rmdir(bench->file), 0);
}

/* Bit by bit, as the catalogue of CRCs describes it. */
static uint32_t crc_32(const uint8_t *bytes, size_t size)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < size * 8; i++) {
		bool bit = (bytes[i / 8] >> i % 8 ^ crc) & 1;
		crc = crc >> 1 ^ (bit ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void has_the_crc_of_its_bytes(void **state)
{
	static char names[][5] = { "k", "ke", "key", "keys" };
	struct bench *bench = *state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		OWNED_BUFFER bytes = BUFFER_EMPTY;
		uint32_t crc;
		end(bench);
		unlink(bench->file);
		bench->devices[0].device_key = names[i];
		start(bench);
		count(bench, 0, 1);
		assert_int_equal(save(bench), 0);
		read_all(bench->file, &bytes);
		memcpy(&crc, bytes.data + 8, sizeof(crc));
		assert_int_equal(crc, crc_32(bytes.data + 16, bytes.size - 16));
	}
}

static void is_written_aside(void **state)
{
	struct bench *bench = *state;
	count(bench, 0, 1);
	keepsake_save_aside(bench->keepsake, bench->fleet);
	end(bench);
	start(bench);
	count(bench, 0, 2);
	keepsake_save_aside(bench->keepsake, bench->fleet);
	count(bench, 0, 3);
	assert_int_equal(save(bench), 0);
	end(bench);
	start(bench);
	count(bench, 0, 4);
}

/* Opening a pipe for writing lasts until somebody reads it, as a disk does that is stuck. */
static void a_stuck_disk_holds_nobody_up(void **state)
{
	struct bench *bench = *state;
	char *stuck OWNED = must_printf("%s.new", bench->file);
	assert_int_equal(mkfifo(stuck, 0600), 0);
	count(bench, 0, 1);
	keepsake_save_aside(bench->keepsake, bench->fleet);
	keepsake_save_aside(bench->keepsake, bench->fleet);
	assert_int_equal(access(bench->file, F_OK), -1);
	int fd = open(stuck, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(save(bench), 0);
	close(fd);
	end(bench);
	start(bench);
	count(bench, 0, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(is_kept),
		TEST(is_written_where_it_changed_only),
		TEST(belongs_to_its_device_and_script),
		TEST(a_damaged_file_is_set_aside),
		TEST(what_cannot_be_written_is_tried_again),
		TEST(what_is_no_file_is_left_alone),
		TEST(has_the_crc_of_its_bytes),
		TEST(is_written_aside),
		TEST(a_stuck_disk_holds_nobody_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
