/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a script declares of its parameters, and what a device is given of them.  A declaration is kept
 * as the value that the script gave, a map of name to { type, default, min, max, values, items,
 * optional, help }, once it was found good.
 */
#include "script/script.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/conf_section.h"
#include "script/host.h"
#include "script/values.h"
#include "util/json.h"

#define DECLARED_MAX 64
#define NAME_MAX_BYTES 64
/* So much of a wrong value is shown. */
#define SHOWN_BYTES 60

enum type { TYPE_INTEGER, TYPE_NUMBER, TYPE_BOOLEAN, TYPE_STRING, TYPE_LIST, TYPES };

static const struct {
	const char *name, *one, *many;
} types[TYPES] = {
	[TYPE_INTEGER] = { "integer", "an integer", "integers" },
	[TYPE_NUMBER] = { "number", "a number", "numbers" },
	[TYPE_BOOLEAN] = { "boolean", "true or false", "booleans" },
	[TYPE_STRING] = { "string", "a text", "texts" },
	[TYPE_LIST] = { "list", "a list", "lists" },
};

/* One parameter; what points, points into the declaration. */
struct spec {
	const char *name;
	enum type type, items; /* TYPES: not said, or no such type */
	struct value min, max; /* VALUE_NULL: no limit */
	struct value_reader values, fallback; /* at NULL: none */
	bool optional;
	const char *help; /* "" none */
};

/* ---- reading a declaration ------------------------------------------------------------------ */

static enum type type_of(const struct value *name)
{
	for (int type = 0; name->type == VALUE_STRING && type < TYPES; type++) {
		if (strcmp(types[type].name, name->text) == 0)
			return (enum type)type;
	}
	return TYPES;
}

/* Takes the key that stands before the reader. */
static void read_key(struct spec *spec, const char *key, const struct value_reader *at)
{
	struct value_reader reader = *at;
	struct value value;
	if (!value_next(&reader, &value))
		return;
	if (strcmp(key, "type") == 0)
		spec->type = type_of(&value);
	else if (strcmp(key, "items") == 0)
		spec->items = type_of(&value);
	else if (strcmp(key, "min") == 0)
		spec->min = value;
	else if (strcmp(key, "max") == 0)
		spec->max = value;
	else if (strcmp(key, "values") == 0)
		spec->values = *at;
	else if (strcmp(key, "default") == 0)
		spec->fallback = *at;
	else if (strcmp(key, "optional") == 0)
		spec->optional = value.type == VALUE_TRUE;
	else if (strcmp(key, "help") == 0)
		spec->help = value.type == VALUE_STRING ? value.text : "";
}

/* The next parameter of a declaration whose header was passed. */
static bool next_spec(struct value_reader *reader, struct spec *spec)
{
	struct value name, map, key;
	if (!value_next(reader, &name) || !value_next(reader, &map) || map.type != VALUE_MAP)
		return false;
	*spec = (struct spec){
		.name = name.text, .type = TYPES, .items = TYPES, .optional = false, .help = ""
	};
	for (size_t i = 0; i < map.size && value_next(reader, &key); i++) {
		read_key(spec, key.text, reader);
		value_skip(reader);
	}
	return true;
}

static size_t open_map(struct value_reader *reader, const struct buffer *map)
{
	struct value header;
	*reader = value_reader(map->data, map->size);
	return map->size && value_next(reader, &header) && header.type == VALUE_MAP ? header.size
										    : 0;
}

/* ---- a value against it --------------------------------------------------------------------- */

static double number_of(const struct value *value)
{
	return value->type == VALUE_REAL ? value->real : (double)value->integer;
}

static bool is_number(const struct value *value)
{
	return value->type == VALUE_INTEGER || value->type == VALUE_REAL;
}

static bool is_same(struct value_reader one, struct value_reader other)
{
	struct value a, b;
	if (!value_next(&one, &a) || !value_next(&other, &b))
		return false;
	if (is_number(&a) && is_number(&b))
		return number_of(&a) == number_of(&b);
	return a.type == b.type &&
		(a.type != VALUE_STRING ||
			(a.size == b.size && memcmp(a.text, b.text, a.size) == 0));
}

static bool is_one_of(const struct spec *spec, const struct value_reader *at)
{
	struct value_reader reader = spec->values;
	struct value list;
	if (!reader.at || !value_next(&reader, &list))
		return true;
	bool found = false;
	for (size_t i = 0; i < list.size && !found; i++) {
		found = is_same(*at, reader);
		value_skip(&reader);
	}
	return found;
}

