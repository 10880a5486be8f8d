/* SPDX-License-Identifier: BSD-3-Clause */
/* reserve.c: the pool file's blocks: reserved ahead of use, released after it. */
#include "config.h"

#include "base/probe.h"
#include "pool/state.h"
#include "trace/fatal.h"
#include "trace/log.h"

/*
 * Reserve 1/RESERVE_SHARE of the used bytes ahead of use. So the number of steps grows with
 * the logarithm of the used bytes, until a step has VMM_RESERVE_MAX. The minimum is lower on
 * tmpfs, where reserving allocates: a small program pays only for what it uses.
 */
#define RESERVE_SHARE 8
#define RESERVE_MIN_COSTLY ((size_t)256 << 10)
#define RESERVE_MIN ((size_t)2 << 20)

/* Returns the counter of chunks of that kind. Anonymous chunks need none. */
static size_t *
counter_of(enum vmm_chunk kind)
{
	static size_t unused;

	return kind == VMM_CHUNK_HOLE ? &vmm_pool.hole_count
	    : kind == VMM_CHUNK_PRIVATE ? &vmm_pool.private_count : &unused;
}

void
vmm_pool_chunks_add(size_t begin, size_t end, enum vmm_chunk kind)
{
	VMM_ASSERT((kind & (kind - 1)) == 0); /* one bit: each has its counter */
	for (begin = begin / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE; begin < end;
	     begin += VMM_CHUNK_SIZE) {
		unsigned char *chunk = &vmm_pool.chunks[begin / VMM_CHUNK_SIZE];

		*counter_of(kind) += (*chunk & kind) == 0;
		*chunk |= (unsigned char)kind;
	}
}

void
vmm_pool_chunks_remove(size_t begin, size_t end, enum vmm_chunk kind)
{
	for (; begin < end; begin += VMM_CHUNK_SIZE) {
		unsigned char *chunk = &vmm_pool.chunks[begin / VMM_CHUNK_SIZE];

		*counter_of(kind) -= (*chunk & kind) != 0;
		*chunk &= (unsigned char)~kind;
		if (kind == VMM_CHUNK_PRIVATE)
			*chunk &= (unsigned char)~VMM_CHUNK_ANONYMOUS;
	}
}

size_t
vmm_pool_chunks_end(void)
{
	return vmm_smaller(vmm_round_up(vmm_pool.mapped, VMM_CHUNK_SIZE),
	    vmm_pool.size);
}

bool
vmm_pool_next_used_chunks(size_t at, size_t *begin, size_t *end)
{
	size_t first, npages;
	size_t next = at;

	*begin = *end = at;
	/* The next range extends the run if its chunk begins where the run ends. */
	while (next < vmm_pool.size &&
	    vmm_ranges_next_used(&vmm_pool.ranges, next / vmm_pool.page_size, &first,
		&npages)) {
		size_t from = vmm_larger(first * vmm_pool.page_size /
		    VMM_CHUNK_SIZE * VMM_CHUNK_SIZE, at);

		if (*begin == *end)
			*begin = from;
		else if (from > *end)
			break;
		*end = vmm_smaller(vmm_round_up((first + npages) *
		    vmm_pool.page_size, VMM_CHUNK_SIZE), vmm_pool.size);
		next = *end;
	}
	return *begin < *end;
}

size_t
vmm_pool_reserve_min(void)
{
	return vmm_pool.file.fs.reserve_allocates ? RESERVE_MIN_COSTLY : RESERVE_MIN;
}

static void
mark_anonymous(size_t begin, size_t end)
{
	vmm_pool_chunks_add(begin, end, VMM_CHUNK_PRIVATE);
	vmm_pool_chunks_add(begin, end, VMM_CHUNK_ANONYMOUS);
}

int
vmm_pool_map_to(size_t end)
{
	size_t begin = vmm_pool.mapped;
	void *window;
	int error;

	/* Map whole chunks, so that large pages fit. */
	end = vmm_smaller(vmm_round_up(end, VMM_CHUNK_SIZE), vmm_pool.size);
	if (end <= begin)
		return 0;
	error = vmm_os_window_map(&vmm_pool.file, vmm_pool.base, begin, end - begin,
	    vmm_pool.is_private ? VMM_OS_ANONYMOUS : VMM_OS_SHARED, &window);
	if (error == 0)
		error = vmm_os_window_move(window, vmm_pool.base, begin, end - begin);
	if (error != 0)
		return error;
	vmm_pool.mapped = end;
	vmm_pool_advise_large(begin, end);
	if (vmm_pool.is_private) {
		vmm_pool_chunks_add(begin / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE, end,
		    VMM_CHUNK_PRIVATE);
		mark_anonymous(vmm_round_up(begin, VMM_CHUNK_SIZE), end);
	}
	return 0;
}

/*
 * Reserves the blocks of [begin, end), which is mapped from the file and unused, with large
 * pages where these are wanted and possible. Errors of vmm_os_file_reserve.
 */
