/* SPDX-License-Identifier: Apache-2.0 */
/* The links themselves, on pseudo-terminals and local connections, and how a bus lives with them. */
#include "field-rig.h"

#include <asm/termbits.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/resolver.h"
#include "util/alloc.h"

/* Steps the loop until the condition holds; what it waits for is another part of the kernel. */
#define AWAIT(loop, condition)                                        \
	do {                                                          \
		for (int turn_ = 0; !(condition); turn_++) {          \
			if (turn_ > 10000)                            \
				fail_msg("not reached: " #condition); \
			if (loop_step(loop, 0) == 0)                  \
				poll(NULL, 0, 1);                     \
		}                                                     \
	} while (0)

/* What a link told. */
struct told {
	unsigned opened, failed, readable, writable;
	char why[LINK_WHY_MAX];
};

static void on_opened(void *owner)
{
	((struct told *)owner)->opened++;
}

static void on_failed(void *owner, const char *why)
{
	struct told *told = owner;
	told->failed++;
	snprintf(told->why, sizeof(told->why), "%s", why);
}

static void on_readable(void *owner)
{
	((struct told *)owner)->readable++;
}

static void on_writable(void *owner)
{
	((struct told *)owner)->writable++;
}

static const struct link_events events = { on_opened, on_failed, on_readable, on_writable };

struct bench {
	struct clock clock;
	struct loop *loop;
	struct told told;
	char why[LINK_WHY_MAX];
};

static void bench_init(struct bench *bench)
{
	*bench = (struct bench){ .clock = { .manual = true, .mono_us = USEC_PER_SEC } };
	assert_int_equal(0, loop_create(&bench->loop, &bench->clock));
}

static struct link *adopt(struct bench *bench, struct link *link)
{
	link->events = &events;
	link->owner = &bench->told;
	return link;
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* The master's end of a new pseudo-terminal; the path of the other end. */
static int open_terminal(char *path, size_t room)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(master >= 0);
	assert_int_equal(0, grantpt(master));
	assert_int_equal(0, unlockpt(master));
	assert_int_equal(0, ptsname_r(master, path, room));
	return master;
}

static struct conf_link serial_conf(char *path)
{
	return (struct conf_link){ .type = CONF_LINK_SERIAL,
		.path = path,
		.baud = 12345,
		.parity = PARITY_EVEN,
		.data_bits = 8,
		.stop_bits = 1 };
}

static void test_serial_carries_bytes(void **state)
{
	struct bench bench;
	bench_init(&bench);
	char path[64], bytes[64];
	int master = open_terminal(path, sizeof(path));
	struct conf_link conf = serial_conf(path);
	struct link *link = adopt(&bench, link_serial_create(bench.loop, &conf));
	/* Twice: a pseudo-terminal takes parity the first time only. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(0, link->ops->open(link, bench.why));
		assert_false(link->paced);
		assert_int_equal(0, link->ops->read(link, bytes, sizeof(bytes)));
		/* Raw: what a terminal would change goes through as it is. */
		assert_int_equal(5, link->ops->write(link, "\r\n\x03\x11\xff", 5));
		struct pollfd ready = { .fd = master, .events = POLLIN };
		assert_int_equal(1, poll(&ready, 1, 5000));
		assert_int_equal(5, read(master, bytes, sizeof(bytes)));
		assert_memory_equal("\r\n\x03\x11\xff", bytes, 5);
		assert_int_equal(4, write(master, "\r\x04\x13\x00", 4));
		bench.told.readable = 0;
		AWAIT(bench.loop, bench.told.readable);
		assert_int_equal(4, link->ops->read(link, bytes, sizeof(bytes)));
		assert_memory_equal("\r\x04\x13\x00", bytes, 4);
		link->ops->close(link);
	}
	link->ops->destroy(link);
	close(master);
	loop_destroy(bench.loop);
}

static void test_serial_tells_of_unplugging(void **state)
{
	struct bench bench;
	bench_init(&bench);
	char path[64], bytes[8];
	int master = open_terminal(path, sizeof(path));
	struct conf_link conf = serial_conf(path);
	struct link *link = adopt(&bench, link_serial_create(bench.loop, &conf));
	assert_int_equal(0, link->ops->open(link, bench.why));
	close(master);
	AWAIT(bench.loop, bench.told.readable);
	ssize_t lost = link->ops->read(link, bytes, sizeof(bytes));
	assert_true(lost == -ENODEV || lost == -EIO);
	link->ops->explain(link, (int)-lost, bench.why);
	assert_non_null(strstr(bench.why, "unplugged"));
	link->ops->destroy(link);
	loop_destroy(bench.loop);
}