/* A scalar of that type within the limits. */
static bool fits_scalar(const struct spec *spec, enum type type, const struct value_reader *at)
{
	struct value_reader reader = *at;
	struct value value;
	if (!value_next(&reader, &value))
		return false;
	bool typed = type == TYPE_INTEGER ? value.type == VALUE_INTEGER
		: type == TYPE_NUMBER     ? is_number(&value)
		: type == TYPE_BOOLEAN    ? value.type == VALUE_TRUE || value.type == VALUE_FALSE
					  : value.type == VALUE_STRING;
	if (!typed || !is_one_of(spec, at))
		return false;
	if (!is_number(&value))
		return true;
	double number = number_of(&value);
	return (spec->min.type == VALUE_NULL || number >= number_of(&spec->min)) &&
		(spec->max.type == VALUE_NULL || number <= number_of(&spec->max));
}

static bool fits(const struct spec *spec, const struct value_reader *at)
{
	if (spec->type != TYPE_LIST)
		return fits_scalar(spec, spec->type, at);
	struct value_reader reader = *at;
	struct value list;
	if (!value_next(&reader, &list) || list.type != VALUE_LIST)
		return false;
	for (size_t i = 0; i < list.size; i++) {
		if (!fits_scalar(spec, spec->items, &reader))
			return false;
		value_skip(&reader);
	}
	return true;
}

/* ---- in words ------------------------------------------------------------------------------- */

static void put_number(struct buffer *text, const char *before, const struct value *number)
{
	if (number->type == VALUE_INTEGER)
		buffer_printf(text, "%s%jd", before, (intmax_t)number->integer);
	else
		buffer_printf(text, "%s%.10g", before, number->real);
}

/* Appends the value, cut where it is long. */
static void put_value(struct buffer *text, struct value_reader at)
{
	OWNED_BUFFER json = BUFFER_EMPTY;
	const uint8_t *begin = at.at;
	value_skip(&at);
	if (json_print_value(&json, begin, (size_t)(at.at - begin)) < 0)
		buffer_put_text(text, "not plain text");
	else
		buffer_printf(text, "%.*s%s", SHOWN_BYTES, buffer_text(&json),
			json.size > SHOWN_BYTES ? "..." : "");
}

/* "an integer from 1 to 247" */
static void put_wanted(struct buffer *text, const struct spec *spec)
{
	buffer_put_text(text, types[spec->type].one);
	if (spec->type == TYPE_LIST)
		buffer_printf(text, " of %s", types[spec->items].many);
	bool low = spec->min.type != VALUE_NULL, high = spec->max.type != VALUE_NULL;
	if (low)
		put_number(text, high ? " from " : " of at least ", &spec->min);
	if (high)
		put_number(text, low ? " to " : " of at most ", &spec->max);
	struct value list;
	struct value_reader reader = spec->values;
	if (!reader.at || !value_next(&reader, &list))
		return;
	for (size_t i = 0; i < list.size; i++) {
		buffer_put_text(text, i ? ", " : ", one of ");
		put_value(text, reader);
		value_skip(&reader);
	}
}

/* ---- what the script declares --------------------------------------------------------------- */

static bool is_name(const char *name, size_t size)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789_-";
	return size && size <= NAME_MAX_BYTES && strchr(letters, name[0]) &&
		strspn(name, others) == size;
}

static void check_keys(lua_State *L, const char *name, struct value_reader reader)
{
	static const struct {
		const char *key;
		unsigned tags; /* 1 << enum value_type */
		const char *wanted;
	} known[] = {
		{ "type", 1 << VALUE_STRING, "a string" },
		{ "items", 1 << VALUE_STRING, "a string" },
		{ "min", 1 << VALUE_INTEGER | 1 << VALUE_REAL, "a number" },
		{ "max", 1 << VALUE_INTEGER | 1 << VALUE_REAL, "a number" },
		{ "values", 1 << VALUE_LIST, "a list" },
		{ "default", ~0u, "" },
		{ "optional", 1 << VALUE_TRUE | 1 << VALUE_FALSE, "true or false" },
		{ "help", 1 << VALUE_STRING, "a string" },
	};
	struct value map, key, value;
	value_next(&reader, &map);
	for (size_t i = 0; i < map.size && value_next(&reader, &key); i++) {
		size_t at = 0, count = sizeof(known) / sizeof(*known);
		while (at < count && strcmp(known[at].key, key.text) != 0)
			at++;
		if (at == count)
			sandbox_fail(L,
				"parameters.%s has an unknown '%.40s': it may have type, default, "
				"min, max, values, items, optional and help",
				name, key.text);
		struct value_reader look = reader;
		value_next(&look, &value);
		if (!(known[at].tags >> value.type & 1))
			sandbox_fail(L, "parameters.%s.%s is to be %s", name, key.text,
				known[at].wanted);
		value_skip(&reader);
	}
}

