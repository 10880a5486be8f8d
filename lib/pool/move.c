/* SPDX-License-Identifier: BSD-3-Clause */
/* move.c: replaces mapped memory with other memory that has the same content. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "pool/state.h"

/*
 * About how long other threads are stopped. Pages are copied before the stop. During
 * the stop pages that have changed since are copied again, and the mapping is replaced.
 */
#define STOP_US 2000

#define CHUNK_PAGES_MAX (VMM_CHUNK_SIZE / 4096)

/*
 * The move under way; the lock guards it. It is not on a stack, which may be a block of
 * the heap: stores to memory that moves would be lost.
 */
static struct {
	enum vmm_pool_target to;
	bool asks_kernel;  /* EBUSY while the kernel may write to memory by itself */
	size_t begin, end;
	size_t done;
	char *window;
	bool is_first;     /* a copy while other threads run; a second one follows */
	bool is_second;    /* other threads are stopped: copy what differs, until a deadline */
	uint64_t deadline_us;
	struct vmm_os_parts parts, parts_before; /* read during and before the stop */
	struct vmm_os_part opened; /* a part that is readable only while it is moved */
	bool can_ask_parent_file;
	size_t data_begin, data_end; /* of a run of data in the parent's file */
	int error;
} move;

size_t
vmm_pool_move_unit(void)
{
	return vmm_larger(VMM_CHUNK_SIZE, vmm_pool.file.fs.page_size);
}

size_t
vmm_pool_private_bytes(size_t begin, size_t end)
{
	unsigned char is_private[CHUNK_PAGES_MAX];
	size_t page_size = vmm_os_page_size();
	size_t bytes = 0;

	for (size_t chunk_end; begin < end; begin = chunk_end) {
		size_t npages;

		chunk_end = vmm_smaller(end, begin + VMM_CHUNK_SIZE);
		npages = (chunk_end - begin) / page_size;
		vmm_os_private_pages(vmm_pool.base + begin, npages, is_private);
		for (size_t page = 0; page < npages; page++)
			bytes += is_private[page] ? page_size : 0;
	}
	return bytes;
}

/* Marks the pages in use among `npages` at `begin`. */
static void
used_pages(size_t begin, size_t npages, unsigned char *is_used)
{
	size_t page_size = vmm_os_page_size();
	size_t at = begin / vmm_pool.page_size;
	size_t first, count;

	memset(is_used, 0, npages);
	while (vmm_ranges_next_used(&vmm_pool.ranges, at, &first, &count)) {
		size_t from = vmm_larger(first * vmm_pool.page_size, begin);
		size_t to = vmm_smaller((first + count) * vmm_pool.page_size,
		    begin + npages * page_size);

		if (from >= to)
			return;
		memset(is_used + (from - begin) / page_size, 1,
		    (to - from) / page_size);
		at = first + count;
	}
}

/* Copies [begin, end) to where the window maps it. A second copy skips equal pages. */
static int
copy_pages(size_t begin, size_t end)
{
	const char *from = vmm_pool.base + begin;
	char *to = move.window + (begin - move.begin);
	int error = 0;

	if (move.is_second && memcmp(to, from, end - begin) == 0)
		return 0;
	/* A child has none of these pages mapped yet: map them in one call. */
	if (move.to == VMM_POOL_TO_NEW_FILE)
		vmm_os_populate_read(vmm_pool.base + begin, end - begin);
	/* write(2) fails where a store would raise SIGBUS. */
	if (move.to != VMM_POOL_TO_ANONYMOUS && vmm_pool.file.fs.has_page_cache)
		return vmm_os_file_write(&vmm_pool.file, begin, from, end - begin);
	/* Another thread may make pages unreadable now: the second copy copies them, too. */
	if (move.is_first)
		error = vmm_os_copy_readable(to, from, end - begin);
	else
		memcpy(to, from, end - begin);
	/* The return can be put off; a fork has to go on. */
	return move.to == VMM_POOL_TO_ANONYMOUS ? 0 : error;
}

/*
 * Returns whether the parent's file may have data at `at`; true without its descriptor.
 * False if the heap left by copying: it needs no data of the file. `at` must not decrease.
 */
static bool
parent_file_has_data(size_t at)
{
	if (vmm_pool.is_copied || !move.can_ask_parent_file)
		return !vmm_pool.is_copied;
	if (at >= move.data_end)
		vmm_os_file_next_data(&vmm_pool.parent_file, at, vmm_pool.mapped,
		    &move.data_begin, &move.data_end);
	return at >= move.data_begin && at < move.data_end;
}

/*
 * Marks the pages in use that have to be copied. Anonymous memory needs all of them; a file
 * with the same content, those that are private copies; a new file, also those of which the
 * parent's file has data. Returns whether any page is in use.
 */
