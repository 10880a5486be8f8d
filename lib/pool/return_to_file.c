/* SPDX-License-Identifier: BSD-3-Clause */
/* return_to_file.c: the return of a private heap to its file. */
#include "config.h"

#include <errno.h>

#include "pool/state.h"
#include "trace/log.h"

/*
 * After fork(2) each process has private copies of the pages that it writes. When no
 * other process needs the file any more, the last one writes its copies into the file
 * and maps the file shared again:
 * - new memory and free chunks when they are next used: no thread accesses them before;
 * - all other chunks in steps. In each, other threads are stopped for some milliseconds.
 * vmm_pool_return takes a step when the allocator asks for pages.
 */

/* The most that one step copies, with other threads and without; the most chunks of a step. */
#define STEP_BYTES ((size_t)8 << 20)
#define STEP_BYTES_ONE_THREAD ((size_t)32 << 20)
#define STEP_CHUNKS 256
/*
 * A step copies pages while threads run, and then stops them for about as long. After
 * STEPS_AT_ONCE steps there is a gap before each step: a large heap returns more slowly.
 */
#define STEPS_AT_ONCE 40
#define GAP_US 10000
/* The pause after a failed step. It doubles from the first until it has this length for: */
#define PAUSE_FIRST_US 1000
#define PAUSE_USERS_US 100000     /* other processes that need the file */
#define PAUSE_LATE_US 1000000     /* threads that do not stop in time */
#define PAUSE_REFUSED_US 60000000 /* all other errors */
/* The pause when blocks could not be reserved for some chunks. */
#define PAUSE_NO_BLOCKS_US 1000000
/*
 * A process that forks often would copy the same pages each time. So the next return
 * begins after a rest: this multiple of the last return's duration, at most REST_MAX_US.
 */
#define REST_FACTOR 50
#define REST_MAX_US 500000

static void
set_pending(bool is_pending)
{
	__atomic_store_n(&vmm_pool.return_pending, is_pending, __ATOMIC_RELAXED);
}

void
vmm_pool_return_schedule(void)
{
	vmm_pool.return_pause_us = PAUSE_FIRST_US;
	vmm_pool.return_at_us = 0;
	vmm_pool.return_steps = 0;
	vmm_pool.return_next = 0;
	set_pending(vmm_os_file_is_open(&vmm_pool.file) &&
	    (!vmm_pool.is_private || vmm_pool.is_copied ||
		vmm_pool.users_lock.mark != NULL));
}

int
vmm_pool_return_unused(size_t begin, size_t end)
{
	void *window;
	int error = vmm_os_window_map(&vmm_pool.file, vmm_pool.base, begin,
	    end - begin, VMM_OS_SHARED, &window);

	if (error == 0)
		error = vmm_os_window_move(window, vmm_pool.base, begin, end - begin);
	if (error == 0)
		vmm_pool_chunks_remove(begin, end, VMM_CHUNK_PRIVATE);
	return error;
}

/*
 * Marks free chunks as holes. They return when they are used again, or with the chunks
 * around them, and nothing of them is copied.
 */
static void
mark_unused_as_holes(size_t end)
{
	size_t used_begin = 0, used_end = 0;

	for (size_t at = 0; at < end; at = used_end) {
		if (!vmm_pool_next_used_chunks(at, &used_begin, &used_end))
			used_begin = used_end = end;
		vmm_pool_chunks_add(at, vmm_smaller(used_begin, end),
		    VMM_CHUNK_HOLE);
	}
}

/* Whether a page of the file spans several chunks, of which none can return alone. */
static bool
has_giant_pages(void)
{
	return vmm_pool.file.fs.page_size > VMM_CHUNK_SIZE;
}

/*
 * Begins the return if no other process needs the file, and returns whether it has begun.
 * From then on, new memory and free chunks are mapped from the file.
 */
