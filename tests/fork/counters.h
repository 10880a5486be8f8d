/* SPDX-License-Identifier: BSD-3-Clause */
/* counters.h: parts of the test program counters. */
#ifndef FORK_COUNT_H
#define FORK_COUNT_H

#include <stdint.h>

/* What counts as returned. */
#define RETURNED_KB 4096UL

/* A thread that cannot be made, or memory that cannot be had, ends the test. */
void count_start(void *(*run)(void *argument), void *argument);
void count_join_all(void);
char *count_block(size_t bytes);

/* A quick source of numbers that are the same in each run. */
uint64_t count_next(uint64_t *state);

/* counters_time.c: how much memory stays private, and how long threads are stopped. */
int count_rss(void);
int count_stop(void);

#endif
