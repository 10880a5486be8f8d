/* SPDX-License-Identifier: BSD-3-Clause */
/* blocks.h: for tests, a heap whose content is known, and what a test prints. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stddef.h>
#include <sys/types.h>

#define BLOCKS_MAX 500

/* So many blocks, of so many bytes each; none is there yet. */
void blocks_set(int count, size_t bytes);

/* Fills all of them, allocating those that are not there: 0 if one cannot be had. */
int blocks_write(char value);

/* Whether all of them are as blocks_write(value) has left them. */
int blocks_are(char value);

/* Gives all of them back. */
void blocks_free(void);

/* A line of TAP, and the last line; of one process. */
void blocks_result(int is_good, const char *what);
int blocks_plan(void);

/* Ten times: whether fork(2) fails with that errno. What it makes otherwise ends at once. */
int blocks_fork_fails(int expected);

/* Waits for a child; whether there was one, which ended with status 0. */
int blocks_ends_good(pid_t pid);

#endif
