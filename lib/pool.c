/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.c: the one mapped file that holds the heap, handed out by page ranges. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fatal.h"
#include "log.h"
#include "pool_state.h"
#include "probe.h"

/* 1 GiB and 2 MiB: what DAX and huge page file systems can map in one piece. */
#define ALIGNMENT_GIANT ((size_t)1 << 30)
#define ALIGNMENT_LARGE ((size_t)2 << 20)

/*
 * How far to reserve ahead of use: a share of what is in use, so that the number
 * of steps grows with the logarithm of the pool; within limits, so that a small
 * program on tmpfs, where reserving allocates, pays for what it uses.
 */
#define RESERVE_SHARE 8
#define RESERVE_MIN_COSTLY ((size_t)256 << 10)
#define RESERVE_MIN ((size_t)2 << 20)
#define RESERVE_MAX ((size_t)64 << 20)

struct vmm_pool_span vmm_pool_span;

struct vmm_pool_state vmm_pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .ahead_max = RESERVE_MAX,
	.outgrown = VMM_POOL_SMALL,
};

void
vmm_pool_lock(void)
{
	VMM_LOG_ENTER();
	int cancel_state;

	if (vmm_pool.own != NULL && *vmm_pool.own == 0)
		vmm_fatal_abort("a child made by clone(2) or _Fork needs memory"
		    " of its parent's heap, which it must not change;"
		    " fork(2) would have given it one of its own");
	cancel_state = vmm_os_cancel_disable();
	pthread_mutex_lock(&vmm_pool.lock);
	vmm_pool.cancel_state = cancel_state;
}

void
vmm_pool_unlock(void)
{
	VMM_LOG_ENTER();
	int cancel_state = vmm_pool.cancel_state;

	pthread_mutex_unlock(&vmm_pool.lock);
	vmm_os_cancel_restore(cancel_state);
}

/* How many chunks are of that kind. */
static size_t *
count_of(enum vmm_chunk kind)
{
	return kind == VMM_CHUNK_HOLE ? &vmm_pool.hole_count : &vmm_pool.private_count;
}

void
vmm_pool_chunks_add(size_t begin, size_t end, enum vmm_chunk kind)
{
	VMM_LOG_ENTER();
	for (; begin < end; begin += VMM_CHUNK_SIZE) {
		unsigned char *chunk = &vmm_pool.chunks[begin / VMM_CHUNK_SIZE];

		*count_of(kind) += (*chunk & kind) == 0;
		*chunk |= (unsigned char)kind;
	}
}

void
vmm_pool_chunks_remove(size_t begin, size_t end, enum vmm_chunk kind)
{
	VMM_LOG_ENTER();
	for (; begin < end; begin += VMM_CHUNK_SIZE) {
		unsigned char *chunk = &vmm_pool.chunks[begin / VMM_CHUNK_SIZE];

		*count_of(kind) -= (*chunk & kind) != 0;
		*chunk &= (unsigned char)~kind;
	}
}

size_t
vmm_pool_chunks_end(void)
{
	VMM_LOG_ENTER();
	size_t end = vmm_larger(vmm_pool.high_water, vmm_pool.reserved);

	if (vmm_pool.private_from < vmm_pool.size)
		end = vmm_larger(end, vmm_pool.private_from);
	return vmm_smaller(vmm_round_up(end, VMM_CHUNK_SIZE), vmm_pool.size);
}