static void test_serial_write_fails(void **state)
{
	struct bench bench;
	bench_init(&bench);
	char path[64];
	int master = open_terminal(path, sizeof(path));
	struct conf_link conf = serial_conf(path);
	struct link *link = adopt(&bench, link_serial_create(bench.loop, &conf));
	assert_int_equal(0, link->ops->open(link, bench.why));
	close(master);
	assert_int_equal(-EIO, link->ops->write(link, "abc", 3));
	link->ops->explain(link, EIO, bench.why);
	assert_non_null(strstr(bench.why, path));
	assert_non_null(strstr(bench.why, "unplugged"));
	/* It waits for no room that will never come. */
	for (int i = 0; i < 20; i++)
		loop_step(bench.loop, 0);
	assert_int_equal(0, bench.told.writable);
	link->ops->explain(link, EFBIG, bench.why);
	assert_non_null(strstr(bench.why, "failed"));
	link->ops->destroy(link);
	loop_destroy(bench.loop);
}

static void test_serial_refusals(void **state)
{
	struct bench bench;
	bench_init(&bench);
	char path[64], file[] = "/tmp/test-link-XXXXXX";
	int master = open_terminal(path, sizeof(path)), plain = mkstemp(file);
	struct conf_link conf = serial_conf(path), other = conf;
	struct link *first = adopt(&bench, link_serial_create(bench.loop, &conf));
	struct link *second = adopt(&bench, link_serial_create(bench.loop, &other));
	assert_int_equal(0, first->ops->open(first, bench.why));
	assert_int_equal(-EBUSY, second->ops->open(second, bench.why));
	char holder[64];
	snprintf(holder, sizeof(holder), "(process %d)", (int)getpid());
	assert_non_null(strstr(bench.why, holder));
	first->ops->close(first);
	assert_int_equal(0, second->ops->open(second, bench.why));
	second->ops->close(second);
	other.rs485 = true;
	assert_true(second->ops->open(second, bench.why) < 0);
	assert_non_null(strstr(bench.why, "link.rs485"));
	other.path = file;
	assert_true(second->ops->open(second, bench.why) < 0);
	assert_non_null(strstr(bench.why, "no serial port"));
	unlink(file);
	assert_int_equal(-ENOENT, second->ops->open(second, bench.why));
	assert_non_null(strstr(bench.why, file));
	first->ops->destroy(first);
	second->ops->destroy(second);
	close(master);
	close(plain);
	loop_destroy(bench.loop);
}

/* A driver that a test stands for: what it is told, and what it says. */
static struct driver {
	bool there, crippled; /* crippled: it does another baud rate than it was told */
	int refuses; /* errno of setting the line; 0: takes it */
	struct serial_rs485 mode;
} driver;

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	if (driver.there && request == TIOCGRS485)
		return memcpy(argument, &driver.mode, sizeof(driver.mode)) ? 0 : -1;
	if (driver.there && request == TIOCSRS485)
		return memcpy(&driver.mode, argument, sizeof(driver.mode)) ? 0 : -1;
	if (driver.refuses && request == TCSETS2) {
		errno = driver.refuses;
		return -1;
	}
	int result = __real_ioctl(fd, request, argument);
	if (driver.crippled && request == TCGETS2)
		((struct termios2 *)argument)->c_ospeed = 9600;
	return result;
}

static void test_serial_drivers(void **state)
{
	struct bench bench;
	bench_init(&bench);
	char path[64];
	int master = open_terminal(path, sizeof(path));
	struct conf_link conf = serial_conf(path);
	struct link *link = adopt(&bench, link_serial_create(bench.loop, &conf));
	conf.rs485 = true;
	driver = (struct driver){ .there = true,
		.mode = { .flags = SER_RS485_RX_DURING_TX, .delay_rts_before_send = 9 } };
	assert_int_equal(0, link->ops->open(link, bench.why));
	assert_int_equal(driver.mode.flags, SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND);
	assert_int_equal(driver.mode.delay_rts_before_send, 9);
	link->ops->close(link);
	conf.rs485_rts = RTS_LOW;
	conf.rs485_before_ms = 2;
	conf.rs485_after_ms = 3;
	assert_int_equal(0, link->ops->open(link, bench.why));
	assert_int_equal(driver.mode.flags, SER_RS485_ENABLED | SER_RS485_RTS_AFTER_SEND);
	assert_int_equal(driver.mode.delay_rts_before_send, 2);
	assert_int_equal(driver.mode.delay_rts_after_send, 3);
	link->ops->close(link);
	conf.rs485 = false;
	conf.paced = ANSWER_YES;
	driver = (struct driver){ .refuses = EINVAL };
	assert_int_equal(-EINVAL, link->ops->open(link, bench.why));
	assert_non_null(strstr(bench.why, "refuses 12345 baud"));
	driver = (struct driver){ .crippled = true };
	assert_int_equal(-EINVAL, link->ops->open(link, bench.why));
	assert_non_null(strstr(bench.why, "cannot do 12345 baud, the nearest is 9600"));
	driver = (struct driver){ .there = false };
	link->ops->destroy(link);
	close(master);
	loop_destroy(bench.loop);
}

