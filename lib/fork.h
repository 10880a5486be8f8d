/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.h: fork(2): the order of locks around it, and how it fails. */
#ifndef VMM_FORK_H
#define VMM_FORK_H

#include <sys/types.h>

#include "settings.h"

/* What fork(2) needs of the allocator above the pool. */
struct vmm_fork_allocator {
	/* Handlers as pthread_atfork(3) has them: its locks taken, and left. */
	void (*prepare)(void);
	void (*parent)(void);
	void (*child)(void);
	/* Gives back to the pool what is kept for later: less to copy. */
	void (*purge)(void);
};

/*
 * Registers, as pthread_atfork(3) does, the allocator's handlers and the pool's,
 * to run in the order of their locks. Returns 0 or an errno value. Called once,
 * before the first block is handed out. Prepare handlers run newest first, others
 * oldest first: so handlers that are registered later, as all others are (see
 * __register_atfork in entry.c), may allocate.
 */
int vmm_fork_register(enum vmm_fork kind,
    const struct vmm_fork_allocator *allocator);

/*
 * fork(2), for the program: -1 with errno, and the process as it was before, where
 * the child cannot get the heap that VMMALLOC_FORK says it should: ENOMEM, ENOSPC,
 * EMFILE, ... besides fork's own. Most of that is seen before anything is done; if
 * the heap grows meanwhile and its copy then fails, there was a child for an
 * instant, which did nothing and is waited for. Thread-safe.
 */
pid_t vmm_fork(void);

#endif