bool
vmm_pool_next_used_chunks(size_t at, size_t *begin, size_t *end)
{
	VMM_LOG_ENTER();
	size_t first, npages;
	size_t next = at;

	*begin = *end = at;
	/* Used ranges that begin where the chunks so far end belong to them. */
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

static void
say_room(int errnum, const struct vmm_os_room *room, struct vmm_text *error)
{
	vmm_text_str(error, ": ");
	vmm_text_uint(error, vmm_pool.size);
	vmm_text_str(error, " bytes needed, ");
	if (errnum == EFBIG) {
		vmm_text_uint(error, room->limit_bytes);
		vmm_text_str(error, " allowed by the limit of file sizes (ulimit -f)");
	} else if (room->free_bytes != UINT64_MAX) {
		vmm_text_uint(error, room->free_bytes);
		vmm_text_str(error, " free there");
	} else {
		vmm_text_str(error, "no limit known");
	}
}

static bool
refuse(const struct vmm_settings *settings, int errnum,
    const struct vmm_os_room *room, struct vmm_text *error)
{
	vmm_text_str(error, "Error (libvmmalloc): vmem pool creation failed: ");
	vmm_text_errno(error, errnum);
	vmm_text_str(error, "\nlibvmmalloc: VMMALLOC_POOL_DIR is ");
	vmm_text_quote(error, settings->pool_dir);
	vmm_text_str(error, ", VMMALLOC_POOL_SIZE is ");
	vmm_text_uint(error, settings->pool_size_bytes);
	if (room != NULL)
		say_room(errnum, room, error);
	if (errnum == EOPNOTSUPP)
		vmm_text_str(error, "; the file system cannot reserve blocks"
		    " (fallocate), and a pool without them could end in SIGBUS");
	if (errnum == ENOMEM && vmm_pool.file.fs.maps_reserve)
		vmm_text_str(error, "; enough huge pages are needed"
		    " (vm.nr_hugepages), of bytes each: ");
	if (errnum == ENOMEM && vmm_pool.file.fs.maps_reserve)
		vmm_text_uint(error, vmm_pool.file.fs.page_size);
	if (room == NULL && errnum == EBUSY)
		vmm_text_str(error, "; another process has its pool on the device");
	else if (room == NULL && errnum != ENOMEM)
		vmm_text_str(error,
		    "; a directory that exists and is writable is needed");
	vmm_text_str(error, "\n");
	return false;
}

/* The least to reserve at a time. */
static size_t
reserve_floor(void)
{
	return vmm_pool.file.fs.reserve_allocates ? RESERVE_MIN_COSTLY
					      : RESERVE_MIN;
}

/*
 * Lets core dumps hold [begin, end), and what shares a page of the file's with it: the
 * kernel parts and moves mappings of a device at other places, too (madvise(2), where
 * a neighbour has the same flags), and a page that is in two of them ends in SIGBUS.
 */
static void
let_dump(size_t begin, size_t end)
{
	size_t unit = vmm_pool.file.fs.page_size;

	begin = begin / unit * unit;
	vmm_os_dump_set(vmm_pool.base + begin, vmm_round_up(end, unit) - begin, true);
}

/* Has the blocks up to `end` promised, and lets core dumps hold them. */
static int
reserve_to(size_t end)
{
	size_t more = end - vmm_pool.reserved;
	int error = vmm_os_file_reserve(&vmm_pool.file, vmm_pool.base, vmm_pool.reserved,
	    more);

	if (error != 0) {
		VMM_LOG(VMM_LOG_ERRORS,
		    vmm_text_str(line, "no blocks for bytes "),
		    vmm_text_uint(line, vmm_pool.reserved),
		    vmm_text_str(line, " to "), vmm_text_uint(line, end),
		    vmm_text_str(line, " of the file: "),
		    vmm_text_errno(line, error));
		return error;
	}
	let_dump(vmm_pool.reserved, end);
	vmm_pool.reserved = end;
	VMM_PROBE(grow, end, more);
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "pool grown: reserved "),
	    vmm_text_uint(line, end));
	return 0;
}

/*
 * The least that makes sense to have promised: a page cache deals in large pages as
 * well, of up to a chunk, and on xfs a store into one needs blocks for all of it.
 */
static size_t
reserve_end(size_t end)
{
	if (vmm_pool.file.fs.reserve_allocates)
		return end;
	return vmm_smaller(vmm_round_up(end, VMM_CHUNK_SIZE), vmm_pool.size);
}

/* The same, and some more ahead of use where there is room for it. */
static bool
reserve_ahead(size_t end)
{
	size_t floor = reserve_floor();
	size_t ahead = end / RESERVE_SHARE;

	if (end <= vmm_pool.reserved)
		return true;
	ahead = vmm_smaller(vmm_larger(ahead, floor), vmm_pool.ahead_max);
	ahead = vmm_smaller(ahead, vmm_pool.size - end);
	ahead = (end + ahead) / floor * floor;
	if (ahead > end && reserve_to(ahead) == 0) {
		vmm_pool.ahead_max = vmm_smaller(2 * vmm_pool.ahead_max + floor,
		    RESERVE_MAX);
		return true;
	}
	/* A full file system takes its time to say so: ask for less from now on. */
	if (ahead > end)
		vmm_pool.ahead_max /= 8;
	return reserve_to(reserve_end(end)) == 0;
}

static int
map_pool(void)
{
	size_t alignment = vmm_pool.size >= ALIGNMENT_GIANT ? ALIGNMENT_GIANT
							: ALIGNMENT_LARGE;
	void *address;
	int error;

	error = vmm_os_file_map(&vmm_pool.file, vmm_pool.size,
	    vmm_larger(alignment, vmm_pool.file.fs.page_size), &address);
	if (error != 0)
		return error;
	vmm_pool.base = address;
	/* What was never used is not worth a place in a core dump. */
	vmm_os_dump_set(vmm_pool.base, vmm_pool.size, false);
	return 0;
}

