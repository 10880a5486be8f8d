/* SPDX-License-Identifier: BSD-3-Clause */
/* state.h: the pool's state, and functions that only the sources of pool/ call. */
#ifndef VMM_POOL_STATE_H
#define VMM_POOL_STATE_H

#include <limits.h>
#include <pthread.h>

#include "os/os.h"
#include "pool/pool.h"
#include "pool/ranges.h"

/*
 * Pages are released and returned in chunks. A chunk is as large as the largest page of a
 * page cache. A pool has few enough chunks for a byte of state each.
 */
#define VMM_CHUNK_SIZE ((size_t)2 << 20)

/* The most that is reserved ahead of use at a time, in bytes. */
#define VMM_RESERVE_MAX ((size_t)64 << 20)

/* The bits of a chunk's state. 0: mapped shared; has file blocks if it is below `reserved`. */
enum vmm_chunk {
	VMM_CHUNK_HOLE = 1,      /* free; its file blocks must be reserved before use */
	VMM_CHUNK_PRIVATE = 2,   /* some of it is private memory */
	VMM_CHUNK_ANONYMOUS = 4, /* some of its private memory is not mapped from the file */
};

/*
 * The pool. Offsets are in bytes from `base`. Below high_water, ranges were allocated
 * at some time. Below `reserved`, the file's blocks are reserved, except those of holes
 * and, during the return, of anonymous chunks. Below `mapped`, memory is accessible.
 * The rest is address space without memory.
 *
 * A private heap (is_private) is copy-on-write memory over the file, or anonymous
 * memory. The file must not change then, since other processes may need it. During the
 * return (return_to_file.c) is_private is false, and some chunks still are private.
 */
struct vmm_pool_state {
	pthread_mutex_t lock;
	char *base;
	size_t size;
	size_t page_size; /* unit of ranges: the system's page size or a multiple */
	size_t high_water;
	size_t reserved;
	size_t mapped;
	size_t ahead_max; /* limit of reserving ahead, lower after a refusal */
	size_t growth_threshold; /* of vmm_pool_outgrows */
	size_t peak;      /* the most bytes that were allocated at a time */
	bool releases_chunks;
	bool wants_large; /* VMMALLOC_LARGE_PAGES=auto */
	unsigned release_pauses; /* calls of vmm_pool_release_pause without a resume */
	unsigned char *chunks;   /* the state of each chunk */
	size_t hole_count;
	size_t private_count;
	struct vmm_ranges ranges;
	struct vmm_os_file file;
	struct vmm_os_file parent_file; /* while a child fills its own file; else fd is -1 */

	/* fork(2) */
	enum vmm_reserve reserve;
	char dir[PATH_MAX];   /* where children's files are made; "" if not known */
	size_t anonymous_from; /* from here on, anonymous memory is the library's */
	bool cannot_clone;    /* the file system does not share blocks between files */
	bool is_private;
	bool is_copied;       /* private by copying: no process needs the file */
	bool has_dontfork;    /* parts may still be shared: MADV_DONTFORK, or a failed leave */
	bool return_pending;  /* atomic: read without the lock */
	bool wake_pending;    /* atomic: vmm_pool_fork_wake has work to do */
	enum vmm_os_others others; /* VMMALLOC_STOP_THREADS */
	unsigned forks_active; /* calls between vmm_pool_fork_begin and _end */
	pid_t owner;          /* this process; a child of vfork(2) is another */
	volatile unsigned char *fork_mark; /* 0 in a child of clone(2) or _Fork */
	size_t forks_done;
	size_t forks_failed;
	uint64_t forks_us;    /* duration of all forks_done together */
	uint64_t longest_fork_us;

	/* The return to the file. */
	struct vmm_os_lock users_lock; /* held by each process that needs the file as it is */
	size_t return_next;       /* the first chunk that was not tried yet */
	uint64_t return_at_us;    /* the next step must not begin before */
	uint64_t return_pause_us; /* the pause after the next step that fails */
	uint64_t return_us;       /* duration of this return so far */
	uint64_t rest_until_us;   /* the next return must not begin before */
	unsigned return_steps;    /* taken since the heap left */
	int return_error;         /* errno value of the last step, or 0 */
};

