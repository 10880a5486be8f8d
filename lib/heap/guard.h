/* SPDX-License-Identifier: BSD-3-Clause */
/* guard.h: blocks as programs have them: jemalloc's; the debug variant guards them. */
#ifndef VMM_BLOCK_H
#define VMM_BLOCK_H

#include <stddef.h>

#include "heap/je.h"

/* Alignment of every block, as glibc's manual promises ("Basic Allocation"). */
#define VMM_BLOCK_ALIGNMENT 16

/*
 * Entry points and what lies behind them ask for blocks by these names. Each has the
 * prototype, and does what jemalloc(3) says, of the name with `je_`. In the debug
 * variant a block has in addition, behind the size that was asked for, a tail that
 * nobody else writes to, and a record of where it begins. Whatever takes a block
 * aborts, with a message, if no live one begins there, or if it was written to
 * behind its end; all may be called by any thread.
 */
#ifdef VMMALLOC_DEBUG

/* Makes room for the records, once the pool is open. ENOMEM. */
int vmm_guard_open(void);

void *vmm_guard_malloc(size_t size);
void *vmm_guard_calloc(size_t count, size_t size);
void *vmm_guard_aligned_alloc(size_t alignment, size_t size);
void vmm_guard_free(void *block);
/* The size that was asked for; 0, and a line of the trace, for what does not live. */
size_t vmm_guard_malloc_usable_size(const void *block);

void *vmm_guard_mallocx(size_t size, int flags);
void *vmm_guard_rallocx(void *block, size_t size, int flags);
size_t vmm_guard_xallocx(void *block, size_t size, size_t extra, int flags);
size_t vmm_guard_sallocx(const void *block, int flags);
void vmm_guard_dallocx(void *block, int flags);
/* A size that is not the block's is reported in the trace, and does no harm. */
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
 * jemalloc says that a block has its old size where it could not be given size + extra,
 * but was given `size` (large_ralloc_no_move, 5.3.0).
 */
static inline size_t
vmm_guard_xallocx(void *block, size_t size, size_t extra, int flags)
{
	je_xallocx(block, size, extra, flags);
	return je_sallocx(block, flags);
}

#endif

#endif
