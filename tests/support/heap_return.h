/* SPDX-License-Identifier: BSD-3-Clause */
/* heap_return.h: for tests, makes the heap leave its file and return. */
#ifndef HEAP_RETURN_H
#define HEAP_RETURN_H

#include <sys/types.h>

/*
 * Allocates a block of 1 to 3 MiB, writes to it, and frees it. jemalloc asks the pool for
 * each such block, and with each request the heap returns by a step. *seed varies the
 * size. Returns 0 if there is no memory. Thread-safe with different seeds.
 */
int heap_allocate(unsigned *seed);

/*
 * Whether less than limit_kb KiB in the pool are private memory. Also true after the heap has
 * left its file and before the program writes to it, so a test must first write more than
 * limit_kb.
 */
int heap_is_returned(unsigned long limit_kb);

/* Allocates until heap_is_returned, for at most limit_ms. Returns whether it is. */
int heap_returns(unsigned long limit_kb, int limit_ms);

/*
 * Whether heap_is_returned was true as often as it should be: `seen` of `looks` times. On
 * the ordinary heap it must be true always. While the kernel may write to the heap, or if
 * threads cannot be stopped (TEST_NO_STOPS in the environment), it must never be true.
 * Otherwise it must be true sometimes, since the pool may pause between two returns.
 */
int heap_return_is_as_expected(int seen, int looks, int kernel_writes);

/* Forks a child that ends once fork(2) has returned here, and waits for it. Returns 0 if
 * fork(2) or the child fails. */
int heap_forks(void);

/*
 * A child that lives until the test tells it to end. It calls `check` with `argument` at
 * once, and again before it ends. heap_child_start returns after the first call: 1, or 0 if
 * fork(2) has failed.
 */
struct heap_child {
	pid_t pid;
	int told; /* the child ends when the test closes this pipe */
};
int heap_child_start(struct heap_child *child, int (*check)(void *argument),
    void *argument);

/* Tells the child to end. Returns whether both checks were true. */
int heap_child_end(struct heap_child *child);

#endif
