/* SPDX-License-Identifier: BSD-3-Clause */
/* waits.h: parts of the test program waits. */
#ifndef FORK_WAITS_H
#define FORK_WAITS_H

#include "../support/cases.h"

/* What counts as returned. */
#define RETURNED_KB 4096UL

/* Written after each fork, so that there is something to return. */
void waits_dirty(void);

/* Whether *flag becomes true within some seconds. */
int waits_until(const int *flag);

/* Cases in waits_locks.c; the object is found by the case's name. */
void run_lock(const struct test_case *self);

/* Cases in waits_table.c: many calls at once. */
struct table {
	const struct call *lists[2]; /* the second may be NULL */
	int has_signals;
};
void run_table(const struct test_case *self);

#endif
