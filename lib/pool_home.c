/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_home.c: back to the file, once no other process needs it any more. */
#include "config.h"

#include <errno.h>

#include "log.h"
#include "pool_state.h"

/*
 * After fork(2) under VMMALLOC_FORK=1 both sides have private copies of what they
 * write. When the others have gone, by exit or execve(2), the one that is left may
 * change the file again. Then
 *
 * - what was never used, and chunks in which nothing is in use, are mapped from
 *   the file again, whatever threads there are, since nobody looks at them;
 * - the rest is written back to the file, and mapped from it, if the process has
 *   one thread. With more, one could write to a page between the two.
 *
 * All of this happens in steps, before the allocator looks for pages; the second
 * kind takes no more than a fiftieth of the time.
 */

/* How much to write back, and to look at, at a time: some 10 ms. */
#define STEP_BYTES ((size_t)32 << 20)
#define STEP_CHUNKS 512
/*
 * Who forks again and again would write the same pages back each time, and fault them
 * in anew: so between two ways back lies this multiple of what the first has taken.
 */
#define REST_FACTOR 50
/* To ask whether others have gone costs as much as some extents do. */
#define PAUSE_MAX 16
/* Each chunk that comes home by itself may part a mapping; the kernel has a limit. */
#define PARTED_MAX 4096

static unsigned parted;

static void
set_pending(bool is_pending)
{
	__atomic_store_n(&vmm_pool.is_home_pending, is_pending,
	    __ATOMIC_RELAXED);
}

void
vmm_pool_home_wanted(void)
{
	VMM_LOG_ENTER();
	set_pending(vmm_pool.holder != NULL);
	vmm_pool.home_wait = vmm_pool.home_pause = 1;
	vmm_pool.home_next = 0;
}

bool
vmm_pool_home_free(size_t begin, size_t end)
{
	VMM_LOG_ENTER();
	if (parted >= PARTED_MAX || !vmm_os_file_is_own(&vmm_pool.file) ||
	    vmm_os_file_map_at(&vmm_pool.file, vmm_pool.base, begin,
		end - begin) != 0)
		return false;
	parted++;
	vmm_pool_chunks_remove(begin, end, VMM_CHUNK_PRIVATE);
	return true;
}

/* Maps each row of chunks in which nothing is in use from the file. */
static void
home_all_free(size_t end)
{
	size_t used_begin = 0, used_end = 0;
	size_t at;

	for (at = 0; at < end; at = used_end) {
		bool is_last = !vmm_pool_next_used_chunks(at, &used_begin,
		    &used_end);

		if (is_last || used_begin > end)
			used_begin = used_end = end;
		if (used_begin > at)
			vmm_pool_home_free(at, used_begin);
		if (is_last)
			break;
	}
}

/*
 * Whether this process is the last that needs the file. If so, new ranges come from
 * it again.
 */
static bool
come_back(void)
{
	bool is_alone = false;
	size_t known = vmm_pool.private_from;
	size_t end = vmm_smaller(vmm_round_up(
	    vmm_larger(vmm_pool.high_water, known), VMM_CHUNK_SIZE),
	    vmm_pool.size);

	if (vmm_os_file_hold(&vmm_pool.file, &vmm_pool.holder,
		&is_alone) != 0 || !is_alone)
		return false;
	if (end < vmm_pool.size && vmm_os_file_map_at(&vmm_pool.file,
		vmm_pool.base, end, vmm_pool.size - end) != 0)
		return false;
	/* What was taken while away has no blocks, and may lie in the last with some. */
	vmm_pool_chunks_add(known, end, VMM_CHUNK_PRIVATE);
	if (vmm_pool.reserved < end)
		vmm_pool_chunks_add(vmm_pool.reserved / VMM_CHUNK_SIZE *
		    VMM_CHUNK_SIZE, end, VMM_CHUNK_HOLE);
	vmm_pool.reserved = vmm_larger(vmm_pool.reserved, end);
	vmm_os_dump_set(vmm_pool.base + vmm_pool.reserved,
	    vmm_pool.size - vmm_pool.reserved, false);
	vmm_pool.private_from = vmm_pool.size;
	vmm_pool.is_away = false;
	vmm_os_file_release(&vmm_pool.holder);
	parted = 0;
	home_all_free(end);
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line,
	    "alone again: what is free comes from the file, chunks left "),
	    vmm_text_uint(line, vmm_pool.private_count));
	return true;
}

/*
 * Writes the pages of [begin, end), one chunk, that are not the file's back to it,
 * and adds their size to *written.
 */
