/* SPDX-License-Identifier: Apache-2.0 */
/* A thousand devices with a connection each, and the switch in front of them that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../plugins/modbus/modbus.h"
#include "field/bus.h"
#include "util/alloc.h"
#include "util/log.h"

#define LINKS 1000
#define SECONDS(s) ((s)*USEC_PER_SEC)

extern const struct eb_plugin eb_plugin;

struct site;

/* A connection to a unit that answers each request after a millisecond. */
struct line {
	struct link link;
	struct timer answer;
	struct site *site;
	struct bus *bus;
	uint8_t request[12];
	bool open, answered;
};

struct site {
	struct clock clock;
	struct loop *loop;
	struct mailbox *outbox;
	struct conf conf;
	struct plane plane;
	struct line lines[LINKS];
	bool reachable;
	uint32_t log_lines;
	/* what came out */
	uint32_t readings, healths, changes;
	uint32_t down[LINKS];
	enum health_state health[LINKS];
};

static void answer_now(struct timer *timer, int64_t now_us)
{
	struct line *line = container_of(timer, struct line, answer);
	line->answered = true;
	line->link.events->readable(line->link.owner);
}

static int line_open(struct link *link, char *why)
{
	struct line *line = container_of(link, struct line, link);
	line->open = line->site->reachable;
	snprintf(why, LINK_WHY_MAX, "no route to it");
	return line->open ? 0 : -EHOSTUNREACH;
}

static ssize_t line_read(struct link *link, void *bytes, size_t room)
{
	struct line *line = container_of(link, struct line, link);
	uint8_t *frame = bytes;
	if (!line->site->reachable)
		return -ECONNRESET;
	if (!line->answered)
		return 0;
	line->answered = false;
	memcpy(frame, line->request, 8);
	put16(frame + 4, 5);
	frame[8] = 2;
	put16(frame + 9, 7);
	return 11;
}

static ssize_t line_write(struct link *link, const void *bytes, size_t size)
{
	struct line *line = container_of(link, struct line, link);
	assert_int_equal(12, size);
	memcpy(line->request, bytes, 12);
	loop_arm(line->site->loop, &line->answer, loop_now(line->site->loop) + USEC_PER_MSEC);
	return (ssize_t)size;
}

static void line_close(struct link *link)
{
	struct line *line = container_of(link, struct line, link);
	line->open = line->answered = false;
	loop_disarm(line->site->loop, &line->answer);
}

static void explain(const struct link *link, int error, char *why)
{
	snprintf(why, LINK_WHY_MAX, "it was reset");
}

static const struct link_ops ops = { .open = line_open,
	.read = line_read,
	.write = line_write,
	.close = line_close,
	.destroy = line_close,
	.explain = explain };

static void count_line(enum log_level level, const char *line, void *context)
{
	((struct site *)context)->log_lines++;
}

static struct plan *read_one(uint32_t device)
{
	struct eb_address address = { .size = 1, .bytes = { 1 } };
	struct problems problems = PROBLEMS_NONE;
	struct modbus state = { .framing = FRAMING_TCP };
	struct plan *plan = plan_create(device, &address, 1);
	OWNED_BUFFER map = BUFFER_EMPTY;
	value_put_map(&map, 4);
	value_pair_text(&map, "name", "live");
	value_pair_real(&map, "period", 5);
	value_pair_text(&map, "read", "holding_registers");
	value_pair_integer(&map, "address", 0);
	assert_int_equal(0,
		poll_init(&plan->polls[0], &eb_plugin, &state, &address, map.data, map.size,
			SETTINGS_SCRIPT, (struct place){ "x", 0 }, &problems));
	return plan;
}

static void set_conf(struct conf *conf)
{
	conf->bus_count = conf->device_count = LINKS;
	conf->buses = must_array(LINKS, sizeof(*conf->buses));
	conf->devices = must_array(LINKS, sizeof(*conf->devices));
	for (uint32_t i = 0; i < LINKS; i++) {
		conf->buses[i] = (struct conf_bus){ .name = must_printf("plc-%u", i),
			.plugin = &eb_plugin,
			.link = { .type = CONF_LINK_TCP,
				.connect_timeout_ms = 3000,
				.reopen_min_ms = 1000,
				.reopen_max_ms = 30000 },
			.line = { .transport = EB_TCP },
			.timeout_ms = 1000,
			.retries = 2,
			.in_flight = 1 };
		value_put_map(&conf->buses[i].options, 0);
		conf->devices[i] = (struct conf_device){ .name = must_printf("m-%u", i), .bus = i };
	}
}

