/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/message.h"
#include "util/log.h"

#define DEVICES 3
#define ROOM 2

static struct clock clock_;
static struct loop *loop;
static struct mailbox *box;
static char name[] = "meter";
static struct conf_device devices[DEVICES];
static struct conf conf = { .devices = devices, .device_count = DEVICES };
static struct member members[DEVICES];
static struct fleet fleet = { .conf = &conf, .devices = members };
static struct handover *handover;

static struct plan *make_plan(uint32_t device)
{
	const struct eb_address address = { .size = 1 };
	return plan_create(device, &address, 0);
}

static int set_up(void **state)
{
	clock_ = (struct clock){ .manual = true };
	if (loop_create(&loop, &clock_) < 0 || mailbox_create(&box, ROOM) < 0)
		return -1;
	for (uint32_t i = 0; i < DEVICES; i++) {
		devices[i].name = name;
		members[i] = (struct member){
			.number = i, .conf = &devices[i], .plan = make_plan(i)
		};
	}
	handover = handover_create(&fleet, loop, box);
	return 0;
}

static int tear_down(void **state)
{
	handover_destroy(handover);
	for (uint32_t i = 0; i < DEVICES; i++) {
		plan_release(members[i].plan);
		plan_release(members[i].sent);
	}
	mailbox_destroy(box);
	loop_destroy(loop);
	return 0;
}

/* Takes all mail: the plans that came, of which the last is *last. */
static size_t take(const struct plan **last)
{
	struct list mails;
	list_init(&mails);
	size_t count = mailbox_take_all(box, &mails);
	for (struct list *link; (link = list_take_first(&mails));) {
		struct mail *mail = container_of(link, struct mail, link);
		assert_int_equal(mail->kind, MESSAGE_PLAN);
		*last = container_of(mail, struct plan_change, mail)->plan;
		message_destroy(mail);
	}
	return count;
}

static void advance_s(int64_t s)
{
	loop_advance(loop, clock_mono_us(&clock_) + s * USEC_PER_SEC);
}

static void one_that_finds_no_room_comes_later(void **state)
{
	const struct plan *last = NULL;
	for (uint32_t i = 0; i < DEVICES; i++)
		handover_send(handover, &members[i]);
	assert_null(members[2].sent);
	advance_s(10);
	assert_null(members[2].sent);
	assert_int_equal(take(&last), ROOM);
	advance_s(1);
	assert_int_equal(take(&last), 1);
	assert_ptr_equal(last, members[2].plan);
	assert_ptr_equal(members[2].sent, members[2].plan);
	/* And once. */
	handover_send(handover, &members[2]);
	advance_s(10);
	assert_int_equal(take(&last), 0);
}

static void the_newest_is_handed_over(void **state)
{
	const struct plan *last = NULL;
	for (uint32_t i = 0; i < DEVICES; i++)
		handover_send(handover, &members[i]);
	plan_release(members[2].plan);
	members[2].plan = make_plan(2);
	handover_send(handover, &members[2]);
	assert_int_equal(take(&last), ROOM);
	advance_s(1);
	assert_int_equal(take(&last), 1);
	assert_ptr_equal(last, members[2].plan);
	advance_s(10);
	assert_int_equal(take(&last), 0);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			one_that_finds_no_room_comes_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_newest_is_handed_over, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
