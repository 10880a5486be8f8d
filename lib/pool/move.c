/* SPDX-License-Identifier: BSD-3-Clause */
/* move.c: other memory with the same content, in place of what is mapped. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "pool/state.h"
#include "trace/log.h"

/*
 * How long other threads stand still. What is to be moved is copied before that; then,
 * while they stand, what has changed since is copied again, and the mapping changes.
 */
#define STOP_US 2000

#define CHUNK_PAGES_MAX (VMM_CHUNK_SIZE / 4096)

/*
 * One move. In memory of the library's own, and not on a stack: that may be a block of
 * the heap, and what is written to it while it moves would be lost. The lock guards it.
 */
static struct {
	enum vmm_pool_target to;
	size_t begin, end;
	size_t done;
	char *window;
	bool is_second; /* copy: only of pages that differ from the first */
	bool has_deadline; /* others wait */
	uint64_t deadline_us;
	struct vmm_os_parts parts, known; /* known: before threads stood still */
	bool knows_data;             /* the parent's file can be asked */
	size_t data_begin, data_end; /* the parent's file has data from here to there */
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

	for (size_t stop; begin < end; begin = stop) {
		size_t npages;

		stop = vmm_smaller(end, begin + VMM_CHUNK_SIZE);
		npages = (stop - begin) / page_size;
		vmm_os_private_pages(vmm_pool.base + begin, npages, is_private);
		for (size_t page = 0; page < npages; page++)
			bytes += is_private[page] ? page_size : 0;
	}
	return bytes;
}

/* Marks those of the pages at `begin` that are in use. */
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

/* Puts [begin, end) where the window maps it, if it is not there already. */
static int
put(size_t begin, size_t end)
{
	const char *from = vmm_pool.base + begin;
	char *to = move.window + (begin - move.begin);

	if (move.is_second && memcmp(to, from, end - begin) == 0)
		return 0;
	/* A child has none of its parent's file mapped yet: all at once, not page by page. */
	if (move.to == VMM_POOL_TO_NEW_FILE)
		vmm_os_populate_read(vmm_pool.base + begin, end - begin);
	/* write(2) fails where a store would end in SIGBUS. */
	if (move.to != VMM_POOL_TO_MEMORY && vmm_pool.file.fs.has_page_cache)
		return vmm_os_file_write(&vmm_pool.file, begin, from, end - begin);
	memcpy(to, from, end - begin);
	return 0;
}

/*
 * Whether the parent's file has data for a page; asked with ever larger offsets. Without
 * its descriptor nobody can say; a heap that left by copying needs nothing of it.
 */
static bool
parent_has(size_t at)
{
	if (vmm_pool.is_copied || !move.knows_data)
		return !vmm_pool.is_copied;
	if (at >= move.data_end)
		vmm_os_file_next_data(&vmm_pool.parent_file, at, vmm_pool.mapped,
		    &move.data_begin, &move.data_end);
	return at >= move.data_begin && at < move.data_end;
}

/*
 * Marks the pages that have to be copied: to the file that they came from, those that this
 * process has copies of; to a new file, of those in use also what the parent's file has.
 * Returns whether any page is in use.
 */
static bool
want_pages(size_t begin, size_t npages, unsigned char *is_wanted)
{
	unsigned char is_private[CHUNK_PAGES_MAX];
	size_t page_size = vmm_os_page_size();
	bool is_used;

	used_pages(begin, npages, is_wanted);
	is_used = memchr(is_wanted, 1, npages) != NULL;
	/* A device has what others left: also what was never written to is copied there. */
	if (move.to == VMM_POOL_TO_MEMORY || !is_used ||
	    vmm_pool.file.fs.device_bytes != 0)
		return is_used;
	vmm_os_private_pages(vmm_pool.base + begin, npages, is_private);
	for (size_t page = 0; page < npages; page++)
		is_wanted[page] &= is_private[page] ||
		    (move.to == VMM_POOL_TO_NEW_FILE &&
			parent_has(begin + page * page_size));
	return true;
}

/* End of the run of pages that are wanted, or are not, as `page` is. */
static size_t
end_of_run(const unsigned char *is_wanted, size_t page, size_t npages)
{
	size_t end = page + 1;

	while (end < npages && is_wanted[end] == is_wanted[page])
		end++;
	return end;
}

/*
 * Copies what has to be of one chunk. Where to reserve is to allocate and to clear, the
 * blocks of a new file are promised here, for pages that are not written.
 */
static int
copy_chunk(size_t begin, size_t end)
{
	unsigned char is_wanted[CHUNK_PAGES_MAX];
	size_t page_size = vmm_os_page_size();
	size_t npages = (end - begin) / page_size;
	bool is_used = want_pages(begin, npages, is_wanted);
	bool reserves = is_used && move.to == VMM_POOL_TO_NEW_FILE &&
	    vmm_pool.file.fs.reserve_allocates;
	int error = 0;

	for (size_t page = 0, last; error == 0 && page < npages; page = last) {
		size_t at = begin + page * page_size;

		/* One by one, where each may differ. */
		last = move.is_second ? page + 1 : end_of_run(is_wanted, page, npages);
		if (is_wanted[page])
			error = put(at, begin + last * page_size);
		else if (reserves)
			error = vmm_os_file_reserve(&vmm_pool.file, NULL, at,
			    (last - page) * page_size);
	}
	return error;
}

