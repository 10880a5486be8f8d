/* SPDX-License-Identifier: BSD-3-Clause */
/* entry.h: what entry points have in common. */
#ifndef VMM_ENTRY_H
#define VMM_ENTRY_H

#include <stddef.h>

#include "alloc.h"
#include "jemalloc_private.h"

/* The library is built with hidden visibility; these functions are its surface. */
#define VMM_EXPORT __attribute__((visibility("default")))

#define VMM_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define VMM_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/*
 * jemalloc's smallest class, 8 bytes, is aligned to 8 bytes only, and its next
 * one to 16: so ask for more than 8.
 */
static inline size_t
vmm_entry_size(size_t size)
{
	return size > VMM_ALLOC_ALIGNMENT / 2 ? size : VMM_ALLOC_ALIGNMENT;
}

/*
 * Up to these bounds every size class that is a multiple of an alignment is
 * aligned to it (the smallest page is 4 KiB, and slabs begin at pages), so that
 * jemalloc's malloc, which has a fast path, can do for its aligned_alloc.
 */
#define VMM_ENTRY_SMALL_ALIGNMENT ((size_t)4096)
#define VMM_ENTRY_SMALL_SIZE ((size_t)14336)

/* A block of `size` bytes at a multiple of `alignment`, a power of two. */
static inline void *
vmm_entry_aligned(size_t alignment, size_t size)
{
	void *block;

	if (size == 0)
		size = 1;
	if (VMM_LIKELY(alignment <= VMM_ENTRY_SMALL_ALIGNMENT &&
		size <= VMM_ENTRY_SMALL_SIZE)) {
		size_t rounded = (size + alignment - 1) & ~(alignment - 1);

		if (VMM_LIKELY(rounded <= VMM_ENTRY_SMALL_SIZE)) {
			block = je_malloc(vmm_entry_size(rounded));
			if (VMM_LIKELY(block != NULL))
				return block;
		}
	}
	block = je_aligned_alloc(alignment, size);
	if (VMM_LIKELY(block != NULL))
		return block;
	return vmm_alloc_aligned(alignment, size);
}

#endif
