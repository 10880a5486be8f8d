/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.c: the one mapped file that holds the heap, handed out by page ranges. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fatal.h"
#include "log.h"
#include "os.h"
#include "pool.h"
#include "ranges.h"

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

/*
 * What is returned to the system is returned in such pieces: as large as the largest
 * pages that a page cache has, and few enough to have a byte each.
 */
#define CHUNK_SIZE ((size_t)2 << 20)

struct vmm_pool_span vmm_pool_span;

/*
 * From low to high: [0, high_water) was handed out at some time, [high_water,
 * reserved) is promised and never was touched, the rest is a hole in the file. Below
 * `high_water`, chunks of free ranges may have become holes again.
 */
static struct {
	pthread_mutex_t lock;
	char *base;
	size_t size;
	size_t page_size;
	size_t high_water;
	size_t reserved;
	size_t ahead_max; /* less where the file system has refused more */
	bool is_private;
	bool is_patched; /* parts are private: the file is not the whole heap */
	bool returns_chunks; /* to the system, when nobody needs them */
	unsigned keepers;    /* who is between vmm_pool_keep_begin and _end */
	unsigned char *is_hole; /* by chunk */
	size_t hole_count;
	void *copy; /* around fork(2): the child's memory, if it is a copy */
	bool is_stranded; /* around fork(2): the child will have none */
	struct vmm_ranges ranges;
	struct vmm_os_file file;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .ahead_max = RESERVE_MAX };

static size_t
round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static void
say_room(int errnum, const struct vmm_os_room *room, struct vmm_text *error)
{
	vmm_text_str(error, ": ");
	vmm_text_uint(error, room->needed_bytes);
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
	if (errnum == ENOMEM && pool.file.fs.maps_reserve)
		vmm_text_str(error, "; enough huge pages are needed"
		    " (vm.nr_hugepages), of bytes each: ");
	if (errnum == ENOMEM && pool.file.fs.maps_reserve)
		vmm_text_uint(error, pool.file.fs.page_size);
	if (room == NULL && errnum != ENOMEM)
		vmm_text_str(error,
		    "; a directory that exists and is writable is needed");
	vmm_text_str(error, "\n");
	return false;
}

/* The least to reserve at a time. */
static size_t
reserve_floor(void)
{
	return pool.file.fs.reserve_allocates ? RESERVE_MIN_COSTLY
					      : RESERVE_MIN;
}

/* Has the blocks up to `end` promised, and lets core dumps hold them. */
static int
reserve_to(size_t end)
{
	size_t more = end - pool.reserved;
	int error = vmm_os_file_reserve(&pool.file, pool.base, pool.reserved,
	    more);

	if (error != 0)
		return error;
	vmm_os_dump_set(pool.base + pool.reserved, more, true);
	pool.reserved = end;
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "reserved "),
	    vmm_text_uint(line, end));
	return 0;
}

/* The same, and some more ahead of use where there is room for it. */
static bool
reserve_ahead(size_t end)
{
	size_t floor = reserve_floor();
	size_t ahead = end / RESERVE_SHARE;

	if (end <= pool.reserved)
		return true;
	ahead = smaller(larger(ahead, floor), pool.ahead_max);
	ahead = smaller(ahead, pool.size - end);
	ahead = (end + ahead) / floor * floor;
	if (ahead > end && reserve_to(ahead) == 0) {
		pool.ahead_max = smaller(2 * pool.ahead_max + floor,
		    RESERVE_MAX);
		return true;
	}
	/* A full file system takes its time to say so: ask for less from now on. */
	if (ahead > end)
		pool.ahead_max /= 8;
	return reserve_to(end) == 0;
}

static int
map_pool(size_t size)
{
	size_t page_size = pool.file.fs.page_size;
	size_t alignment = size >= ALIGNMENT_GIANT ? ALIGNMENT_GIANT
						   : ALIGNMENT_LARGE;
	void *address;
	int error;

	if (alignment < page_size)
		alignment = page_size;
	error = vmm_os_file_map(&pool.file, size, alignment, &address);
	if (error != 0)
		return error;
	pool.base = address;
	pool.size = size;
	/* What was never used is not worth a place in a core dump. */
	vmm_os_dump_set(pool.base, size, false);
	return 0;
}

static int
set_up_ranges(void)
{
	size_t npages = pool.size / pool.page_size;
	size_t records_size = round_up(npages * sizeof(struct vmm_range),
	    pool.page_size);
	size_t nchunks = pool.size / CHUNK_SIZE + 1;
	void *records;
	int error = vmm_os_map_plain(
	    records_size + round_up(nchunks, pool.page_size), &records);

	if (error != 0)
		return error;
	vmm_ranges_init(&pool.ranges, records, npages,
	    (uintptr_t)pool.base / pool.page_size);
	pool.is_hole = (unsigned char *)records + records_size;
	return 0;
}