static int
set_up_ranges(void)
{
	size_t npages = vmm_pool.size / vmm_pool.page_size;
	size_t records_size = vmm_round_up(npages * sizeof(struct vmm_range),
	    vmm_pool.page_size);
	size_t nchunks = vmm_pool.size / VMM_CHUNK_SIZE + 1;
	void *records;
	int error = vmm_os_map_plain(
	    records_size + vmm_round_up(nchunks, vmm_pool.page_size), &records);

	if (error != 0)
		return error;
	vmm_ranges_init(&vmm_pool.ranges, records, npages,
	    (uintptr_t)vmm_pool.base / vmm_pool.page_size);
	vmm_pool.chunks = (unsigned char *)records + records_size;
	return 0;
}

/* Gives the new file its size, if there is room for it. */
static int
size_file(struct vmm_os_room *room)
{
	vmm_os_file_room(&vmm_pool.file, room);
	if (vmm_pool.size > room->limit_bytes)
		return EFBIG;
	if (vmm_pool.size > room->free_bytes)
		return ENOSPC;
	return vmm_os_file_resize(&vmm_pool.file, vmm_pool.size);
}

/* What fork(2) will need. */
static int
set_up_fork(const struct vmm_settings *settings)
{
	vmm_pool.fork = settings->fork;
	vmm_pool.reserve = settings->reserve;
	vmm_pool.private_from = vmm_pool.size;
	vmm_pool.owner = vmm_os_process();
	/* A path too long for a child's file is said when that is made. */
	if (vmm_os_path_absolute(settings->pool_dir, vmm_pool.dir,
		sizeof(vmm_pool.dir)) != 0)
		vmm_pool.dir[0] = '\0';
	return vmm_pool.fork == VMM_FORK_NONE ? 0
					      : vmm_os_own_make(&vmm_pool.own);
}

/* The trace's line, by which one sees whether it is the pool that was meant. */
static void
say_opened(void)
{
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "pool opened in "),
	    vmm_text_quote(line, vmm_pool.dir),
	    vmm_text_str(line, ": file system "),
	    vmm_text_str(line, vmm_pool.file.fs.name),
	    vmm_text_str(line, vmm_pool.file.fs.is_dax ? ", DAX" : ", no DAX"),
	    vmm_text_str(line, ", page size "),
	    vmm_text_uint(line, vmm_pool.file.fs.page_size),
	    vmm_text_str(line, ", size "), vmm_text_uint(line, vmm_pool.size),
	    vmm_text_str(line, ", reserve "),
	    vmm_text_str(line, vmm_pool.reserve == VMM_RESERVE_FULL ? "full"
								    : "grow"),
	    vmm_text_str(line, ", at address "),
	    vmm_text_pointer(line, vmm_pool.base));
}

bool
vmm_pool_open(const struct vmm_settings *settings, struct vmm_text *error)
{
	VMM_LOG_ENTER();
	struct vmm_os_room room;
	int errnum = vmm_os_file_create(settings->pool_dir, &vmm_pool.file);

	vmm_text_clear(error);
	if (errnum != 0)
		return refuse(settings, errnum, NULL, error);
	vmm_pool.page_size = vmm_larger(vmm_os_page_size(),
	    settings->page_size_bytes);
	vmm_pool.size = vmm_round_up(settings->pool_size_bytes,
	    vmm_pool.file.fs.page_size);
	errnum = size_file(&room);
	if (errnum != 0)
		goto failed;
	errnum = map_pool();
	if (errnum != 0)
		goto failed;
	errnum = set_up_ranges();
	if (errnum != 0)
		goto failed;
	errnum = set_up_fork(settings);
	if (errnum != 0)
		goto failed;
	/* The first step now: a file system that cannot promise is refused at start. */
	errnum = reserve_to(settings->reserve == VMM_RESERVE_FULL ?
	    vmm_pool.size : reserve_floor());
	if (errnum != 0)
		goto failed;
	/* Who wants it all from the start wants to keep it. */
	vmm_pool.returns_chunks = vmm_pool.file.fs.has_page_cache &&
	    settings->reserve == VMM_RESERVE_GROW;
	vmm_pool_span.base = (uintptr_t)vmm_pool.base;
	vmm_pool_span.size = vmm_pool.size;
	VMM_PROBE(open, vmm_pool.size, vmm_pool.reserved);
	say_opened();
	return true;

failed:
	vmm_os_file_close(&vmm_pool.file, vmm_pool.base, vmm_pool.size);
	return refuse(settings, errnum, &room, error);
}

