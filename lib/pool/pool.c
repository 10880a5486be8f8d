/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.c: the pool's lock, the allocation of page ranges, and the pool's figures. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/probe.h"
#include "pool/state.h"
#include "trace/fatal.h"
#include "trace/log.h"

struct vmm_pool_span vmm_pool_span;

struct vmm_pool_state vmm_pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .ahead_max = VMM_RESERVE_MAX,
	.growth_threshold = VMM_POOL_SMALL, .users_lock = { .file = { .fd = -1 } },
	.parent_file = { .fd = -1 }, .anonymous_from = SIZE_MAX,
	.others = VMM_OS_STOP_OTHERS,
};

/*
 * True while this thread takes, holds or releases the lock. A signal handler that sees
 * true must not wait for the lock, which its own thread may hold.
 */
static __thread bool is_inside __attribute__((tls_model("initial-exec")));

bool
vmm_pool_is_inside(void)
{
	return is_inside;
}

int
vmm_pool_try_lock(void)
{
	if (vmm_pool.fork_mark != NULL && *vmm_pool.fork_mark == 0)
		vmm_fatal_abort("a child made by clone(2) or _Fork needs memory"
		    " of its parent's heap, which it must not change;"
		    " fork(2) would have given it one of its own");
	if (is_inside)
		return EDEADLK;
	is_inside = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	pthread_mutex_lock(&vmm_pool.lock);
	return 0;
}

void
vmm_pool_lock(void)
{
	int error = vmm_pool_try_lock();

	/* EDEADLK: a signal handler allocates after it has interrupted the pool. */
	VMM_ASSERT(error == 0);
	(void)error;
}

void
vmm_pool_unlock(void)
{
	pthread_mutex_unlock(&vmm_pool.lock);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	is_inside = false;
}

bool
vmm_pool_is_fileless(void)
{
	return vmm_pool.file.fs.is_fileless;
}

static bool
allocate_range(const char *wanted, size_t npages, size_t alignment, size_t *first)
{
	if (wanted == NULL)
		return vmm_ranges_allocate(&vmm_pool.ranges, npages,
		    alignment / vmm_pool.page_size, first);
	if (!vmm_pool_has(wanted))
		return false;
	*first = (size_t)(wanted - vmm_pool.base) / vmm_pool.page_size;
	return vmm_ranges_allocate_at(&vmm_pool.ranges, *first, npages);
}

static void
log_exhausted(size_t size)
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

static size_t
in_use(void)
{
	return vmm_pool.size - vmm_pool.ranges.free_npages * vmm_pool.page_size;
}

/* Returns where a range of `size` bytes would end, or 0 if no free range fits. */
static size_t
lowest_fit_end(size_t size)
{
	size_t npages = size / vmm_pool.page_size;
	size_t first;

	if (!vmm_ranges_allocate(&vmm_pool.ranges, npages, 1, &first))
		return 0;
	vmm_ranges_free(&vmm_pool.ranges, first, npages);
	return (first + npages) * vmm_pool.page_size;
}

bool
vmm_pool_outgrows(size_t size)
{
	size_t end = 0;
	bool outgrows;

	vmm_pool_lock();
	/* The lowest fit never ends above high_water + size: search only if necessary. */
	if (vmm_pool.high_water + size > vmm_pool.growth_threshold)
		end = lowest_fit_end(size);
	outgrows = end > vmm_pool.growth_threshold;
	if (outgrows)
		vmm_pool.growth_threshold = end + end / 8;
	vmm_pool_unlock();
	return outgrows;
}

/* Allocates a range, and makes it usable: maps it and reserves its file blocks. */
static bool
allocate_usable(const char *wanted, size_t size, size_t alignment, size_t *offset)
{
	size_t npages = size / vmm_pool.page_size;
	size_t first;

	if (!allocate_range(wanted, npages, alignment, &first)) {
		if (wanted == NULL)
			log_exhausted(size);
		return false;
	}
	*offset = first * vmm_pool.page_size;
	if (vmm_pool_reserve_ahead(*offset + size) && vmm_pool_fill_holes(*offset, size))
		return true;
	vmm_ranges_free(&vmm_pool.ranges, first, npages);
	return false;
}

