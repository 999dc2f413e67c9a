/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/conf_file.h"
#include "core/conf_points.h"
#include "script/fixture.h"
#include "tool/script.h"
#include "util/alloc.h"
#include "util/hex.h"
#include "util/json.h"

struct wish {
	const char *file, *poll, *hex, *command, *topic, *parameters, *points;
	bool polls;
};

/* What a script is run with. */
struct stage {
	struct script *script;
	struct conf_device conf;
	struct script_device *device;
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "enos-bridge: %s: %s\n", what, why);
	return SCRIPT_USAGE;
}

/* The error, and the line of the source that it names. */
static int show_error(const struct wish *wish, const struct script_error *error)
{
	char line[1024];
	const char *slash = strrchr(wish->file, '/');
	const char *name = slash ? slash + 1 : wish->file;
	size_t size = strlen(name);
	unsigned number = 0;
	fprintf(stderr, "%s\n", error->text);
	if (strncmp(error->text, name, size) != 0 ||
		sscanf(error->text + size, ":%u:", &number) != 1)
		return SCRIPT_FAILED;
	FILE *file = fopen(wish->file, "r");
	for (unsigned i = 1; file && fgets(line, sizeof(line), file); i++) {
		if (i == number)
			fprintf(stderr, "%6u | %s", number, line);
	}
	if (file)
		fclose(file);
	return SCRIPT_FAILED;
}

static void print_json(const void *data, size_t size)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	json_print_value(&text, data, size);
	puts(buffer_text(&text));
}

/* What a request writes, and whatever is no text, is shown in digits. */
static bool wants_digits(const struct value *key, const struct value *value)
{
	bool digits = strcmp(key->text, "bytes") == 0;
	for (size_t i = 0; i < value->size && !digits; i++)
		digits = value->text[i] < ' ' || value->text[i] > '~';
	return digits;
}

static void print_request(struct value_reader *reader)
{
	OWNED_BUFFER shown = BUFFER_EMPTY;
	struct value map, key, value;
	value_next(reader, &map);
	value_put_map(&shown, (uint32_t)map.size);
	for (size_t i = 0; i < map.size && value_next(reader, &key); i++) {
		const uint8_t *from = reader->at;
		struct value_reader look = *reader;
		value_put_string(&shown, key.text, key.size);
		value_next(&look, &value);
		value_skip(reader);
		if (value.type == VALUE_STRING && wants_digits(&key, &value)) {
			OWNED_BUFFER text = BUFFER_EMPTY;
			hex_put(&text, value.text, value.size);
			value_put_text(&shown, buffer_text(&text));
		} else {
			buffer_put(&shown, from, (size_t)(reader->at - from));
		}
	}
	print_json(shown.data, shown.size);
}

static void print_list(const struct buffer *list)
{
	struct value_reader reader = value_reader(list->data, list->size);
	struct value header;
	value_next(&reader, &header);
	for (size_t i = 0; i < header.size; i++) {
		const uint8_t *from = reader.at;
		value_skip(&reader);
		print_json(from, (size_t)(reader.at - from));
	}
}

static void print_requests(const struct buffer *list)
{
	struct value_reader reader = value_reader(list->data, list->size);
	struct value header;
	value_next(&reader, &header);
	for (size_t i = 0; i < header.size; i++)
		print_request(&reader);
}

static struct plan *plan_of(const char *poll)
{
	struct plan *plan = plan_create(0, &(struct eb_address){ .size = 0 }, 1);
	plan->polls[0].request = must_alloc(sizeof(struct request));
	plan->polls[0].request->name = must_strdup(poll);
	return plan;
}

