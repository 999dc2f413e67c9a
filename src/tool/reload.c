/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tool/verb.h"
#include "util/value.h"

/* Reads the pairs of a map; whether its "result" says that the old one was kept. */
static bool was_kept(struct value_reader *reader, size_t pairs)
{
	bool kept = false;
	struct value key, value;
	for (size_t i = 0; i < pairs && value_next(reader, &key); i++) {
		struct value_reader inside = *reader;
		if (!value_next(&inside, &value) || !value_skip(reader))
			break;
		kept = kept ||
			(strcmp(key.text, "result") == 0 && value.type == VALUE_STRING &&
				strncmp(value.text, "kept", 4) == 0);
	}
	return kept;
}

/* Whether something that was to be reloaded was refused. */
static bool failed(const void *result, size_t size)
{
	struct value item, script;
	struct value_reader inside;
	if (value_find(result, size, "secrets", &item, &inside) && item.type == VALUE_MAP &&
		was_kept(&inside, item.size))
		return true;
	if (!value_find(result, size, "scripts", &item, &inside) || item.type != VALUE_LIST)
		return false;
	bool kept = false;
	for (size_t i = 0; i < item.size && value_next(&inside, &script); i++)
		kept = (script.type == VALUE_MAP && was_kept(&inside, script.size)) || kept;
	return kept;
}

const struct verb verb_reload = {
	.name = "reload",
	.summary = "reads scripts and secrets again, and says what became of each",
	.wait_ms = 60000,
	.failed = failed,
};
