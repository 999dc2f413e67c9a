/* SPDX-License-Identifier: Apache-2.0 */
/* Every verdict that a plugin can give, and those that it must not, with a codec made for that. */
#include "field-rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/alloc.h"

/*
 * A request is a word, its frame the word and a newline.  A line that is received says by its first letter what
 * the verdict is: A answer, C continue with the frame "more", W continue and wait, U unasked with the
 * key in its second letter, E error of that class, N noise, X a verdict that cannot be, I an answer to
 * nobody, Z no progress, O an answer that consumes more than there is.
 */
static int codec_open(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error)
{
	timing->gap_us = 2000;
	timing->max_in_flight = 1;
	return 0;
}

static int codec_address(const void *state, const struct eb_settings *device,
	struct eb_address *address, struct eb_error *error)
{
	return 0;
}

static int codec_request(const void *state, const struct eb_settings *settings,
	struct eb_request *request, struct eb_error *error)
{
	const struct eb_setting *word = &settings->items[0];
	request->flags = strcmp(word->key, "write") == 0 ? EB_WRITE : 0;
	request->data_size = (uint32_t)word->value.size;
	memcpy(request->data, word->value.data, word->value.size);
	return 0;
}

static int codec_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame)
{
	uint32_t size = outstanding->request->data_size;
	if (size == 3 && memcmp(outstanding->request->data, "bad", 3) == 0)
		return -EINVAL;
	memcpy(frame, outstanding->request->data, size);
	frame[size] = '\n';
	return (int)size + 1;
}

static void codec_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict)
{
	const uint8_t *end = input->size ? memchr(input->bytes, '\n', input->size) : NULL;
	if (!end) {
		verdict->kind = input->silent_us > 30000 ? EB_ERROR : EB_MORE;
		verdict->error = EB_SHORT;
		verdict->consumed = verdict->kind == EB_MORE ? 0 : (uint32_t)input->size;
		verdict->gap_us = 30001;
		return;
	}
	static const uint8_t kinds[256] = { ['A'] = EB_ANSWER,
		['I'] = EB_ANSWER,
		['O'] = EB_ANSWER,
		['C'] = EB_CONTINUE,
		['W'] = EB_CONTINUE,
		['U'] = EB_UNASKED,
		['E'] = EB_ERROR,
		['N'] = EB_NOISE,
		['Z'] = EB_NOISE,
		['X'] = 99 };
	uint8_t letter = input->bytes[0];
	verdict->kind = kinds[letter];
	verdict->consumed = (uint32_t)(end + 1 - input->bytes);
	verdict->content = input->bytes + 1;
	verdict->content_size = verdict->consumed - 2;
	verdict->error = letter == 'E' ? (uint32_t)(input->bytes[1] - '0') : 0;
	if (letter == 'U') {
		verdict->address = (struct eb_address){ .size = 1, .bytes = { 1 } };
		verdict->key_size = 1;
		verdict->key[0] = input->bytes[1];
	} else if (letter == 'C') {
		memcpy(input->frame, "more\n", 5);
		verdict->frame_size = 5;
	} else if (letter == 'I') {
		verdict->index = 7;
	} else if (letter == 'Z') {
		verdict->consumed = 0;
	} else if (letter == 'O') {
		verdict->consumed += 1000;
	}
}

static const struct eb_key request_keys[] = {
	{ .name = "read", .types = EB_TEXT },
	{ .name = "write", .types = EB_TEXT },
	{ .name = NULL },
};

static const struct eb_plugin codec = {
	.abi = EB_PLUGIN_ABI,
	.size = sizeof(struct eb_plugin),
	.name = "codec",
	.transports = EB_SERIAL | EB_TCP,
	.request_keys = request_keys,
	.open = codec_open,
	.address = codec_address,
	.request = codec_request,
	.encode = codec_encode,
	.receive = codec_receive,
};

/* What the unit says to each frame in turn; the last one again and again. */
struct script {
	const char *const *lines;
	size_t next;
	struct buffer heard, read;
};

static void say_next(struct rig *rig, const char *bytes, size_t size)
{
	struct script *script = rig->context;
	buffer_put(&script->heard, bytes, size);
	const char *line = script->lines[script->next];
	if (script->lines[script->next + 1])
		script->next++;
	rig_say(rig, loop_now(rig->loop) + 10000 + (int64_t)size * rig_char_us(rig), line,
		strlen(line));
}

static void note(struct rig *rig, const struct reading *reading)
{
	struct script *script = rig->context;
	buffer_printf(&script->read, "%.*s;", (int)reading->size, (const char *)reading->bytes);
}