static char *
allocate_locked(const char *wanted, size_t size, size_t alignment,
    size_t *dirty_size)
{
	size_t offset;
	bool is_allocated = allocate_usable(wanted, size, alignment, &offset);

	/* A full file system may refuse blocks for a hole: try to allocate elsewhere. */
	if (!is_allocated && wanted == NULL && vmm_pool.hole_count > 0) {
		vmm_pool_holes_hide();
		is_allocated = allocate_usable(NULL, size, alignment, &offset);
		vmm_pool_holes_show();
	}
	if (!is_allocated)
		return NULL;
	/* Above the high-water mark nothing was ever written. */
	*dirty_size = offset < vmm_pool.high_water
	    ? vmm_smaller(vmm_pool.high_water - offset, size)
	    : 0;
	vmm_pool.high_water = vmm_larger(vmm_pool.high_water, offset + size);
	vmm_pool.peak = vmm_larger(vmm_pool.peak, in_use());
	return vmm_pool.base + offset;
}

void *
vmm_pool_allocate(void *wanted, size_t size, size_t alignment, bool *is_zero)
{
	int saved_errno = errno;
	size_t dirty_size = 0;
	char *range;

	VMM_ASSERT(size % vmm_pool.page_size == 0 && size != 0);
	vmm_pool_lock();
	range = allocate_locked(wanted, size, alignment, &dirty_size);
	vmm_pool_unlock();
	/* The lock is not needed: no other thread has the range. */
	if (range != NULL && *is_zero)
		memset(range, 0, dirty_size);
	else if (range != NULL && dirty_size == 0)
		*is_zero = true;
	errno = saved_errno;
	return range;
}

void
vmm_pool_free(void *address, size_t size)
{
	int saved_errno = errno;
	size_t offset = (size_t)((char *)address - vmm_pool.base);

	VMM_ASSERT(vmm_pool_has(address) && size <= vmm_pool.size - offset);
	vmm_pool_lock();
	vmm_ranges_free(&vmm_pool.ranges, offset / vmm_pool.page_size,
	    size / vmm_pool.page_size);
	vmm_pool_release_chunks(offset, size);
	vmm_pool_unlock();
	errno = saved_errno;
}

void
vmm_pool_release_pause(void)
{
	vmm_pool_lock();
	vmm_pool.release_pauses++;
	vmm_pool_unlock();
}

void
vmm_pool_release_resume(void)
{
	vmm_pool_lock();
	vmm_pool.release_pauses--;
	vmm_pool_unlock();
}

size_t
vmm_pool_in_use(void)
{
	size_t bytes;

	vmm_pool_lock();
	bytes = in_use();
	vmm_pool_unlock();
	return bytes;
}

void
vmm_pool_read_figures(struct vmm_pool_figures *figures)
{
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
		.in_holes = vmm_pool.hole_count * VMM_CHUNK_SIZE,
		.free_ranges = vmm_ranges_count(&vmm_pool.ranges),
		.longest_free = vmm_ranges_longest(&vmm_pool.ranges) *
		    vmm_pool.page_size,
		.forks = vmm_pool.forks_done,
		.failed_forks = vmm_pool.forks_failed,
		.forks_us = vmm_pool.forks_us,
		.longest_fork_us = vmm_pool.longest_fork_us,
		.has_file = !vmm_pool_is_fileless(),
		.is_private = vmm_pool.is_private,
		.private_chunks = vmm_pool.private_count,
		.return_error = vmm_pool.return_error,
	};
	figures->has_blocks = vmm_os_file_blocks(&vmm_pool.file,
	    &figures->blocks) == 0;
	vmm_pool_unlock();
	errno = saved_errno;
}
