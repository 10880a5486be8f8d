/* SPDX-License-Identifier: BSD-3-Clause */
/* soak.h: declarations for the files of soak. */
#ifndef SOAK_H
#define SOAK_H

#include <pthread.h>
#include <stdbool.h>

#include "../support/shadow.h"

#define NWORKERS 6
#define NSLOTS 100

/*
 * A worker owns blocks, and mostly has a thread. The thread has the lock while it changes
 * a block, so another thread that has the lock finds each block whole. The last worker
 * belongs to the main thread, which never takes its lock.
 */
struct worker {
	pthread_mutex_t lock;
	pthread_cond_t is_released;
	pthread_t thread;
	bool has_thread;
	bool is_wanted; /* the main thread waits for the lock; atomic */
	bool is_over;   /* the thread must end; atomic */
	uint64_t random;
	unsigned long steps; /* left for a thread in a child; 0: no limit */
	struct shadow_block slots[NSLOTS];
	struct shadow_chain chain; /* blocks that fill the pool */
	bool is_filling;
};

extern struct worker workers[NWORKERS + 1];
#define MAIN_WORKER (&workers[NWORKERS])

/* Workers exchange blocks here. Lock order: a worker's lock comes before this lock. */
extern struct exchange {
	pthread_mutex_t lock;
	struct shadow_block slots[NSLOTS];
} exchange;

/* The counts of all processes, in memory that they share. */
extern struct counts {
	struct shadow_counts shadow;
	unsigned long steps, forks, nested, threads, refused_threads, exhaustions;
} *counts;

extern int fork_setting; /* VMMALLOC_FORK */
extern size_t size_max;  /* of a block: a third of the pool */

/* Adds one. Thread-safe. */
void count(unsigned long *counter);

/* Does one random operation on a block of `worker`, which must be the caller's. */
void step(struct worker *worker);

/* Starts the worker's thread. At a full pool that may fail, which is no fault. */
void start_thread(struct worker *worker);
void end_thread(struct worker *worker);

/*
 * Take and release the locks of a set: bit i stands for workers[i], and bit NWORKERS for
 * the exchange. While the lock of a worker is taken, the worker's thread waits.
 */
#define ALL_LOCKS ((1U << (NWORKERS + 1)) - 1)
void take_locks(unsigned set);
void release_locks(unsigned set);

/* Initializes the worker's lock and its random numbers. */
void init_worker(int number, uint64_t seed);

/* Check, and free, every block that a worker or the exchange has. */
void check_all(const char *when);
void free_all(void);

/*
 * Forks while the caller has the locks of `set`. `depth` is the caller's: 0 in the first
 * process. The child checks the blocks, works for a moment, and ends. At depth 1 it may fork,
 * too. Returns 1, or 0 if fork(2) has failed.
 */
int fork_child(unsigned set, int depth);

/* Waits for children with waitpid's flags. Returns how many of them are left. */
int reap(int children, int flags);

#endif