/*
 * The pool of the process. Its lock is vmm_pool_lock (pool.h). A thread that holds the
 * lock makes no call that is a cancellation point (os/linux_sys.h).
 */
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

/* Returns whether the chunk at `offset` is private. Requires the lock. */
static inline bool
vmm_pool_chunk_is_private(size_t offset)
{
	return (vmm_pool.chunks[offset / VMM_CHUNK_SIZE] & VMM_CHUNK_PRIVATE) != 0;
}

/*
 * pool.c: takes the lock. Returns 0; or EDEADLK in a signal handler, if vmm_pool_is_inside
 * (pool.h). Aborts in a child of clone(2) or _Fork.
 */
int vmm_pool_try_lock(void);

/*
 * open_error.c: write to `error` the two lines for a pool that cannot be opened. `room` is NULL
 * if there is no file yet. They always return false.
 */
bool vmm_pool_open_error(const struct vmm_settings *settings, int errnum,
    const struct vmm_os_limits *room, struct vmm_text *error);
bool vmm_pool_numa_error(const struct vmm_settings *settings, int errnum,
    struct vmm_text *error);

/*
 * All functions below require the lock. An int result is 0 or an errno value. A function
 * with a bool result that changes something returns false on failure.
 */

/*
 * reserve.c: sets or clears a bit in the state of all chunks that [begin, end) overlaps, and
 * updates hole_count and private_count. `remove` requires that a chunk begins at `begin`.
 * Clearing VMM_CHUNK_PRIVATE also clears VMM_CHUNK_ANONYMOUS.
 */
void vmm_pool_chunks_add(size_t begin, size_t end, enum vmm_chunk kind);
void vmm_pool_chunks_remove(size_t begin, size_t end, enum vmm_chunk kind);

/*
 * Sets [*begin, *end) to the first run of chunks that have allocated pages. The search
 * begins at `at`, a multiple of the chunk size. Returns false if there is no such run.
 */
bool vmm_pool_next_used_chunks(size_t at, size_t *begin, size_t *end);

/* Returns the end of the last chunk in which memory is mapped. */
size_t vmm_pool_chunks_end(void);

/* Returns the least number of bytes that is reserved at a time. */
size_t vmm_pool_reserve_min(void);

/*
 * Maps memory up to `end` or more: shared, or anonymous if the heap is private. Errors
 * are those of vmm_os_window_map and _move.
 */
int vmm_pool_map_to(size_t end);

/* Maps memory up to `end` and reserves file blocks for it: ENOSPC, EDQUOT, EFBIG, ... */
int vmm_pool_reserve_to(size_t end);

/*
 * large_pages.c: returns the end to which file blocks should be reserved when memory below
 * `end` is needed, so that the new chunks become large pages. 0: no large pages there, or the
 * file system is almost full.
 */
size_t vmm_pool_large_end(size_t end);

/*
 * Reduces [*begin, *end) to the chunks that should become large pages now. Returns false if
 * there are none.
 */
bool vmm_pool_large_range(size_t *begin, size_t *end);

/* Returns whether chunks from `begin` on should be large pages, whenever the kernel makes them. */
bool vmm_pool_wants_large(size_t begin);

/*
 * Makes each chunk of [begin, begin + length), which is mapped shared at `address`, one large
 * page with the same content. Returns the length of the leading part for which that is done. If
 * the kernel refuses, or takes long, vmm_pool_large_range returns false during a pause.
 */
size_t vmm_pool_make_large(size_t begin, char *address, size_t length);

/* In a pool without a file: asks the kernel for large pages in new memory, or for none. */
void vmm_pool_advise_large(size_t begin, size_t end);

/* Makes memory up to `end` usable, and more ahead of use where there is room. */
bool vmm_pool_reserve_ahead(size_t end);

