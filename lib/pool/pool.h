/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.h: the pool: page ranges from one mapped file, correct through fork(2). */
#ifndef VMM_POOL_H
#define VMM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/settings.h"
#include "os/os.h"

/*
 * The pool's address range. vmm_pool_open sets it before the first block exists, and
 * nothing changes it later. Before that its size is 0.
 */
extern struct vmm_pool_span {
	uintptr_t base;
	size_t size;
} vmm_pool_span __attribute__((visibility("hidden"))); /* so free reads it without the GOT */

/* Returns whether `address` lies in the pool. */
static inline bool
vmm_pool_has(const void *address)
{
	return (uintptr_t)address - vmm_pool_span.base < vmm_pool_span.size;
}

/* Figures about the pool. Sizes are in bytes. */
struct vmm_pool_figures {
	const char *dir;    /* the pool file's directory, absolute; "" if not known */
	const char *fs;     /* the file system's name */
	size_t size;
	size_t in_use;      /* allocated now */
	size_t peak;        /* the maximum of in_use */
	size_t high_water;  /* end of the highest range that was ever allocated */
	size_t reserved;    /* the file's blocks up to here were reserved */
	size_t in_holes;    /* the part of `reserved` that is in holes */
	size_t free_ranges; /* number of free ranges */
	size_t longest_free;
	bool has_blocks;    /* `blocks` is valid */
	uint64_t blocks;    /* bytes in the file's blocks, as the file system counts them */
	size_t forks;       /* calls of fork(2) by this process that made a child */
	size_t failed_forks;
	uint64_t forks_us;  /* duration of all `forks` together, in microseconds */
	uint64_t longest_fork_us;
	bool has_file;      /* false: ":memory:" */
	bool is_private;    /* the whole heap is private: since a fork(2), or without a file always */
	size_t private_chunks; /* number of chunks (2 MiB) that are private */
	int return_error;   /* errno value of the last step of the return, or 0 */
};

/*
 * Creates the pool file, maps it and sets vmm_pool_span. Must be called once, by one
 * thread. Returns false if the pool cannot be created. `error` then has the lines for
 * stderr, and neither the file nor its mapping is left behind.
 */
bool vmm_pool_open(const struct vmm_settings *settings, struct vmm_text *error);

/* Whether the pool has no file (":memory:"). Valid after vmm_pool_open. */
bool vmm_pool_is_fileless(void);

/* All functions below are thread-safe and keep errno unless their comments deny it. */

/*
 * Allocates a range of `size` bytes. If `wanted` is not NULL, the range begins there. If it
 * is NULL, the range begins at a multiple of `alignment`, a power of two, and is the lowest
 * or one of the lowest that fit (ranges.h). `size` and `alignment` are multiples of the page
 * size. If *is_zero is true, the range is zeroed. If *is_zero is false, it becomes true when
 * the range was never used. Returns NULL if no such range is free or its file blocks cannot
 * be reserved.
 */
void *vmm_pool_allocate(void *wanted, size_t size, size_t alignment, bool *is_zero);

/* Frees any part of allocated ranges, and releases chunks that are free then. */
void vmm_pool_free(void *address, size_t size);

/*
 * Between the two calls freed chunks are not released, since the caller needs their
 * pages again at once. Pairs of calls may overlap.
 */
void vmm_pool_release_pause(void);
void vmm_pool_release_resume(void);

/*
 * Returns whether a range of `size` bytes would now end above a threshold, and if so
 * moves the threshold to an eighth above that end. Returns false if no range fits. The
 * threshold is VMM_POOL_SMALL at first. Few calls return true, so the caller can purge
 * before the pool grows.
 */
#define VMM_POOL_SMALL ((size_t)16 << 20)
bool vmm_pool_outgrows(size_t size);

/*
 * After a fork(2): takes a step of the return, if one is due and no other process needs the
 * pool file. To be called where the allocator is slow anyway. Without a pending return the
 * cost is one load. Returns true when the return begins. The caller should then purge:
 * freed ranges need not be copied.
 */
bool vmm_pool_return(void);

/* Reads the figures. Visits each free range. */
void vmm_pool_read_figures(struct vmm_pool_figures *figures);

/* Returns how many bytes are allocated, in constant time. */
size_t vmm_pool_in_use(void);

/* One call of fork(2), from vmm_pool_fork_begin to vmm_pool_fork_end. */
struct vmm_pool_fork {
	int error;             /* the errno value with which fork(2) fails, or 0 */
	bool is_begun;         /* false: libc itself forks (daemon(3)), or begin got no lock */
	bool wants_file;       /* the child is to get a file of its own */
	bool may_stay_private; /* if the child gets no file, its heap stays private */
	pid_t process;         /* the parent */
	unsigned *reply;       /* the child's: 1, or an errno value + 1; 0 until it replies */
	uint64_t begin_us;
};

/* The pool's lock, for heap/fork.c. jemalloc's locks must be taken before it. */
void vmm_pool_lock(void);
void vmm_pool_unlock(void);

/*
 * Returns whether this thread holds the lock, or is taking or releasing it. A signal
 * handler that interrupted such a thread must not wait for the lock.
 */
bool vmm_pool_is_inside(void);

/*
 * The steps of fork(2) by the rules of VMMALLOC_FORK=`kind`, in their order.
 *
 * vmm_pool_fork_begin: in the parent, without the allocator's locks. First checks that a
 * child which is to get a file could make one, so that most failures change nothing. Then
 * makes the heap private. Returns 0 or an errno value: ENOMEM, ENOSPC, EMFILE, ...; EAGAIN
 * in a signal handler if vmm_pool_is_inside, if 64 calls already wait for their children,
 * or as vmm_pool_leave (state.h). After a failure only vmm_pool_fork_end may follow.
 */
int vmm_pool_fork_begin(struct vmm_pool_fork *fork, enum vmm_fork kind);

/*
 * In the parent, with jemalloc's locks and the pool's. A child that is made afterwards shares
 * nothing of the heap. Without vmm_pool_fork_begin this call makes the heap private.
 */
void vmm_pool_fork_prepare(struct vmm_pool_fork *fork, enum vmm_fork kind);

/*
 * In the child: resets the state that is only the parent's, and releases the pool's lock.
 * Aborts if the heap could not be made private, which happens only if libc itself forks.
 */
void vmm_pool_fork_child(struct vmm_pool_fork *fork);

/*
 * In the child, without locks: if the child is to get a file, moves the heap into the file
 * and tells the parent. On failure the heap stays private; without may_stay_private, the
 * child ends.
 */
void vmm_pool_fork_settle(struct vmm_pool_fork *fork);

/*
 * In the parent, without locks: waits until the child has its file or ends. Returns 0, or
 * an errno value if the child ends for lack of a file: reap it then. errno may change.
 */
int vmm_pool_fork_await(struct vmm_pool_fork *fork, pid_t child);

/* In the parent, last: counts the fork, and schedules the return. is_done: a child exists. */
void vmm_pool_fork_end(struct vmm_pool_fork *fork, bool is_done);

/*
 * Without the allocator's locks: if some threads that wait on futexes in the heap could
 * not be found, makes all threads repeat their system calls.
 */
void vmm_pool_fork_wake(void);

#endif