static struct rig *create(struct script *script, const char *const *lines)
{
	struct rig *rig = rig_create(&(struct rig_setup){
		.devices = 1, .baud = 9600, .echo = ANSWER_NO, .retries = 0, .plugin = &codec });
	*script = (struct script){ .lines = lines };
	rig->context = script;
	rig->hear_raw = say_next;
	rig->on_reading = note;
	return rig;
}

static void destroy(struct rig *rig)
{
	struct script *script = rig->context;
	rig_destroy(rig);
	buffer_finish(&script->heard);
	buffer_finish(&script->read);
}

static const struct rig_poll poll_word = { .text = "get", .period = 10 };

static struct rig *run(struct script *script, const char *const *lines)
{
	struct rig *rig = create(script, lines);
	rig_run_plan(rig, 0, &poll_word, 1);
	rig_run(rig, 400000);
	return rig;
}

static void test_continue(void **state)
{
	struct script script;
	struct rig *rig = run(
		&script, (const char *const[]){ "Cone,\n", "Ctwo,\n", "Wthree,\nAfour\n", NULL });
	assert_string_equal("get\nmore\nmore\n", buffer_text(&script.heard));
	assert_string_equal("one,two,three,four;", buffer_text(&script.read));
	assert_int_equal(3, rig->bus->stats.requests);
	assert_int_equal(1, rig->bus->stats.answers);
	destroy(rig);
	/* What never ends is ended. */
	rig = run(&script, (const char *const[]){ "C\n", NULL });
	rig_run(rig, USEC_PER_SEC);
	assert_int_equal(1, rig->bus->stats.errors[EB_SHORT]);
	assert_int_equal(0, rig->readings);
	destroy(rig);
	/* No step waits longer than its time, and no more than one transaction ends. */
	rig = run(&script, (const char *const[]){ "Cone,\n", "", NULL });
	rig_run(rig, USEC_PER_SEC);
	assert_int_equal(1, rig->bus->stats.errors[EB_TIMEOUT]);
	assert_string_equal("", buffer_text(&script.read));
	destroy(rig);
}

static void test_unasked(void **state)
{
	struct script script;
	struct rig *rig = create(&script, (const char *const[]){ "Aasked\n", NULL });
	struct rig_poll polls[] = { { .name = "p", .text = "p", .period = 100 },
		{ .name = "q", .text = "q", .period = 100 } };
	rig_run_plan(rig, 0, polls, 2);
	rig_run(rig, USEC_PER_SEC);
	assert_string_equal("asked;asked;", buffer_text(&script.read));
	/* The key names the poll; nobody declared r. */
	rig_say(rig, loop_now(rig->loop), "Uq1\nUr2\nUp3\n", 12);
	rig_run(rig, 10000);
	assert_string_equal("asked;asked;q1;p3;", buffer_text(&script.read));
	assert_int_equal(3, rig->bus->unasked);
	assert_int_equal(2, rig->devices[0]->tasks[0].answers);
	/* While nobody asked, "continue" is for the plugin alone. */
	rig_say(rig, loop_now(rig->loop), "Wx\nAx\n", 6);
	rig_run(rig, 10000);
	assert_int_equal(4, rig->readings);
	destroy(rig);
}

static void test_errors(void **state)
{
	struct script script;
	for (uint32_t error = EB_TIMEOUT; error < EB_LINK; error++) {
		char line[] = "E0\n";
		line[1] = (char)('0' + error);
		struct rig *rig = run(&script, (const char *const[]){ line, "Aok\n", NULL });
		assert_int_equal(1, rig->bus->stats.errors[error]);
		assert_int_equal(1, rig->devices[0]->stats.errors[error]);
		rig_run(rig, 20 * USEC_PER_SEC);
		assert_int_equal(HEALTH_OK, rig->health[0]);
		destroy(rig);
	}
	/* No newline, and silence, which the codec asked to hear of. */
	struct rig *rig = run(&script, (const char *const[]){ "Acut", NULL });
	assert_int_equal(1, rig->bus->stats.errors[EB_SHORT]);
	assert_true(rig->bus->busy_us < 60000);
	destroy(rig);
}

static void test_verdicts_that_cannot_be(void **state)
{
	static const char *const faults[] = { "X\n", "I\n", "Z\n", "O\n", "E9\n", "Nnoise\n" };
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		struct script script;
		struct rig *rig = run(&script, (const char *const[]){ faults[i], "Aok\n", NULL });
		rig_run(rig, 30 * USEC_PER_SEC);
		assert_true(rig->readings >= 3);
		assert_non_null(strstr(buffer_text(&script.read), "ok;"));
		destroy(rig);
	}
}

