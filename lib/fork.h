/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.h: the order of things around fork(2). */
#ifndef VMM_FORK_H
#define VMM_FORK_H

/*
 * Registers, with pthread_atfork(3), jemalloc's three handlers and the pool's,
 * to run in the order of their locks. Returns 0 or an errno value. Called once,
 * before the first block is handed out. Prepare handlers run newest first, others
 * oldest first: so handlers that are registered later, as a program's are, may
 * allocate. One that a library registers before the process's first allocation
 * must not, since its prepare step finds the locks held.
 */
int vmm_fork_register(void (*prepare)(void), void (*parent)(void),
    void (*child)(void));

#endif
