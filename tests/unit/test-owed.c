/* SPDX-License-Identifier: Apache-2.0 */
/* What a device may yet answer, and what is not asked of it as long. */
#include "field/owed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define TIMEOUT_US 200000
#define LATEST_US (5 * TIMEOUT_US)

static struct request request_to(uint8_t address, uint32_t answer_size, uint32_t flags)
{
	static uint8_t addresses[8];
	addresses[address] = address;
	return (struct request){ .wire = { .data_size = 1,
					 .data = &addresses[address],
					 .answer_size = answer_size,
					 .flags = flags } };
}

static void test_what_could_be_mistaken_waits(void **state)
{
	struct request a = request_to(1, 13, 0), b = request_to(2, 13, 0);
	struct request longer = request_to(3, 15, 0), any = request_to(4, 0, 0);
	struct request write = request_to(5, 13, EB_WRITE);
	struct owed owed = { .until_us = 0 };
	assert_false(owed_blocks(&owed, &b, 1000));
	owed_note(&owed, &a, 1000, TIMEOUT_US);
	assert_int_equal(1000 + LATEST_US, owed.until_us);
	assert_true(owed_blocks(&owed, &b, 2000));
	assert_true(owed_blocks(&owed, &any, 2000));
	assert_false(owed_blocks(&owed, &a, 2000));
	assert_false(owed_blocks(&owed, &longer, 2000));
	assert_false(owed_blocks(&owed, &write, 2000));
	assert_false(owed_blocks(&owed, &b, 1000 + LATEST_US));
	/* With two that are unanswered none can be told from them. */
	owed_note(&owed, &longer, 3000, TIMEOUT_US);
	assert_true(owed_blocks(&owed, &a, 4000));
	assert_true(owed_blocks(&owed, &longer, 4000));
}

/* Each answer may be that to the time of asking before, and leaves its own owed. */
static void test_a_chain_of_late_answers(void **state)
{
	struct request a = request_to(1, 13, 0), b = request_to(2, 13, 0);
	struct owed owed = { .until_us = 0 };
	int64_t asked_us = 1000;
	owed_note(&owed, &a, asked_us, TIMEOUT_US);
	for (int i = 0; i < 5; i++) {
		asked_us += LATEST_US * 9 / 10;
		assert_false(owed_blocks(&owed, &a, asked_us));
		owed_answered(&owed, &a, asked_us, TIMEOUT_US);
		assert_int_equal(asked_us + LATEST_US, owed.until_us);
	}
	/* As soon as another waits the chain is let end. */
	assert_true(owed_blocks(&owed, &b, asked_us + 1));
	assert_true(owed_blocks(&owed, &a, asked_us + 2));
	assert_false(owed_blocks(&owed, &b, asked_us + LATEST_US));
	assert_false(owed_blocks(&owed, &a, asked_us + LATEST_US));
	/* What is answered with nothing owed owes nothing. */
	owed_answered(&owed, &a, asked_us + LATEST_US, TIMEOUT_US);
	assert_false(owed_blocks(&owed, &b, asked_us + LATEST_US + 1));
}

/* What has just failed may be tried again, whoever waits. */
static void test_tried_again_while_another_waits(void **state)
{
	struct request a = request_to(1, 13, 0), b = request_to(2, 13, 0);
	struct owed owed = { .until_us = 0 };
	owed_note(&owed, &a, 1000, TIMEOUT_US);
	assert_true(owed_blocks(&owed, &b, 2000));
	assert_false(owed_blocks(&owed, &a, 2000));
	owed_answered(&owed, &a, 500000, TIMEOUT_US);
	assert_false(owed_blocks(&owed, &a, LATEST_US));
	assert_true(owed_blocks(&owed, &a, 1000 + LATEST_US));
	assert_true(owed_blocks(&owed, &b, 1000 + LATEST_US));
	assert_false(owed_blocks(&owed, &b, 500000 + LATEST_US));
	/* Another failure later: who waited once is forgotten. */
	owed_note(&owed, &a, 2 * LATEST_US, TIMEOUT_US);
	assert_false(owed.wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_could_be_mistaken_waits),
		cmocka_unit_test(test_a_chain_of_late_answers),
		cmocka_unit_test(test_tried_again_while_another_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