static int
reserve_blocks(size_t begin, size_t end)
{
	size_t large_begin = begin, large_end = end;
	bool has_large = vmm_pool_large_range(&large_begin, &large_end);
	int error = 0;

	if (has_large) {
		if (begin < large_begin)
			error = vmm_os_file_reserve(&vmm_pool.file, vmm_pool.base,
			    begin, large_begin - begin);
		if (error == 0)
			begin = large_begin + vmm_pool_make_large(large_begin,
			    vmm_pool.base + large_begin, large_end - large_begin);
	}
	if (error == 0 && begin < end)
		error = vmm_os_file_reserve(&vmm_pool.file, vmm_pool.base, begin,
		    end - begin);
	/* One call for small pages takes 0.86 of the time of page faults. */
	if (error == 0 && begin < end && vmm_pool_wants_large(begin))
		vmm_os_populate(vmm_pool.base + begin, end - begin);
	/* As after a failure of fallocate(2), nothing is left of what had been reserved. */
	if (error != 0 && has_large)
		vmm_os_file_release(vmm_pool.base + large_begin, large_end - large_begin);
	return error;
}

int
vmm_pool_reserve_to(size_t end)
{
	size_t more = end - vmm_pool.reserved;
	int error = vmm_pool_map_to(end);

	if (error == 0)
		error = reserve_blocks(vmm_pool.reserved, end);
	if (error != 0) {
		VMM_LOG(VMM_LOG_ERRORS,
		    vmm_text_str(line, "no blocks for bytes "),
		    vmm_text_uint(line, vmm_pool.reserved),
		    vmm_text_str(line, " to "), vmm_text_uint(line, end),
		    vmm_text_str(line, " of the file: "),
		    vmm_text_errno(line, error));
		return error;
	}
	vmm_pool.reserved = end;
	VMM_PROBE(grow, end, more);
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "pool grown: reserved "),
	    vmm_text_uint(line, end));
	return 0;
}

/*
 * Returns the end of the file blocks that memory below `end` needs. It is the end of a chunk,
 * because on xfs a store needs blocks for all of a large page. On tmpfs it is `end` itself.
 */
static size_t
reserve_end(size_t end)
{
	if (vmm_pool.file.fs.reserve_allocates)
		return end;
	return vmm_smaller(vmm_round_up(end, VMM_CHUNK_SIZE), vmm_pool.size);
}

/* Returns the end to which to reserve when memory below `end` is needed. */
static size_t
ahead_end(size_t end)
{
	size_t minimum = vmm_pool_reserve_min();
	size_t ahead = vmm_smaller(vmm_larger(end / RESERVE_SHARE, minimum),
	    vmm_pool.ahead_max);
	size_t large_end = vmm_pool_large_end(end);

	if (large_end != 0)
		return large_end;
	return (end + vmm_smaller(ahead, vmm_pool.size - end)) / minimum * minimum;
}

bool
vmm_pool_reserve_ahead(size_t end)
{
	size_t ahead;

	if (end <= (vmm_pool.is_private ? vmm_pool.mapped : vmm_pool.reserved))
		return vmm_pool_map_to(end) == 0;
	if (vmm_pool.is_private)
		return vmm_pool_map_to(vmm_smaller(end + end / RESERVE_SHARE,
			   vmm_pool.size)) == 0 || vmm_pool_map_to(end) == 0;
	ahead = ahead_end(end);
	if (ahead > end && vmm_pool_reserve_to(ahead) == 0) {
		vmm_pool.ahead_max = vmm_smaller(2 * vmm_pool.ahead_max +
		    vmm_pool_reserve_min(), VMM_RESERVE_MAX);
		return true;
	}
	/* A full file system is slow to refuse: ask for less from now on. */
	if (ahead > end)
		vmm_pool.ahead_max /= 8;
	return vmm_pool_reserve_to(reserve_end(end)) == 0;
}

/*
 * Reserves file blocks for a hole. But while the heap is private, a hole becomes anonymous
 * memory: a store to a copy-on-write mapping of a hole would first need a page of the file
 * system, and raise SIGBUS if the file system is full.
 */
static int
fill_hole(size_t begin, size_t end)
{
	void *window;
	int error = 0;

	if (!vmm_pool.is_private) {
		if (vmm_pool_chunk_is_private(begin))
			error = vmm_pool_return_unused(begin, end);
		return error != 0 ? error : reserve_blocks(begin, end);
	}
	error = vmm_os_window_map(NULL, vmm_pool.base, begin, end - begin,
	    VMM_OS_ANONYMOUS, &window);
	if (error == 0)
		error = vmm_os_window_move(window, vmm_pool.base, begin, end - begin);
	if (error == 0)
		mark_anonymous(begin, end);
	return error;
}