static int
write_back(size_t begin, size_t end, size_t *written)
{
	unsigned char is_private[VMM_CHUNK_SIZE / 4096];
	size_t page_size = vmm_os_page_size(); /* what the kernel copies by */
	size_t npages = (end - begin) / page_size;
	int error = 0;

	if (vmm_pool.chunks[begin / VMM_CHUNK_SIZE] & VMM_CHUNK_HOLE)
		error = vmm_os_file_reserve(&vmm_pool.file, vmm_pool.base,
		    begin, end - begin);
	if (error != 0)
		return error;
	vmm_pool_chunks_remove(begin, end, VMM_CHUNK_HOLE);
	vmm_os_private_pages(vmm_pool.base + begin, npages, is_private);
	for (size_t page = 0, last; error == 0 && page < npages; page = last) {
		size_t at = begin + page * page_size;

		for (last = page + 1; last < npages &&
		     is_private[last] == is_private[page]; last++)
			;
		if (!is_private[page])
			continue;
		*written += (last - page) * page_size;
		error = vmm_os_file_write(&vmm_pool.file, at,
		    vmm_pool.base + at, (last - page) * page_size);
	}
	return error;
}

/*
 * Brings the next chunks home, content and all. A chunk that cannot be stays as it is:
 * what has reached the file is what the process sees there, too.
 */
static void
step(void)
{
	size_t chunks_end = vmm_pool_chunks_end();
	size_t stop = vmm_smaller(chunks_end,
	    vmm_pool.home_next + STEP_CHUNKS * VMM_CHUNK_SIZE);
	size_t written = 0;
	size_t end;

	for (size_t begin = vmm_pool.home_next; begin < stop &&
	     vmm_pool.private_count > 0 && written < STEP_BYTES; begin = end) {
		end = vmm_smaller(begin + VMM_CHUNK_SIZE, vmm_pool.size);
		vmm_pool.home_next = end;
		if (vmm_pool_is_private(begin) &&
		    write_back(begin, end, &written) == 0 &&
		    vmm_os_file_map_at(&vmm_pool.file, vmm_pool.base, begin,
			end - begin) == 0)
			vmm_pool_chunks_remove(begin, end, VMM_CHUNK_PRIVATE);
	}
	if (vmm_pool.private_count > 0 && vmm_pool.home_next < chunks_end)
		return;
	set_pending(false);
	VMM_LOG(VMM_LOG_OPERATIONS,
	    vmm_text_str(line, "home again: chunks left "),
	    vmm_text_uint(line, vmm_pool.private_count));
}

/* The same, and what it costs. */
static void
timed_step(void)
{
	uint64_t begin_us = vmm_os_now_us();
	uint64_t end_us;

	step();
	end_us = vmm_os_now_us();
	vmm_pool.home_us += end_us - begin_us;
	if (vmm_pool.is_home_pending)
		return;
	vmm_pool.home_not_before_us = end_us + REST_FACTOR * vmm_pool.home_us;
	vmm_pool.home_us = 0;
}

static bool
can_step(void)
{
	/* A child of vfork(2) is one thread, but has its parent's memory. */
	return (vmm_pool.home_us > 0 ||
		   vmm_os_now_us() >= vmm_pool.home_not_before_us) &&
	    vmm_os_file_is_own(&vmm_pool.file) &&
	    vmm_os_process() == vmm_pool.owner && vmm_os_is_single_threaded();
}

/* Whether this process is back with its file by now, and was not before. */
static bool
next_step(void)
{
	if (vmm_pool.is_away && come_back())
		return true;
	if (!vmm_pool.is_away && can_step()) {
		vmm_pool.home_pause = 1;
		timed_step();
	} else if (vmm_pool.home_pause < PAUSE_MAX) {
		vmm_pool.home_pause *= 2;
	}
	return false;
}

static bool
come_home(void)
{
	sigset_t signals;
	bool is_back;

	if (!vmm_pool.is_home_pending ||
	    __atomic_load_n(&vmm_pool.forks, __ATOMIC_RELAXED) > 0 ||
	    --vmm_pool.home_wait > 0)
		return false;
	/* A handler must not write to a page that is on its way to the file. */
	vmm_os_signals_block(&signals);
	is_back = next_step();
	vmm_os_signals_restore(&signals);
	if (is_back)
		vmm_pool.home_pause = 1;
	vmm_pool.home_wait = vmm_pool.home_pause;
	return is_back;
}

bool
vmm_pool_come_home(void)
{
	VMM_LOG_ENTER();
	int saved_errno;
	bool is_back;

	/* Without the lock: who misses it now sees it the next time. */
	if (!__atomic_load_n(&vmm_pool.is_home_pending, __ATOMIC_RELAXED))
		return false;
	saved_errno = errno;
	vmm_pool_lock();
	is_back = come_home();
	vmm_pool_unlock();
	errno = saved_errno;
	return is_back;
}
