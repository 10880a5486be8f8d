/* SPDX-License-Identifier: BSD-3-Clause */
/* alloc.h: the rare cases behind the entry points: errors and foreign blocks. */
#ifndef VMM_ALLOC_H
#define VMM_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Functions without a note on threads are thread-safe. */

#ifdef VMMALLOC_DEBUG
/* How many calls of vmm_alloc_fail there were: allocations that found no memory. */
size_t vmm_alloc_failures(void);
#endif

/* Reports in the trace why no function accepts the alignment. Returns NULL, EINVAL. */
void *vmm_alloc_refuse_alignment(size_t alignment);

/* For a size (count * size, or rounded up) that exceeds size_t. Returns NULL, ENOMEM. */
void *vmm_alloc_refuse_size(size_t count, size_t size);

/* No memory: returns NULL, ENOMEM. The debug variant counts and traces the failure. */
void *vmm_alloc_fail(size_t size);

/* Returns `block`. The debug variant counts and traces a NULL, for which jemalloc has set
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
 * For foreign blocks. If the program's own extent hooks allocated the block (jemalloc(3),
 * arena.<i>.extent_hooks), it goes to jemalloc. Any other goes to libc's function of the
 * same name, as libc's allocator may have allocated it (RTLD_DEEPBIND, dlmopen(3)). `free`
 * and `usable_size` accept NULL, `realloc` must not get it. `free` keeps errno. `realloc`
 * returns NULL and sets errno to ENOMEM if there is no memory; size 0 frees the block. The
 * debug variant aborts if the address is certainly not a block.
 */
void vmm_alloc_foreign_free(void *block);
void *vmm_alloc_foreign_realloc(void *block, size_t size);
size_t vmm_alloc_foreign_usable_size(void *block);

/*
 * Finds libc's functions for foreign blocks; called once, after libc is initialised. Returns
 * false if the search order (dlsym(3), RTLD_NEXT) has none behind the library: then libc
 * comes first, and no program calls the library's functions.
 */
bool vmm_alloc_find_libc(void);

/*
 * lookup.c: whether the page of `block` belongs to an extent of jemalloc. Outside the pool,
 * the program's own hooks allocated that extent. Accepts any address. Takes no lock, keeps
 * errno.
 */
bool vmm_lookup_owns(const void *block);

#endif