static bool
mark_pages_to_copy(size_t begin, size_t npages, unsigned char *is_marked)
{
	unsigned char is_private[CHUNK_PAGES_MAX];
	size_t page_size = vmm_os_page_size();
	bool is_used;

	used_pages(begin, npages, is_marked);
	is_used = memchr(is_marked, 1, npages) != NULL;
	/* A device holds stale data: pages that were never written are copied, too. */
	if (move.to == VMM_POOL_TO_ANONYMOUS || !is_used ||
	    vmm_pool.file.fs.device_bytes != 0)
		return is_used;
	vmm_os_private_pages(vmm_pool.base + begin, npages, is_private);
	for (size_t page = 0; page < npages; page++)
		is_marked[page] &= is_private[page] ||
		    (move.to == VMM_POOL_TO_NEW_FILE &&
			parent_file_has_data(begin + page * page_size));
	return true;
}

/* Returns the end of the run of pages that are marked as `page` is. */
static size_t
end_of_run(const unsigned char *is_marked, size_t page, size_t npages)
{
	size_t end = page + 1;

	while (end < npages && is_marked[end] == is_marked[page])
		end++;
	return end;
}

/*
 * Copies the marked pages of one chunk. Where reserving allocates and clears (tmpfs), the
 * copy allocates a new file's blocks, and only a used chunk's other pages need reserving.
 */
static int
copy_chunk(size_t begin, size_t end)
{
	unsigned char is_marked[CHUNK_PAGES_MAX];
	size_t page_size = vmm_os_page_size();
	size_t npages = (end - begin) / page_size;
	bool is_used = mark_pages_to_copy(begin, npages, is_marked);
	bool reserves = is_used && move.to == VMM_POOL_TO_NEW_FILE &&
	    vmm_pool.file.fs.reserve_allocates;
	int error = 0;

	for (size_t page = 0, last; error == 0 && page < npages; page = last) {
		size_t at = begin + page * page_size;

		/* In a second copy, single pages may be equal. */
		last = move.is_second ? page + 1 : end_of_run(is_marked, page, npages);
		if (is_marked[page])
			error = copy_pages(at, begin + last * page_size);
		else if (reserves)
			error = vmm_os_file_reserve(&vmm_pool.file, NULL, at,
			    (last - page) * page_size);
	}
	return error;
}

/* Copies from `begin` to `end`, or until the deadline. Sets *copied_end to the end reached. */
static int
copy_range(size_t begin, size_t end, size_t *copied_end)
{
	int error = 0;

	for (size_t at = begin, next; error == 0 && at < end; at = next) {
		next = vmm_smaller(end, (at / VMM_CHUNK_SIZE + 1) * VMM_CHUNK_SIZE);
		error = copy_chunk(at, next);
		*copied_end = next;
		if (move.is_second && vmm_os_now_us() > move.deadline_us &&
		    next % vmm_pool_move_unit() == 0)
			break;
	}
	return error;
}

/* A part stays if the program has mapped it, or if it is already mapped as `move.to` says. */
static bool
must_move(const struct vmm_os_part *part)
{
	/* As in leave_by_mapping: children do not get it, and devices may have buffers there. */
	if (part->is_pool && part->is_dontfork && move.to == VMM_POOL_TO_ANONYMOUS) {
		vmm_pool.has_dontfork |= part->is_shared;
		return false;
	}
	return part->is_pool && part->is_shared == (move.to == VMM_POOL_TO_ANONYMOUS);
}

static int
protect(const struct vmm_os_part *part, int protection)
{
	return vmm_os_mprotect(vmm_pool.base + part->begin, part->end - part->begin,
	    protection) == 0 ? 0 : errno;
}

/* Moves the part's window into the part's place. */
static int
replace(const struct vmm_os_part *part)
{
	int error = vmm_os_part_replace(part, vmm_pool.base,
	    move.window + (part->begin - move.begin));

	/* Huge pages cannot move before Linux 5.16: map in place during the stop. */
	if (error == EINVAL && move.to != VMM_POOL_TO_ANONYMOUS &&
	    !vmm_pool.file.fs.has_page_cache)
		error = vmm_os_file_map_at(&vmm_pool.file, vmm_pool.base,
		    part->begin, part->end - part->begin);
	return error;
}

/* Restores the protection where `opened` was not moved. Moved memory has it already. */
static void
close_opened(void)
{
	if (move.opened.begin < move.opened.end)
		protect(&move.opened, move.opened.protection);
	move.opened.begin = move.opened.end = 0;
}