static struct site *site_create(void)
{
	struct site *site = must_alloc(sizeof(*site));
	struct eb_error error;
	site->clock = (struct clock){ .manual = true, .mono_us = SECONDS(1000) };
	site->reachable = true;
	log_set_sink(count_line, site);
	assert_int_equal(0, loop_create(&site->loop, &site->clock));
	assert_int_equal(0, mailbox_create(&site->outbox, LINKS + 4096));
	set_conf(&site->conf);
	plane_init(&site->plane, site->loop, site->outbox, NULL, &site->conf);
	for (uint32_t i = 0; i < LINKS; i++) {
		struct line *line = &site->lines[i];
		*line = (struct line){
			.link.ops = &ops, .answer.expired = answer_now, .site = site
		};
		assert_int_equal(0, bus_create(&line->bus, &site->plane, i, &line->link, &error));
		device_change_plan(device_create(line->bus, i), read_one(i));
		bus_start(line->bus, loop_now(site->loop));
	}
	return site;
}

static void site_destroy(struct site *site)
{
	for (uint32_t i = 0; i < LINKS; i++) {
		bus_abort(site->lines[i].bus);
		bus_destroy(site->lines[i].bus);
		free(site->conf.buses[i].name);
		buffer_finish(&site->conf.buses[i].options);
		free(site->conf.devices[i].name);
	}
	free(site->conf.buses);
	free(site->conf.devices);
	mailbox_destroy(site->outbox);
	loop_destroy(site->loop);
	log_set_sink(NULL, NULL);
	free(site);
}

static void take(struct site *site, struct mail *mail)
{
	if (mail->kind == MESSAGE_READING) {
		site->readings++;
	} else if (mail->kind == MESSAGE_LINK) {
		site->changes++;
	} else if (mail->kind == MESSAGE_HEALTH) {
		const struct health *health = container_of(mail, struct health, mail);
		site->healths++;
		site->health[health->device] = health->state;
		site->down[health->device] += health->state == HEALTH_DOWN;
		assert_true(health->state != HEALTH_DOWN || health->error == EB_LINK);
	}
	message_destroy(mail);
}

static void run(struct site *site, int64_t us)
{
	for (int64_t end_us = loop_now(site->loop) + us; loop_now(site->loop) < end_us;) {
		struct list mails;
		list_init(&mails);
		loop_advance(site->loop, loop_now(site->loop) + USEC_PER_SEC / 2);
		mailbox_take_all(site->outbox, &mails);
		for (struct list *link; (link = list_take_first(&mails));)
			take(site, container_of(link, struct mail, link));
	}
}

static void all_are(const struct site *site, enum health_state state)
{
	for (uint32_t i = 0; i < LINKS; i++)
		assert_int_equal(state, site->health[i]);
}

/* Each connection notices when it is next used. */
static void cut_off(struct site *site)
{
	site->reachable = false;
	for (uint32_t i = 0; i < LINKS; i++) {
		if (site->lines[i].open)
			site->lines[i].link.events->readable(site->lines[i].link.owner);
	}
}

static void test_a_switch_fails(void **state)
{
	struct site *site = site_create();
	run(site, SECONDS(30));
	all_are(site, HEALTH_OK);
	assert_int_equal(LINKS, site->healths);
	assert_int_equal(LINKS, site->changes);
	uint32_t lines = site->log_lines;
	cut_off(site);
	run(site, SECONDS(3));
	/* Not at once: most links are back soon. */
	assert_int_equal(LINKS, site->healths);
	run(site, SECONDS(600));
	all_are(site, HEALTH_DOWN);
	assert_int_equal(2 * LINKS, site->healths);
	assert_int_equal(2 * LINKS, site->changes);
	/* In the log it is one event. */
	assert_in_range(site->log_lines - lines, 50, 250);
	site->reachable = true;
	run(site, SECONDS(60));
	all_are(site, HEALTH_OK);
	assert_int_equal(3 * LINKS, site->healths);
	assert_int_equal(3 * LINKS, site->changes);
	uint32_t readings = site->readings;
	run(site, SECONDS(50));
	assert_in_range(site->readings - readings, 10 * LINKS - 10, 10 * LINKS + 10);
	site_destroy(site);
}

static void test_a_switch_that_flaps(void **state)
{
	struct site *site = site_create();
	for (uint32_t i = 0; i < LINKS; i++)
		site->conf.buses[i].link.reopen_max_ms = 1000;
	run(site, SECONDS(30));
	/* Away for three seconds of every twenty: nobody is told of devices that went and came. */
	for (int i = 0; i < 20; i++) {
		cut_off(site);
		run(site, SECONDS(3));
		site->reachable = true;
		run(site, SECONDS(17));
	}
	all_are(site, HEALTH_OK);
	assert_int_equal(LINKS, site->healths);
	assert_true(site->log_lines < 20 * 220 + 400);
	site_destroy(site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_switch_fails),
		cmocka_unit_test(test_a_switch_that_flaps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
