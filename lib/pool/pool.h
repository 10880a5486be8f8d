/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.h: the one mapped file that holds the heap, handed out by page ranges. */
#ifndef VMM_POOL_H
#define VMM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/settings.h"
#include "os/os.h"

/*
 * The one pool of the process, as entry points need to know it: set once, before
 * the first block is handed out, and never changed. Before that it spans nothing.
 */
extern struct vmm_pool_span {
	uintptr_t base;
	size_t size;
} vmm_pool_span __attribute__((visibility("hidden"))); /* no GOT in free */

/* Whether an address lies in the pool: it is ours, or it is not. */
static inline bool
vmm_pool_has(const void *address)
{
	return (uintptr_t)address - vmm_pool_span.base < vmm_pool_span.size;
}

/* Figures about the pool, in bytes unless said otherwise, for people and tests. */
struct vmm_pool_figures {
	const char *dir;    /* where its file is, absolute; "" if that is not known */
	const char *fs;     /* the file system's name */
	size_t size;
	size_t in_use;      /* handed out */
	size_t peak;        /* the most that ever was */
	size_t high_water;  /* end of the highest range ever handed out */
	size_t reserved;    /* promised by the file system at some time */
	size_t returned;    /* of it, given back to the system since */
	size_t free_ranges; /* how many */
	size_t longest_free;
	bool has_blocks;    /* whether the next is known */
	uint64_t blocks;    /* of the file, as the file system counts them */
	size_t forks;       /* how often this process has forked */
	size_t failed_forks;
	uint64_t forks_us;  /* what the pool has added to them, in microseconds */
	uint64_t longest_fork_us;
	bool is_private;    /* all of it is private memory, since a fork(2) */
	size_t private_chunks; /* how much still is, in chunks of 2 MiB */
	int return_error;   /* why it could not return to the file when tried last, or 0 */
};

/*
 * Makes the file, maps it and publishes the span; called once, by one thread.
 * False, with the lines for stderr in `error` and nothing left behind, if the
 * directory cannot hold the pool.
 */
bool vmm_pool_open(const struct vmm_settings *settings, struct vmm_text *error);

/*
 * Hands out a range of `size` bytes at a multiple of `alignment`, both multiples
 * of the system's page size, the lowest that fits; or, if `wanted` is not NULL,
 * the range there. With *is_zero the range is zeroed; without, *is_zero becomes
 * true if it is zero anyway. NULL when there is no such range or its blocks
 * cannot be had. Thread-safe; keeps errno.
 */
void *vmm_pool_allocate(void *wanted, size_t size, size_t alignment, bool *is_zero);

/*
 * Takes back any part of what was handed out, and returns to the system what it can
 * of the pages. Thread-safe; keeps errno.
 */
void vmm_pool_free(void *address, size_t size);

/*
 * Between `begin` and `end` what is given back stays in memory, for it is needed
 * again at once. Pairs may overlap. Thread-safe.
 */
void vmm_pool_release_pause(void);
void vmm_pool_release_resume(void);

/*
 * Whether a range of `size` bytes would have the pool grow by an eighth over what it
 * was when this was true last, from VMM_POOL_SMALL on: a moment to ask first for what
 * is kept elsewhere, rare enough to be worth it. Thread-safe.
 */
#define VMM_POOL_SMALL ((size_t)16 << 20)
bool vmm_pool_outgrows(size_t size);

/*
 * After a fork(2): takes a step of the return to the file, if no other process needs it.
 * For moments at which the allocator is at work anyway; costs next to nothing when there
 * is nothing to do. True at the step after which ranges that the caller keeps for later
 * are better given back: then they need not be copied. Thread-safe; keeps errno.
 */
bool vmm_pool_return(void);

/* Reads the figures. Looks at each free range. Thread-safe; keeps errno. */
void vmm_pool_read_figures(struct vmm_pool_figures *figures);

/*
 * What is handed out at this moment, in bytes: of all figures the one that costs
 * next to nothing. Thread-safe.
 */
size_t vmm_pool_in_use(void);

/* One call of fork(2), from its beginning to its end; the members are fork.c's. */
struct vmm_pool_fork {
	int error;           /* there cannot be a child: errno says why */
	bool is_begun;
	bool wants_file;     /* the child is to get a file of its own */
	bool may_do_without; /* and if it cannot, it keeps private memory */
	pid_t process;       /* the one that forks */
	unsigned *word;      /* what the child says of its file */
	uint64_t begin_us;
};

/* The lock of the pool, for fork.c: it comes after jemalloc's. */
void vmm_pool_lock(void);
void vmm_pool_unlock(void);

/* Whether a signal has interrupted this thread where it has the lock, or nearly so. */
bool vmm_pool_is_inside(void);

/*
 * Around fork(2), by the rules of VMMALLOC_FORK=`kind`. All keep errno.
 *
 * `begin`, without the allocator's locks, makes the heap private, and for a child that is
 * to have a file looks whether it could be made: most failures come before anything has
 * happened. Returns 0; or ENOMEM, ENOSPC, EMFILE, ..., upon which only `end` may follow;
 * EAGAIN in a signal handler that has interrupted the pool, and where threads would have
 * to be stopped and cannot be.
 *
 * After `prepare`, with jemalloc's locks and the pool's, nothing of the heap is shared.
 * `child` releases the pool's lock in the child; it aborts if the heap could not be made
 * private, which only a fork without `begin` comes to.
 *
 * `settle`, in the child and without locks, puts the heap into a file of its own; if
 * that cannot be, and must, the child ends. `await`, in the parent, waits for that: 0,
 * or the errno value for which there is no child any more. `end`, in the parent, is last;
 * is_done says whether there is a child. `wake`, when the thread has no lock of the
 * allocator, reaches threads that wait on futexes in the heap and were not found.
 */
int vmm_pool_fork_begin(struct vmm_pool_fork *fork, enum vmm_fork kind);
void vmm_pool_fork_prepare(struct vmm_pool_fork *fork, enum vmm_fork kind);
void vmm_pool_fork_child(struct vmm_pool_fork *fork);
void vmm_pool_fork_settle(struct vmm_pool_fork *fork);
int vmm_pool_fork_await(struct vmm_pool_fork *fork, pid_t child);
void vmm_pool_fork_end(struct vmm_pool_fork *fork, bool is_done);
void vmm_pool_fork_wake(void);

#endif