static bool
begin_return(void)
{
	bool is_alone = vmm_pool.is_copied;

	if (!vmm_os_file_is_open(&vmm_pool.file) || (!is_alone &&
		(vmm_pool.users_lock.mark == NULL ||
		    vmm_os_lock_hold(&vmm_pool.users_lock, &is_alone) != 0)) ||
	    !is_alone)
		return false;
	vmm_pool.is_private = vmm_pool.is_copied = false;
	vmm_pool.return_at_us = vmm_pool.rest_until_us;
	/* Missing blocks are reserved by reserve_if_used or vmm_pool_fill_holes. */
	vmm_pool.reserved = vmm_larger(vmm_pool.reserved, vmm_pool.high_water);
	/* Where the whole file was mapped, map again what clear_from unmapped. */
	if (vmm_pool.file.fs.maps_reserve || vmm_pool.file.fs.device_bytes != 0)
		vmm_pool_map_to(vmm_pool.size); /* or later, as the heap grows */
	vmm_os_lock_release(&vmm_pool.users_lock);
	if (!has_giant_pages())
		mark_unused_as_holes(vmm_pool.mapped / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE);
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line,
	    "no other process needs the file: chunks to return "),
	    vmm_text_uint(line, vmm_pool.private_count));
	return true;
}

/* Reserves the blocks of a chunk that is to return, if it is in use. */
static bool
reserve_if_used(size_t begin, size_t end)
{
	unsigned char kind = vmm_pool.chunks[begin / VMM_CHUNK_SIZE];

	/* Holes get blocks before use; chunks still mapped from the file have theirs. */
	if ((kind & VMM_CHUNK_HOLE) != 0 || ((kind & VMM_CHUNK_ANONYMOUS) == 0 &&
		end <= vmm_pool.anonymous_from))
		return true;
	/* A device has no blocks to reserve. Its stale data need not be cleared. */
	if (vmm_pool.file.fs.device_bytes == 0 &&
	    vmm_os_file_reserve(&vmm_pool.file, NULL, begin, end - begin) != 0)
		return false;
	return true;
}

/* Holes have returned with the chunks around them: releases their blocks. */
static void
release_holes(size_t begin, size_t end)
{
	for (; vmm_pool.releases_chunks && begin < end; begin += VMM_CHUNK_SIZE) {
		if ((vmm_pool.chunks[begin / VMM_CHUNK_SIZE] & VMM_CHUNK_HOLE) != 0)
			vmm_os_file_release(vmm_pool.base + begin,
			    vmm_smaller(VMM_CHUNK_SIZE, end - begin));
	}
}

/*
 * Sets [*begin, *end) to the next private chunks that one step can return. Passes over
 * chunks whose blocks cannot be reserved. Returns false if there are none left.
 */
static bool
next_run(size_t *begin, size_t *end)
{
	size_t limit = vmm_pool.mapped;
	size_t unit = vmm_pool_move_unit();
	size_t most = vmm_os_has_threads() ? STEP_BYTES : STEP_BYTES_ONE_THREAD;
	size_t bytes = 0;
	size_t at = vmm_pool.return_next;

	*begin = *end = at;
	for (size_t next; at < limit && *end - *begin < STEP_CHUNKS * VMM_CHUNK_SIZE;
	     at = next) {
		next = vmm_smaller(at + unit, limit);
		if (!vmm_pool_chunk_is_private(at) || !reserve_if_used(at, next)) {
			if (*begin < *end)
				break;
			*begin = *end = vmm_pool.return_next = next;
			continue;
		}
		bytes += vmm_pool_private_bytes(at, next);
		if (*begin < *end && bytes > most)
			break;
		*end = next;
	}
	return *begin < *end;
}

