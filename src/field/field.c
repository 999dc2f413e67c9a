/* SPDX-License-Identifier: Apache-2.0 */
#include "field/field.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/message.h"
#include "field/alias.h"
#include "field/answers.h"
#include "field/bus.h"
#include "util/alloc.h"
#include "util/log.h"

/* What is on the wire at the end has so long to be answered. */
#define STOP_US (500 * USEC_PER_MSEC)
/* Links are opened spread over at most this. */
#define OPEN_SPREAD_US USEC_PER_SEC
#define OPEN_STEP_US 100

struct field {
	struct field_setup setup;
	struct loop *loop;
	struct resolver_client *resolver;
	struct plane plane;
	struct bus **buses;
	struct device **devices;
	uint32_t bus_count;
	pthread_t thread;
	bool running;
	struct watch inbox, stop;
	struct timer stop_timer, idle_timer;
};

/* ---- messages ------------------------------------------------------------------------------- */

static void run_plan_change(struct field *field, struct mail *mail)
{
	struct plan_change *change = container_of(mail, struct plan_change, mail);
	uint32_t number = change->plan->device;
	assert(number < field->setup.conf->device_count);
	struct device *device = field->devices[number];
	device_change_plan(device, TAKE(change->plan));
	message_destroy(mail);
	bus_turn(device->bus);
}

static void run_order(struct field *field, struct mail *mail)
{
	struct order *order = container_of(mail, struct order, mail);
	assert(order->device < field->setup.conf->device_count);
	bus_order(field->devices[order->device]->bus, order);
}

static void run_query(struct field *field, struct mail *mail)
{
	const struct query *query = container_of(mail, struct query, mail);
	struct answer *answer = answer_create(query->serial);
	uint32_t number = query->number;
	if (query->what == QUERY_DUMP && number < field->bus_count)
		answer_dump(field->buses[number], &answer->text);
	else if (query->what == QUERY_CAPTURE && number < field->bus_count)
		capture_answer(field->buses[number], query->who, query->ends, &answer->text);
	else if (query->what == QUERY_BUS && number < field->bus_count)
		answer_bus(field->buses[number], &answer->text);
	else if (query->what == QUERY_DEVICE && number < field->setup.conf->device_count)
		answer_device(field->devices[number], &answer->text);
	else if (query->what == QUERY_STATUS)
		answer_status(field->buses, field->bus_count, &answer->text);
	else
		buffer_put_text(&answer->text, "{}");
	mailbox_put(field->setup.outbox, &answer->mail);
	message_destroy(mail);
}

static void take_mail(struct watch *watch, uint32_t events)
{
	struct field *field = container_of(watch, struct field, inbox);
	struct list mails;
	list_init(&mails);
	mailbox_take_all(field->setup.inbox, &mails);
	for (struct list *link; (link = list_take_first(&mails));) {
		struct mail *mail = container_of(link, struct mail, link);
		switch ((enum message_kind)mail->kind) {
		case MESSAGE_PLAN:
			run_plan_change(field, mail);
			break;
		case MESSAGE_ORDER:
			run_order(field, mail);
			break;
		case MESSAGE_QUERY:
			run_query(field, mail);
			break;
		default:
			assert(!"a message that is not for the field");
		}
	}
}

/* ---- the end -------------------------------------------------------------------------------- */

static void abort_buses(struct field *field)
{
	for (uint32_t i = 0; i < field->bus_count; i++)
		bus_abort(field->buses[i]);
}

static bool all_idle(const struct field *field)
{
	for (uint32_t i = 0; i < field->bus_count; i++) {
		if (!bus_idle(field->buses[i]))
			return false;
	}
	return true;
}

static void check_idle(struct timer *timer, int64_t now_us)
{
	struct field *field = container_of(timer, struct field, idle_timer);
	if (all_idle(field))
		loop_stop(field->loop);
	else
		loop_arm(field->loop, timer, now_us + 2 * USEC_PER_MSEC);
}

static void give_up(struct timer *timer, int64_t now_us)
{
	loop_stop(container_of(timer, struct field, stop_timer)->loop);
}

static void begin_stop(struct watch *watch, uint32_t events)
{
	struct field *field = container_of(watch, struct field, stop);
	loop_remove(field->loop, watch);
	for (uint32_t i = 0; i < field->bus_count; i++)
		bus_stop(field->buses[i]);
	int64_t now = loop_now(field->loop);
	loop_arm(field->loop, &field->stop_timer, now + STOP_US);
	check_idle(&field->idle_timer, now);
}

