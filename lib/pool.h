/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.h: the one mapped file that holds the heap, handed out by page ranges. */
#ifndef VMM_POOL_H
#define VMM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

/*
 * The one pool of the process, as entry points need to know it: set once, before
 * the first block is handed out, and never changed. Before that it spans nothing.
 */
extern struct vmm_pool_span {
	uintptr_t base;
	size_t size;
} vmm_pool_span;

/* Whether an address lies in the pool: it is ours, or it is not. */
static inline bool
vmm_pool_has(const void *address)
{
	return (uintptr_t)address - vmm_pool_span.base < vmm_pool_span.size;
}

/* Figures about the pool, in bytes, for messages and tests. */
struct vmm_pool_figures {
	size_t size;
	size_t in_use;      /* handed out */
	size_t high_water;  /* end of the highest range ever handed out */
	size_t reserved;    /* promised by the file system at some time */
	size_t returned;    /* of it, given back to the system since */
	size_t longest_free;
	bool is_private;    /* no longer the file's: after fork(2) */
};

/*
 * Makes the file, maps it and publishes the span; called once, by one thread.
 * False, with the lines for stderr in `error` and nothing left behind, if the
 * directory cannot hold the pool.
 */
bool vmm_pool_open(const struct vmm_settings *settings, struct vmm_text *error);

/*
 * Hands out a range of `size` bytes at a multiple of `alignment`, both multiples
 * of the system's page size, the lowest that fits; or, if `wanted` is not NULL,
 * the range there. With *is_zero the range is zeroed; without, *is_zero becomes
 * true if it is zero anyway. NULL when there is no such range or its blocks
 * cannot be had. Thread-safe; keeps errno.
 */
void *vmm_pool_take(void *wanted, size_t size, size_t alignment, bool *is_zero);

/*
 * Takes back any part of what was handed out, and returns to the system what it can
 * of the pages. Thread-safe; keeps errno.
 */
void vmm_pool_give(void *address, size_t size);

/*
 * Between `begin` and `end` what is given back stays in memory, for it is needed
 * again at once. Pairs may overlap. Thread-safe.
 */
void vmm_pool_keep_begin(void);
void vmm_pool_keep_end(void);

/* Reads the figures. Thread-safe. */
void vmm_pool_look(struct vmm_pool_figures *figures);

/*
 * Around fork(2), on the forking thread, with jemalloc's locks held. `prepare`
 * takes the pool's lock and sees to it that the child will have memory of its
 * own; it cannot fail, but `child` ends a child for which that was impossible.
 */
void vmm_pool_fork_prepare(void);
void vmm_pool_fork_parent(void);
void vmm_pool_fork_child(void);

#endif
