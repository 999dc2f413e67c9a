/* SPDX-License-Identifier: Apache-2.0 */
/* One bus of the modbus plugin under fuzz. */
#ifndef EB_TESTS_FUZZ_MODBUS_H
#define EB_TESTS_FUZZ_MODBUS_H

#include <stddef.h>
#include <stdint.h>

#include <enos-bridge/plugin.h>

/*
 * The first byte chooses what was asked, the second how many requests are out and how many bytes come
 * at a time; the rest comes from the line.  The interface's contract is checked at each verdict.
 */
void fuzz_modbus(const struct eb_line *line, const char *options, const uint8_t *data, size_t size);

#endif
