/* SPDX-License-Identifier: BSD-3-Clause */
/* state.h: what the files of the pool share, and nobody else sees. */
#ifndef VMM_POOL_STATE_H
#define VMM_POOL_STATE_H

#include <limits.h>
#include <pthread.h>

#include "os/os.h"
#include "pool/pool.h"
#include "pool/ranges.h"

/*
 * What is given back to the system, and what returns to the file, does so in such pieces: as
 * large as the largest pages that a page cache has, and few enough for a byte each.
 */
#define VMM_CHUNK_SIZE ((size_t)2 << 20)

/* The most that is reserved ahead of use at a time. */
#define VMM_RESERVE_MAX ((size_t)64 << 20)

/* What a chunk can be; none of it: the file's, mapped shared, its blocks promised. */
enum vmm_chunk {
	VMM_CHUNK_HOLE = 1,    /* nothing is in use, and the file has no blocks for it */
	VMM_CHUNK_PRIVATE = 2, /* some of it is mapped by this process alone */
	VMM_CHUNK_MEMORY = 4,  /* some of that has no file behind it */
};

/*
 * The pool of the process, from low to high: [0, high_water) was handed out at some
 * time; up to `reserved` the file's blocks are promised, but for chunks that are holes;
 * up to `mapped` memory is accessible, and the rest is a place in the address space.
 *
 * The heap is shared with its file, or private: then all that is mapped is copy-on-write
 * memory over the file, or ordinary memory, and the file stays as it is, since other
 * processes may need it. On its way back (return.c) some chunks still are private.
 */
struct vmm_pool_state {
	pthread_mutex_t lock;
	char *base;
	size_t size;
	size_t page_size; /* of page ranges: the system's, or a multiple of it */
	size_t high_water;
	size_t reserved;
	size_t mapped;
	size_t ahead_max;   /* less where the file system has refused more */
	size_t outgrown;    /* high water up to which nobody need be asked */
	size_t takes;       /* how often a range was handed out */
	size_t peak;        /* the most that was handed out at a time */
	bool releases_chunks; /* to the system, when nobody needs them */
	unsigned release_pauses;    /* who is between vmm_pool_release_pause and _end */
	unsigned char *chunks; /* enum vmm_chunk, of each */
	size_t hole_count;
	size_t private_count;
	struct vmm_ranges ranges;
	struct vmm_os_file file;
	struct vmm_os_file parent_file; /* while a child fills its own; or fd -1 */

	/* fork(2) */
	enum vmm_reserve reserve;
	char dir[PATH_MAX]; /* where children's files are made */
	size_t memory_from; /* from here on memory without a file is the library's */
	bool cannot_clone;  /* the file system cannot share blocks */
	bool is_private;    /* all of it */
	bool is_copied;     /* and nobody needs the file: it is private by copying */
	bool keeps_shared;  /* but for what children do not get (MADV_DONTFORK) */
	bool return_pending; /* atomic: also read without the lock */
	bool wakes_all;      /* atomic; see vmm_pool_fork_wake */
	enum vmm_os_others others; /* whether they may stop (VMMALLOC_STOP_THREADS) */
	unsigned forks;     /* between vmm_pool_fork_begin and _end */
	pid_t owner;        /* this process */
	volatile unsigned char *own; /* 0 in a child that nobody prepared */
	size_t forks_done;
	size_t forks_failed;
	uint64_t forks_us;  /* what those that were done have taken, all together */
	uint64_t longest_fork_us;