/* ---- TCP ------------------------------------------------------------------------------------ */

static int listen_locally(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(0, bind(fd, (struct sockaddr *)&address, size));
	assert_int_equal(0, getsockname(fd, (struct sockaddr *)&address, &size));
	assert_int_equal(0, listen(fd, 16));
	*port = ntohs(address.sin_port);
	return fd;
}

static void test_tcp(void **state)
{
	struct bench bench;
	bench_init(&bench);
	struct resolver *resolver;
	struct resolver_client *client;
	assert_int_equal(0, resolver_create(&resolver, NULL));
	assert_int_equal(0, resolver_client_create(&client, resolver, bench.loop));
	char host[] = "127.0.0.1", bytes[64];
	struct conf_link conf = { .type = CONF_LINK_TCP, .host = host };
	int listener = listen_locally(&conf.port);
	struct link *link = adopt(&bench, link_tcp_create(bench.loop, client, &conf));
	for (int i = 0; i < 3; i++) {
		bench.told = (struct told){ .opened = 0 };
		assert_int_equal(-EINPROGRESS, link->ops->open(link, bench.why));
		assert_int_equal(0, bench.told.opened);
		AWAIT(bench.loop, bench.told.opened);
		int peer = accept(listener, NULL, NULL);
		assert_true(peer >= 0);
		assert_int_equal(0, link->ops->read(link, bytes, sizeof(bytes)));
		assert_int_equal(3, link->ops->write(link, "abc", 3));
		assert_int_equal(3, read(peer, bytes, sizeof(bytes)));
		assert_int_equal(2, write(peer, "de", 2));
		AWAIT(bench.loop, bench.told.readable);
		assert_int_equal(2, link->ops->read(link, bytes, sizeof(bytes)));
		close(peer);
		bench.told.readable = 0;
		AWAIT(bench.loop, bench.told.readable);
		assert_int_equal(-EPIPE, link->ops->read(link, bytes, sizeof(bytes)));
		link->ops->close(link);
	}
	link->ops->explain(link, EPIPE, bench.why);
	assert_non_null(strstr(bench.why, "closed the connection"));
	/* A peer that does not read: what it cannot take waits. */
	bench.told = (struct told){ .opened = 0 };
	link->ops->open(link, bench.why);
	AWAIT(bench.loop, bench.told.opened);
	int peer = accept(listener, NULL, NULL);
	static const char block[65536];
	while (link->ops->write(link, block, sizeof(block)) == (ssize_t)sizeof(block))
		;
	while (!bench.told.writable) {
		static char sink[1 << 20];
		ssize_t got = read(peer, sink, sizeof(sink));
		assert_true(got > 0);
		loop_step(bench.loop, 0);
	}
	link->ops->close(link);
	close(peer);
	close(listener);
	bench.told = (struct told){ .opened = 0 };
	link->ops->open(link, bench.why);
	AWAIT(bench.loop, bench.told.failed);
	assert_non_null(strstr(bench.told.why, "refused"));
	assert_non_null(strstr(bench.told.why, "127.0.0.1:"));
	/* Closed before the address is known: nothing is told. */
	bench.told = (struct told){ .opened = 0 };
	link->ops->open(link, bench.why);
	link->ops->close(link);
	for (int i = 0; i < 20; i++)
		loop_step(bench.loop, 0);
	assert_int_equal(0, bench.told.opened + bench.told.failed);
	link->ops->destroy(link);
	resolver_client_destroy(client);
	resolver_destroy(resolver);
	loop_destroy(bench.loop);
}

