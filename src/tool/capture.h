/* SPDX-License-Identifier: Apache-2.0 */
/* enos-bridge capture: the frames of a bus into a file of the caller's, for a while. */
#ifndef EB_TOOL_CAPTURE_H
#define EB_TOOL_CAPTURE_H

struct capture_setup {
	const char *socket;
	const char *bus;
	const char *path; /* "-": standard output */
	const char *time, *size; /* as typed; NULL: the defaults */
};

/* Returns the exit status, after what went wrong was said. */
int capture_main(const struct capture_setup *setup);

#endif
