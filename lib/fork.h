/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.h: the order of things around fork(2). */
#ifndef VMM_FORK_H
#define VMM_FORK_H

/*
 * Registers, with pthread_atfork(3), jemalloc's three handlers and the pool's,
 * to run in the order of their locks. Returns 0 or an errno value. Called once,
 * before the first block is handed out: so prepare handlers that the program
 * registers run earlier, and its other ones later, and all may allocate.
 */
int vmm_fork_register(void (*prepare)(void), void (*parent)(void),
    void (*child)(void));

#endif
