/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that come again, and what a restart leaves of them. */
#include "cloud/ledger.h"

#include <dirent.h>
#include <fcntl.h>

#include "spool-rig.h"

#define SERVICE "thing/service/a"
#define RAW "thing/model/down_raw"

/* What the ledger told. */
static struct {
	int ready, interrupted, unsent, ended, repeats;
	int recorded;
	uint64_t token; /* the last that was recorded */
	char why[200];
	struct command *command;
	struct reply *reply;
	char device[40]; /* of the record that ended last */
	int listed;
	char first[40]; /* id of the newest that was listed */
	enum record_state first_state;
	int first_code;
} told;

static struct ledger *ledger;

static void on_ready(void *context)
{
	told.ready++;
}

static void on_recorded(void *context, uint64_t token, const char *why)
{
	told.recorded++;
	told.token = token;
	snprintf(told.why, sizeof(told.why), "%s", why ? why : "");
}

static void on_interrupted(void *context, struct command *command)
{
	told.interrupted++;
	told.command = command;
}

static void on_unsent(void *context, struct reply *reply)
{
	told.unsent++;
	reply_destroy(told.reply);
	told.reply = reply;
}

static void on_ended(void *context, const struct record *record)
{
	told.ended++;
	told.repeats += record->repeat;
	snprintf(told.device, sizeof(told.device), "%s", record->device);
}

static const struct ledger_listener listener = { .ready = on_ready,
	.recorded = on_recorded,
	.interrupted = on_interrupted,
	.unsent = on_unsent,
	.ended = on_ended };

static void forget_told(void)
{
	command_destroy(told.command);
	reply_destroy(told.reply);
	memset(&told, 0, sizeof(told));
}

static void start(struct rig *rig, bool disk)
{
	rig_start(rig);
	const struct ledger_setup setup = { .conf = &rig->conf,
		.loop = rig->loop,
		.writer = disk ? spool_writer(rig->spool) : NULL };
	ledger = ledger_create(&setup);
	forget_told();
	ledger_start(ledger, &listener);
	rig_pass(rig, 200);
}

static void stop(struct rig *rig)
{
	ledger_destroy(ledger);
	rig_stop(rig);
	forget_told();
}

static void init(struct rig *rig)
{
	rig_init(rig);
	rig->conf.enos.command_repeat_s = 60;
	rig->conf.spool.command_records = 1000;
}

static struct command *make(uint32_t device, const char *topic, const char *payload)
{
	struct command *command;
	char error[160];
	command_create(&command, device, ORIGIN_CLOUD, topic, payload, strlen(payload), error,
		sizeof(error));
	return command;
}

static enum ledger_verdict judge(struct rig *rig, struct command *command, struct reply **reply)
{
	command->received_us = rig->clock.mono_us;
	return ledger_judge(ledger, command, reply);
}

static enum ledger_answer answer(const struct command *command, int code, const char *text)
{
	struct reply *reply = reply_create(command, code);
	buffer_put_text(&reply->payload, text);
	enum ledger_answer result = ledger_end(ledger, reply);
	reply_destroy(reply);
	return result;
}

/* The same command again, and what is to be said of it. */
static void expect(struct rig *rig, const struct command *command, enum ledger_verdict verdict,
	const char *text)
{
	struct reply *reply;
	struct command *again = make(
		command->device, command->topic, buffer_text(&command->payload));
	assert_int_equal(judge(rig, again, &reply), verdict);
	if (verdict == LEDGER_ANSWERED) {
		assert_string_equal(buffer_text(&reply->payload), text);
		assert_string_equal(reply->topic, command->topic);
		assert_int_equal(reply->device, command->device);
		reply_destroy(reply);
	} else {
		assert_null(reply);
	}
	if (verdict == LEDGER_NEW)
		answer(again, 200, "anew");
	command_destroy(again);
}

