/* SPDX-License-Identifier: BSD-3-Clause */
/* heap_return.h: for tests, has the heap leave its file, and gives it reasons to return. */
#ifndef HEAP_RETURN_H
#define HEAP_RETURN_H

#include <sys/types.h>

/*
 * Allocates a block of 1 to 3 MiB, writes to it, and frees it. The allocator asks the
 * pool for each such block, and the pool returns to its file in steps when it is asked.
 * `seed` varies the size. Returns 0 if there is no memory. Thread-safe.
 */
int heap_allocate(unsigned *seed);

/*
 * Whether less than limit_kb of the pool's pages are private. That is also so when the
 * heap has left its file and was not written since: a test writes more than that first.
 */
int heap_is_returned(unsigned long limit_kb);

/* Allocates until that is so, for limit_ms at most, and returns whether it is so. */
int heap_returns(unsigned long limit_kb, int limit_ms);

/*
 * Whether the heap was seen returned as often as it should be: of so many looks. Never
 * while the kernel may write to it, or threads cannot be stopped (TEST_NO_STOPS in the
 * environment); sometimes otherwise, for there may be a rest between two returns; on the
 * ordinary heap always.
 */
int heap_returned_rightly(int seen, int looks, int kernel_writes);

/* Forks a child that ends at once, and waits for it. Returns 0 if that fails. */
int heap_forks(void);

/*
 * A child that lives until it is told to end. Inside it `check` runs at once and again
 * before it ends. `argument` is passed to `check`.
 */
struct heap_child {
	pid_t pid;
	int told; /* closing it tells the child to end */
};
int heap_child_start(struct heap_child *child, int (*check)(void *argument),
    void *argument);

/* Tells the child to end. Returns whether both of its checks were true. */
int heap_child_end(struct heap_child *child);

#endif