static void check_type(lua_State *L, const struct spec *spec)
{
	if (spec->type == TYPES)
		sandbox_fail(L,
			"parameters.%s.type is to be 'integer', 'number', 'boolean', 'string' or "
			"'list'",
			spec->name);
	bool list = spec->type == TYPE_LIST;
	if (list && (spec->items == TYPES || spec->items == TYPE_LIST))
		sandbox_fail(L,
			"parameters.%s.items is to be the type of the list's items: 'integer', "
			"'number', 'boolean' or 'string'",
			spec->name);
	if (!list && spec->items != TYPES)
		sandbox_fail(L,
			"parameters.%s has items but is no list: write type = \"list\", or leave items out",
			spec->name);
	enum type scalar = list ? spec->items : spec->type;
	bool low = spec->min.type != VALUE_NULL, high = spec->max.type != VALUE_NULL;
	if ((low || high) && scalar != TYPE_INTEGER && scalar != TYPE_NUMBER)
		sandbox_fail(L, "parameters.%s has min or max but is no number: leave them out",
			spec->name);
	if (low && high && number_of(&spec->min) > number_of(&spec->max))
		sandbox_fail(
			L, "parameters.%s.min is more than its max: exchange them", spec->name);
}

/* The message is Lua's own then: a buffer of ours would be lost by its jump. */
static void fail_value(lua_State *L, const struct spec *spec, const char *what)
{
	struct buffer text = BUFFER_EMPTY;
	char words[200];
	put_wanted(&text, spec);
	snprintf(words, sizeof(words), "%s", buffer_text(&text));
	buffer_finish(&text);
	sandbox_fail(L, "parameters.%s.%s is to be %s", spec->name, what, words);
}

static void check_spec(lua_State *L, const struct spec *spec)
{
	check_type(L, spec);
	struct spec bare = *spec;
	bare.values = (struct value_reader){ NULL, NULL };
	struct value_reader reader = spec->values;
	struct value list;
	if (reader.at && value_next(&reader, &list)) {
		for (size_t i = 0; i < list.size; i++, value_skip(&reader))
			if (!fits_scalar(&bare, spec->type == TYPE_LIST ? spec->items : spec->type,
				    &reader))
				fail_value(L, &bare, "values");
	}
	if (spec->fallback.at && !fits(spec, &spec->fallback))
		fail_value(L, spec, "default");
	if (spec->fallback.at && spec->optional)
		sandbox_fail(L,
			"parameters.%s has a default and is optional: leave one of them out",
			spec->name);
}

void parameters_declare(lua_State *L, int index, struct buffer *declared)
{
	struct value_reader reader, look;
	struct value name, map;
	buffer_clear(declared);
	values_put(L, index, declared, SCRIPT_RESULT_MAX, VALUES_MAP, "parameters");
	size_t count = open_map(&reader, declared);
	if (count > DECLARED_MAX)
		sandbox_fail(L, "declares %zu parameters: at most %d", count, DECLARED_MAX);
	for (size_t i = 0; i < count; i++) {
		look = reader;
		value_next(&look, &name);
		if (!is_name(name.text, name.size))
			sandbox_fail(L,
				"parameters.%.40s: a name has 1 to %d letters, digits, '_' and '-', "
				"a letter first",
				name.text, NAME_MAX_BYTES);
		struct value_reader inside = look;
		value_next(&look, &map);
		if (map.type != VALUE_MAP)
			sandbox_fail(L,
				"parameters.%s is to be a table, as in '{ type = \"integer\", "
				"default = 5 }'",
				name.text);
		check_keys(L, name.text, inside);
		struct spec spec;
		next_spec(&reader, &spec);
		check_spec(L, &spec);
	}
}

/* ---- what a device is given ----------------------------------------------------------------- */

void parameters_merge(
	const struct buffer *declared, const struct buffer *given, struct buffer *merged)
{
	struct value_reader reader;
	struct spec spec;
	struct value value;
	size_t count = open_map(&reader, given);
	size_t place = value_begin_map(merged);
	buffer_put(merged, reader.at, count ? (size_t)(reader.end - reader.at) : 0);
	size_t specs = open_map(&reader, declared);
	for (size_t i = 0; i < specs && next_spec(&reader, &spec); i++) {
		if (!spec.fallback.at ||
			(given->size &&
				value_find(given->data, given->size, spec.name, &value, NULL)))
			continue;
		struct value_reader end = spec.fallback;
		value_skip(&end);
		value_put_text(merged, spec.name);
		buffer_put(merged, spec.fallback.at, (size_t)(end.at - spec.fallback.at));
		count++;
	}
	value_end(merged, place, (uint32_t)count);
}