static void swallows_while_running_and_answers_afterwards(void **state)
{
	struct rig rig;
	struct reply *reply;
	init(&rig);
	start(&rig, false);
	assert_int_equal(told.ready, 0);
	assert_true(ledger_ready(ledger));
	struct command *first = make(2, SERVICE, "{\"id\":\"1\"}");
	assert_int_equal(judge(&rig, first, &reply), LEDGER_NEW);
	assert_int_equal(ledger_begin(ledger, first), LEDGER_GO);
	/* However long it runs. */
	rig_pass(&rig, 500000);
	expect(&rig, first, LEDGER_RUNNING, NULL);
	assert_int_equal(answer(first, 200, "done"), LEDGER_GO);
	rig_pass(&rig, 59000);
	expect(&rig, first, LEDGER_ANSWERED, "done");
	assert_int_equal(told.repeats, 2);
	rig_pass(&rig, 1000);
	expect(&rig, first, LEDGER_NEW, NULL);
	command_destroy(first);
	stop(&rig);
	rig_finish(&rig);
}

static void another_device_topic_or_payload_is_another_command(void **state)
{
	struct rig rig;
	struct reply *reply;
	init(&rig);
	start(&rig, false);
	struct command *commands[] = {
		make(0, SERVICE, "{\"id\":\"1\"}"),
		make(1, SERVICE, "{\"id\":\"1\"}"),
		make(0, "thing/service/b", "{\"id\":\"1\"}"),
		make(0, SERVICE, "{\"id\":\"2\"}"),
		make(0, SERVICE, "{\"id\":\"1\",\"params\":{}}"),
	};
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(judge(&rig, commands[i], &reply), LEDGER_NEW);
	for (size_t i = 0; i < 5; i++) {
		answer(commands[i], 200, "x");
		command_destroy(commands[i]);
	}
	stop(&rig);
	rig_finish(&rig);
}

static void those_without_an_id_have_a_window_of_their_own(void **state)
{
	struct rig rig;
	init(&rig);
	start(&rig, false);
	struct command *raw = make(0, RAW, "x"), *nameless = make(0, SERVICE, "{}");
	for (int i = 0; i < 3; i++) {
		expect(&rig, raw, LEDGER_NEW, NULL);
		expect(&rig, nameless, LEDGER_NEW, NULL);
	}
	rig.conf.enos.command_repeat_raw_s = 60;
	expect(&rig, raw, LEDGER_NEW, NULL);
	expect(&rig, raw, LEDGER_ANSWERED, "anew");
	command_destroy(raw);
	command_destroy(nameless);
	stop(&rig);
	rig_finish(&rig);
}

static int64_t status_of(const char *key)
{
	OWNED_BUFFER json = BUFFER_EMPTY, map = BUFFER_EMPTY;
	char error[120];
	struct value value;
	ledger_status(ledger, &json);
	assert_int_equal(json_parse(&map, json.data, json.size, error, sizeof(error)), 0);
	assert_true(value_find(map.data, map.size, key, &value, NULL));
	return value.integer;
}

static struct command *numbered(int number)
{
	char payload[32];
	snprintf(payload, sizeof(payload), "{\"id\":\"%d\"}", number);
	return make(0, SERVICE, payload);
}

static void remembers_a_bounded_number_and_not_for_ever(void **state)
{
	struct rig rig;
	init(&rig);
	start(&rig, false);
	for (int i = 0; i < LEDGER_DEVICE_MAX + 100; i++) {
		struct command *command = numbered(i);
		expect(&rig, command, LEDGER_NEW, NULL);
		command_destroy(command);
	}
	assert_int_equal(status_of("remembered"), LEDGER_DEVICE_MAX);
	assert_int_equal(status_of("forgotten"), 100);
	for (int i = 0; i < LEDGER_DEVICE_MAX + 100; i++) {
		struct reply reply = { .token = (uint64_t)i + 1 };
		ledger_delivered(ledger, &reply);
	}
	rig_pass(&rig, 130000);
	assert_int_equal(status_of("remembered"), 0);
	stop(&rig);
	rig_finish(&rig);
}

