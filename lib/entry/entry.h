/* SPDX-License-Identifier: BSD-3-Clause */
/* entry.h: functions and macros that the entry points share. */
#ifndef VMM_ENTRY_H
#define VMM_ENTRY_H

#include <stddef.h>

#include "heap/fail.h"
#include "heap/foreign.h"
#include "heap/guard.h"
#include "pool/pool.h"
#include "trace/log.h"

/* Marks an entry point. All other functions have hidden visibility. */
#define VMM_EXPORT __attribute__((visibility("default")))

#define VMM_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define VMM_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/*
 * Up to these bounds, blocks of a size class that is a multiple of an alignment are aligned
 * to it: pages have at least 4 KiB, and slabs begin at pages. So an aligned block can come
 * from jemalloc's malloc, which has a fast path, instead of its aligned_alloc. The debug
 * variant's guard makes sizes larger, so there the alignment would be lost.
 */
#ifdef VMMALLOC_DEBUG
#define VMM_ENTRY_SMALL_ALIGNMENT ((size_t)0)
#else
#define VMM_ENTRY_SMALL_ALIGNMENT ((size_t)4096)
#endif
#define VMM_ENTRY_SMALL_SIZE ((size_t)14336)

/* The work of malloc, free and the C++ operators, which themselves trace their calls. */

static inline void *
vmm_entry_malloc(size_t size)
{
	return vmm_fail_checked(vmm_guard_malloc(size), size);
}

static inline void
vmm_entry_free(void *block)
{
	if (VMM_LIKELY(vmm_pool_has(block)))
		vmm_guard_free(block);
	else
		vmm_foreign_free(block);
}

static inline void
vmm_entry_free_sized(void *block, size_t size)
{
	if (VMM_LIKELY(vmm_pool_has(block)))
		vmm_guard_free_sized(block, size);
	else
		vmm_foreign_free(block);
}

/* Allocates `size` bytes at a multiple of `alignment`, a power of two. */
static inline void *
vmm_entry_aligned(size_t alignment, size_t size)
{
	if (size == 0)
		size = 1;
	if (VMM_LIKELY(alignment <= VMM_ENTRY_SMALL_ALIGNMENT &&
		size <= VMM_ENTRY_SMALL_SIZE)) {
		size_t rounded = (size + alignment - 1) & ~(alignment - 1);

		if (VMM_LIKELY(rounded <= VMM_ENTRY_SMALL_SIZE))
			return vmm_entry_malloc(rounded);
	}
	return vmm_fail_checked(vmm_guard_aligned_alloc(alignment, size), size);
}

/*
 * profile.c: makes backtraces of jemalloc's heap profiler (jemalloc(3), opt.prof) begin with
 * `entry`, malloc. jeprof skips malloc's frame by its name, but malloc jumps to functions
 * that have no name in a stripped library. Does nothing if profiling is off. Called once.
 */
void vmm_profile_start(void *entry);

#endif