struct check {
	const struct script *script;
	const struct conf_device *conf;
	struct problems *problems;
};

static bool find_spec(const struct buffer *declared, const char *name, struct spec *spec)
{
	struct value_reader reader;
	size_t count = open_map(&reader, declared);
	for (size_t i = 0; i < count && next_spec(&reader, spec); i++) {
		if (strcmp(spec->name, name) == 0)
			return true;
	}
	return false;
}

void parameters_check_name(lua_State *L, const struct buffer *declared, const char *name)
{
	struct nearest nearest = { .to = name };
	struct value_reader reader;
	struct spec spec;
	if (find_spec(declared, name, &spec))
		return;
	size_t count = open_map(&reader, declared);
	for (size_t i = 0; i < count && next_spec(&reader, &spec); i++)
		nearest_try(&nearest, spec.name);
	if (nearest.best)
		luaL_error(L,
			"device.parameters.%s is not declared in parameters: did you mean '%s'?",
			name, nearest.best);
	luaL_error(L,
		"device.parameters.%s is not declared: add it to the script's parameters, or "
		"mend the name",
		name);
}

static void refuse_unknown(const struct check *check, const char *name, struct place place)
{
	struct nearest nearest = { .to = name };
	struct value_reader reader;
	struct spec spec;
	OWNED_BUFFER known = BUFFER_EMPTY;
	size_t count = open_map(&reader, &check->script->program.parameters);
	for (size_t i = 0; i < count && next_spec(&reader, &spec); i++) {
		nearest_try(&nearest, spec.name);
		buffer_printf(&known, "%s%s", i ? ", " : "it has ", spec.name);
	}
	if (nearest.best)
		problem_error(check->problems, place,
			"device \"%s\": %s has no parameter \"%s\": did you mean \"%s\"?",
			check->conf->name, check->script->file, name, nearest.best);
	else
		problem_error(check->problems, place,
			"device \"%s\": %s has no parameter \"%s\": %s", check->conf->name,
			check->script->file, name, count ? buffer_text(&known) : "it has none");
}

static void refuse_value(const struct check *check, const struct spec *spec,
	const struct value_reader *at, struct place place)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	put_value(&text, *at);
	buffer_put_text(&text, ": it is to be ");
	put_wanted(&text, spec);
	problem_error(check->problems, place, "device \"%s\": parameter \"%s\" is %s",
		check->conf->name, spec->name, buffer_text(&text));
}

static void check_missing(const struct check *check)
{
	const struct buffer *given = &check->conf->parameters;
	struct value_reader reader;
	struct spec spec;
	struct value value;
	size_t count = open_map(&reader, &check->script->program.parameters);
	for (size_t i = 0; i < count && next_spec(&reader, &spec); i++) {
		if (spec.fallback.at || spec.optional ||
			(given->size &&
				value_find(given->data, given->size, spec.name, &value, NULL)))
			continue;
		OWNED_BUFFER text = BUFFER_EMPTY;
		put_wanted(&text, &spec);
		problem_error(check->problems, check->conf->place,
			"device \"%s\": lacks parameter \"%s\": %s needs %s%s%s", check->conf->name,
			spec.name, check->script->file, buffer_text(&text), *spec.help ? ": " : "",
			spec.help);
	}
}

int script_check_parameters(
	const struct script *script, const struct conf_device *conf, struct problems *problems)
{
	const struct check check = { script, conf, problems };
	size_t errors = problems->errors;
	struct value_reader reader;
	struct value name;
	if (!script->program.parameters.size)
		return 0;
	size_t count = open_map(&reader, &conf->parameters);
	for (size_t i = 0; i < count && value_next(&reader, &name); i++) {
		struct place place = conf->parameter_places ? conf->parameter_places[i]
							    : conf->place;
		struct spec spec;
		if (!find_spec(&script->program.parameters, name.text, &spec))
			refuse_unknown(&check, name.text, place);
		else if (!fits(&spec, &reader))
			refuse_value(&check, &spec, &reader, place);
		value_skip(&reader);
	}
	check_missing(&check);
	return problems->errors == errors ? 0 : -EINVAL;
}
