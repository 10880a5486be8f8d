/* SPDX-License-Identifier: BSD-3-Clause */
/* fail.h: allocations that fail: the errno value, the trace and the count. */
#ifndef VMM_FAIL_H
#define VMM_FAIL_H

#include <stddef.h>

/* All functions are thread-safe. */

#ifdef VMMALLOC_DEBUG
/* How many calls of vmm_fail_memory there were: allocations that found no memory. */
size_t vmm_fail_count(void);
#endif

/* Traces why the entry point refuses `alignment`. Returns NULL with errno EINVAL. */
void *vmm_fail_alignment(size_t alignment);

/* count * size, or `size` rounded up to pages, overflows. Returns NULL with errno ENOMEM. */
void *vmm_fail_overflow(size_t count, size_t size);

/* No memory: returns NULL with errno ENOMEM. The debug variant counts and traces this. */
void *vmm_fail_memory(size_t size);

/* Returns `block`. The debug variant counts and traces a NULL, for which jemalloc has set
 * errno. */
static inline void *
vmm_fail_checked(void *block, size_t size)
{
#ifdef VMMALLOC_DEBUG
	if (block == NULL)
		return vmm_fail_memory(size);
#endif
	(void)size;
	return block;
}

#endif