static void test_frame_that_cannot_be_made(void **state)
{
	struct script script;
	struct rig *rig = create(&script, (const char *const[]){ "Aok\n", NULL });
	struct rig_poll polls[] = { { .name = "a", .text = "bad", .period = 1 },
		{ .name = "b", .text = "good", .period = 1 } };
	rig_run_plan(rig, 0, polls, 2);
	rig_run(rig, 100 * USEC_PER_SEC);
	assert_in_range(rig->readings, 99, 101);
	const char *said = strstr(buffer_text(&rig->log), "cannot make the frame");
	assert_non_null(said);
	assert_null(strstr(said + 1, "cannot make the frame"));
	/* In an order it was not sent. */
	rig_order(rig, 0, USEC_PER_SEC, polls, 2);
	rig_run(rig, USEC_PER_SEC);
	assert_int_equal(OUTCOME_SKIPPED, rig->outcome->steps[0].status);
	destroy(rig);
}

static void test_endless_bytes_are_dropped(void **state)
{
	struct script script;
	struct rig *rig = create(&script, (const char *const[]){ "Aok\n", NULL });
	static uint8_t bytes[20000];
	memset(bytes, 'A', sizeof(bytes));
	for (int i = 0; i < 20; i++)
		rig_say(rig, loop_now(rig->loop) + i, bytes, 1000);
	rig_run(rig, USEC_PER_SEC);
	assert_true(rig->bus->noise_bytes > 15000);
	assert_true(rig->bus->pending.capacity < 10000);
	rig_run_plan(rig, 0, &poll_word, 1);
	rig_run(rig, USEC_PER_SEC);
	assert_string_equal("ok;", buffer_text(&script.read));
	destroy(rig);
}

static void test_write_taken_bit_by_bit(void **state)
{
	struct script script;
	struct rig *rig = create(&script, (const char *const[]){ "Aok\n", NULL });
	rig->takes = 1;
	rig_run_plan(rig, 0, &poll_word, 1);
	rig_run(rig, 5000);
	for (int i = 0; i < 3; i++)
		rig_take(rig);
	assert_string_equal("get\n", buffer_text(&rig->taken));
	rig_say(rig, loop_now(rig->loop) + 8000, "Aslow\n", 6);
	rig_run(rig, 100000);
	assert_string_equal("slow;", buffer_text(&script.read));
	/* A port that takes nothing more is opened again. */
	rig_run(rig, 10 * USEC_PER_SEC);
	rig_run(rig, 600000);
	assert_int_equal(1, rig->bus->link_losses);
	assert_non_null(strstr(rig->link_reason, "no more bytes"));
	rig->takes = 0;
	rig_run(rig, 3 * USEC_PER_SEC);
	assert_string_equal("slow;ok;", buffer_text(&script.read));
	destroy(rig);
}

/* Somebody talks without a pause while the second frame of a request waits for its turn. */
static void test_continued_frame_never_gets_its_turn(void **state)
{
	struct script script;
	struct rig *rig = create(&script, (const char *const[]){ "Cone,\n", "Aok\n", NULL });
	rig_run_plan(rig, 0, &poll_word, 1);
	rig_run(rig, 5000);
	assert_string_equal("get\n", buffer_text(&script.heard));
	for (int64_t i = 1; i < 900; i++)
		rig_say(rig, loop_now(rig->loop) + i * 1000, "N\n", 2);
	rig_run(rig, 700000);
	assert_int_equal(0, rig->bus->in_flight);
	assert_string_equal("get\n", buffer_text(&script.heard));
	assert_int_equal(1, rig->bus->stats.requests);
	assert_int_equal(1, rig->bus->stats.errors[EB_FOREIGN]);
	assert_int_equal(0, rig->bus->stats.errors[EB_TIMEOUT]);
	assert_int_equal(0, rig->readings);
	assert_int_equal(0, rig->bus->link_losses);
	/* Half an answer is not kept for the next one. */
	for (int i = 0; i < 1000 && !rig->readings; i++)
		rig_run(rig, 10000);
	assert_string_equal("ok;", buffer_text(&script.read));
	destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_continue),
		cmocka_unit_test(test_unasked),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_verdicts_that_cannot_be),
		cmocka_unit_test(test_frame_that_cannot_be_made),
		cmocka_unit_test(test_endless_bytes_are_dropped),
		cmocka_unit_test(test_write_taken_bit_by_bit),
		cmocka_unit_test(test_continued_frame_never_gets_its_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