/* Has the blocks of holes in [offset, offset + size) promised again. */
static bool
fill_holes(size_t offset, size_t size)
{
	size_t begin = offset / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE;
	size_t end;

	for (; vmm_pool.hole_count > 0 && begin < offset + size; begin = end) {
		end = vmm_smaller(begin + VMM_CHUNK_SIZE, vmm_pool.size);
		if (vmm_pool.chunks[begin / VMM_CHUNK_SIZE] != VMM_CHUNK_HOLE)
			continue;
		if (vmm_os_file_reserve(&vmm_pool.file, vmm_pool.base, begin,
			end - begin) != 0)
			return false;
		vmm_pool_chunks_remove(begin, end, VMM_CHUNK_HOLE);
	}
	return true;
}

/*
 * Returns to the system a chunk in which nothing is in use; a private one comes home
 * first, or, where it cannot, gives back its memory alone.
 */
static void
return_chunk(size_t begin)
{
	size_t end = begin + VMM_CHUNK_SIZE;
	bool is_private = vmm_pool_is_private(begin) &&
	    (vmm_pool.is_away || !vmm_pool_home_free(begin, end));

	if (!vmm_pool.returns_chunks || vmm_pool.keepers > 0)
		return;
	if (is_private)
		vmm_os_discard(vmm_pool.base + begin, VMM_CHUNK_SIZE);
	else if (vmm_pool.chunks[begin / VMM_CHUNK_SIZE] == 0 &&
	    vmm_os_file_remove(vmm_pool.base + begin, VMM_CHUNK_SIZE) == 0) {
		vmm_pool_chunks_add(begin, end, VMM_CHUNK_HOLE);
		VMM_PROBE(give_back, begin, VMM_CHUNK_SIZE);
	}
}

/*
 * Returns the chunks that [offset, offset + size), just given back, has made free,
 * those at its ends included. Above the high-water mark there is nothing to return.
 */
static void
return_chunks(size_t offset, size_t size)
{
	size_t first, npages, begin, end;

	if (!vmm_pool.returns_chunks && !vmm_pool.is_home_pending)
		return;
	vmm_ranges_around(&vmm_pool.ranges, offset / vmm_pool.page_size, &first,
	    &npages);
	begin = vmm_larger(vmm_round_up(first * vmm_pool.page_size, VMM_CHUNK_SIZE),
	    offset / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE);
	end = vmm_smaller((first + npages) * vmm_pool.page_size,
	    vmm_round_up(offset + size, VMM_CHUNK_SIZE));
	end = vmm_smaller(end, vmm_pool.high_water);
	for (; begin + VMM_CHUNK_SIZE <= end; begin += VMM_CHUNK_SIZE)
		return_chunk(begin);
}

static bool
take_range(const char *wanted, size_t npages, size_t alignment, size_t *first)
{
	if (wanted == NULL)
		return vmm_ranges_take(&vmm_pool.ranges, npages,
		    alignment / vmm_pool.page_size, first);
	if (!vmm_pool_has(wanted))
		return false;
	*first = (size_t)(wanted - vmm_pool.base) / vmm_pool.page_size;
	return vmm_ranges_take_at(&vmm_pool.ranges, *first, npages);
}

static void
say_exhausted(size_t size)
{
	size_t longest = vmm_ranges_longest(&vmm_pool.ranges) *
	    vmm_pool.page_size;

	VMM_PROBE(exhausted, size, longest);
	VMM_LOG(VMM_LOG_OPERATIONS,
	    vmm_text_str(line, "exhausted: no range of "),
	    vmm_text_uint(line, size),
	    vmm_text_str(line, ", the longest free one is "),
	    vmm_text_uint(line, longest));
	(void)size;
	(void)longest;
}

/* What is handed out. */
static size_t
in_use(void)
{
	return vmm_pool.size - vmm_pool.ranges.free_npages * vmm_pool.page_size;
}

/* Where the range would end that is handed out next. */
static size_t
end_of_next(size_t size)
{
	size_t npages = size / vmm_pool.page_size;
	size_t first;

	if (!vmm_ranges_take(&vmm_pool.ranges, npages, 1, &first))
		return 0;
	vmm_ranges_give(&vmm_pool.ranges, first, npages);
	return (first + npages) * vmm_pool.page_size;
}

