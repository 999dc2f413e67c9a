/* SPDX-License-Identifier: Apache-2.0 */
/* Short words for the tables of keys: where a key's value goes, and what it may be. */
#ifndef EB_CORE_CONF_FIELDS_H
#define EB_CORE_CONF_FIELDS_H

#include "core/conf_schema.h"

#define AT(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define TEXT(type, member) .kind = FIELD_TEXT, AT(type, member)
#define NUMBER(type, member) .kind = FIELD_NUMBER, AT(type, member), .scale = 1
/* In seconds in the file, in ms in the struct; or in ms and in µs; the range as in the struct. */
#define FINER(type, member) .kind = FIELD_NUMBER, AT(type, member), .scale = 1000
#define SWITCH(type, member) .kind = FIELD_BOOLEAN, AT(type, member)
#define CHOICE(type, member) .kind = FIELD_CHOICE, AT(type, member)

#define NAME_LENGTH .form = FORM_NAME, .min = 1, .max = 64
#define PATH_LENGTH .form = FORM_PATH, .min = 1, .max = 4000
#define HOST_LENGTH .form = FORM_HOST, .min = 1, .max = 253
#define KEY_LENGTH .form = FORM_KEY, .min = 1, .max = 128
#define PORT_RANGE .min = 1, .max = 65535

#endif
