/* SPDX-License-Identifier: BSD-3-Clause */
/* alloc.h: the rare ways behind the entry points. */
#ifndef VMM_ALLOC_H
#define VMM_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Everything here may be called by any thread and is reached only after the fast
 * path has failed: jemalloc returned NULL, or a pointer is not the pool's.
 */

/* How many allocations have failed for want of room. */
size_t vmm_alloc_failures(void);

/* An alignment that none of the functions takes: NULL and EINVAL; the trace says why. */
void *vmm_alloc_refuse_alignment(size_t alignment);

/* More bytes than a number can be, `count` times `size` or a little more: NULL, ENOMEM. */
void *vmm_alloc_refuse_size(size_t count, size_t size);

/* No room for `size` bytes: the same with ENOMEM, counted, and said in the trace. */
void *vmm_alloc_fail(size_t size);

/* What jemalloc gave for `size` bytes: it has set errno, and the rest is for people. */
static inline void *
vmm_alloc_checked(void *block, size_t size)
{
#ifdef VMMALLOC_DEBUG
	if (block == NULL)
		return vmm_alloc_fail(size);
#endif
	(void)size;
	return block;
}

/*
 * What to do with a pointer that is not the pool's: NULL is fine with all three; blocks
 * from extents of the program's own are jemalloc's like those of the pool; others came
 * from libc's own allocator (RTLD_DEEPBIND), which takes them back.
 */
void vmm_alloc_other_free(void *block);
void *vmm_alloc_other_realloc(void *block, size_t size);
size_t vmm_alloc_other_usable_size(void *block);

/*
 * Finds libc's own functions for those; called once, when libc is set up. False if there
 * are none behind the library: libc comes first, and nobody calls the library's functions.
 */
bool vmm_alloc_find_others(void);

#endif