bool
vmm_pool_outgrows(size_t size)
{
	VMM_LOG_ENTER();
	size_t end = 0;
	bool outgrows;

	vmm_pool_lock();
	/* The lowest fit ends below this, wherever it begins. */
	if (vmm_pool.high_water + size > vmm_pool.outgrown)
		end = end_of_next(size);
	outgrows = end > vmm_pool.outgrown;
	if (outgrows)
		vmm_pool.outgrown = end + end / 8;
	vmm_pool_unlock();
	return outgrows;
}

static char *
take_locked(const char *wanted, size_t size, size_t alignment,
    size_t *dirty_size)
{
	size_t npages = size / vmm_pool.page_size;
	size_t first, offset;

	if (!take_range(wanted, npages, alignment, &first)) {
		if (wanted == NULL)
			say_exhausted(size);
		return NULL;
	}
	offset = first * vmm_pool.page_size;
	if (!vmm_pool.is_away &&
	    !(reserve_ahead(offset + size) && fill_holes(offset, size))) {
		vmm_ranges_give(&vmm_pool.ranges, first, npages);
		return NULL;
	}
	/* Above the high-water mark nothing was ever written. */
	*dirty_size = offset < vmm_pool.high_water
	    ? vmm_smaller(vmm_pool.high_water - offset, size)
	    : 0;
	vmm_pool.high_water = vmm_larger(vmm_pool.high_water, offset + size);
	vmm_pool.takes++;
	vmm_pool.peak = vmm_larger(vmm_pool.peak, in_use());
	return vmm_pool.base + offset;
}

void *
vmm_pool_take(void *wanted, size_t size, size_t alignment, bool *is_zero)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;
	size_t dirty_size = 0;
	char *range;

	VMM_ASSERT(size % vmm_pool.page_size == 0 && size != 0);
	vmm_pool_lock();
	range = take_locked(wanted, size, alignment, &dirty_size);
	vmm_pool_unlock();
	/* Zeroed without the lock: the range is nobody else's by now. */
	if (range != NULL && *is_zero)
		memset(range, 0, dirty_size);
	else if (range != NULL && dirty_size == 0)
		*is_zero = true;
	errno = saved_errno;
	return range;
}

void
vmm_pool_give(void *address, size_t size)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;
	size_t offset = (size_t)((char *)address - vmm_pool.base);

	VMM_ASSERT(vmm_pool_has(address) && size <= vmm_pool.size - offset);
	vmm_pool_lock();
	vmm_ranges_give(&vmm_pool.ranges, offset / vmm_pool.page_size,
	    size / vmm_pool.page_size);
	return_chunks(offset, size);
	vmm_pool_unlock();
	errno = saved_errno;
}

void
vmm_pool_keep_begin(void)
{
	VMM_LOG_ENTER();
	vmm_pool_lock();
	vmm_pool.keepers++;
	vmm_pool_unlock();
}

void
vmm_pool_keep_end(void)
{
	VMM_LOG_ENTER();
	vmm_pool_lock();
	vmm_pool.keepers--;
	vmm_pool_unlock();
}

size_t
vmm_pool_in_use(void)
{
	VMM_LOG_ENTER();
	size_t bytes;

	vmm_pool_lock();
	bytes = in_use();
	vmm_pool_unlock();
	return bytes;
}

void
vmm_pool_look(struct vmm_pool_figures *figures)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;

	vmm_pool_lock();
	*figures = (struct vmm_pool_figures){
		.dir = vmm_pool.dir,
		.fs = vmm_pool.file.fs.name,
		.size = vmm_pool.size,
		.in_use = in_use(),
		.peak = vmm_pool.peak,
		.high_water = vmm_pool.high_water,
		.reserved = vmm_pool.reserved,
		.returned = vmm_pool.hole_count * VMM_CHUNK_SIZE,
		.free_ranges = vmm_ranges_count(&vmm_pool.ranges),
		.longest_free = vmm_ranges_longest(&vmm_pool.ranges) *
		    vmm_pool.page_size,
		.forks = vmm_pool.forks_done,
		.failed_forks = vmm_pool.forks_failed,
		.forks_us = vmm_pool.forks_us,
		.longest_fork_us = vmm_pool.longest_fork_us,
		.is_away = vmm_pool.is_away,
		.is_private = vmm_pool.is_away || vmm_pool.private_count > 0,
	};
	figures->has_blocks = vmm_os_file_blocks(&vmm_pool.file,
	    &figures->blocks) == 0;
	vmm_pool_unlock();
	errno = saved_errno;
}