/* Reset by the peer: told of once by whichever is tried first, writing or reading. */
static void test_tcp_reset(void **state)
{
	struct bench bench;
	bench_init(&bench);
	struct resolver *resolver;
	struct resolver_client *client;
	assert_int_equal(0, resolver_create(&resolver, NULL));
	assert_int_equal(0, resolver_client_create(&client, resolver, bench.loop));
	char host[] = "127.0.0.1", byte;
	struct conf_link conf = { .type = CONF_LINK_TCP, .host = host };
	int listener = listen_locally(&conf.port);
	struct link *link = adopt(&bench, link_tcp_create(bench.loop, client, &conf));
	for (int writing = 0; writing < 2; writing++) {
		bench.told = (struct told){ .opened = 0 };
		assert_int_equal(-EINPROGRESS, link->ops->open(link, bench.why));
		AWAIT(bench.loop, bench.told.opened);
		int peer = accept(listener, NULL, NULL);
		struct linger at_once = { .l_onoff = 1 };
		setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(peer);
		AWAIT(bench.loop, bench.told.readable);
		ssize_t result = writing ? link->ops->write(link, "a", 1)
					 : link->ops->read(link, &byte, 1);
		assert_int_equal(-ECONNRESET, result);
		link->ops->explain(link, ECONNRESET, bench.why);
		assert_non_null(strstr(bench.why, "reset"));
		/* From then on the connection is only closed, which is an error all the same. */
		assert_int_equal(-EPIPE, link->ops->write(link, "a", 1));
		link->ops->close(link);
	}
	close(listener);
	link->ops->destroy(link);
	resolver_client_destroy(client);
	resolver_destroy(resolver);
	loop_destroy(bench.loop);
}

static int resolve_to_nothing(
	const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **result)
{
	return -2; /* EAI_NONAME */
}

static void test_tcp_name_unknown(void **state)
{
	struct bench bench;
	bench_init(&bench);
	struct resolver *resolver;
	struct resolver_client *client;
	assert_int_equal(0, resolver_create(&resolver, resolve_to_nothing));
	assert_int_equal(0, resolver_client_create(&client, resolver, bench.loop));
	char host[] = "plc.example";
	struct conf_link conf = { .type = CONF_LINK_TCP, .host = host, .port = 502 };
	struct link *link = adopt(&bench, link_tcp_create(bench.loop, client, &conf));
	link->ops->open(link, bench.why);
	AWAIT(bench.loop, bench.told.failed);
	assert_non_null(strstr(bench.told.why, "plc.example"));
	link->ops->destroy(link);
	resolver_client_destroy(client);
	resolver_destroy(resolver);
	loop_destroy(bench.loop);
}

/* ---- a bus and its link --------------------------------------------------------------------- */

static void test_lost_and_opened_again(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){
		.devices = 2, .baud = 9600, .paced = true, .echo = ANSWER_AUTO, .retries = 2 });
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 20 * USEC_PER_SEC);
	assert_true(rig->link_up);
	assert_int_equal(1, rig->changes);
	rig->open_result = -ENOENT;
	rig_lose(rig, ENODEV);
	assert_int_equal(1, rig->closes);
	rig_run(rig, 200 * USEC_PER_SEC);
	assert_false(rig->link_up);
	assert_int_equal(2, rig->changes);
	assert_non_null(strstr(rig->link_reason, "unplugged"));
	/* 0.5, 1, 2, 4 s and then every 8 s. */
	assert_in_range(rig->opens, 22, 34);
	uint32_t before = rig->readings;
	rig->open_result = 0;
	rig_run(rig, 10 * USEC_PER_SEC);
	assert_true(rig->link_up);
	assert_true(rig->readings - before >= 2);
	assert_int_equal(3, rig->changes);
	/* The devices went with the link, once each, and came back with it. */
	assert_int_equal(HEALTH_OK, rig->health[0]);
	assert_int_equal(2 + 2 + 2, rig->healths);
	assert_true(rig->devices[0]->tasks[0].missed > 190);
	assert_int_equal(1, rig->bus->link_losses);
	rig_destroy(rig);
}

static void test_connection_that_never_comes(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){ .devices = 1 });
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, USEC_PER_SEC);
	rig->open_result = -EINPROGRESS;
	rig_lose(rig, EPIPE);
	rig_run(rig, 60 * USEC_PER_SEC);
	assert_non_null(strstr(rig->bus->why, "within 3000 ms"));
	assert_in_range(rig->opens, 6, 15);
	rig->open_result = 0;
	rig_run(rig, 12 * USEC_PER_SEC);
	assert_true(rig->link_up);
	rig_destroy(rig);
}