/* A storm of repeats does not push out what they repeat, or the last of them would run. */
static void repeats_never_push_out_what_they_repeat(void **state)
{
	struct rig rig;
	struct reply *reply;
	init(&rig);
	start(&rig, true);
	struct command *first = make(2, SERVICE, "{\"id\":\"1\"}");
	assert_int_equal(judge(&rig, first, &reply), LEDGER_NEW);
	answer(first, 200, "done");
	/* None of it is on the disk yet. */
	for (int i = 0; i < LEDGER_DEVICE_MAX + 10; i++)
		expect(&rig, first, LEDGER_ANSWERED, "done");
	assert_int_equal(status_of("remembered"), LEDGER_DEVICE_MAX);
	command_destroy(first);
	stop(&rig);
	rig_finish(&rig);
}

/* ---- restarts ------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(in >= 0 && out >= 0);
	for (ssize_t size; (size = read(in, bytes, sizeof(bytes))) > 0;)
		assert_int_equal(write(out, bytes, (size_t)size), size);
	close(in);
	close(out);
}

/* As kill -9 would have it: what is on the disk now is what the next start finds. */
static void kill_and_start(struct rig *rig)
{
	static const char *const files[] = { "spool.db", "spool.db-wal" };
	OWNED char *aside = must_printf("%s.aside", rig->directory);
	for (int back = 0; back < 2; back++) {
		if (!back)
			assert_int_equal(mkdir(aside, 0700), 0);
		for (size_t i = 0; i < 2; i++) {
			OWNED char *here = must_printf("%s/%s", rig->directory, files[i]);
			OWNED char *there = must_printf("%s/%s", aside, files[i]);
			copy_file(back ? there : here, back ? here : there);
			if (back)
				unlink(there);
		}
		if (!back)
			stop(rig);
	}
	rmdir(aside);
	start(rig, true);
}

/* A command that was judged and is on its way to the device. */
static struct command *begin(struct rig *rig, int number)
{
	struct reply *reply;
	struct command *command = numbered(number);
	assert_int_equal(judge(rig, command, &reply), LEDGER_NEW);
	assert_int_equal(ledger_begin(ledger, command), LEDGER_WAIT);
	int before = told.recorded;
	rig_pass(rig, 200);
	assert_int_equal(told.recorded, before + 1);
	assert_true(told.token == command->token);
	assert_string_equal(told.why, "");
	return command;
}

static void what_was_begun_is_found_after_a_kill(void **state)
{
	struct rig rig;
	init(&rig);
	start(&rig, true);
	struct command *command = begin(&rig, 7);
	kill_and_start(&rig);
	assert_int_equal(told.interrupted, 1);
	assert_int_equal(told.unsent, 0);
	assert_int_equal(told.ready, 1);
	assert_string_equal(told.command->id, "7");
	assert_int_equal(told.command->device, 0);
	/* Until it is answered it runs; then its answer is what a repeat gets. */
	expect(&rig, command, LEDGER_RUNNING, NULL);
	assert_int_equal(answer(told.command, 504, "perhaps"), LEDGER_WAIT);
	expect(&rig, command, LEDGER_ANSWERED, "perhaps");
	rig_pass(&rig, 200);
	/* And after another kill too: then it is known, but the cloud has not acknowledged it. */
	kill_and_start(&rig);
	assert_int_equal(told.interrupted, 0);
	assert_int_equal(told.unsent, 1);
	assert_int_equal(told.reply->code, 504);
	assert_string_equal(buffer_text(&told.reply->payload), "perhaps");
	expect(&rig, command, LEDGER_ANSWERED, "perhaps");
	ledger_delivered(ledger, told.reply);
	rig_pass(&rig, 3000);
	kill_and_start(&rig);
	assert_int_equal(told.interrupted + told.unsent, 0);
	expect(&rig, command, LEDGER_ANSWERED, "perhaps");
	rig_pass(&rig, 60000);
	expect(&rig, command, LEDGER_NEW, NULL);
	command_destroy(command);
	stop(&rig);
	rig_finish(&rig);
}