/* Makes the holes in [offset, offset + size) usable. */
bool vmm_pool_fill_holes(size_t offset, size_t size);

/*
 * `hide` marks all holes as allocated, so that no range is allocated there; `show`
 * undoes this. No hole may appear or vanish in between.
 */
void vmm_pool_holes_hide(void);
void vmm_pool_holes_show(void);

/* After [offset, offset + size) was freed: releases all free chunks that overlap it. */
void vmm_pool_release_chunks(size_t offset, size_t size);

/*
 * stop.c: calls work(argument) while other threads are stopped, as vmm_os_call_stopped
 * does, with its errors. The trace is silent meanwhile. fork(2) cannot be done later, so
 * vmm_pool_call_stopped_at_fork waits for threads that get no CPU, and tries up to
 * VMM_POOL_STOP_TRIES times. vmm_pool_others_at_fork returns how it treats them.
 */
#define VMM_POOL_STOP_TRIES 50
int vmm_pool_call_stopped(void (*work)(void *argument), void *argument,
    enum vmm_os_others others);
int vmm_pool_call_stopped_at_fork(void (*work)(void *argument), void *argument);
enum vmm_os_others vmm_pool_others_at_fork(void);

/*
 * make_private.c: makes the heap private, if it is not. EAGAIN if threads had to be stopped and
 * could not be; with `may_fail`, also if the heap had to be copied while the kernel may
 * write to it. A failure may leave some memory private: harmless, and it returns later.
 */
int vmm_pool_leave(bool may_fail);

/*
 * Lists the parts of [begin, end), with `earlier` and the errors as vmm_os_parts_read.
 * Without /proc (ENOENT) the list is made from the state of the chunks.
 */
int vmm_pool_parts_read(size_t begin, size_t end, const struct vmm_os_parts *earlier,
    struct vmm_os_parts *parts);

/* move.c: the memory to which a move goes, and the pages that are copied to it. */
enum vmm_pool_target {
	VMM_POOL_TO_ANONYMOUS, /* all pages in use */
	VMM_POOL_TO_FILE,      /* the file of the heap: pages written since it left */
	VMM_POOL_TO_NEW_FILE,  /* an empty file: pages in use that were ever written */
	VMM_POOL_TO_CLONE,     /* a file with shared blocks: pages written since it left */
};

/*
 * Moves [begin, end), multiples of the file's page size, to other memory with the same
 * content. Stops other threads for some milliseconds, and sets *done to the end of the memory
 * that was moved in this time. Parts that the program has mapped stay. Errors: those of
 * vmm_os_call_stopped; EBUSY, with `asks_kernel`, if the kernel may write to memory by
 * itself; ENOSPC, EIO, ... A failure loses nothing. After any error but ECANCELED, memory
 * behind *done is unchanged.
 */
int vmm_pool_move(size_t begin, size_t end, enum vmm_pool_target to, bool asks_kernel,
    enum vmm_os_others others, size_t *done);

/* Returns the unit of moves: a chunk, or the file's page if that is larger. */
size_t vmm_pool_move_unit(void);

/* Returns how many bytes in [begin, end) are in pages that are private copies. */
size_t vmm_pool_private_bytes(size_t begin, size_t end);

/* child_file.c: checks in the parent that a child's file can be made: ENOSPC, EMFILE, ... */
int vmm_pool_child_file_check(void);

/*
 * In a child: makes a file, moves the heap into it and closes the parent's file. Sets
 * *is_cloned to true if both files share blocks. Then `unshare` must follow. After a failure
 * the heap stays private; without `may_stay_private` it must not be used any more.
 */
int vmm_pool_child_file_make(bool may_stay_private, bool *is_cloned);
void vmm_pool_child_file_unshare(void);

/* return_to_file.c: makes a return due, or cancels it if the heap cannot return to the file. */
void vmm_pool_return_schedule(void);

/* Maps the file again in chunks without allocated pages. Copies nothing. */
int vmm_pool_return_unused(size_t begin, size_t end);

#endif
