/* SPDX-License-Identifier: BSD-3-Clause */
/* blocks.h: for tests, blocks of known content, and lines of TAP. Only blocks_fork_fails
 * and child_succeeds are thread-safe. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stddef.h>
#include <sys/types.h>

#define BLOCKS_MAX 500

/* Sets the number and the size of the blocks. Allocates nothing. */
void blocks_set(int count, size_t bytes);

/*
 * Fills all blocks, and first allocates those that are missing. Returns 0 if there is no
 * memory for a block. Each block gets different content.
 */
int blocks_write(char value);

/* Whether all blocks have the content that blocks_write(value) has written. */
int blocks_are(char value);

/* Frees all blocks. */
void blocks_free(void);

/*
 * Print a line of TAP, and the last line, the plan. Only one process may call them.
 * tap_plan returns 0.
 */
void tap_result(int is_good, const char *what);
int tap_plan(void);

/* Forks ten times. Returns whether each fork fails with that errno value. */
int blocks_fork_fails(int expected);

/* Waits for a child. Returns whether it has ended with status 0. pid may be -1. */
int child_succeeds(pid_t pid);

#endif