static void a_stop_leaves_all_of_it_on_the_disk(void **state)
{
	struct rig rig;
	init(&rig);
	start(&rig, true);
	struct command *refused = numbered(1);
	/* It never began, so nobody waits for its record. */
	expect(&rig, refused, LEDGER_NEW, NULL);
	stop(&rig);
	start(&rig, true);
	assert_int_equal(told.unsent, 1);
	expect(&rig, refused, LEDGER_ANSWERED, "anew");
	command_destroy(refused);
	stop(&rig);
	rig_finish(&rig);
}

static void a_clock_that_was_set_back_keeps_the_window(void **state)
{
	struct rig rig;
	init(&rig);
	start(&rig, true);
	struct command *command = begin(&rig, 1);
	answer(command, 200, "done");
	rig_pass(&rig, 200);
	rig.clock.wall_ms = 1000;
	kill_and_start(&rig);
	expect(&rig, command, LEDGER_ANSWERED, "done");
	rig_pass(&rig, 60000);
	expect(&rig, command, LEDGER_NEW, NULL);
	command_destroy(command);
	stop(&rig);
	rig_finish(&rig);
}

static void a_device_that_is_gone_is_passed_over(void **state)
{
	struct rig rig;
	init(&rig);
	start(&rig, true);
	struct command *command = begin(&rig, 1);
	rig.devices[0].device_key = (char *)(uintptr_t) "other";
	kill_and_start(&rig);
	assert_int_equal(told.interrupted, 0);
	rig.devices[0].device_key = (char *)(uintptr_t) "dk0";
	kill_and_start(&rig);
	assert_int_equal(told.interrupted, 1);
	command_destroy(command);
	stop(&rig);
	rig_finish(&rig);
}

static void a_device_may_have_another_name_after_a_restart(void **state)
{
	struct rig rig;
	init(&rig);
	start(&rig, true);
	struct command *command = begin(&rig, 1);
	rig.devices[0].name = (char *)(uintptr_t) "renamed";
	kill_and_start(&rig);
	assert_int_equal(told.interrupted, 1);
	answer(told.command, 504, "perhaps");
	assert_string_equal(told.device, "renamed");
	command_destroy(command);
	stop(&rig);
	rig_finish(&rig);
}

/* ---- the disk fails ------------------------------------------------------------------------- */

static void a_disk_that_fails_is_named_and_asked_again(void **state)
{
	struct rig rig;
	struct reply *reply;
	log_set_level(LOG_LEVEL_ERROR);
	init(&rig);
	OWNED char *aside = must_printf("%s.gone", rig.directory);
	assert_int_equal(rename(rig.directory, aside), 0);
	start(&rig, true);
	assert_int_equal(told.ready, 1);
	assert_false(ledger_durable(ledger));
	struct command *command = numbered(1);
	assert_int_equal(judge(&rig, command, &reply), LEDGER_NEW);
	assert_int_equal(ledger_begin(ledger, command), LEDGER_WAIT);
	rig_pass(&rig, 200);
	assert_int_equal(told.recorded, 1);
	assert_string_not_equal(told.why, "");
	assert_int_equal(answer(command, 503, "disk"), LEDGER_WAIT);
	rig_pass(&rig, 200);
	assert_int_equal(told.recorded, 2);
	/* It works again: the next one is recorded, and what came meanwhile with it. */
	assert_int_equal(rename(aside, rig.directory), 0);
	struct command *next = begin(&rig, 2);
	assert_true(ledger_durable(ledger));
	kill_and_start(&rig);
	assert_int_equal(told.interrupted, 1);
	assert_int_equal(told.unsent, 1);
	assert_string_equal(buffer_text(&told.reply->payload), "disk");
	command_destroy(command);
	command_destroy(next);
	stop(&rig);
	rig_finish(&rig);
}

/* ---- the list ------------------------------------------------------------------------------- */