/* All chunks were tried: ends the return, or schedules a try for those still private. */
static void
finish(uint64_t now_us)
{
	uint64_t rest_us = vmm_pool.return_us * REST_FACTOR;

	vmm_pool.return_next = 0;
	if (vmm_pool.private_count > 0) {
		vmm_pool.return_at_us = now_us + PAUSE_NO_BLOCKS_US;
		return;
	}
	set_pending(false);
	vmm_pool.anonymous_from = SIZE_MAX;
	vmm_pool.return_us = 0;
	vmm_pool.rest_until_us = now_us +
	    (rest_us < REST_MAX_US ? rest_us : REST_MAX_US);
	VMM_LOG(VMM_LOG_OPERATIONS,
	    vmm_text_str(line, "all of the heap is in the file again"));
}

/* Reports each new reason once, for the user may want to change it. */
static void
log_refusal(int error)
{
	if (error == vmm_pool.return_error)
		return;
	if (error == EPERM)
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "threads cannot be"
		    " stopped (ptrace): what they use stays private memory"));
	else if (error == EBUSY)
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "asynchronous I/O may"
		    " write to the heap: what is in use stays private memory"));
	else
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "no return to the file: "),
		    vmm_text_errno(line, error));
}

static void
pause_return(uint64_t now_us, uint64_t longest_us)
{
	uint64_t pause_us = vmm_pool.return_pause_us;

	if (pause_us > longest_us)
		pause_us = longest_us;
	vmm_pool.return_at_us = now_us + pause_us;
	vmm_pool.return_pause_us = 2 * pause_us;
}

/* Takes one step, and sets when the next one may begin. */
static void
return_step(uint64_t now_us)
{
	size_t begin = 0, end = 0, done = 0;
	size_t unit = vmm_pool_move_unit();
	int error = 0;

	if (next_run(&begin, &end)) {
		if (!vmm_os_file_may_reach(end))
			error = EFBIG;
		else
			error = vmm_pool_move(begin, end, VMM_POOL_TO_FILE, true,
			    vmm_pool.others, &done);
		/* A chunk that was moved in part counts as private. */
		if (done < end)
			done = vmm_larger(begin, done / unit * unit);
		vmm_pool_chunks_remove(begin, done, VMM_CHUNK_PRIVATE);
		release_holes(begin, done);
		vmm_pool.return_next = done;
	}
	vmm_pool.return_us += vmm_os_now_us() - now_us;
	now_us = vmm_os_now_us();
	if (error != 0) {
		log_refusal(error);
		pause_return(now_us, error == EAGAIN || error == ETIMEDOUT
			? PAUSE_LATE_US : PAUSE_REFUSED_US);
	} else {
		vmm_pool.return_pause_us = PAUSE_FIRST_US;
		if (++vmm_pool.return_steps > STEPS_AT_ONCE && vmm_os_has_threads())
			vmm_pool.return_at_us = now_us + GAP_US;
		if (vmm_pool.private_count == 0 || vmm_pool.return_next >= vmm_pool.mapped)
			finish(now_us);
	}
	vmm_pool.return_error = error;
}

static bool
step_if_due(void)
{
	uint64_t now_us = vmm_os_now_us();

	/* Not in a child of vfork(2): it has its parent's memory, but another PID. */
	if (!vmm_pool.return_pending || vmm_pool.forks_active > 0 ||
	    now_us < vmm_pool.return_at_us || vmm_os_process() != vmm_pool.owner)
		return false;
	if (!vmm_pool.is_private) {
		return_step(now_us);
		return false;
	}
	if (begin_return())
		return true;
	pause_return(now_us, PAUSE_USERS_US);
	return false;
}

bool
vmm_pool_return(void)
{
	int saved_errno;
	bool is_back;

	/* Read without the lock: the next call sees a change that this one misses. */
	if (!__atomic_load_n(&vmm_pool.return_pending, __ATOMIC_RELAXED))
		return false;
	saved_errno = errno;
	vmm_pool_lock();
	is_back = step_if_due();
	vmm_pool_unlock();
	errno = saved_errno;
	return is_back;
}
