/* SPDX-License-Identifier: BSD-3-Clause */
/* guard.h: jemalloc's functions for blocks; the debug variant guards the blocks. */
#ifndef VMM_GUARD_H
#define VMM_GUARD_H

#include <stddef.h>

#include "heap/je.h"

/* Alignment of every block, as in glibc (manual, "Basic Allocation"). */
#define VMM_BLOCK_ALIGNMENT 16

/*
 * The entry points call jemalloc's functions for blocks by these names. Each has the
 * prototype and the meaning of the same name with `je_` (jemalloc(3)). The debug variant
 * adds the guard: check bytes behind the requested size, and a record of live blocks. With
 * the guard, a function that gets a block aborts with a message if no live block begins at
 * that address, or if the block's check bytes have changed. Thread-safe.
 */
#ifdef VMMALLOC_DEBUG

/* Maps the record; called once, when the pool is open. Returns 0 or ENOMEM. */
int vmm_guard_open(void);

void *vmm_guard_malloc(size_t size);
void *vmm_guard_calloc(size_t count, size_t size);
void *vmm_guard_aligned_alloc(size_t alignment, size_t size);
void vmm_guard_free(void *block);
/* Returns the requested size. For a block that is not live, traces it and returns 0. */
size_t vmm_guard_malloc_usable_size(const void *block);

void *vmm_guard_mallocx(size_t size, int flags);
void *vmm_guard_rallocx(void *block, size_t size, int flags);
size_t vmm_guard_xallocx(void *block, size_t size, size_t extra, int flags);
size_t vmm_guard_sallocx(const void *block, int flags);
void vmm_guard_dallocx(void *block, int flags);
/* A wrong size is reported in the trace and otherwise ignored. */
void vmm_guard_sdallocx(void *block, size_t size, int flags);
void vmm_guard_free_sized(void *block, size_t size);
size_t vmm_guard_nallocx(size_t size, int flags);

#else

#define vmm_guard_malloc je_malloc
#define vmm_guard_calloc je_calloc
#define vmm_guard_aligned_alloc je_aligned_alloc
#define vmm_guard_free je_free
#define vmm_guard_malloc_usable_size je_malloc_usable_size
#define vmm_guard_mallocx je_mallocx
#define vmm_guard_rallocx je_rallocx
#define vmm_guard_sallocx je_sallocx
#define vmm_guard_dallocx je_dallocx
#define vmm_guard_sdallocx je_sdallocx
#define vmm_guard_free_sized je_free_sized
#define vmm_guard_nallocx je_nallocx

/*
 * jemalloc 5.3.0 returns the old size if it could not resize the block to size + extra but
 * did resize it to `size` (large_ralloc_no_move).
 */
static inline size_t
vmm_guard_xallocx(void *block, size_t size, size_t extra, int flags)
{
	je_xallocx(block, size, extra, flags);
	return je_sallocx(block, flags);
}

#endif

#endif