bool
vmm_pool_open(const struct vmm_settings *settings, struct vmm_text *error)
{
	struct vmm_os_room room;
	size_t size;
	int errnum = vmm_os_file_create(settings->pool_dir, &pool.file);

	vmm_text_clear(error);
	if (errnum != 0)
		return refuse(settings, errnum, NULL, error);
	pool.page_size = vmm_os_page_size();
	size = round_up(settings->pool_size_bytes, pool.file.fs.page_size);
	errnum = vmm_os_file_resize(&pool.file, size, &room);
	if (errnum != 0)
		goto failed;
	errnum = map_pool(size);
	if (errnum != 0)
		goto failed;
	errnum = set_up_ranges();
	if (errnum != 0)
		goto failed;
	/* The first step now: a file system that cannot promise is refused at start. */
	errnum = reserve_to(settings->reserve == VMM_RESERVE_FULL ?
	    size : reserve_floor());
	if (errnum != 0)
		goto failed;
	/* Who wants it all from the start wants to keep it. */
	pool.returns_chunks = pool.file.fs.has_page_cache &&
	    settings->reserve == VMM_RESERVE_GROW;
	vmm_pool_span.base = (uintptr_t)pool.base;
	vmm_pool_span.size = size;
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "pool opened in "),
	    vmm_text_quote(line, settings->pool_dir),
	    vmm_text_str(line, ", bytes "), vmm_text_uint(line, size),
	    vmm_text_str(line, ", reserved "),
	    vmm_text_uint(line, pool.reserved));
	return true;

failed:
	vmm_os_file_close(&pool.file, pool.base, pool.size);
	return refuse(settings, errnum, &room, error);
}

/* Has the blocks of holes in [offset, offset + size) promised again. */
static bool
fill_holes(size_t offset, size_t size)
{
	size_t last = (offset + size - 1) / CHUNK_SIZE;

	for (size_t chunk = offset / CHUNK_SIZE;
	     pool.hole_count > 0 && chunk <= last; chunk++) {
		if (!pool.is_hole[chunk])
			continue;
		if (vmm_os_file_reserve(&pool.file, pool.base,
			chunk * CHUNK_SIZE, CHUNK_SIZE) != 0)
			return false;
		pool.is_hole[chunk] = 0;
		pool.hole_count--;
	}
	return true;
}

/*
 * Returns to the system the chunks that [offset, offset + size), just given back,
 * has made free, those at its ends included. Above the high-water mark there is
 * nothing to return.
 */
static void
make_holes(size_t offset, size_t size)
{
	size_t first, npages, begin, end;

	if (!pool.returns_chunks || pool.is_private || pool.keepers > 0)
		return;
	vmm_ranges_around(&pool.ranges, offset / pool.page_size, &first,
	    &npages);
	begin = larger(round_up(first * pool.page_size, CHUNK_SIZE),
	    offset / CHUNK_SIZE * CHUNK_SIZE);
	end = smaller((first + npages) * pool.page_size,
	    round_up(offset + size, CHUNK_SIZE));
	end = smaller(end, pool.high_water);
	for (; begin + CHUNK_SIZE <= end; begin += CHUNK_SIZE) {
		size_t chunk = begin / CHUNK_SIZE;

		if (pool.is_hole[chunk] ||
		    vmm_os_file_remove(pool.base + begin, CHUNK_SIZE) != 0)
			continue;
		pool.is_hole[chunk] = 1;
		pool.hole_count++;
	}
}

static bool
take_range(const char *wanted, size_t npages, size_t alignment, size_t *first)
{
	if (wanted == NULL)
		return vmm_ranges_take(&pool.ranges, npages,
		    alignment / pool.page_size, first);
	if (!vmm_pool_has(wanted))
		return false;
	*first = (size_t)(wanted - pool.base) / pool.page_size;
	return vmm_ranges_take_at(&pool.ranges, *first, npages);
}

static char *
take_locked(const char *wanted, size_t size, size_t alignment,
    size_t *dirty_size)
{
	size_t npages = size / pool.page_size;
	size_t first, offset;

	if (!take_range(wanted, npages, alignment, &first)) {
		if (wanted == NULL)
			VMM_LOG(VMM_LOG_OPERATIONS,
			    vmm_text_str(line, "exhausted: no range of "),
			    vmm_text_uint(line, size),
			    vmm_text_str(line, ", the longest free one is "),
			    vmm_text_uint(line,
				vmm_ranges_longest(&pool.ranges) *
				    pool.page_size));
		return NULL;
	}
	offset = first * pool.page_size;
	if (!pool.is_private &&
	    !(reserve_ahead(offset + size) && fill_holes(offset, size))) {
		vmm_ranges_give(&pool.ranges, first, npages);
		return NULL;
	}
	/* Above the high-water mark nothing was ever written. */
	*dirty_size = offset < pool.high_water
	    ? smaller(pool.high_water - offset, size)
	    : 0;
	pool.high_water = larger(pool.high_water, offset + size);
	return pool.base + offset;
}