static void test_write_error_closes(void **state)
{
	struct rig *rig = rig_create(&(struct rig_setup){
		.devices = 1, .baud = 9600, .paced = true, .echo = ANSWER_AUTO });
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	rig_run(rig, 2500000);
	rig->write_error = EIO;
	rig_run(rig, 600000);
	assert_false(rig->link_up);
	rig->write_error = 0;
	rig_run(rig, 3 * USEC_PER_SEC);
	assert_true(rig->link_up);
	assert_true(rig->readings >= 5);
	rig_destroy(rig);
}

/* A bus on a real pseudo-terminal behind a name that comes back, as udev's do. */
struct plug {
	struct rig *rig;
	char directory[32], name[64], path[64];
	int master;
};

static void plug_in(struct plug *plug)
{
	plug->master = open_terminal(plug->path, sizeof(plug->path));
	assert_int_equal(0, symlink(plug->path, plug->name));
}

static void plug_out(struct plug *plug)
{
	unlink(plug->name);
	close(plug->master);
}

/* Answers what the bus asks, until it has a reading more. */
static void serve_one(struct plug *plug)
{
	struct rig *rig = plug->rig;
	uint32_t before = rig->readings;
	for (int turn = 0; rig->readings == before; turn++) {
		uint8_t request[64], frame[300];
		assert_true(turn < 10000);
		ssize_t size = read(plug->master, request, sizeof(request));
		if (size == 8) {
			struct heard_request heard = { .frame = request,
				.size = 8,
				.unit = request[0],
				.function = request[1],
				.address = (uint16_t)(request[2] << 8 | request[3]),
				.count = (uint16_t)(request[4] << 8 | request[5]) };
			size_t answer = rig_answer(&heard, false, frame);
			assert_int_equal(answer, write(plug->master, frame, answer));
		}
		/* The wait for the answer is the kernel's; that for the next request is the clock's. */
		if (!rig->bus->in_flight)
			loop_advance(rig->loop, loop_now(rig->loop) + 50000);
		else if (loop_step(rig->loop, 0) == 0)
			poll(&(struct pollfd){ .fd = plug->master, .events = POLLIN }, 1, 1);
		rig_collect(rig);
	}
}

static void test_unplugged_a_thousand_times(void **state)
{
	struct plug plug = { .directory = "/tmp/test-link-XXXXXX" };
	assert_non_null(mkdtemp(plug.directory));
	snprintf(plug.name, sizeof(plug.name), "%s/port", plug.directory);
	plug_in(&plug);
	struct rig_setup setup = { .devices = 1, .baud = 9600, .echo = ANSWER_AUTO };
	struct rig *rig = plug.rig = rig_create(&setup);
	bus_abort(rig->bus);
	bus_destroy(rig->bus);
	struct conf_link *conf = &rig->conf.buses[0].link;
	conf->path = plug.name;
	conf->data_bits = 8;
	conf->stop_bits = 1;
	struct eb_error error;
	assert_int_equal(0, bus_create(&rig->bus, rig->plane, 0, NULL, &error));
	rig->devices[0] = device_create(rig->bus, 0);
	bus_start(rig->bus, loop_now(rig->loop));
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = 1 });
	serve_one(&plug);
	int descriptors = count_descriptors();
	for (int i = 0; i < 1000; i++) {
		plug_out(&plug);
		AWAIT(rig->loop, rig->bus->why);
		assert_int_equal(descriptors - 2, count_descriptors());
		plug_in(&plug);
		int64_t back_us = loop_now(rig->loop);
		serve_one(&plug);
		assert_true(loop_now(rig->loop) - back_us < 5 * USEC_PER_SEC);
	}
	assert_int_equal(descriptors, count_descriptors());
	assert_int_equal(0, rig->wrong);
	assert_int_equal(1000, rig->bus->link_losses);
	plug_out(&plug);
	rmdir(plug.directory);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serial_carries_bytes),
		cmocka_unit_test(test_serial_tells_of_unplugging),
		cmocka_unit_test(test_serial_write_fails),
		cmocka_unit_test(test_serial_refusals),
		cmocka_unit_test(test_serial_drivers),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_reset),
		cmocka_unit_test(test_tcp_name_unknown),
		cmocka_unit_test(test_lost_and_opened_again),
		cmocka_unit_test(test_connection_that_never_comes),
		cmocka_unit_test(test_write_error_closes),
		cmocka_unit_test(test_unplugged_a_thousand_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
