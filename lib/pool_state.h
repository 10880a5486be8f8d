/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_state.h: what the files of the pool share, and nobody else sees. */
#ifndef VMM_POOL_STATE_H
#define VMM_POOL_STATE_H

#include <limits.h>
#include <pthread.h>

#include "os.h"
#include "pool.h"
#include "ranges.h"

/*
 * What is returned to the system, and what comes home, does so in such pieces: as
 * large as the largest pages that a page cache has, and few enough for a byte each.
 */
#define VMM_CHUNK_SIZE ((size_t)2 << 20)

/* The most that is reserved ahead of use at a time. */
#define VMM_RESERVE_MAX ((size_t)64 << 20)

/* What a chunk can be; none of it: the file's, mapped shared, its blocks promised. */
enum vmm_chunk {
	VMM_CHUNK_HOLE = 1,    /* the file has not been promised its blocks */
	VMM_CHUNK_PRIVATE = 2, /* mapped by this process alone, since a fork(2) */
};

/*
 * The pool of the process, from low to high: [0, high_water) was handed out at some
 * time, up to `reserved` the file's blocks are promised, but for chunks that are
 * holes, and behind that the file is one hole.
 *
 * Three kinds of memory can be mapped: the file; since a fork(2), private copies of
 * it; and ordinary memory, where the file has nothing to copy. The first is `shared`,
 * the others are `private` and need nothing promised. The pool is `away` while other
 * processes may need the file as it is: then all of it is private, including what
 * lies behind `private_from`, for which `chunks` says nothing. Otherwise high_water
 * is at most `reserved`, and private chunks may be left over from being away.
 */
struct vmm_pool_state {
	pthread_mutex_t lock;
	int cancel_state; /* of the thread that has the lock */
	char *base;
	size_t size;
	size_t page_size; /* of page ranges: the system's, or a multiple of it */
	size_t high_water;
	size_t reserved;
	size_t ahead_max;   /* less where the file system has refused more */
	size_t outgrown;    /* high water up to which nobody need be asked */
	size_t takes;       /* how often a range was handed out */
	size_t peak;        /* the most that was handed out at a time */
	bool returns_chunks; /* to the system, when nobody needs them */
	unsigned keepers;    /* who is between vmm_pool_keep_begin and _end */
	unsigned char *chunks; /* enum vmm_chunk, of each */
	size_t hole_count;
	size_t private_count;
	struct vmm_ranges ranges;
	struct vmm_os_file file;

	/* fork(2) */
	enum vmm_fork fork;
	enum vmm_reserve reserve;
	char dir[PATH_MAX]; /* where children's files are made */
	bool cannot_clone;  /* the file system cannot share blocks */
	bool is_away;
	size_t private_from;
	unsigned forks;     /* between vmm_pool_fork_begin and _end */
	size_t forks_done;
	size_t forks_failed;
	uint64_t forks_us;  /* what those that were done have taken, all together */
	uint64_t longest_fork_us;
	pid_t owner;        /* this process */
	volatile unsigned char *own; /* 0 in a child that nobody prepared */

	/* Coming home. */
	bool is_home_pending; /* atomic: also read without the lock */
	void *holder;        /* tells others that the file is needed */
	unsigned home_wait;  /* moments to let pass before the next try */
	unsigned home_pause; /* and how many after that */
	size_t home_next;    /* the first chunk that has not been tried */
	uint64_t home_us;    /* how long the way back has taken so far */
	uint64_t home_not_before_us; /* when the next may begin */
};

extern struct vmm_pool_state vmm_pool;

static inline size_t
vmm_round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static inline size_t
vmm_smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t
vmm_larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/*
 * The lock of all of the above; who has it cannot be cancelled. Ends a process that
 * has another's pool mapped and does not know it.
 */
void vmm_pool_lock(void);
void vmm_pool_unlock(void);

/* Whether [offset, offset + 1 chunk) is private. */
static inline bool
vmm_pool_is_private(size_t offset)
{
	return offset >= vmm_pool.private_from ||
	    (vmm_pool.chunks[offset / VMM_CHUNK_SIZE] & VMM_CHUNK_PRIVATE) != 0;
}

/*
 * pool_blocks.c. All of it wants the lock, and says 0 or an errno value, or whether it
 * was done: ENOSPC, EDQUOT, EFBIG, ..., as of fallocate(2).
 */

/* Adds to, or takes from, what the chunks of [begin, end) are, and counts them. */
void vmm_pool_chunks_add(size_t begin, size_t end, enum vmm_chunk kind);
void vmm_pool_chunks_remove(size_t begin, size_t end, enum vmm_chunk kind);

/*
 * Sets [*begin, *end) to the first chunks from `at` on, a multiple of their size, in
 * which something is in use. False if there are none.
 */
bool vmm_pool_next_used_chunks(size_t at, size_t *begin, size_t *end);

/* Where the chunks end that `chunks` knows about. */
size_t vmm_pool_chunks_end(void);

/* The least to reserve at a time, in bytes. */
size_t vmm_pool_reserve_floor(void);

/* Has the blocks up to `end` promised, and lets core dumps hold them. */
int vmm_pool_reserve_to(size_t end);

/* The same, and some more ahead of use where there is room for it. */
bool vmm_pool_reserve_ahead(size_t end);

/* Has the blocks of holes in [offset, offset + size) promised again. */
bool vmm_pool_fill_holes(size_t offset, size_t size);

/*
 * Returns to the system the chunks that [offset, offset + size), just given back, has
 * made free, those at its ends included.
 */
void vmm_pool_return_chunks(size_t offset, size_t size);

/*
 * pool_fork.c: makes everything private. 0, or an errno value if some of it could
 * not be, which is no worse for this process, since each page still is what it was.
 */
int vmm_pool_go_private(void);

/* pool_home.c: what was made private has to be taken back, if it can be. */
void vmm_pool_home_wanted(void);

/* Maps chunks in which nothing is in use from the file again. */
bool vmm_pool_home_free(size_t begin, size_t end);

#endif
