/* SPDX-License-Identifier: BSD-3-Clause */
/* lookup.c: whether a foreign block belongs to an extent of jemalloc. */
#include "config.h"

#include <stdint.h>

#include "heap/alloc.h"
#include "heap/je.h"

/*
 * jemalloc maps each page to the record of its extent. jemalloc's free assumes that there
 * is a record and crashes for other addresses. With is_dependent = false, this lookup
 * returns NULL for them instead. It requires a cache, the context, which is not kept.
 */
#define CONTEXT_SIZE 1024 /* sizeof(rtree_ctx_t) is 384 (rtree_tsd.h, 5.3.0, 5.3.1) */

/*
 * The first word of a leaf element is the address of the record, or 0. Bits below the
 * record's alignment and from ADDRESS_BITS on hold other data (rtree.h, rtree_leaf_elm_s).
 */
#define RECORD_ALIGNMENT 128
#define ADDRESS_BITS (sizeof(void *) == 8 ? 48 : 32)

bool
vmm_lookup_owns(const void *block)
{
	uintptr_t context[CONTEXT_SIZE / sizeof(uintptr_t)];
	uintptr_t *element, record;

	/* jemalloc ignores the bits from ADDRESS_BITS on. */
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
