/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads in blocks: what goes out and comes in part by part, and what a cloud may say to that. */
#include "session-fixture.h"

#define CONTINUE CODE(2, 31)
#define LENGTH 5000

static char whole[LENGTH + 1];

static void begin(void)
{
	for (int i = 0; i < LENGTH; i++)
		whole[i] = (char)('a' + i % 23);
	bench_online();
	bench->enos.block_wise = true;
	put_raw(whole);
	work();
}

static void answer_block(uint8_t code, struct block block)
{
	assert_true(respond((struct cloud_response){
		.token = bench->sent.token, .code = code, .block1 = block }));
}

/* That this block is under way, signed as message n. */
static void assert_block(uint32_t number, uint8_t exponent, bool more, uint64_t n)
{
	size_t size = (size_t)16 << exponent, from = number * size;
	assert_sent(REQUEST_POST, "thing/model/up_raw");
	assert_true(bench->sent.block1.there);
	assert_int_equal(bench->sent.block1.number, number);
	assert_int_equal(bench->sent.block1.exponent, exponent);
	assert_int_equal(bench->sent.block1.more, more);
	assert_int_equal(bench->sent.size, more ? size : LENGTH - from);
	assert_memory_equal(bench->sent.payload, whole + from, bench->sent.size);
	assert_signed(TOKEN, n);
}

static void goes_block_by_block(void **state)
{
	begin();
	for (uint32_t i = 0; i < 4; i++) {
		assert_block(i, 6, true, i + 1);
		answer_block(CONTINUE, bench->sent.block1);
		assert_int_equal(bench->fate_count, 0);
	}
	assert_block(4, 6, false, 5);
	answer_block(OK, bench->sent.block1);
	assert_fate(0, REPORT_ACKNOWLEDGED, 1);
	/* The next one begins at its beginning. */
	put_raw(whole);
	work();
	assert_block(0, 6, true, 6);
	bench_destroy();
}

static void the_cloud_may_want_smaller_ones(void **state)
{
	begin();
	assert_block(0, 6, true, 1);
	answer_block(CONTINUE, (struct block){ .there = true, .exponent = 4, .more = true });
	assert_block(4, 4, true, 2);
	answer_block(CONTINUE, bench->sent.block1);
	assert_block(5, 4, true, 3);
	/* 4.13 with a size: all of it again. */
	answer_block(CODE(4, 13), (struct block){ .there = true, .exponent = 3 });
	assert_block(0, 3, true, 4);
	/* The limit of the configuration is one, too. */
	bench_destroy();
	begin();
	answer_block(CONTINUE, bench->sent.block1);
	bench_destroy();
	bench_online();
	bench->enos.block_wise = true;
	bench->enos.max_payload = 300;
	put_raw(whole);
	work();
	assert_block(0, 4, true, 1);
	bench_destroy();
}

static void begins_anew_after_a_loss(void **state)
{
	begin();
	answer_block(CONTINUE, bench->sent.block1);
	assert_block(1, 6, true, 2);
	advance_ms(30000);
	await_request();
	assert_block(0, 6, true, 3);
	/* The cloud lost what it had, up to three times. */
	for (uint64_t i = 0; i < 3; i++) {
		answer_block(CODE(4, 8), bench->sent.block1);
		assert_block(0, 6, true, 4 + i);
	}
	answer_block(CODE(4, 8), bench->sent.block1);
	assert_fate(0, REPORT_REJECTED, 1);
	assert_string_equal(bench->fates[0].reason, "the cloud loses blocks of it");
	bench_destroy();
}

static void begins_anew_with_a_new_token(void **state)
{
	begin();
	answer_block(CONTINUE, bench->sent.block1);
	answer_block(CODE(4, 1), (struct block){ .there = false });
	accept_login();
	assert_block(0, 6, true, 1);
	bench_destroy();
}

