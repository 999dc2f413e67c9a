/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which token may follow which in a configuration, so that a fault gets words that help: libconfig
 * says "syntax error" to all of them, and loses memory on the way.
 */
#ifndef EB_CORE_CONF_GRAMMAR_H
#define EB_CORE_CONF_GRAMMAR_H

#include <stdbool.h>

#include "util/buffer.h"

/* How deep brackets may stand in one another. */
#define GRAMMAR_DEPTH_MAX 12

/* A token is a sign, like '{' or '=', or one of these. */
#define TOKEN_END 0
#define TOKEN_NAME 'n'
#define TOKEN_TEXT '"'
#define TOKEN_NUMBER '0'
#define TOKEN_BOOLEAN 'b'

enum grammar_state {
	GRAMMAR_KEY, /* a key, or the end of the group */
	GRAMMAR_EQUALS,
	GRAMMAR_VALUE,
	GRAMMAR_FIRST_ITEM, /* a value, or the end of the list */
	GRAMMAR_AFTER, /* behind a value */
	GRAMMAR_AFTER_TEXT, /* the same, or more of the text */
};

struct bracket {
	char sign;
	unsigned line;
};

/* Begins zeroed. */
struct grammar {
	enum grammar_state state;
	unsigned depth;
	struct bracket open[GRAMMAR_DEPTH_MAX];
};

/* Takes the next token, on that line.  False where it cannot stand there, with the reason. */
bool grammar_take(struct grammar *grammar, char token, unsigned line, struct buffer *fault);

#endif
