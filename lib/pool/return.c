/* SPDX-License-Identifier: BSD-3-Clause */
/* return.c: the return of a private heap to its file. */
#include "config.h"

#include <errno.h>

#include "pool/state.h"
#include "trace/log.h"

/*
 * After fork(2) parent and child have private copies of what they write. When no other
 * process needs the file any more, the one that is left puts what it has written into
 * the file, and maps it shared again:
 *
 * - what the heap grows by, and chunks in which nothing is in use, when they are used next:
 *   nobody looks at them before;
 * - the rest in steps, each while the other threads stand still for some milliseconds.
 *
 * Steps are taken when the allocator looks for pages.
 */

/* How much to copy in one step: with other threads, and without. */
#define STEP_BYTES ((size_t)8 << 20)
#define STEP_BYTES_ALONE ((size_t)32 << 20)
#define STEP_CHUNKS 256
/*
 * Threads run while the next step's pages are copied, which takes as long as they stand
 * still. After so many steps there is a gap besides: a large heap returns more slowly.
 */
#define STEPS_AT_ONCE 40
#define GAP_US 10000
/* A step that could not be done is tried again after twice the time, from and up to: */
#define PAUSE_FIRST_US 1000
#define PAUSE_USERS_US 100000
#define PAUSE_LATE_US 1000000
#define PAUSE_REFUSED_US 60000000
/* The file had no blocks for some chunks. */
#define PAUSE_NO_BLOCKS_US 1000000
/*
 * A process that forks again and again would copy the same pages each time: the next
 * return begins after this multiple of what the last one has taken, or the longest rest.
 */
#define REST_FACTOR 50
#define REST_MAX_US 500000

static void
set_pending(bool is_pending)
{
	__atomic_store_n(&vmm_pool.return_pending, is_pending, __ATOMIC_RELAXED);
}

void
vmm_pool_return_wanted(void)
{
	vmm_pool.return_pause_us = PAUSE_FIRST_US;
	vmm_pool.return_at_us = 0;
	vmm_pool.return_steps = 0;
	vmm_pool.return_next = 0;
	set_pending(vmm_os_file_is_own(&vmm_pool.file) &&
	    (!vmm_pool.is_private || vmm_pool.is_copied ||
		vmm_pool.users.mark != NULL));
}

int
vmm_pool_return_free(size_t begin, size_t end)
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
 * Chunks in which nothing is in use become holes: they return when they are used again,
 * or with the others, and nothing of them is copied.
 */
static void
mark_free(size_t end)
{
	size_t used_begin = 0, used_end = 0;

	for (size_t at = 0; at < end; at = used_end) {
		if (!vmm_pool_next_used_chunks(at, &used_begin, &used_end))
			used_begin = used_end = end;
		vmm_pool_chunks_add(at, vmm_smaller(used_begin, end),
		    VMM_CHUNK_HOLE);
	}
}

/* Within a large page of the file nothing returns by itself. */
static bool
has_giant_pages(void)
{
	return vmm_pool.file.fs.page_size > VMM_CHUNK_SIZE;
}

/*
 * Whether this process is the last that needs the file. If so, what grows and what is
 * free comes from the file again.
 */
static bool
begin_return(void)
{
	bool is_alone = vmm_pool.is_copied;

	if (!vmm_os_file_is_own(&vmm_pool.file) || (!is_alone &&
		(vmm_pool.users.mark == NULL ||
		    vmm_os_lock_hold(&vmm_pool.users, &is_alone) != 0)) ||
	    !is_alone)
		return false;
	vmm_pool.is_private = vmm_pool.is_copied = false;
	vmm_pool.return_at_us = vmm_pool.rest_until_us;
	/* What has no blocks yet gets them as it returns, or when it is used (has_blocks). */
	vmm_pool.reserved = vmm_larger(vmm_pool.reserved, vmm_pool.high_water);
	/* Where all is mapped from the start, what was taken away comes back. */
	if (vmm_pool.file.fs.maps_reserve || vmm_pool.file.fs.device_bytes != 0)
		vmm_pool_map_to(vmm_pool.size); /* or later, as the heap grows */
	vmm_os_lock_release(&vmm_pool.users);
	if (!has_giant_pages())
		mark_free(vmm_pool.mapped / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE);
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line,
	    "no other process needs the file: chunks to return "),
	    vmm_text_uint(line, vmm_pool.private_count));
	return true;
}

