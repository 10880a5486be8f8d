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

/* Reports in the trace why no function accepts the alignment. Returns NULL, EINVAL. */
void *vmm_fail_alignment(size_t alignment);

/* For a size (count * size, or rounded up) that exceeds size_t. Returns NULL, ENOMEM. */
void *vmm_fail_overflow(size_t count, size_t size);

/* No memory: returns NULL, ENOMEM. The debug variant counts and traces the failure. */
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