static void on_list(
	void *context, uint64_t token, struct record *const *records, size_t count, const char *why)
{
	assert_null(why);
	assert_int_equal(token, 77);
	told.listed = (int)count;
	if (!count)
		return;
	snprintf(told.first, sizeof(told.first), "%s", records[0]->command_id);
	told.first_state = records[0]->state;
	told.first_code = records[0]->code;
}

static void records_are_listed_and_bounded(void **state)
{
	struct rig rig;
	init(&rig);
	start(&rig, true);
	struct command *running = begin(&rig, 0);
	for (int i = 1; i <= 1500; i++) {
		struct command *command = numbered(i);
		expect(&rig, command, LEDGER_NEW, NULL);
		command_destroy(command);
		if (i % 400 == 0)
			rig_pass(&rig, 3000);
	}
	assert_int_equal(ledger_list(ledger, -1, 5000, on_list, NULL, 77), 0);
	rig_pass(&rig, 3000);
	assert_int_equal(ledger_list(ledger, -1, 5000, on_list, NULL, 77), 0);
	rig_pass(&rig, 200);
	/* What runs is kept beyond the bound. */
	assert_int_equal(told.listed, 1001);
	assert_string_equal(told.first, "1500");
	assert_int_equal(told.first_state, RECORD_ANSWERED);
	assert_int_equal(told.first_code, 200);
	assert_int_equal(ledger_list(ledger, 1, 5000, on_list, NULL, 77), 0);
	rig_pass(&rig, 200);
	assert_int_equal(told.listed, 0);
	assert_int_equal(ledger_list(ledger, 0, 3, on_list, NULL, 77), 0);
	rig_pass(&rig, 200);
	assert_int_equal(told.listed, 3);
	answer(running, 200, "at last");
	rig_pass(&rig, 200);
	command_destroy(running);
	stop(&rig);
	rig_finish(&rig);
}

/* A row that is not as it was written costs itself, and a file from before there were records is upgraded. */
static void damage_costs_the_damaged_row(void **state)
{
	struct rig rig;
	struct database database = { .file = NULL };
	log_set_level(LOG_LEVEL_ERROR);
	init(&rig);
	start(&rig, true);
	for (int i = 0; i < 3; i++) {
		struct command *command = numbered(i);
		expect(&rig, command, LEDGER_NEW, NULL);
		command_destroy(command);
	}
	stop(&rig);
	assert_int_equal(database_open(&database, rig.path), 0);
	assert_int_equal(database_run(&database, "UPDATE commands SET reply=x'00' WHERE id=2"), 0);
	database_close(&database);
	start(&rig, true);
	assert_int_equal(told.unsent, 2);
	assert_int_equal(rig_files(&rig, "damaged"), 1);
	stop(&rig);
	assert_int_equal(database_open(&database, rig.path), 0);
	assert_int_equal(database_run(&database, "DROP TABLE commands; PRAGMA user_version=2"), 0);
	database_close(&database);
	start(&rig, true);
	struct command *command = begin(&rig, 1);
	command_destroy(command);
	stop(&rig);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swallows_while_running_and_answers_afterwards),
		cmocka_unit_test(another_device_topic_or_payload_is_another_command),
		cmocka_unit_test(those_without_an_id_have_a_window_of_their_own),
		cmocka_unit_test(remembers_a_bounded_number_and_not_for_ever),
		cmocka_unit_test(repeats_never_push_out_what_they_repeat),
		cmocka_unit_test(what_was_begun_is_found_after_a_kill),
		cmocka_unit_test(a_stop_leaves_all_of_it_on_the_disk),
		cmocka_unit_test(a_clock_that_was_set_back_keeps_the_window),
		cmocka_unit_test(a_device_that_is_gone_is_passed_over),
		cmocka_unit_test(a_device_may_have_another_name_after_a_restart),
		cmocka_unit_test(a_disk_that_fails_is_named_and_asked_again),
		cmocka_unit_test(records_are_listed_and_bounded),
		cmocka_unit_test(damage_costs_the_damaged_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