/* Where the script declares its polls, a name that is none of them is a slip of the finger. */
static bool knows_poll(const struct wish *wish, struct stage *stage)
{
	OWNED_BUFFER list = BUFFER_EMPTY, names = BUFFER_EMPTY;
	struct script_error error;
	struct value header, name;
	if (script_polls(stage->device, &list, &error) < 0)
		return true;
	struct value_reader reader = value_reader(list.data, list.size);
	value_next(&reader, &header);
	bool known = header.size == 0;
	for (size_t i = 0; i < header.size; i++) {
		const uint8_t *from = reader.at;
		value_skip(&reader);
		if (!value_find(from, (size_t)(reader.at - from), "name", &name, NULL) ||
			name.type != VALUE_STRING)
			return true;
		known = known || strcmp(name.text, wish->poll) == 0;
		buffer_printf(&names, "%s\"%s\"", names.size ? ", " : "", name.text);
	}
	if (!known)
		fprintf(stderr, "enos-bridge: --poll: %s has no poll \"%s\": there is %s\n",
			wish->file, wish->poll, buffer_text(&names));
	return known;
}

static int run_reading(const struct wish *wish, struct stage *stage)
{
	if (!knows_poll(wish, stage))
		return SCRIPT_USAGE;
	OWNED_BUFFER bytes = BUFFER_EMPTY, list = BUFFER_EMPTY;
	if (hex_parse(&bytes, wish->hex) < 0)
		return complain(
			"--hex", "pairs of hexadecimal digits are needed, like \"43 66 19 9a\"");
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	const struct stamp stamp = { .wall_ms = now.tv_sec * INT64_C(1000) };
	struct plan *plan = plan_of(wish->poll);
	struct reading *reading = reading_create(plan, 0, &stamp, bytes.data, bytes.size);
	struct reports reports;
	struct script_error error;
	int status = 0;
	if (script_decode(stage->device, reading, &reports, &error) < 0) {
		status = show_error(wish, &error);
	} else {
		fixture_put_reports(&list, &reports);
		print_list(&list);
	}
	for (size_t i = 0; i < reports.warning_count; i++)
		printf("warning: %s\n", reports.warnings[i]);
	reports_finish(&reports);
	message_destroy(&reading->mail);
	plan_release(plan);
	return status;
}

static int run_command(const struct wish *wish, struct stage *stage)
{
	char why[160] = "";
	OWNED_BUFFER list = BUFFER_EMPTY;
	struct command *command;
	struct script_error error = { .text = "" };
	int status = 0;
	if (command_create(&command, 0, ORIGIN_CONTROL, wish->topic, wish->command,
		    strlen(wish->command), why, sizeof(why)) < 0) {
		command_destroy(command);
		return complain("--command", why);
	}
	/* EnOS always says it: it is the topic with other signs between its words. */
	if (!command->raw && (!command->method || !*command->method)) {
		free(command->method);
		command->method = must_strdup(command->topic);
		for (char *at = command->method; *at; at++)
			*at = *at == '/' ? '.' : *at;
	}
	int answer = script_encode(stage->device, command, NULL, 0, &list, &error);
	if (answer < 0) {
		status = show_error(wish, &error);
	} else if (answer == ENCODE_REFUSED) {
		printf("refused: %s\n", error.text);
	} else if (answer == ENCODE_UNKNOWN) {
		fprintf(stderr, "%s has no encode\n", wish->file);
		status = SCRIPT_FAILED;
	} else {
		print_requests(&list);
		if (answer == ENCODE_MORE)
			puts("and then more, by what comes back");
	}
	command_destroy(command);
	return status;
}

static int run_discover(const struct wish *wish, struct stage *stage)
{
	OWNED_BUFFER list = BUFFER_EMPTY;
	struct script_error error;
	int answer = script_discover(stage->device, NULL, &list, &error);
	if (answer < 0)
		return show_error(wish, &error);
	if (answer == DISCOVER_FAILED) {
		printf("not found: %s\n", error.text);
		return 0;
	}
	print_requests(&list);
	if (answer == DISCOVER_REQUESTS)
		puts("and then more, by what comes back");
	return 0;
}

static int run_polls(const struct wish *wish, struct stage *stage)
{
	OWNED_BUFFER list = BUFFER_EMPTY;
	struct script_error error;
	if (script_has(stage->script, "discover"))
		return run_discover(wish, stage);
	if (script_polls(stage->device, &list, &error) < 0)
		return show_error(wish, &error);
	print_requests(&list);
	return 0;
}