	/* The return to the file. */
	struct vmm_os_lock users; /* held by each process that needs the file */
	size_t return_next;       /* the first chunk that has not been tried */
	uint64_t return_at_us;    /* when the next step may begin */
	uint64_t return_pause_us; /* after a step that could not be done */
	uint64_t return_us;       /* how long this return has taken so far */
	uint64_t rest_until_us;   /* when the next return may begin */
	unsigned return_steps;    /* taken since the heap left */
	int return_error;         /* why the last step could not be done, or 0 */
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
 * The lock of all of the above is vmm_pool_lock (pool.h). Whoever has it makes no call
 * that is a cancellation point (os/linux_sys.h). Taking it ends a process that was made by
 * clone(2) or _Fork and still has its parent's pool mapped.
 */

/* The same; EDEADLK if this thread has it: in a handler of a signal, which came in between. */
int vmm_pool_try_lock(void);

/* Whether [offset, offset + 1 chunk) is private. */
static inline bool
vmm_pool_is_private(size_t offset)
{
	return (vmm_pool.chunks[offset / VMM_CHUNK_SIZE] & VMM_CHUNK_PRIVATE) != 0;
}

/*
 * blocks.c. All of it wants the lock, and says 0 or an errno value, or whether it
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

/* Makes memory accessible up to `end` at least: the file's, or private memory. */
int vmm_pool_map_to(size_t end);

/* Maps what is up to `end` and has the file's blocks for it promised. */
int vmm_pool_reserve_to(size_t end);

/* Has memory up to `end`, and some more ahead of use where there is room for it. */
bool vmm_pool_reserve_ahead(size_t end);

/* Has the blocks of holes in [offset, offset + size) promised again. */
bool vmm_pool_fill_holes(size_t offset, size_t size);

/*
 * Takes all holes out of the free ranges, so that none is handed out, or puts them back.
 * Nothing else may change in between.
 */
void vmm_pool_holes_hide(void);
void vmm_pool_holes_show(void);

/*
 * Returns to the system the chunks that [offset, offset + size), just given back, has
 * made free, those at its ends included.
 */
void vmm_pool_release_chunks(size_t offset, size_t size);

/*
 * stop.c, with the lock: calls work(argument) while all other threads are stopped, as
 * vmm_os_call_stopped; nothing is traced meanwhile. At a fork(2), which cannot be put off
 * as a return can, it waits for threads that have no processor, and tries up to
 * VMM_POOL_STOP_TRIES times.
 */
#define VMM_POOL_STOP_TRIES 50
int vmm_pool_call_stopped(void (*work)(void *argument), void *argument,
    enum vmm_os_others others);
int vmm_pool_call_stopped_at_fork(void (*work)(void *argument), void *argument);
enum vmm_os_others vmm_pool_others_at_fork(void);

/*
 * leave.c, with the lock: makes the heap private, if it is not. 0, or an errno value: then some of it
 * may be private already, which does no harm, since a private page has what the file's
 * had, and returns. EAGAIN where threads would have to stop and do not.
 */
int vmm_pool_leave(void);

/* What of it is shared becomes a private mapping of the file, which is vmm_pool.file. */
int vmm_pool_leave_by_mapping(void);

/* move.c: where what is mapped is to be moved to. */
enum vmm_pool_target {
	VMM_POOL_TO_MEMORY,   /* ordinary memory: all that is in use */
	VMM_POOL_TO_FILE,     /* the file that it came from: what was written since */
	VMM_POOL_TO_NEW_FILE, /* all that is in use, but for what never was written */
	VMM_POOL_TO_CLONE,    /* a file with the same blocks: what was written since */
};

/*
 * With the lock: moves what is mapped at [begin, end), multiples of the unit, to other
 * memory with the same content. The other threads stand still meanwhile, for some milliseconds at most: *done
 * says how far it has come by then. Pages that the program has mapped by itself stay.
 * EPERM, EAGAIN, ECANCELED, ... of vmm_os_call_stopped; EBUSY, if the kernel may write by itself
 * to pages that are to be shared; ENOSPC, EIO, ...: nothing is lost, and what is behind
 * *done is as it was.
 */
int vmm_pool_move(size_t begin, size_t end, enum vmm_pool_target to,
    enum vmm_os_others others, size_t *done);

/*
 * leave.c: what is mapped in [begin, end); where the kernel does not say, as `chunks`
 * has it. As vmm_os_parts_read.
 */
int vmm_pool_parts(size_t begin, size_t end, const struct vmm_os_parts *known,
    struct vmm_os_parts *parts);

/* What is moved is a multiple of it: a chunk, or the file's page if that is larger. */
size_t vmm_pool_move_unit(void);

/* Of how many of the pages in [begin, end) this process has copies of its own, in bytes. */
size_t vmm_pool_private_bytes(size_t begin, size_t end);

/*
 * child.c, in a forked child: a file of its own, in place of its parent's. `make` fills
 * it with what is in use and maps it; *is_cloned: it shares blocks with the parent's, and
 * `part` is to follow. ENOSPC, EMFILE, ...: the heap stays private if the process goes on
 * then; otherwise it must not be touched any more. `try` is for the parent:
 * whether a file could be made at this moment.
 */
int vmm_pool_child_try(void);
int vmm_pool_child_make(bool goes_on, bool *is_cloned);
void vmm_pool_child_part(void);

/* return.c: what was made private has to be taken back, if it can be. */
void vmm_pool_return_wanted(void);

/* Maps chunks in which nothing is in use from the file again: 0 or an errno value. */
int vmm_pool_return_free(size_t begin, size_t end);

#endif
