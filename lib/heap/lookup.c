/* SPDX-License-Identifier: BSD-3-Clause */
/* lookup.c: whether a block outside the pool is jemalloc's. */
#include "config.h"

#include <stdint.h>

#include "heap/je.h"
#include "heap/lookup.h"

/*
 * jemalloc maps pages to records of their extents. Its own free assumes that there is a
 * record, and would crash for an address of others. Where is_dependent is false, this
 * lookup returns NULL instead. The context is a cache, which it insists on; it is thrown
 * away.
 */
#define CONTEXT_SIZE 1024 /* 384 is what it takes (rtree_tsd.h, 5.3.0, 5.3.1). */

/*
 * The first word of what is found is the record's address, 0 if there is none; in the bits
 * below its alignment and above ADDRESS_BITS are other things (rtree.h, rtree_leaf_elm_s).
 */
#define RECORD_ALIGNMENT 128
#define ADDRESS_BITS (sizeof(void *) == 8 ? 48 : 32)

bool
vmm_lookup_owns(const void *block)
{
	uintptr_t context[CONTEXT_SIZE / sizeof(uintptr_t)];
	uintptr_t *element, record;

	/* jemalloc does not look at the bits above. */
	if ((uint64_t)(uintptr_t)block >> ADDRESS_BITS != 0)
		return false;
	je_rtree_ctx_data_init((void *)context);
	element = (void *)je_rtree_leaf_elm_lookup_hard(NULL,
	    (struct rtree_s *)&je_arena_emap_global, (void *)context,
	    (uintptr_t)block, false, false);
	if (element == NULL)
		return false;
	record = __atomic_load_n(element, __ATOMIC_ACQUIRE);
	record <<= 8 * sizeof(record) - ADDRESS_BITS;
	record >>= 8 * sizeof(record) - ADDRESS_BITS;
	return record >= RECORD_ALIGNMENT;
}