static void is_refused_for_good(void **state)
{
	static const struct {
		uint8_t code;
		bool echoed;
		const char *said;
	} rows[] = {
		{ CODE(4, 2), false, "the cloud takes no blocks: set block_wise = false" },
		{ CODE(4, 13), true, "it is too large for the cloud" },
		{ OK, false,
			"the cloud took its first block for all of it: set block_wise = false" },
		{ CODE(4, 0), false, "the cloud answered 4.00" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin();
		struct block echo = bench->sent.block1;
		echo.there = rows[i].echoed;
		answer_block(rows[i].code, echo);
		assert_fate(0, REPORT_REJECTED, 1);
		assert_string_equal(bench->fates[0].reason, rows[i].said);
		bench_destroy();
	}
	/* Without blocks, with the size. */
	bench_online();
	put_raw(whole[0] ? whole : "");
	work();
	assert_fate(0, REPORT_REJECTED, 1);
	assert_non_null(strstr(bench->fates[0].reason, "5000 raw bytes, more than the 1024"));
	bench_destroy();
}

static void short_ones_go_whole(void **state)
{
	bench_online();
	bench->enos.block_wise = true;
	put_raw("short");
	work();
	assert_sent(REQUEST_POST, "thing/model/up_raw");
	assert_false(bench->sent.block1.there);
	answer(OK, "");
	assert_fate(0, REPORT_ACKNOWLEDGED, 1);
	bench_destroy();
}

static void give_block(uint32_t number, uint8_t exponent, bool more)
{
	size_t size = (size_t)16 << exponent, from = number * size;
	assert_true(respond((struct cloud_response){ .token = bench->sent.token,
		.code = CONTENT,
		.payload = whole + from,
		.size = more ? size : LENGTH - from,
		.block2 = {
			.there = true, .more = more, .exponent = exponent, .number = number } }));
}

static void poll(void)
{
	for (int i = 0; i < LENGTH; i++)
		whole[i] = (char)('a' + i % 23);
	bench_online();
	await_request();
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	assert_false(bench->sent.block2.there);
}

static void fetches_a_command_block_by_block(void **state)
{
	poll();
	for (uint32_t i = 0; i < 4; i++) {
		give_block(i, 6, true);
		assert_int_equal(bench->command_count, 0);
		assert_sent(REQUEST_GET, "thing/model/down_raw");
		assert_true(bench->sent.block2.there);
		assert_int_equal(bench->sent.block2.number, i + 1);
		assert_int_equal(bench->sent.block2.exponent, 6);
		assert_signed(TOKEN, i + 2);
	}
	give_block(4, 6, false);
	assert_int_equal(bench->command_count, 1);
	assert_int_equal(bench->bad_count, 0);
	assert_int_equal(bench->commands[0]->payload.size, LENGTH);
	assert_memory_equal(bench->commands[0]->payload.data, whole, LENGTH);
	bench_destroy();
}

static void blocks_that_do_not_fit_are_a_bad_command(void **state)
{
	poll();
	give_block(0, 6, true);
	give_block(2, 6, true);
	assert_int_equal(bench->bad_count, 1);
	assert_string_equal(bench->why[0], "the blocks of the command do not fit together");
	bench_destroy();
	/* A short block that others are to follow; a block of nothing. */
	poll();
	assert_true(respond((struct cloud_response){ .token = bench->sent.token,
		.code = CONTENT,
		.payload = "short",
		.size = 5,
		.block2 = { .there = true, .more = true, .exponent = 6 } }));
	assert_int_equal(bench->bad_count, 1);
	bench_destroy();
	/* Without an end. */
	poll();
	for (uint32_t i = 0; i < 64; i++)
		assert_true(respond((struct cloud_response){ .token = bench->sent.token,
			.code = CONTENT,
			.payload = whole,
			.size = 1024,
			.block2 = { .there = true, .more = true, .exponent = 6, .number = i } }));
	assert_int_equal(bench->bad_count, 0);
	assert_true(respond((struct cloud_response){ .token = bench->sent.token,
		.code = CONTENT,
		.payload = whole,
		.size = 1024,
		.block2 = { .there = true, .more = true, .exponent = 6, .number = 64 } }));
	assert_int_equal(bench->bad_count, 1);
	assert_string_equal(bench->why[0], "the command is larger than 64 KiB");
	bench_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_block_by_block),
		cmocka_unit_test(the_cloud_may_want_smaller_ones),
		cmocka_unit_test(begins_anew_after_a_loss),
		cmocka_unit_test(begins_anew_with_a_new_token),
		cmocka_unit_test(is_refused_for_good),
		cmocka_unit_test(short_ones_go_whole),
		cmocka_unit_test(fetches_a_command_block_by_block),
		cmocka_unit_test(blocks_that_do_not_fit_are_a_bad_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