/* Has the file's blocks promised for a chunk that is to return, if it is in use. */
static bool
has_blocks(size_t begin, size_t end)
{
	unsigned char kind = vmm_pool.chunks[begin / VMM_CHUNK_SIZE];

	/* Holes get theirs when they are used; what the file had before, it still has. */
	if ((kind & VMM_CHUNK_HOLE) != 0 || ((kind & VMM_CHUNK_MEMORY) == 0 &&
		end <= vmm_pool.memory_from))
		return true;
	/* A device has all it needs; what would be cleared there is stale, but not ours. */
	if (vmm_pool.file.fs.device_bytes == 0 &&
	    vmm_os_file_reserve(&vmm_pool.file, NULL, begin, end - begin) != 0)
		return false;
	return true;
}

/* What nobody uses has returned, too: its memory goes back to the system. */
static void
give_back_holes(size_t begin, size_t end)
{
	for (; vmm_pool.releases_chunks && begin < end; begin += VMM_CHUNK_SIZE) {
		if ((vmm_pool.chunks[begin / VMM_CHUNK_SIZE] & VMM_CHUNK_HOLE) != 0)
			vmm_os_file_remove(vmm_pool.base + begin,
			    vmm_smaller(VMM_CHUNK_SIZE, end - begin));
	}
}

/*
 * Sets [*begin, *end) to the next private chunks that one step can return. False if there
 * are none. A chunk for which the file has no blocks is passed over.
 */
static bool
next_run(size_t *begin, size_t *end)
{
	size_t limit = vmm_pool.mapped;
	size_t unit = vmm_pool_move_unit();
	size_t most = vmm_os_has_threads() ? STEP_BYTES : STEP_BYTES_ALONE;
	size_t bytes = 0;
	size_t at = vmm_pool.return_next;

	*begin = *end = at;
	for (size_t next; at < limit && *end - *begin < STEP_CHUNKS * VMM_CHUNK_SIZE;
	     at = next) {
		next = vmm_smaller(at + unit, limit);
		if (!vmm_pool_is_private(at) || !has_blocks(at, next)) {
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

/* All that could be returned has been; what could not is tried again later. */
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
	vmm_pool.memory_from = SIZE_MAX;
	vmm_pool.return_us = 0;
	vmm_pool.rest_until_us = now_us +
	    (rest_us < REST_MAX_US ? rest_us : REST_MAX_US);
	VMM_LOG(VMM_LOG_OPERATIONS,
	    vmm_text_str(line, "all of the heap is in the file again"));
}

/* Once for each reason: what the user may want to change. */
static void
say_refused(int error)
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
	vmm_pool.return_at_us = now_us + vmm_pool.return_pause_us;
	if (vmm_pool.return_pause_us < longest_us)
		vmm_pool.return_pause_us *= 2;
}

/* One step, and when the next one may be. */
static void
step(uint64_t now_us)
{
	size_t begin = 0, end = 0, done = 0;
	size_t unit = vmm_pool_move_unit();
	int error = 0;

	if (next_run(&begin, &end)) {
		if (!vmm_os_file_may_reach(end))
			error = EFBIG;
		else
			error = vmm_pool_move(begin, end, VMM_POOL_TO_FILE,
			    vmm_pool.others, &done);
		/* Not what was moved of a chunk only in part. */
		if (done < end)
			done = vmm_larger(begin, done / unit * unit);
		vmm_pool_chunks_remove(begin, done, VMM_CHUNK_PRIVATE);
		give_back_holes(begin, done);
		vmm_pool.return_next = done;
	}
	vmm_pool.return_us += vmm_os_now_us() - now_us;
	now_us = vmm_os_now_us();
	if (error != 0) {
		say_refused(error);
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
next_step(void)
{
	uint64_t now_us = vmm_os_now_us();

	/* A child of vfork(2) is one thread, but has its parent's memory. */
	if (!vmm_pool.return_pending || vmm_pool.forks > 0 ||
	    now_us < vmm_pool.return_at_us || vmm_os_process() != vmm_pool.owner)
		return false;
	if (!vmm_pool.is_private) {
		step(now_us);
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

	/* Without the lock: who misses it now sees it the next time. */
	if (!__atomic_load_n(&vmm_pool.return_pending, __ATOMIC_RELAXED))
		return false;
	saved_errno = errno;
	vmm_pool_lock();
	is_back = next_step();
	vmm_pool_unlock();
	errno = saved_errno;
	return is_back;
}
