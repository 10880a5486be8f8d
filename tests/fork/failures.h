/* SPDX-License-Identifier: BSD-3-Clause */
/* failures.h: parts of the test program failures. */
#ifndef FORK_FAILURES_H
#define FORK_FAILURES_H

/* The value of VMMALLOC_FORK. */
extern int fork_setting;

/*
 * Forks a child that checks its parent's heap, blocks_are(value), and writes to all of
 * it. Then the parent does the same. Returns whether the heaps are separate; the heap
 * is blocks_are(value) again.
 */
int forks(char value);

/* failures_full.c; `path` is a file to make, which fills the file system up. */

/* Registers the handler of fork(2) with which the other functions fill it up. Once. */
void full_register_handler(void);

/* It becomes full in a handler, when the library has found that there is enough room. */
void full_in_handler(const char *path);

/* It becomes full while the child's file is filled: VMMALLOC_FORK=3. `dir` lies on it. */
void full_in_child(const char *path, const char *dir);

/* It becomes full after fork(2). */
void full_afterwards(const char *path);

#endif
