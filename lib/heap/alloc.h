/* SPDX-License-Identifier: BSD-3-Clause */
/* alloc.h: the rare ways behind the entry points. */
#ifndef VMM_ALLOC_H
#define VMM_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* What is here may be called by any thread, unless it says otherwise. */

#ifdef VMMALLOC_DEBUG
/* How many allocations have failed for want of room. */
size_t vmm_alloc_failures(void);
#endif

/* An alignment that none of the functions takes: NULL and EINVAL; the trace says why. */
void *vmm_alloc_refuse_alignment(size_t alignment);

/* More bytes than a number can be, `count` times `size` or a little more: NULL, ENOMEM. */
void *vmm_alloc_refuse_size(size_t count, size_t size);

/* No room for `size` bytes: NULL and ENOMEM; counted and traced in the debug variant. */
void *vmm_alloc_fail(size_t size);

/* Returns `block`. The debug variant counts and traces a NULL of jemalloc's, which has set
 * errno. */
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
 * For a pointer outside the pool. A block from the program's own extent hooks
 * (jemalloc(3), arena.<i>.extent_hooks) goes to jemalloc; any other goes to libc's
 * function, since libc's own allocator has given it (RTLD_DEEPBIND, dlmopen(3)). `free`
 * and `usable_size` take NULL, `realloc` must not get it. `free` keeps errno. `realloc`
 * returns NULL and sets errno to ENOMEM where there is no room; with size 0 it frees.
 * The debug variant ends the process where the address is no block's for certain.
 */
void vmm_alloc_foreign_free(void *block);
void *vmm_alloc_foreign_realloc(void *block, size_t size);
size_t vmm_alloc_foreign_usable_size(void *block);

/*
 * Finds libc's own functions for those; called once, when libc is set up. False if there
 * are none behind the library: libc comes first, and nobody calls the library's functions.
 */
bool vmm_alloc_find_others(void);

#endif
