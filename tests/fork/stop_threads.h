/* SPDX-License-Identifier: BSD-3-Clause */
/* stop_threads.h: parts of the test program stop_threads. */
#ifndef FORK_STOP_THREADS_H
#define FORK_STOP_THREADS_H

#include <stdint.h>

/* The heap counts as returned when less than this is private. */
#define RETURNED_KB 4096UL

/* Start a thread, join all threads, allocate zeroed memory. Failures end the test. */
void stop_threads_start_thread(void *(*run)(void *argument), void *argument);
void stop_threads_join_threads(void);
char *stop_threads_block(size_t bytes);

/* A fast generator of random numbers, which are the same in each run. */
uint64_t stop_threads_random(uint64_t *state);

/*
 * stop_threads_time.c: measure how much memory stays private, and how long threads are
 * stopped. Return the exit status.
 */
int stop_threads_rss(void);
int stop_threads_pauses(void);

#endif
