/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/mailbox.h"
#include "util/alloc.h"

struct letter {
	struct mail mail;
	unsigned number;
	atomic_uint *destroyed;
};

static atomic_uint destroyed_count;

static void destroy(struct mail *mail)
{
	struct letter *letter = container_of(mail, struct letter, mail);
	atomic_fetch_add(letter->destroyed, 1);
	free(letter);
}

static struct mail *letter_of(unsigned number, bool droppable)
{
	struct letter *letter = must_alloc(sizeof(*letter));
	letter->mail.destroy = destroy;
	letter->mail.droppable = droppable;
	letter->number = number;
	letter->destroyed = &destroyed_count;
	return &letter->mail;
}

static struct mailbox *open_box(size_t capacity)
{
	struct mailbox *box;
	atomic_store(&destroyed_count, 0);
	assert_int_equal(mailbox_create(&box, capacity), 0);
	return box;
}

static bool readable(const struct mailbox *box)
{
	struct pollfd poller = { .fd = mailbox_fd(box), .events = POLLIN };
	return poll(&poller, 1, 0) == 1;
}

/* Takes all; the numbers must be these. */
static void expect(struct mailbox *box, size_t count, const unsigned *numbers)
{
	struct list mails;
	list_init(&mails);
	assert_int_equal(mailbox_take_all(box, &mails), count);
	for (size_t i = 0; i < count; i++) {
		struct list *link = list_take_first(&mails);
		assert_non_null(link);
		struct letter *letter = container_of(link, struct letter, mail.link);
		assert_int_equal(letter->number, numbers[i]);
		destroy(&letter->mail);
	}
	assert_true(list_empty(&mails));
}

#define EXPECT(box, ...)                                                     \
	do {                                                                 \
		const unsigned numbers_[] = { __VA_ARGS__ };                 \
		expect(box, sizeof(numbers_) / sizeof(*numbers_), numbers_); \
	} while (0)

static void test_order_and_descriptor(void **state)
{
	struct mailbox *box = open_box(4);
	assert_false(readable(box));
	for (unsigned i = 0; i < 3; i++)
		assert_true(mailbox_put(box, letter_of(i, true)));
	assert_true(readable(box));
	EXPECT(box, 0, 1, 2);
	assert_false(readable(box));
	expect(box, 0, NULL);
	assert_true(mailbox_put(box, letter_of(3, true)));
	assert_true(readable(box));
	mailbox_destroy(box);
	assert_int_equal(atomic_load(&destroyed_count), 4);
}

static void test_oldest_reading_goes(void **state)
{
	struct mailbox *box = open_box(3);
	mailbox_put(box, letter_of(0, false));
	mailbox_put(box, letter_of(1, true));
	mailbox_put(box, letter_of(2, true));
	assert_true(mailbox_put(box, letter_of(3, true)));
	assert_int_equal(mailbox_dropped(box), 1);
	assert_true(mailbox_put(box, letter_of(4, false)));
	assert_int_equal(mailbox_dropped(box), 2);
	EXPECT(box, 0, 3, 4);
	mailbox_destroy(box);
}

static void test_all_must_be_kept(void **state)
{
	struct mailbox *box = open_box(2);
	mailbox_put(box, letter_of(0, false));
	mailbox_put(box, letter_of(1, false));
	assert_false(mailbox_put(box, letter_of(2, true)));
	assert_false(mailbox_put(box, letter_of(3, false)));
	assert_int_equal(mailbox_dropped(box), 2);
	assert_int_equal(atomic_load(&destroyed_count), 2);
	EXPECT(box, 0, 1);
	mailbox_destroy(box);
}

/* The one mail there is gives way to a newer one: the receiver must still be woken. */
static void test_wakes_after_the_last_was_dropped(void **state)
{
	struct mailbox *box = open_box(1);
	mailbox_put(box, letter_of(0, true));
	mailbox_put(box, letter_of(1, true));
	assert_true(readable(box));
	EXPECT(box, 1);
	assert_false(readable(box));
	mailbox_destroy(box);
}

static void test_places(void **state)
{
	struct mailbox *box = open_box(3);
	assert_true(mailbox_reserve(box));
	assert_true(mailbox_reserve(box));
	assert_true(mailbox_put(box, letter_of(0, true)));
	/* Full: neither a third place, nor a reading more than one. */
	assert_false(mailbox_reserve(box));
	assert_true(mailbox_put(box, letter_of(1, true)));
	assert_int_equal(mailbox_dropped(box), 1);
	mailbox_put_reserved(box, letter_of(2, false));
	assert_false(mailbox_reserve(box));
	mailbox_unreserve(box);
	assert_true(mailbox_put(box, letter_of(3, true)));
	assert_int_equal(mailbox_dropped(box), 1);
	EXPECT(box, 1, 2, 3);
	/* Places are free again once the mail was taken. */
	for (int i = 0; i < 3; i++)
		assert_true(mailbox_reserve(box));
	assert_false(mailbox_reserve(box));
	assert_false(mailbox_put(box, letter_of(4, true)));
	for (unsigned i = 5; i < 8; i++)
		mailbox_put_reserved(box, letter_of(i, false));
	EXPECT(box, 5, 6, 7);
	mailbox_destroy(box);
}

/* ---- with threads ------------------------------------------------------------------------------ */

#define SENDERS 3
#define LETTERS 2000u

struct sender {
	pthread_t thread;
	struct mailbox *box;
	unsigned first;
};

/* Readings as fast as they go; every tenth letter has a place and must arrive. */
static void *send_all(void *context)
{
	struct sender *sender = context;
	for (unsigned i = 0; i < LETTERS; i++) {
		unsigned number = sender->first + i;
		if (i % 10 || !mailbox_reserve(sender->box))
			mailbox_put(sender->box, letter_of(number, true));
		else
			mailbox_put_reserved(sender->box, letter_of(number, false));
	}
	return NULL;
}

/* Takes until all that was sent is there or was dropped; what one sender sent stays in its order. */
static void test_threads(void **state)
{
	struct mailbox *box = open_box(64);
	struct sender senders[SENDERS];
	unsigned next[SENDERS] = { 0 };
	size_t taken = 0;
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ .box = box, .first = i * LETTERS };
		assert_int_equal(
			pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
	}
	while (taken + mailbox_dropped(box) < SENDERS * LETTERS) {
		struct pollfd poller = { .fd = mailbox_fd(box), .events = POLLIN };
		struct list mails;
		list_init(&mails);
		poll(&poller, 1, 10);
		taken += mailbox_take_all(box, &mails);
		for (struct list *link; (link = list_take_first(&mails));) {
			struct letter *letter = container_of(link, struct letter, mail.link);
			unsigned from = letter->number / LETTERS;
			assert_true(letter->number % LETTERS >= next[from]);
			next[from] = letter->number % LETTERS + 1;
			destroy(&letter->mail);
		}
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	assert_int_equal(atomic_load(&destroyed_count), SENDERS * LETTERS);
	assert_false(readable(box));
	mailbox_destroy(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_descriptor),
		cmocka_unit_test(test_oldest_reading_goes),
		cmocka_unit_test(test_all_must_be_kept),
		cmocka_unit_test(test_wakes_after_the_last_was_dropped),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
