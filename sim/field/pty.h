/* SPDX-License-Identifier: Apache-2.0 */
/* A pseudo-terminal that stands for a serial port: we are at the master's side. */
#ifndef EB_SIM_FIELD_PTY_H
#define EB_SIM_FIELD_PTY_H

/*
 * We keep the slave open too: else reading the master fails whenever nobody else has it open.
 * Closing the master hangs up whoever has the slave.
 */
struct pty {
	int master, slave;
};

/* Opens one, raw, and links it at path; an old symlink there is replaced. 0 or -errno. */
int pty_open(struct pty *pty, const char *path);
/* Removes the link and closes both sides. */
void pty_close(struct pty *pty, const char *path);

#endif
