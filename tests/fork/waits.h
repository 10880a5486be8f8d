/* SPDX-License-Identifier: BSD-3-Clause */
/* waits.h: parts of the test program waits. */
#ifndef FORK_WAITS_H
#define FORK_WAITS_H

#include "../support/cases.h"

/* The heap counts as returned when less than this is private. */
#define RETURNED_KB 4096UL

/* Writes to a block. After a fork this gives the heap a reason to return. */
void waits_write_block(void);

/* Waits until *flag is true. Returns 0 if that takes longer than 5 s. */
int waits_until(const int *flag);

/* Cases in waits_in_heap.c. The name of the case is the name of a struct lock. */
void run_lock(const struct test_case *self);

/* Cases in waits_table.c: many calls at once, each in a thread. */
struct table {
	const struct call *lists[3]; /* the second and the third may be NULL */
	int has_signals;             /* signals interrupt the calls */
};
void run_table(const struct test_case *self);

#endif