static void *run(void *argument)
{
	struct field *field = argument;
	/* Wake-ups to the microsecond: the kernel's default slack is as long as a silence at 115200. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	int result = loop_run(field->loop);
	if (result < 0)
		log_error("field: its loop ended: error %d", -result);
	return NULL;
}

int field_start(struct field *field)
{
	int result = pthread_create(&field->thread, NULL, run, field);
	if (result)
		return -result;
	field->running = true;
	pthread_setname_np(field->thread, "field");
	return 0;
}

void field_stop(struct field *field)
{
	uint64_t one = 1;
	if (field->running) {
		ssize_t written = write(field->stop.fd, &one, sizeof(one));
		(void)written; /* fails only where the counter is set anyway */
		pthread_join(field->thread, NULL);
		field->running = false;
	}
	abort_buses(field);
	/* Orders that came too late for the thread are answered all the same. */
	take_mail(&field->inbox, 0);
}

/* ---- the beginning -------------------------------------------------------------------------- */

static int create_buses(struct field *field)
{
	const struct conf *conf = field->setup.conf;
	field->buses = must_array(conf->bus_count, sizeof(struct bus *));
	field->devices = must_array(conf->device_count, sizeof(struct device *));
	for (uint32_t i = 0; i < conf->bus_count; i++) {
		struct eb_error error = { "" };
		int result = bus_create(&field->buses[i], &field->plane, i, NULL, &error);
		if (result < 0) {
			log_error("%s: plugin %s refuses its options: %s", conf->buses[i].name,
				conf->buses[i].plugin->name, error.text);
			return result;
		}
		field->bus_count++;
	}
	for (uint32_t i = 0; i < conf->device_count; i++)
		field->devices[i] = device_create(field->buses[conf->devices[i].bus], i);
	return 0;
}

static int watch_mail(struct field *field)
{
	field->inbox = (struct watch){
		.fd = mailbox_fd(field->setup.inbox),
		.events = EPOLLIN,
		.ready = take_mail,
	};
	field->stop = (struct watch){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.events = EPOLLIN,
		.ready = begin_stop,
	};
	field->stop_timer.expired = give_up;
	field->idle_timer.expired = check_idle;
	if (field->stop.fd < 0)
		return -errno;
	int result = loop_add(field->loop, &field->inbox);
	return result < 0 ? result : loop_add(field->loop, &field->stop);
}

static void advise(const struct conf_bus *bus)
{
	char text[400];
	if (bus->link.type != CONF_LINK_SERIAL)
		return;
	alias_advise(ALIAS_FOLDER, bus->link.path, text, sizeof(text));
	if (text[0])
		log_warning("%s: %s", bus->name, text);
}

/* Many connections are not begun in the same instant. */
static void start_buses(struct field *field)
{
	int64_t now = loop_now(field->loop);
	int64_t step_us = field->bus_count ? OPEN_SPREAD_US / field->bus_count : 0;
	for (uint32_t i = 0; i < field->bus_count; i++) {
		advise(&field->setup.conf->buses[i]);
		bus_start(field->buses[i],
			now + i * (step_us < OPEN_STEP_US ? step_us : OPEN_STEP_US));
	}
}

int field_create(struct field **result, const struct field_setup *setup)
{
	struct field *field = must_alloc(sizeof(*field));
	field->setup = *setup;
	field->stop.fd = -1;
	int error = loop_create(&field->loop, setup->clock);
	if (error == 0)
		error = resolver_client_create(&field->resolver, setup->resolver, field->loop);
	if (error == 0) {
		plane_init(&field->plane, field->loop, setup->outbox, field->resolver, setup->conf);
		error = create_buses(field);
	}
	if (error == 0)
		error = watch_mail(field);
	if (error < 0) {
		field_destroy(field);
		return error;
	}
	start_buses(field);
	*result = field;
	return 0;
}

void field_destroy(struct field *field)
{
	if (!field)
		return;
	for (uint32_t i = 0; i < field->bus_count; i++) {
		bus_abort(field->buses[i]);
		bus_destroy(field->buses[i]);
	}
	free(field->buses);
	free(field->devices);
	if (field->loop) {
		loop_remove(field->loop, &field->inbox);
		loop_remove(field->loop, &field->stop);
	}
	if (field->stop.fd >= 0)
		close(field->stop.fd);
	resolver_client_destroy(field->resolver);
	loop_destroy(field->loop);
	free(field);
}

struct loop *field_loop(struct field *field)
{
	return field->loop;
}
