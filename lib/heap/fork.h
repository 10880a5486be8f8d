/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.h: fork(2): the order of locks around it, and how it fails. */
#ifndef VMM_FORK_H
#define VMM_FORK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/settings.h"

/* What fork(2) needs of the allocator above the pool. */
struct vmm_fork_allocator {
	/*
	 * Handlers as pthread_atfork(3) has them: its locks taken, and released. `prepare`
	 * returns false if not all can be had, since a signal has interrupted this thread
	 * where it has one for which others wait: `parent` and `child` follow all the same.
	 */
	bool (*prepare)(void);
	void (*parent)(void);
	/* Returns whether the fork came from a handler of a signal that interrupted it. */
	bool (*child)(void);
	/* Gives back to the pool what is kept for later: less to copy. */
	void (*purge)(void);
};

/*
 * Registers, as pthread_atfork(3) does, the allocator's handlers and the pool's,
 * to run in the order of their locks. Returns 0 or an errno value. Called once,
 * before the first block is handed out. Prepare handlers run newest first, others
 * oldest first: so handlers that are registered later, as all others are (see
 * __register_atfork in entry/fork.c), may allocate.
 */
int vmm_fork_register(enum vmm_fork kind,
    const struct vmm_fork_allocator *allocator);

/*
 * Whether this thread is in `prepare`: a lock that it waits for then, and has itself, is
 * that of an allocation which a signal has interrupted.
 */
bool vmm_fork_takes_locks(void);

/*
 * fork(2), for the program: -1 with errno, and the process as it was before, where
 * the child cannot get the heap that VMMALLOC_FORK says it should: ENOMEM, ENOSPC,
 * EMFILE, ... besides fork's own; EAGAIN in a signal handler that has interrupted the
 * pool, another fork at its locks, or an allocation for which other threads wait. Most of
 * that is seen before anything is done; if the child cannot fill its file after all, it
 * ends before fork returns in it, and is waited for. Thread-safe.
 */
pid_t vmm_fork(void);

#endif