/* Copies up to `end`, or as long as there is time; sets *stop to where it is then. */
static int
copy(size_t begin, size_t end, size_t *stop)
{
	int error = 0;

	for (size_t at = begin, next; error == 0 && at < end; at = next) {
		next = vmm_smaller(end, (at / VMM_CHUNK_SIZE + 1) * VMM_CHUNK_SIZE);
		error = copy_chunk(at, next);
		*stop = next;
		if (move.has_deadline && vmm_os_now_us() > move.deadline_us &&
		    next % vmm_pool_move_unit() == 0)
			break;
	}
	return error;
}

/* What the program has mapped itself stays, and what is already as it should be. */
static bool
has_to_move(const struct vmm_os_part *part)
{
	return part->is_own && part->is_shared == (move.to == VMM_POOL_TO_MEMORY);
}

static int
protect(const struct vmm_os_part *part, int protection)
{
	return vmm_os_protect(vmm_pool.base + part->begin, part->end - part->begin,
	    protection);
}

/* Has the window take that part's place. */
static int
replace(const struct vmm_os_part *part)
{
	int error = vmm_os_part_replace(part, vmm_pool.base,
	    move.window + (part->begin - move.begin));

	/* Huge pages do not move on older kernels, and nobody looks meanwhile. */
	if (error == EINVAL && move.to != VMM_POOL_TO_MEMORY &&
	    !vmm_pool.file.fs.has_page_cache)
		error = vmm_os_file_map_at(&vmm_pool.file, vmm_pool.base,
		    part->begin, part->end - part->begin);
	return error;
}

/* Moves a part, or as much of it as there is time for. */
static int
move_part(struct vmm_os_part part)
{
	bool is_readable = (part.protection & PROT_READ) != 0;
	size_t stop = part.end;
	int error = 0;

	if (!has_to_move(&part)) {
		move.done = part.end;
		return 0;
	}
	if (!is_readable)
		error = protect(&part, part.protection | PROT_READ);
	if (error == 0)
		error = copy(part.begin, part.end, &stop);
	part.end = stop;
	if (error == 0)
		error = replace(&part);
	if (error == 0)
		move.done = stop;
	else if (!is_readable)
		protect(&part, part.protection);
	return error;
}

/* With everybody standing still. */
static void
work(void *argument)
{
	(void)argument;
	move.deadline_us = vmm_os_now_us() + STOP_US;
	/* In a new process nothing is under way. */
	if (move.to == VMM_POOL_TO_FILE && vmm_os_kernel_writes())
		move.error = EBUSY;
	else
		move.error = vmm_pool_parts(move.begin, move.end, &move.known,
		    &move.parts);
	for (size_t i = 0; move.error == 0 && i < move.parts.count; i++) {
		move.error = move_part(move.parts.list[i]);
		if (move.done < move.parts.list[i].end)
			break;
	}
	vmm_os_parts_free(&move.parts);
	/* What was not moved: here, where nobody else can map anything in between. */
	vmm_os_unmap(move.window, move.end - move.begin);
	move.window = NULL;
}

/* Copies all that can be read, while other threads go on. */
static int
copy_before(void)
{
	size_t stop;
	int error = vmm_pool_parts(move.begin, move.end, NULL, &move.known);

	for (size_t i = 0; error == 0 && i < move.known.count; i++) {
		const struct vmm_os_part *part = &move.known.list[i];

		if (has_to_move(part) && (part->protection & PROT_READ) != 0)
			error = copy(part->begin, part->end, &stop);
	}
	return error;
}

int
vmm_pool_move(size_t begin, size_t end, enum vmm_pool_target to,
    enum vmm_os_others others, size_t *done)
{
	void *window;
	bool has_threads = others != VMM_OS_NO_OTHERS && vmm_os_has_threads();
	int error = vmm_os_window_map(&vmm_pool.file, vmm_pool.base, begin,
	    end - begin, to == VMM_POOL_TO_MEMORY ? VMM_OS_ANONYMOUS
						  : VMM_OS_SHARED, &window);

	*done = begin;
	if (error != 0)
		return error;
	move.to = to;
	move.begin = move.done = begin;
	move.end = end;
	move.window = window;
	move.is_second = false;
	move.has_deadline = false;
	move.knows_data = vmm_os_file_is_own(&vmm_pool.parent_file);
	move.data_begin = move.data_end = 0;
	move.known = (struct vmm_os_parts){ .list = NULL };
	move.error = 0;
	/* Asked again when they stand still; but first without disturbing anybody. */
	if (has_threads && to == VMM_POOL_TO_FILE && vmm_os_kernel_writes())
		error = EBUSY;
	else if (has_threads)
		error = copy_before();
	move.is_second = has_threads;
	move.has_deadline = has_threads;
	if (error == 0)
		error = vmm_pool_call_stopped(work, NULL, others);
	if (error == 0)
		error = move.error;
	vmm_os_parts_free(&move.known);
	*done = move.done;
	if (move.window != NULL && error != ECANCELED)
		vmm_os_unmap(move.window, end - begin);
	return error;
}
