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

/*
 * The pool had no room for `size` bytes: gives back to it what this thread and
 * the arenas cache. True if that can have helped, so that one more try makes
 * sense. Keeps errno.
 */
bool vmm_alloc_make_room(size_t size);

/* How many allocations have failed for want of room. */
size_t vmm_alloc_failures(void);

/* Returns NULL, with errno set to that. */
void *vmm_alloc_refuse(int error);

/* Second tries; each returns NULL with errno ENOMEM if there is no room. */
void *vmm_alloc_malloc(size_t size);
void *vmm_alloc_calloc(size_t size);
void *vmm_alloc_realloc(void *block, size_t size);
void *vmm_alloc_aligned(size_t alignment, size_t size);

/*
 * What to do with a pointer that is not the pool's: NULL is fine with all three;
 * others came from libc's own allocator (RTLD_DEEPBIND), which takes them back.
 */
void vmm_alloc_other_free(void *block);
void *vmm_alloc_other_realloc(void *block, size_t size);
size_t vmm_alloc_other_usable_size(void *block);

/* Finds libc's own functions for those; called once, when libc is set up. */
void vmm_alloc_find_others(void);

#endif
