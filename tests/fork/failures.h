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

/* failures_full.c: a file that these functions make at `path` fills the file system. */

/* Registers the fork handler for the next two functions. Must be called once, before them. */
void full_register_handler(void);

/* A handler fills the file system after the library has found that there is enough room. */
void full_in_handler(const char *path);

/*
 * With VMMALLOC_FORK=3: the file system becomes full while the library fills the child's
 * file. `dir` lies on that file system.
 */
void full_in_child(const char *path, const char *dir);

/* The file system becomes full after fork(2). */
void full_afterwards(const char *path);

#endif
