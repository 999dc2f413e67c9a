/* SPDX-License-Identifier: Apache-2.0 */
/* Names of serial ports that survive replugging, which those of the kernel (ttyUSB0) do not. */
#ifndef EB_FIELD_ALIAS_H
#define EB_FIELD_ALIAS_H

#include <stddef.h>

#define ALIAS_FOLDER "/dev/serial"

/*
 * What to write instead of the path of a port that may be another one after replugging, a sentence
 * without its full stop, with the name in folder/by-id or folder/by-path that leads to the port now;
 * "" where the path is good.
 */
void alias_advise(const char *folder, const char *path, char *text, size_t room);

#endif
