/* SPDX-License-Identifier: BSD-3-Clause */
/* stats.h: what the pool and jemalloc know about the heap, put together. */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include <stddef.h>

/* Bytes, unless said otherwise; those of jemalloc as jemalloc(3) defines them. */
struct vmm_stats {
	size_t pool;        /* its size */
	size_t in_use;      /* handed out to arenas by the pool */
	size_t allocated;   /* of that, in blocks that the program has, or a thread's cache */
	size_t kept;        /* of that, in page ranges that arenas keep for later */
	size_t free_ranges; /* of the pool, their number */
};

/*
 * Reads them. The figures are of moments that lie close together, no more: other
 * threads go on. Takes jemalloc's locks and the pool's; allocates nothing; keeps errno.
 */
void vmm_stats_read(struct vmm_stats *stats);

/*
 * A summary for people, and jemalloc's own statistics, in pieces of text that
 * `write` is given with `argument`. Otherwise as vmm_stats_read.
 */
void vmm_stats_report(void (*write)(void *argument, const char *text),
    void *argument);

#endif
