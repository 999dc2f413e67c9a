/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_grammar.h"

#include <string.h>

/* What is open around this place: '{', also for the file itself, '[' or '('. */
static char around(const struct grammar *grammar)
{
	return grammar->depth ? grammar->open[grammar->depth - 1].sign : '{';
}

static char closing(char open)
{
	return open == '{' ? '}' : open == '[' ? ']' : ')';
}

static void put_token(struct buffer *text, char token)
{
	if (token == TOKEN_NAME)
		buffer_put_text(text, "a word without quotes");
	else if (token == TOKEN_TEXT)
		buffer_put_text(text, "a text");
	else if (token == TOKEN_NUMBER)
		buffer_put_text(text, "a number");
	else if (token == TOKEN_BOOLEAN)
		buffer_put_text(text, "true or false");
	else if (token == TOKEN_END)
		buffer_put_text(text, "the end of the file");
	else if (token > ' ' && token < 0x7f)
		buffer_printf(text, "'%c'", token);
	else if ((unsigned char)token == 0xef)
		buffer_put_text(
			text, "the byte 0xef; a byte order mark? Save the file without one");
	else
		buffer_printf(text, "the byte 0x%02x", (unsigned char)token);
}

static bool refuse(struct buffer *fault, char token, const char *expected)
{
	buffer_printf(fault, "%s is expected here, not ", expected);
	put_token(fault, token);
	return false;
}

static bool open_bracket(struct grammar *grammar, char token, unsigned line, struct buffer *fault)
{
	if (grammar->depth == GRAMMAR_DEPTH_MAX) {
		buffer_printf(
			fault, "brackets stand deeper than %d in one another", GRAMMAR_DEPTH_MAX);
		return false;
	}
	grammar->open[grammar->depth++] = (struct bracket){ token, line };
	grammar->state = token == '{' ? GRAMMAR_KEY : GRAMMAR_FIRST_ITEM;
	return true;
}

static bool close_bracket(struct grammar *grammar, char token, struct buffer *fault)
{
	char open = around(grammar);
	if (!grammar->depth)
		buffer_printf(fault, "nothing is open that this '%c' could close", token);
	else if (token != closing(open))
		buffer_printf(fault, "the '%c' of line %u must be closed with '%c' first", open,
			grammar->open[grammar->depth - 1].line, closing(open));
	if (fault->size)
		return false;
	grammar->depth--;
	grammar->state = GRAMMAR_AFTER;
	return true;
}

static bool is_closing(char token)
{
	return token == '}' || token == ']' || token == ')';
}

static bool end(const struct grammar *grammar, struct buffer *fault)
{
	if (!grammar->depth)
		return true;
	const struct bracket *open = &grammar->open[grammar->depth - 1];
	buffer_printf(fault, "the '%c' of line %u is never closed: write '%c' where it ends",
		open->sign, open->line, closing(open->sign));
	return false;
}

static bool take_key(struct grammar *grammar, char token, struct buffer *fault)
{
	if (token == TOKEN_END)
		return end(grammar, fault);
	if (is_closing(token))
		return close_bracket(grammar, token, fault);
	if (token != TOKEN_NAME)
		return refuse(fault, token, "a key");
	grammar->state = GRAMMAR_EQUALS;
	return true;
}

static bool take_value(struct grammar *grammar, char token, unsigned line, struct buffer *fault)
{
	bool array = around(grammar) == '[';
	if (token == TOKEN_TEXT)
		grammar->state = GRAMMAR_AFTER_TEXT;
	else if (token == TOKEN_NUMBER || token == TOKEN_BOOLEAN)
		grammar->state = GRAMMAR_AFTER;
	else if ((token == '{' || token == '[' || token == '(') && !array)
		return open_bracket(grammar, token, line, fault);
	else if (is_closing(token) && grammar->state == GRAMMAR_FIRST_ITEM)
		return close_bracket(grammar, token, fault);
	else if (is_closing(token) && token == closing(around(grammar)) && token != '}')
		buffer_printf(fault, "a comma stands before the closing '%c': remove it", token);
	else if (token == TOKEN_NAME)
		buffer_put_text(fault, "a text must stand between quotes, like \"this\"");
	else
		refuse(fault, token,
			array ? "a number, true, false or a text between quotes"
			      : "a number, true, false, a text between quotes, { }, ( ) or [ ]");
	return !fault->size;
}

static bool take_after(struct grammar *grammar, char token, struct buffer *fault)
{
	bool group = around(grammar) == '{';
	if (token == TOKEN_TEXT && grammar->state == GRAMMAR_AFTER_TEXT)
		return true;
	if (token == TOKEN_END)
		return end(grammar, fault);
	if (is_closing(token))
		return close_bracket(grammar, token, fault);
	if (token == ',' || (token == ';' && group)) {
		grammar->state = group ? GRAMMAR_KEY : GRAMMAR_VALUE;
		return true;
	}
	if (token == TOKEN_NAME && group) {
		grammar->state = GRAMMAR_EQUALS;
		return true;
	}
	return refuse(fault, token, group ? "';'" : "',' between two items");
}

bool grammar_take(struct grammar *grammar, char token, unsigned line, struct buffer *fault)
{
	switch (grammar->state) {
	case GRAMMAR_KEY:
		return take_key(grammar, token, fault);
	case GRAMMAR_EQUALS:
		if (token != '=' && token != ':')
			return refuse(fault, token, "'=' behind a key");
		grammar->state = GRAMMAR_VALUE;
		return true;
	case GRAMMAR_VALUE:
	case GRAMMAR_FIRST_ITEM:
		return take_value(grammar, token, line, fault);
	case GRAMMAR_AFTER:
	case GRAMMAR_AFTER_TEXT:
		return take_after(grammar, token, fault);
	}
	return false;
}