static int run_stage(const struct wish *wish, struct stage *stage)
{
	struct problems problems = PROBLEMS_NONE;
	bool fine = script_check_parameters(stage->script, &stage->conf, &problems) == 0;
	problems_print(&problems, stderr);
	problems_finish(&problems);
	if (!fine)
		return SCRIPT_FAILED;
	stage->device = script_device_create(stage->script, &stage->conf);
	int status = wish->polls ? run_polls(wish, stage)
		: wish->poll     ? run_reading(wish, stage)
				 : run_command(wish, stage);
	script_device_destroy(stage->device);
	return status;
}

/* A list as it stands in the configuration, or the name of a file that has "points = ( ... );". */
static bool take_points(const char *points, struct buffer *list)
{
	struct conf_source source = { .file = points };
	struct problems problems = PROBLEMS_NONE;
	if (points[strspn(points, " \t\r\n")] == '(') {
		char *text OWNED = must_printf("points = %s;", points);
		source.file = "--points";
		conf_source_parse(&source, text, strlen(text), &problems);
	} else {
		conf_source_read(&source, &problems);
	}
	const struct node *node = problems.errors ? NULL : node_find(&source.root, "points");
	if (node && node->type == NODE_LIST)
		points_read(node, &(struct points_target){ .plugin = NULL }, list, &problems);
	else if (!problems.errors)
		problem_error(&problems, (struct place){ source.file, 0 },
			"has no list of points: write points = ( { name = \"voltage\"; ... } );");
	bool fine = !problems.errors;
	problems_print(&problems, stderr);
	problems_finish(&problems);
	conf_source_finish(&source);
	return fine;
}

static int run(const struct wish *wish)
{
	struct stage stage = { .conf = { .name = (char *)"trial" } };
	struct script_error error;
	char why[160];
	int status;
	const char *parameters = wish->parameters ? wish->parameters : "{}";
	if (json_parse(&stage.conf.parameters, parameters, strlen(parameters), why, sizeof(why)) <
		0)
		return complain("--parameters", why);
	if (stage.conf.parameters.data[0] != VALUE_MAP) {
		status = complain("--parameters", "a JSON object is needed: {\"period\":5}");
	} else if (wish->points && !take_points(wish->points, &stage.conf.points)) {
		status = SCRIPT_USAGE;
	} else if (script_load(&stage.script, wish->file, &script_limits, &error) < 0) {
		status = show_error(wish, &error);
	} else {
		status = run_stage(wish, &stage);
		script_destroy(stage.script);
	}
	buffer_finish(&stage.conf.parameters);
	buffer_finish(&stage.conf.points);
	return status;
}

static bool take_option(struct wish *wish, int option)
{
	switch (option) {
	case 'p':
		wish->poll = optarg;
		return true;
	case 'x':
		wish->hex = optarg;
		return true;
	case 'c':
		wish->command = optarg;
		return true;
	case 't':
		wish->topic = optarg;
		return true;
	case 'P':
		wish->parameters = optarg;
		return true;
	case 'o':
		wish->points = optarg;
		return true;
	case 'l':
		wish->polls = true;
		return true;
	default:
		return false;
	}
}

int script_run(int argc, char **argv)
{
	static const struct option names[] = { { "poll", required_argument, NULL, 'p' },
		{ "hex", required_argument, NULL, 'x' },
		{ "command", required_argument, NULL, 'c' },
		{ "topic", required_argument, NULL, 't' },
		{ "parameters", required_argument, NULL, 'P' },
		{ "points", required_argument, NULL, 'o' }, { "polls", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 } };
	struct wish wish = { .topic = "thing/service/measurepoint/set" };
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		if (!take_option(&wish, option))
			return SCRIPT_USAGE;
	}
	bool reading = wish.poll && wish.hex;
	if (optind + 1 != argc || !wish.poll != !wish.hex ||
		reading + (wish.command != NULL) + wish.polls != 1)
		return complain("script run",
			"one FILE, and one of --poll NAME --hex BYTES, --command JSON, --polls");
	wish.file = argv[optind];
	return run(&wish);
}
