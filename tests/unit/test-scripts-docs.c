/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the examples of docs/scripts.md: each ```lua block is a file, each ```result block gives it
 * bytes and what comes out, each ```command block a command and what it becomes, each ```health block a
 * state, and each ```discover block the bytes of the last request.
 */
#include "script-fixture.h"

#include "util/hex.h"

struct block {
	char kind[16];
	struct buffer text;
};

/* The next block that is fenced off, or false at the end. */
static bool next_block(FILE *file, struct block *block)
{
	char line[1024];
	bool inside = false;
	buffer_clear(&block->text);
	while (fgets(line, sizeof(line), file)) {
		if (inside && strcmp(line, "```\n") == 0)
			return true;
		if (inside)
			buffer_put_text(&block->text, line);
		else if (sscanf(line, "```%15s", block->kind) == 1)
			inside = true;
	}
	assert_false(inside);
	return false;
}

static void load_example(struct fixture *fixture, const char *source)
{
	char dir[] = "/tmp/script-test-XXXXXX", name[64];
	*fixture = (struct fixture){ 0 };
	assert_int_equal(sscanf(source, "-- example: %63s", name), 1);
	assert_non_null(mkdtemp(dir));
	char *path OWNED = must_printf("%s/%s", dir, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(source, file);
	assert_int_equal(fclose(file), 0);
	int result = script_load(&fixture->script, path, &usual_limits, &fixture->error);
	unlink(path);
	rmdir(dir);
	if (result < 0)
		fail_msg("%s", fixture->error.text);
	fixture_device(fixture, NULL);
}

static void put_reports(struct fixture *fixture, struct buffer *text)
{
	for (size_t i = 0; i < fixture->reports.count; i++)
		buffer_printf(text, "%s\n", fixture_report(fixture, i));
	for (size_t i = 0; i < fixture->reports.warning_count; i++)
		buffer_printf(text, "warning %s\n", fixture->reports.warnings[i]);
}

/* The first line of the block is the bytes, the others are the reports or the error. */
static void check_example(struct fixture *fixture, const char *block)
{
	struct buffer bytes = BUFFER_EMPTY, got = BUFFER_EMPTY;
	const char *end = strchr(block, '\n');
	assert_non_null(end);
	char *digits OWNED = strndup(block, (size_t)(end - block));
	assert_int_equal(hex_parse(&bytes, digits), 0);
	if (fixture_decode(fixture, bytes.data, bytes.size) < 0)
		buffer_printf(&got, "error %s\n", fixture->error.text);
	put_reports(fixture, &got);
	assert_string_equal(buffer_text(&got), end + 1);
	buffer_finish(&bytes);
	buffer_finish(&got);
}

/* The first line is the state, the others are the reports. */
static void check_health(struct fixture *fixture, const char *block)
{
	struct buffer got = BUFFER_EMPTY;
	const char *end = strchr(block, '\n');
	assert_non_null(end);
	int state = HEALTH_OK;
	while (strncmp(health_name(state), block, (size_t)(end - block)) != 0)
		assert_true(++state <= HEALTH_DOWN);
	struct health *health = health_create(7, state);
	reports_finish(&fixture->reports);
	assert_int_equal(
		script_health(fixture->device, health, &fixture->reports, &fixture->error), 0);
	put_reports(fixture, &got);
	assert_string_equal(buffer_text(&got), end + 1);
	message_destroy(&health->mail);
	buffer_finish(&got);
}

/* The first line is what the last request read, "-" at the beginning, or how it failed. */
static struct outcome *outcome_of(const char *line)
{
	if (strcmp(line, "-") == 0)
		return NULL;
	struct outcome *outcome = outcome_create(7, 1, 1);
	if (strcmp(line, "exception") == 0)
		outcome->steps[0].status = OUTCOME_EXCEPTION;
	else
		assert_int_equal(hex_parse(&outcome->steps[0].bytes, line), 0);
	return outcome;
}

static void check_discover(struct fixture *fixture, const char *block)
{
	static const char *const answers[] = { [DISCOVER_REQUESTS] = "requests",
		[DISCOVER_POLLS] = "polls",
		[DISCOVER_FAILED] = "failed" };
	struct buffer list = BUFFER_EMPTY, got = BUFFER_EMPTY;
	const char *end = strchr(block, '\n');
	assert_non_null(end);
	char *line OWNED = strndup(block, (size_t)(end - block));
	struct outcome *outcome = outcome_of(line);
	int answer = script_discover(fixture->device, outcome, &list, &fixture->error);
	if (answer < 0)
		fail_msg("%s", fixture->error.text);
	buffer_printf(&got, "%s %s\n", answers[answer],
		answer == DISCOVER_FAILED ? fixture->error.text
					  : fixture_json(fixture, list.data, list.size));
	assert_string_equal(buffer_text(&got), end + 1);
	if (outcome)
		message_destroy(&outcome->mail);
	buffer_finish(&list);
	buffer_finish(&got);
}

/* The first line is the command, the second what encode answers. */
static void check_command(struct fixture *fixture, const char *block)
{
	static const char *const answers[] = { [ENCODE_REQUESTS] = "requests",
		[ENCODE_MORE] = "more",
		[ENCODE_REFUSED] = "refused",
		[ENCODE_UNKNOWN] = "unknown" };
	struct buffer list = BUFFER_EMPTY, got = BUFFER_EMPTY;
	struct command *command;
	char error[100];
	const char *end = strchr(block, '\n');
	assert_non_null(end);
	assert_int_equal(command_create(&command, 7, ORIGIN_CLOUD, "thing/service/x", block,
				 (size_t)(end - block), error, sizeof(error)),
		0);
	int answer = script_encode(fixture->device, command, NULL, 0, &list, &fixture->error);
	if (answer < 0)
		fail_msg("%s", fixture->error.text);
	buffer_printf(&got, "%s %s\n", answers[answer],
		answer == ENCODE_REFUSED ? fixture->error.text
					 : fixture_json(fixture, list.data, list.size));
	assert_string_equal(buffer_text(&got), end + 1);
	command_destroy(command);
	buffer_finish(&list);
	buffer_finish(&got);
}

static void test_examples(void **state)
{
	const char *top = getenv("srcdir");
	char *path OWNED = must_printf("%s/docs/scripts.md", top ? top : ".");
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	struct block block = { .text = BUFFER_EMPTY };
	struct fixture fixture = { 0 };
	int examples = 0, results = 0;
	while (next_block(file, &block)) {
		if (strcmp(block.kind, "lua") == 0) {
			fixture_finish(&fixture);
			load_example(&fixture, buffer_text(&block.text));
			examples++;
		} else if (strcmp(block.kind, "result") == 0) {
			check_example(&fixture, buffer_text(&block.text));
			results++;
		} else if (strcmp(block.kind, "command") == 0) {
			check_command(&fixture, buffer_text(&block.text));
			results++;
		} else if (strcmp(block.kind, "health") == 0) {
			check_health(&fixture, buffer_text(&block.text));
			results++;
		} else if (strcmp(block.kind, "discover") == 0) {
			check_discover(&fixture, buffer_text(&block.text));
			results++;
		}
	}
	fclose(file);
	fixture_finish(&fixture);
	buffer_finish(&block.text);
	assert_true(examples >= 5 && results >= 5);
}

/* Each name that a script can use is in the document. */
static void test_names(void **state)
{
	static const char source[] =
		"local names = {}\n"
		"for _, name in ipairs({ 'string', 'table', 'utf8', 'crc', 'bits' }) do\n"
		"	for key in pairs(({ string = string, table = table, utf8 = utf8, crc = crc,\n"
		"		bits = bits })[name]) do names[#names + 1] = key end\n"
		"end\n"
		"return { decode = function() return { points = { names = sort(names) } } end }";
	const char *top = getenv("srcdir");
	char *path OWNED = must_printf("%s/docs/scripts.md", top ? top : ".");
	struct buffer text = BUFFER_EMPTY;
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t got = fread(buffer_reserve(&text, 65536), 1, 65536, file);
	text.data[got] = 0;
	fclose(file);
	struct fixture fixture;
	fixture_start(&fixture, source);
	assert_int_equal(fixture_decode(&fixture, "", 0), 0);
	const struct report *report = fixture.reports.items[0];
	struct value_reader reader = value_reader(report->data, report->size);
	struct value value;
	int names = 0;
	while (value_next(&reader, &value)) {
		if (value.type != VALUE_STRING || strcmp(value.text, "names") == 0)
			continue;
		if (!strstr((const char *)text.data, value.text))
			fail_msg("'%s' is not documented", value.text);
		names++;
	}
	assert_true(names > 30);
	fixture_finish(&fixture);
	buffer_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