/* Returns the end of the run of holes that begins at `at`: `at` itself if there is none. */
static size_t
end_of_holes(size_t at, size_t limit)
{
	bool is_private = vmm_pool_chunk_is_private(at);

	while (at < limit && vmm_pool_chunk_is_private(at) == is_private &&
	    (vmm_pool.chunks[at / VMM_CHUNK_SIZE] & VMM_CHUNK_HOLE) != 0)
		at += VMM_CHUNK_SIZE;
	return vmm_smaller(at, limit);
}

bool
vmm_pool_fill_holes(size_t offset, size_t size)
{
	size_t begin = offset / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE;
	size_t end;

	for (; vmm_pool.hole_count > 0 && begin < offset + size; begin = end) {
		end = end_of_holes(begin, vmm_smaller(vmm_round_up(offset + size,
		    VMM_CHUNK_SIZE), vmm_pool.size));
		if (end == begin)
			end = begin + VMM_CHUNK_SIZE;
		else if (fill_hole(begin, end) != 0)
			return false;
		else
			vmm_pool_chunks_remove(begin, end, VMM_CHUNK_HOLE);
	}
	return true;
}

/*
 * Finds the first run of holes at or above `at`, also where no memory is mapped: that may change
 * between vmm_pool_holes_hide and vmm_pool_holes_show. Returns false if there is none.
 */
static bool
next_holes(size_t at, size_t *begin, size_t *end)
{
	size_t limit = vmm_pool.size;

	while (at < limit && (vmm_pool.chunks[at / VMM_CHUNK_SIZE] & VMM_CHUNK_HOLE) == 0)
		at += VMM_CHUNK_SIZE;
	*begin = at;
	while (at < limit && (vmm_pool.chunks[at / VMM_CHUNK_SIZE] & VMM_CHUNK_HOLE) != 0)
		at += VMM_CHUNK_SIZE;
	*end = vmm_smaller(at, vmm_pool.size);
	return *begin < *end;
}

/* A run of holes lies in one free range. The pages of the range on either side stay free. */
void
vmm_pool_holes_hide(void)
{
	struct vmm_ranges *ranges = &vmm_pool.ranges;
	size_t begin = 0, end = 0;

	while (next_holes(end, &begin, &end)) {
		size_t hole = begin / vmm_pool.page_size;
		size_t hole_end = end / vmm_pool.page_size;
		size_t first, npages;
		bool is_allocated;

		vmm_ranges_around(ranges, hole, &first, &npages);
		is_allocated = vmm_ranges_allocate_at(ranges, first, npages);
		VMM_ASSERT(is_allocated && first <= hole && first + npages >= hole_end);
		(void)is_allocated;
		if (first < hole)
			vmm_ranges_free(ranges, first, hole - first);
		if (hole_end < first + npages)
			vmm_ranges_free(ranges, hole_end, first + npages - hole_end);
	}
}

void
vmm_pool_holes_show(void)
{
	size_t begin = 0, end = 0;

	while (next_holes(end, &begin, &end))
		vmm_ranges_free(&vmm_pool.ranges, begin / vmm_pool.page_size,
		    (end - begin) / vmm_pool.page_size);
}

/*
 * Releases a free chunk. A private chunk loses only its memory: its file blocks are
 * released when the chunk returns (release_holes in return_to_file.c).
 */
static void
release_chunk(size_t begin)
{
	size_t end = begin + VMM_CHUNK_SIZE;

	if (vmm_pool_chunk_is_private(begin)) {
		if (!vmm_pool.is_private)
			vmm_pool_chunks_add(begin, end, VMM_CHUNK_HOLE);
		if (vmm_pool.releases_chunks && vmm_pool.release_pauses == 0)
			vmm_os_discard(vmm_pool.base + begin, VMM_CHUNK_SIZE);
	} else if (vmm_pool.releases_chunks && vmm_pool.release_pauses == 0 &&
	    vmm_os_file_release(vmm_pool.base + begin, VMM_CHUNK_SIZE) == 0) {
		vmm_pool_chunks_add(begin, end, VMM_CHUNK_HOLE);
		VMM_PROBE(give_back, begin, VMM_CHUNK_SIZE);
	}
}

void
vmm_pool_release_chunks(size_t offset, size_t size)
{
	size_t first, npages, begin, end;

	if (!vmm_pool.releases_chunks && !vmm_pool.return_pending)
		return;
	vmm_ranges_around(&vmm_pool.ranges, offset / vmm_pool.page_size, &first,
	    &npages);
	begin = vmm_larger(vmm_round_up(first * vmm_pool.page_size, VMM_CHUNK_SIZE),
	    offset / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE);
	end = vmm_smaller((first + npages) * vmm_pool.page_size,
	    vmm_round_up(offset + size, VMM_CHUNK_SIZE));
	/* Above the high-water mark nothing was ever written. */
	end = vmm_smaller(end, vmm_pool.high_water);
	for (; begin + VMM_CHUNK_SIZE <= end; begin += VMM_CHUNK_SIZE)
		release_chunk(begin);
}