void *
vmm_pool_take(void *wanted, size_t size, size_t alignment, bool *is_zero)
{
	int saved_errno = errno;
	size_t dirty_size = 0;
	char *range;

	VMM_ASSERT(size % pool.page_size == 0 && size != 0);
	pthread_mutex_lock(&pool.lock);
	range = take_locked(wanted, size, alignment, &dirty_size);
	pthread_mutex_unlock(&pool.lock);
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
	int saved_errno = errno;
	size_t offset = (size_t)((char *)address - pool.base);

	VMM_ASSERT(vmm_pool_has(address) && size <= pool.size - offset);
	pthread_mutex_lock(&pool.lock);
	vmm_ranges_give(&pool.ranges, offset / pool.page_size,
	    size / pool.page_size);
	make_holes(offset, size);
	pthread_mutex_unlock(&pool.lock);
	errno = saved_errno;
}

void
vmm_pool_keep_begin(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.keepers++;
	pthread_mutex_unlock(&pool.lock);
}

void
vmm_pool_keep_end(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.keepers--;
	pthread_mutex_unlock(&pool.lock);
}

void
vmm_pool_look(struct vmm_pool_figures *figures)
{
	pthread_mutex_lock(&pool.lock);
	*figures = (struct vmm_pool_figures){
		.size = pool.size,
		.in_use = pool.size - pool.ranges.free_npages * pool.page_size,
		.high_water = pool.high_water,
		.reserved = pool.reserved,
		.returned = pool.hole_count * CHUNK_SIZE,
		.longest_free = vmm_ranges_longest(&pool.ranges) *
		    pool.page_size,
		.is_private = pool.is_private,
	};
	pthread_mutex_unlock(&pool.lock);
}

/* The end of the longest part from `at` on that is all holes, or has none. */
static size_t
end_of_kind(size_t at, size_t used)
{
	unsigned char is_hole = pool.is_hole[at / CHUNK_SIZE];
	size_t end = at;

	while (end < used && pool.is_hole[end / CHUNK_SIZE] == is_hole)
		end += CHUNK_SIZE;
	return smaller(end, used);
}

/*
 * Goes on over a private mapping of the file. What was never used, and holes, become
 * ordinary memory: a write there would first need a page of a file system that may
 * be full, and end in SIGBUS. If it fails half way this process is no worse for it,
 * since each of its pages is still what it was; but the file no longer is all of
 * the heap, and from then on children get copies.
 */
static bool
go_private(void)
{
	size_t at = 0;

	if (pool.is_patched || vmm_os_file_can_be_private(&pool.file) != 0)
		return false;
	while (at < pool.high_water) {
		size_t end = end_of_kind(at, pool.high_water);

		if ((pool.is_hole[at / CHUNK_SIZE]
			? vmm_os_map_fresh(pool.base + at, end - at)
			: vmm_os_file_map_private(&pool.file, pool.base, at,
				end - at)) != 0)
			goto failed;
		at = end;
	}
	if (at < pool.size &&
	    vmm_os_map_fresh(pool.base + at, pool.size - at) != 0)
		goto failed;
	/* Holes that became memory are holes no more. */
	pool.hole_count = 0;
	return true;

failed:
	pool.is_patched = true;
	return false;
}

/*
 * Both sides go private before they part, so that there is no moment at which a
 * write of one could reach the other. Where that cannot be, the child alone gets
 * a copy of what was ever used.
 */
void
vmm_pool_fork_prepare(void)
{
	int saved_errno = errno;

	pthread_mutex_lock(&pool.lock);
	if (pool.is_private)
		goto done;
	pool.is_private = go_private();
	if (!pool.is_private)
		pool.is_stranded = vmm_os_copy_make(pool.base, pool.high_water,
		    &pool.copy) != 0;
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, pool.is_private
		? "forking: both sides go private"
		: "forking: the child gets a copy"));
done:
	errno = saved_errno;
}

void
vmm_pool_fork_parent(void)
{
	int saved_errno = errno;

	if (pool.copy != NULL)
		vmm_os_copy_drop(pool.copy, pool.high_water);
	pool.copy = NULL;
	pool.is_stranded = false;
	pthread_mutex_unlock(&pool.lock);
	errno = saved_errno;
}

void
vmm_pool_fork_child(void)
{
	int saved_errno = errno;

	/* The lock's owner is the thread that forked: the one that goes on here. */
	if (pool.copy != NULL) {
		pool.is_stranded = vmm_os_copy_adopt(pool.copy, pool.base,
		    pool.high_water, pool.size) != 0;
		pool.copy = NULL;
		pool.is_private = true;
	}
	if (pool.is_stranded)
		vmm_fatal_abort("no memory for the heap of a forked child, "
		    "which would have to write into its parent's");
	pthread_mutex_unlock(&pool.lock);
	errno = saved_errno;
}
