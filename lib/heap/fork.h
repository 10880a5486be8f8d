/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.h: fork(2): the order of locks around it, and its failures. */
#ifndef VMM_FORK_H
#define VMM_FORK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/settings.h"

/* Functions of the allocator above the pool, for fork(2). */
struct vmm_fork_allocator {
	/*
	 * Take and release the allocator's locks, as handlers of pthread_atfork(3). `prepare`
	 * returns false if a signal has interrupted this thread while it held a lock, and
	 * another thread keeps one that `prepare` needs. Then `parent` follows, not `child`.
	 */
	bool (*prepare)(void);
	void (*parent)(void);
	/* Returns whether a signal handler that interrupted the allocator called fork. */
	bool (*child)(void);
	/* Purges all arenas, so that fewer pages have to be copied. */
	void (*purge)(void);
};

/*
 * Registers handlers for fork(2), as pthread_atfork(3) does. They take the allocator's and
 * the pool's locks in their order, and release them. Returns 0 or an errno value. Must
 * succeed once, before the first block is allocated. Prepare handlers run in reverse order
 * of registration, the others in order. The program registers all its handlers later (see
 * __register_atfork in entry/fork.c), so these may allocate.
 */
int vmm_fork_register(enum vmm_fork kind,
    const struct vmm_fork_allocator *allocator);

/*
 * Whether this thread is in `prepare`. If so, and it waits for a lock that it holds itself,
 * a signal handler has interrupted an allocation and called fork.
 */
bool vmm_fork_is_locking(void);

/*
 * fork(2) for the program. If the child cannot get the heap that VMMALLOC_FORK requires,
 * vmm_fork returns -1, sets errno and leaves the process as it was. Errors: those of fork(2),
 * and ENOMEM, ENOSPC, EMFILE, ...; EAGAIN if threads must be stopped and cannot be, or in a
 * signal handler that has interrupted the pool, a fork that is taking its locks, or an
 * allocation for which other threads wait. Most errors are found before the fork. If the
 * child cannot fill its pool file after all, it ends before fork returns in it, and the
 * parent waits for its end. Thread-safe.
 */
pid_t vmm_fork(void);

#endif
