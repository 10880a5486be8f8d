/* SPDX-License-Identifier: BSD-3-Clause */
/* counters.h: parts of the test program counters. */
#ifndef FORK_COUNTERS_H
#define FORK_COUNTERS_H

#include <stdint.h>

/* The heap counts as returned when less than this is private. */
#define RETURNED_KB 4096UL

/* Start a thread, join all threads, allocate zeroed memory. Failures end the test. */
void counters_start_thread(void *(*run)(void *argument), void *argument);
void counters_join_threads(void);
char *counters_block(size_t bytes);

/* A fast generator of random numbers, which are the same in each run. */
uint64_t counters_random(uint64_t *state);

/*
 * counters_time.c: measure how much memory stays private, and how long threads are
 * stopped. Return the exit status.
 */
int counters_rss(void);
int counters_stop(void);

#endif