/* Moves a part, or as much of it as the deadline allows. */
static int
move_part(struct vmm_os_part part)
{
	bool is_readable = (part.protection & PROT_READ) != 0;
	size_t copied_end = part.end;
	int error = 0;

	if (!must_move(&part)) {
		move.done = part.end;
		return 0;
	}
	/* A copy of a guard page would fault (Linux 6.13). The guard is lost: libvmmalloc(7). */
	if (move.to == VMM_POOL_TO_ANONYMOUS || !vmm_pool.file.fs.has_page_cache)
		vmm_os_guards_remove(vmm_pool.base + part.begin, part.end - part.begin);
	if (!is_readable) {
		move.opened = part;
		error = protect(&part, part.protection | PROT_READ);
	}
	if (error == 0)
		error = copy_range(part.begin, part.end, &copied_end);
	part.end = copied_end;
	if (error == 0)
		error = replace(&part);
	if (error == 0)
		move.done = move.opened.begin = copied_end;
	close_opened();
	return error;
}

/*
 * EBUSY if the kernel may write to memory by itself: after a move it would write to the old
 * pages. If that is not known (no /proc), only a fork (VMM_POOL_TO_ANONYMOUS) goes on.
 */
static int
check_kernel(void)
{
	int error = move.asks_kernel ? vmm_os_kernel_writes() : 0;

	return move.to == VMM_POOL_TO_ANONYMOUS && error != EBUSY ? 0 : error;
}

/* Called while other threads are stopped. */
static void
move_stopped(void *argument)
{
	(void)argument;
	move.deadline_us = vmm_os_now_us() + STOP_US;
	move.error = check_kernel();
	if (move.error == 0)
		move.error = vmm_pool_parts_read(move.begin, move.end, &move.parts_before,
		    &move.parts);
	for (size_t i = 0; move.error == 0 && i < move.parts.count; i++) {
		move.error = move_part(move.parts.list[i]);
		if (move.done < move.parts.list[i].end)
			break;
	}
	vmm_os_parts_free(&move.parts);
	/* Unmap during the stop: later another thread could have mapped memory in the gaps. */
	vmm_os_unmap(move.window, move.end - move.begin);
	move.window = NULL;
}

/* Copies all readable pages while other threads run. */
static int
copy_in_advance(void)
{
	size_t copied_end;
	int error = 0;

	move.is_first = true;
	for (size_t i = 0; error == 0 && i < move.parts_before.count; i++) {
		const struct vmm_os_part *part = &move.parts_before.list[i];

		if (must_move(part) && (part->protection & PROT_READ) != 0)
			error = copy_range(part->begin, part->end, &copied_end);
	}
	move.is_first = false;
	return error;
}

/* Whether a part has to be moved. Without any, nothing needs to be asked or stopped. */
static bool
has_work(void)
{
	bool has_any = false;

	for (size_t i = 0; i < move.parts_before.count; i++)
		has_any |= must_move(&move.parts_before.list[i]);
	return has_any;
}

/* Checks and copies as much as possible, then stops other threads and moves. */
static int
move_parts(bool has_threads, enum vmm_os_others others)
{
	int error = vmm_pool_parts_read(move.begin, move.end, NULL, &move.parts_before);

	if (error != 0)
		return error;
	if (!has_work()) {
		move.done = move.end;
		return 0;
	}
	if (has_threads)
		error = vmm_os_may_stop(others);
	/* Asked again during the stop. */
	if (has_threads && error == 0)
		error = check_kernel();
	if (has_threads && error == 0)
		error = copy_in_advance();
	move.is_second = has_threads;
	if (error == 0)
		error = vmm_pool_call_stopped(move_stopped, NULL, others);
	return error == 0 ? move.error : error;
}

int
vmm_pool_move(size_t begin, size_t end, enum vmm_pool_target to, bool asks_kernel,
    enum vmm_os_others others, size_t *done)
{
	void *window;
	bool has_threads = others != VMM_OS_NO_OTHERS && vmm_os_has_threads();
	int error = vmm_os_window_map(&vmm_pool.file, vmm_pool.base, begin,
	    end - begin, to == VMM_POOL_TO_ANONYMOUS ? VMM_OS_ANONYMOUS
						  : VMM_OS_SHARED, &window);

	*done = begin;
	if (error != 0)
		return error;
	move.to = to;
	move.asks_kernel = asks_kernel;
	move.begin = move.done = begin;
	move.end = end;
	move.window = window;
	move.is_second = false;
	move.can_ask_parent_file = vmm_os_file_is_open(&vmm_pool.parent_file);
	move.data_begin = move.data_end = 0;
	move.parts_before = (struct vmm_os_parts){ .list = NULL };
	move.error = 0;
	error = move_parts(has_threads, others);
	/* A helper that was killed has not restored the protection. */
	close_opened();
	vmm_os_parts_free(&move.parts_before);
	*done = move.done;
	if (move.window != NULL && error != ECANCELED)
		vmm_os_unmap(move.window, end - begin);
	return error;
}
